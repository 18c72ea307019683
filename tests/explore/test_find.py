"""The explorer's search for a point."""

import numpy as np
import pytest
from scipy import ndimage

from ldr_lib.explore import Point, Scene, write_page
from ldr_lib.explore.find import Finder


@pytest.mark.parametrize("height, width", [(140, 131), (131, 257), (48, 33)])
def test_sides_that_hold_no_whole_cells_are_searched(tmp_path, height, width):
    rng = np.random.default_rng(0)
    vectors = ndimage.gaussian_filter(rng.normal(size=(2, height, width, 6)), (0, 3, 3, 0))
    vectors[1] = np.roll(vectors[0], (8, -4), (0, 1))
    vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
    shown = np.full((2, height, width, 3), 99, np.uint8)
    inside = np.ones((2, height, width), bool)
    scene = Scene(["a", "b"], shown, inside, vectors.astype(np.float32), None, 0)
    own, other = Finder(scene).find([Point(0, height // 2, width // 2)])
    assert own["found"] and other["found"]
    assert (own["row"], own["column"]) == pytest.approx((height // 2, width // 2), abs=4)
    assert other["row"] - own["row"] == pytest.approx(8, abs=4)
    assert other["column"] - own["column"] == pytest.approx(-4, abs=4)
    assert write_page(scene, tmp_path / "page.html", side=max(height, width)).exists()


def test_a_point_on_a_flat_area_is_not_distinctive():
    rng = np.random.default_rng(1)
    vectors = ndimage.gaussian_filter(rng.normal(size=(1, 64, 64, 16)), (0, 4, 4, 0))
    vectors[0, 44:] = vectors[0, 50, 50]
    vectors[0, 6:27, 38:59] = vectors[0, 6:27, 10:31]  # one other place looks the same
    vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
    shown, inside = np.full((1, 64, 64, 3), 99, np.uint8), np.ones((1, 64, 64), bool)
    finder = Finder(Scene(["a"], shown, inside, vectors.astype(np.float32), None, 0))
    flat, textured = (finder.find([Point(0, row, 20)])[0] for row in (54, 16))
    assert not flat["distinctive"] and textured["distinctive"]


def test_nothing_is_distinctive_where_all_pixels_are_alike():
    vectors = np.full((1, 64, 64, 4), 0.5, np.float32)
    shown, inside = np.full((1, 64, 64, 3), 99, np.uint8), np.ones((1, 64, 64), bool)
    inside[:, :, :8] = False
    finder = Finder(Scene(["a"], shown, inside, vectors, None, 0))
    assert not finder.find([Point(0, 30, 30)])[0]["distinctive"]
