"""Baselines without training do what their names say; clDice and centres."""

import numpy as np
import pytest

from ldr_lib.data.simulate import chest, fundus
from ldr_lib.guided.classical import (
    brightest_blob,
    central_circle,
    mean_mask,
    otsu_lungs,
    resize_mask,
    vesselness,
)
from ldr_lib.metrics import centre, centreline_dice, dice


@pytest.fixture(scope="module")
def eye():
    return fundus(300, 4, lesions=False)


@pytest.mark.parametrize("kind", ["frangi", "sato"])
def test_ridge_filters_rank_vessels_high_and_the_rim_low(eye, kind):
    rank = vesselness(eye.image, kind)
    inside, vessel = eye.masks["field_of_view"], eye.masks["vessel"] & ~eye.masks["disc"]
    assert rank[vessel].mean() > rank[inside & ~vessel].mean() + 0.2
    assert (rank[~inside] == 0).mean() > 0.98 and rank.max() <= 1


@pytest.mark.parametrize("kind, expected", [("frangi", 0.761), ("sato", 0.799)])
def test_another_filter_in_scikit_image_is_noticed(eye, kind, expected):
    found = vesselness(eye.image, kind) > 0.9
    assert dice(found, eye.masks["vessel"]) == pytest.approx(expected, abs=0.01), (
        "scikit-image filters otherwise: python -m ldr_lib baselines real renews its rows"
    )


def test_brightest_blob_lies_on_the_disc(eye):
    assert dice(brightest_blob(eye.image), eye.masks["disc"]) > 0.5


def test_the_circle_in_the_middle_follows_the_field_of_view_and_is_as_large_as_a_fovea(eye):
    circle, inside = central_circle(eye.image), eye.masks["field_of_view"]
    assert centre(circle) == pytest.approx(centre(inside), abs=1.5)
    foveas = [fundus(300, seed, lesions=False).masks["fovea"].sum() for seed in range(8)]
    assert np.median(foveas) / 2 < circle.sum() < 2 * np.median(foveas)
    moved = np.pad(eye.image, ((40, 0), (0, 90), (0, 0)))
    assert centre(central_circle(moved)) == pytest.approx(np.add(centre(circle), (40, 0)), abs=1.5)


def test_mean_masks_overlap_their_structure():
    sample = chest(200, 3)
    for structure, mask in (("lungs", "lungs_whole"), ("heart", "heart")):
        mean = resize_mask(mean_mask(structure, 8), sample.image.shape)
        assert mean.shape == sample.image.shape and mean.dtype == bool
        assert dice(mean, sample.masks[mask]) > 0.6


def test_dark_regions_in_the_body_are_mostly_lungs():
    sample = chest(200, 3)
    found = otsu_lungs(sample.image)
    assert (found & sample.masks["lungs"]).sum() > 0.7 * found.sum() > 0


def test_centreline_dice_forgives_calibre_and_punishes_gaps():
    thin, thick, broken = (np.zeros((40, 60), bool) for _ in range(3))
    thin[20, 5:55], thick[18:23, 5:55], broken[18:23, 5:55] = True, True, True
    broken[:, 20:40] = False
    assert centreline_dice(thin, thick) > 0.95 > dice(thin, thick) + 0.3
    assert centreline_dice(broken, thick) < 0.85
    empty = np.zeros_like(thin)
    assert centreline_dice(empty, empty) == 1 and centreline_dice(empty, thick) == 0
    with pytest.raises(ValueError, match="one shape"):
        centreline_dice(thin, thick[:-1])


def test_centre_of_a_map():
    map_ = np.zeros((20, 30))
    map_[4:7, 9:12] = 0.9
    assert centre(map_) == (5, 10) and centre(np.zeros((5, 5))) is None
