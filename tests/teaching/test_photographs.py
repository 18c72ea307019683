"""The project's photographs: exact masks, and a task on which single pixels fail."""

import numpy as np

from ldr_lib.teaching import hard_photographs, photographs


def test_hard_photographs_follow_their_seed_and_have_masks():
    one = hard_photographs([7, 2**61 + 5], 64)
    assert one.images.shape == (2, 64, 64, 3) and one.images.dtype == np.uint8
    assert one.vessels.shape == one.inside.shape == (2, 64, 64)
    assert not (one.vessels & ~one.inside).any() and not one.images[~one.inside].any()
    again = hard_photographs([2**61 + 5], 64)
    assert (again.images[0] == one.images[1]).all() and (one.images[0] != one.images[1]).any()


def test_no_more_than_some_photographs_stay_in_memory():
    hard_photographs(range(photographs.KEPT + 2), 16)
    assert photographs._photograph.cache_info().currsize == photographs.KEPT


def test_hard_photographs_are_not_solved_by_their_darkest_pixels():
    many = hard_photographs(range(6), 64)
    best = 0.0
    for share in (0.1, 0.15, 0.2, 0.3):
        found = []
        for image, truth, inside in zip(many.images, many.vessels, many.inside):
            green = image[..., 1]
            dark = inside & (green <= np.quantile(green[inside], share))
            found.append(2 * (dark & truth).sum() / (dark.sum() + truth.sum()))
        best = max(best, np.mean(found))
    assert best < 0.4
