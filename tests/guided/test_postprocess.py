"""Known shapes applied to a map: number of components, convex hulls, ellipses."""

import numpy as np
import pytest

from ldr_lib.guided.postprocess import best_ellipse, fill_convex_hulls, largest_components
from ldr_lib.metrics import dice


def test_only_as_many_components_are_kept_as_the_structure_has():
    map_ = np.zeros((20, 20), np.float32)
    map_[2:8, 2:8], map_[12:14, 12:14], map_[17, 3] = 0.9, 0.8, 0.4
    assert (largest_components(map_, 1) > 0.5).sum() == 36 and (
        largest_components(map_, 2) > 0.5
    ).sum() == 40
    assert largest_components(map_, 1)[12, 12] == pytest.approx(0.2) and largest_components(
        map_, 1
    )[17, 3] == pytest.approx(0.4)


def test_convex_hulls_are_filled_and_the_outside_stays():
    map_ = np.full((20, 20), 0.1, np.float32)
    map_[5:15, 5:15] = 0.9
    map_[5:12, 9:11] = 0.2
    filled = fill_convex_hulls(map_)
    assert (filled[5:15, 5:15] > 0.5).all() and np.array_equal(filled[:5], map_[:5])
    assert np.array_equal(fill_convex_hulls(map_ / 2), map_ / 2)
    map_[:, 9:11] = 0.2
    assert np.array_equal(fill_convex_hulls(map_), map_), "two components are not joined"


@pytest.mark.parametrize(
    "row, column, radius, ratio", [(40, 70, 9, 1.0), (90, 30, 14, 1.18), (22, 22, 11, 0.85)]
)
def test_an_ellipse_is_found_again_under_noise_and_tongues(row, column, radius, ratio):
    rows, columns = np.ogrid[:128, :128]
    truth = ((rows - row) / (radius * ratio**0.5)) ** 2 + (
        (columns - column) / (radius / ratio**0.5)
    ) ** 2 <= 1
    rng = np.random.default_rng(0)
    map_ = (0.8 * truth + 0.2 * rng.random((128, 128)) * (rng.random((128, 128)) < 0.05)).astype(
        np.float32
    )
    map_[row : row + 2 * radius, column : column + radius // 4] = 0.9
    map_[row - radius // 4 : row + radius // 4, column - radius : column] = 0.1
    found = best_ellipse(map_)
    assert dice(found > 0.5, truth) > 0.92 > dice(map_ > 0.5, truth)
    assert found.dtype == np.float32 and np.allclose(
        np.maximum(found, 1 - found), np.maximum(map_, 1 - map_)
    )


def test_nothing_found_stays_nothing():
    assert (best_ellipse(np.full((64, 64), 0.3, np.float32)) == np.float32(0.3)).all()
