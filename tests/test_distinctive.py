"""Whether a chosen point can be told from the other places of its own image."""

import numpy as np
import pytest

from ldr_lib import load_representation, localise, open_dataset, prepare
from ldr_lib.distinctive import MANY, share_alike


def test_only_other_places_in_the_field_of_view_are_counted():
    map_ = np.zeros((20, 20), np.float32)
    map_[:, 10:] = -1  # outside
    map_[8:13, 2:7] = 1  # the point and its hill, which the kernel reaches
    map_[0, :4] = 0.96
    map_[1, :4] = 0.94
    rows, columns = np.indices((20, 10))
    others = (np.hypot(rows - 10, columns - 4) > 5).sum()
    assert share_alike([map_], [(10, 4)], 5, 1) == pytest.approx(4 / others)
    assert share_alike([map_, map_], [(10, 4)] * 2, 5, 1) == pytest.approx(4 / others)


def test_places_are_compared_with_the_mean_of_the_chosen_points():
    first, second = np.zeros((2, 20, 20), np.float32)
    first[10, 10], second[10, 10] = 1, 0.8
    first[0, :5], second[0, :7] = 0.84, 0.86  # 0.855 is 0.95 of 0.9
    others = 2 * (np.hypot(*(np.indices((20, 20)) - 10)) > 4).sum()
    assert share_alike([first, second], [(10, 10)] * 2, 4, 1) == pytest.approx(7 / others)


def test_a_constant_map_is_alike_everywhere_and_one_that_is_reached_everywhere_says_nothing():
    for value in (0, 1):
        assert share_alike([np.full((9, 9), value, np.float32)], [(4, 4)], 2, 1) == 1
    assert share_alike([np.ones((9, 9), np.float32)], [(4, 4)], 20, 1) == 0


@pytest.mark.filterwarnings("ignore:nothing is distinctive")
def test_structures_of_photographs_are_distinctive_and_even_areas_are_not(real_data):
    eyes = prepare(open_dataset("chase_db1", real_data, "train"), 256)
    net, rng = load_representation("fundus"), np.random.default_rng(0)
    image = np.array(eyes.images[0])
    vessels = np.argwhere(eyes.masks["vessel"][0])
    points = rng.permutation(vessels)[:12]
    share = [localise(net, image, tuple(point), image[None]).alike for point in points]
    assert np.mean(np.less(share, MANY)) >= 0.75
    even = image.copy()
    even[78:178, 78:178] = np.clip(rng.normal(128, 2, (100, 100, 3)), 1, 255)
    for point in rng.integers(98, 158, (4, 2)):
        assert not localise(net, even, tuple(point), image[None]).distinctive
