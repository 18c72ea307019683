import numpy as np
import pytest
import torch

from ldr_lib import DataError, TwoBranchNet, compare, represent
from ldr_lib.data.prepare import Prepared
from ldr_lib.device import mixed_precision
from ldr_lib.evaluation import agreement, anatomy_of, k_means, query_pixel


def prepared_with(images, **masks):
    n, size = images.shape[:2]
    masks = {"field_of_view": np.ones((n, size, size), bool)} | masks
    return Prepared(
        images, images, masks, [f"image {i}" for i in range(n)], np.zeros((n, 4), int), [], ""
    )


@pytest.fixture
def two_kinds():
    """Images whose right half is a bright vessel, with its mask."""
    vessel = np.zeros((3, 32, 32), bool)
    vessel[:, :, 16:] = True
    noise = np.random.default_rng(0).integers(0, 40, (3, 32, 32, 3))
    return prepared_with((noise + 180 * vessel[..., None]).astype(np.uint8), vessel=vessel)


def test_represent_is_the_network_in_evaluation_whatever_the_batch(two_kinds):
    torch.manual_seed(0)
    net = TwoBranchNet(n_clusters=4)
    v, labels = represent(net, two_kinds.images, batch=2)
    assert net.training
    with torch.no_grad(), mixed_precision(torch.device("cpu")):
        expected, a = net.eval()(torch.from_numpy(two_kinds.images[2:]).permute(0, 3, 1, 2) / 255)
    np.testing.assert_allclose(v[2], expected[0].permute(1, 2, 0).numpy(), atol=1e-5)
    np.testing.assert_array_equal(labels[2], a[0].argmax(0).numpy())
    with pytest.raises(DataError, match=r"\(N, H, W, 3\), not \(3, 32, 32, 1\)"):
        represent(net, two_kinds.images[..., :1])


def test_k_means_finds_two_kinds_inside_only(two_kinds):
    inside = np.ones((3, 32, 32), bool)
    inside[:, :4] = False
    labels = k_means(two_kinds.images / 255, inside, 2)
    assert (labels[~inside] == 0).all()
    right, left = labels[:, 4:, 16:], labels[:, 4:, :16]
    assert np.unique(right).size == np.unique(left).size == 1 and right[0, 0, 0] != left[0, 0, 0]


def test_agreement_of_a_perfect_labelling(two_kinds):
    truth = two_kinds.masks["vessel"]
    found = agreement(two_kinds.images / 255, truth.astype(int), two_kinds, "fundus")
    assert found == {"NMI": pytest.approx(1), "Dice vessel": 1, "AUC vessel": pytest.approx(1)}


def test_anatomy_numbers_structures_in_order_and_later_ones_on_top():
    disc, vessel = np.zeros((1, 8, 8), bool), np.zeros((1, 8, 8), bool)
    disc[:, 2:6, 2:6], vessel[:, 3] = True, True
    labels, names = anatomy_of(
        prepared_with(np.zeros((1, 8, 8, 3), np.uint8), vessel=vessel, disc=disc), "fundus"
    )
    assert (
        names == ["disc", "vessel"]
        and labels[0, 2, 2] == 1
        and labels[0, 3, 3] == 2
        and labels[0, 0, 0] == 0
    )


def test_compare_has_a_row_for_every_way_and_tells_evened_from_own_colour(two_kinds):
    table = compare({"untrained": TwoBranchNet(n_clusters=3)}, two_kinds, "fundus")
    assert list(table.index) == [
        "colour, k-means",
        "evened colour, k-means",
        "untrained, clusters",
        "untrained, k-means",
    ]
    assert table.loc["colour, k-means", "Dice vessel"] > 0.6
    assert (
        "evened colour, k-means"
        not in compare({"n": TwoBranchNet(n_clusters=3)}, two_kinds, "chest").index
    )


def test_query_pixel_lies_in_the_vessel_and_off_the_disc():
    disc, vessel = np.zeros((2, 64, 64), bool), np.zeros((2, 64, 64), bool)
    vessel[1, 20:23] = True
    vessel[1, 5:20, 5:20] = disc[1, 5:20, 5:20] = True
    i, row, column, what = query_pixel(
        prepared_with(np.zeros((2, 64, 64, 3), np.uint8), vessel=vessel, disc=disc), "fundus"
    )
    assert (
        i == 1
        and row == 21
        and vessel[1, row, column]
        and not disc[1, row, column]
        and "vessel in image 1" in what
    )


def test_query_pixel_without_masks_is_a_dark_spot_and_there_must_be_something():
    images = np.full((1, 64, 64, 1), 200, np.uint8)
    with pytest.raises(DataError, match="nothing|anything"):
        query_pixel(prepared_with(images), "chest")
    images[0, 30:34, 40:44] = 20
    _, row, column, what = query_pixel(prepared_with(images), "chest")
    assert abs(row - 31.5) < 3 and abs(column - 41.5) < 3 and "darkest" in what
