import numpy as np
import pytest

from ldr_lib import DataError, explore
from ldr_lib.explore.colours import structure_colours, unit_range


def test_equal_embeddings_get_equal_colours_across_images_and_the_outside_is_black():
    rng = np.random.default_rng(0)
    kinds = rng.integers(0, 3, (2, 16, 16))
    inside = rng.random((2, 16, 16)) < 0.8
    colours = explore.embedding_colours(rng.normal(size=(3, 8))[kinds], inside)
    assert (colours[~inside] == 0).all() and colours.min() >= 0 and colours.max() <= 1
    assert all(np.ptp(colours[inside & (kinds == k)], axis=0).max() < 1e-6 for k in range(3))
    means = [colours[inside & (kinds == k)].mean(0) for k in range(3)]
    assert min(np.abs(means[i] - means[j]).max() for i in range(3) for j in range(i)) > 0.2


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_collapsed_embedding_has_one_colour(dtype):
    inside = np.arange(64).reshape(1, 8, 8) > 5
    collapsed = np.full((1, 8, 8, 4), 0.3, dtype)
    assert (explore.embedding_colours(collapsed, inside)[inside] == 0.5).all()
    collapsed[..., 0] = np.arange(8)  # one direction is left
    colours = explore.embedding_colours(collapsed, inside)
    assert np.isfinite(colours).all() and np.ptp(colours[..., 0]) == 1


def test_labels_get_colours_of_their_own():
    labels = np.arange(8).reshape(1, 2, 4)
    painted = explore.label_colours(labels, 8)
    assert len(np.unique(painted.reshape(-1, 3), axis=0)) == 8
    inside = labels < 5
    assert (explore.label_colours(labels, 8, inside)[~inside] == 0).all()


@pytest.fixture
def eye():
    """Anatomy with a square (1) and a stripe (2); clusters 3 and 0 cover them, 1 and 2 the rest."""
    anatomy = np.zeros((2, 12, 12), int)
    anatomy[:, 2:6, 2:6] = 1
    anatomy[:, 9] = 2
    labels = np.where(anatomy == 1, 3, np.where(anatomy == 2, 0, 1))
    labels[:, :2] = 2
    inside = np.ones(anatomy.shape, bool)
    inside[:, -1] = False
    return labels, anatomy, inside


def test_clusters_get_the_colour_of_the_structure_that_they_match(eye):
    labels, anatomy, inside = eye
    painted = explore.cluster_colours(labels, anatomy, 4, inside)
    truth = explore.anatomy_colours(anatomy, inside)
    assert np.allclose(painted[anatomy > 0], truth[anatomy > 0])
    others = painted[inside & (anatomy == 0)]
    assert np.ptp(others, axis=1).max() == 0 and len(np.unique(others, axis=0)) == 2
    assert (painted[~inside] == 0).all()


def test_the_best_match_is_one_to_one(eye):
    _, anatomy, inside = eye
    labels = np.ones(anatomy.shape, int)
    labels[:, 3:6, 2:6] = 0
    labels[:, 9, :3] = 0
    table = explore.match_clusters(labels, anatomy, 4, inside)
    assert list(table["structure"]) == [1, 2] and table["cluster"].is_unique
    square = table.set_index("structure").loc[1]
    assert square["cluster"] == 0 and square["Dice"] == pytest.approx(2 * 12 / (16 + 15))


def test_without_anatomy_every_cluster_has_a_colour(eye):
    labels, anatomy, inside = eye
    for nothing in (None, 0 * anatomy):
        painted = explore.cluster_colours(labels, nothing, 4, inside)
        assert np.allclose(painted, explore.label_colours(labels, 4, inside))


def test_anatomy_is_grey_where_there_is_none_and_coloured_elsewhere(eye):
    _, anatomy, inside = eye
    painted = explore.anatomy_colours(anatomy, inside)
    assert np.allclose(painted[anatomy == 1], structure_colours(2)[0])
    assert np.ptp(painted[anatomy == 0], axis=1).max() == 0


def test_an_overlay_changes_the_mask_only():
    image, mask = np.full((4, 4), 100, np.uint8), np.eye(4, dtype=bool)
    painted = explore.overlay(image, mask)
    assert np.allclose(painted[~mask], 100 / 255) and not np.isclose(painted[mask], 100 / 255).any()
    assert np.allclose(explore.overlay(image / 255, mask), painted)


@pytest.mark.parametrize("width", [1, 3])
def test_an_outline_changes_only_the_border(width):
    image, mask = np.full((40, 40, 3), 100, np.uint8), np.zeros((40, 40), bool)
    mask[10:20, 12:30] = True
    painted = explore.outline(image, mask, (1.0, 0.0, 0.0), width)
    changed = ~np.isclose(painted, 100 / 255).all(2)
    border = np.zeros_like(mask)
    border[10 - width : 20 + width, 12 - width : 30 + width] = True
    assert (changed == (border & ~mask)).all()
    assert (painted[changed] == [1, 0, 0]).all()


def test_an_outline_is_wider_in_a_larger_image():
    areas = []
    for side in (200, 1200):
        mask = np.zeros((side, side), bool)
        mask[50:100, 50:100] = True
        painted = explore.outline(np.zeros((side, side)), mask)
        areas.append(painted.any(2).sum())
    assert areas[0] == 52**2 - 50**2 and areas[1] == 58**2 - 50**2


def test_images_that_are_neither_bytes_nor_shares_are_refused():
    for image, words in (
        (np.full((4, 4), 200.0), "divide by 255"),
        (np.ones((4, 4), np.int64), "uint8 or floats"),
    ):
        with pytest.raises(DataError, match=words):
            explore.outline(image, np.eye(4, dtype=bool))
    assert unit_range(np.array([True, False])).tolist() == [1, 0]
