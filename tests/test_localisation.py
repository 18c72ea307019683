import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage
from torch import nn

from ldr_lib import DataError, Kernel, TwoBranchNet, localise
from ldr_lib.distinctive import MANY
from ldr_lib.template import best_place, blurred, describe_cells, score_map, template


class Colours(nn.Module):
    """Embeds a pixel by its colour and by how it changes to the right: what it finds is known."""

    in_channels = 3

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def embed(self, x):
        change = x - x.roll(1, 3)
        return torch.cat([x, change], 1)


@pytest.fixture
def scenes():
    """Images of smooth noise, (n, 96, 96, 3), with one bright two-coloured spot each; with its
    places.
    """

    def make(n, seed=0, mirrored=False):
        rng = np.random.default_rng(seed)
        images = rng.integers(90, 110, (n, 96, 96, 3)).astype(np.uint8)
        places = rng.integers(24, 72, (n, 2))
        for image, (row, column) in zip(images, places):
            left, right = ((250, 40, 40), (40, 40, 250))[:: -1 if mirrored else 1]
            image[row - 5 : row + 6, column - 5 : column] = left
            image[row - 5 : row + 6, column : column + 6] = right
        return images, places

    return make


def gaps(found, places):
    return np.hypot(*(found.points - places).T)


@pytest.mark.parametrize("kernel", [Kernel(), Kernel(1 / 24, 3)])
def test_a_point_is_found_in_other_images(scenes, kernel):
    images, places = scenes(4)
    found = localise(Colours(), images[0], tuple(places[0]), images, kernel)
    assert gaps(found, places).max() <= 3 and found.table["found"].all()
    assert found.table["score"].iloc[0] > 0.99 and found.maps.shape == (4, 96, 96)


def test_an_image_without_the_structure_says_so(scenes):
    images, places = scenes(3)
    empty = np.random.default_rng(9).integers(90, 110, (1, 96, 96, 3)).astype(np.uint8)
    empty[0, 40:52, 40:52] = (20, 240, 20)  # something else
    others = np.concatenate([images[1:], empty])
    found = localise(Colours(), images[0], places[0], others, Kernel(1 / 24, 3))
    assert found.table["found"].tolist() == [True, True, False]
    assert "image 3: not in this image" in str(found)
    assert localise(Colours(), images[0], places[0], empty, least=-1).table["found"].all()


def test_several_points_are_averaged(scenes):
    images, places = scenes(5)
    found = localise(Colours(), images[:2], places[:2], images[2:])
    assert gaps(found, places[2:]).max() <= 3
    once = localise(Colours(), images[0], [places[0], places[0]], images[2:])
    assert once.table.equals(localise(Colours(), images[0], places[0], images[2:]).table)


def test_mirrored_images_are_found_when_they_are_declared(scenes):
    images, places = scenes(1)
    others, true = scenes(3, seed=1, mirrored=True)
    kernel = Kernel(1 / 32, 3)
    declared = localise(Colours(), images[0], places[0], others, kernel, mirrored=True)
    tried = localise(Colours(), images[0], places[0], others, kernel, mirrored="try")
    plain = localise(Colours(), images[0], places[0], others, kernel)
    assert gaps(declared, true).max() <= 3 and declared.table["mirrored"].all()
    assert tried.table["mirrored"].all() and np.allclose(tried.points, declared.points)
    assert (plain.table["score"] < declared.table["score"]).all()
    mixed = localise(Colours(), images[0], places[0], others, kernel, mirrored=[True, False, True])
    assert mixed.table["mirrored"].tolist() == [True, False, True]


def test_smaller_structures_are_found_at_several_scales():
    rng = np.random.default_rng(0)
    smooth = ndimage.gaussian_filter(rng.normal(size=(2, 96, 96, 3)), (0, 4, 4, 0))
    first, other = (128 + 50 * smooth / smooth.std()).clip(1, 255).astype(np.uint8)
    other[40:88, 8:56] = first.reshape(48, 2, 48, 2, 3).mean((1, 3))  # at half its size
    place, kernel = np.array([50, 30]), Kernel(1 / 24, 3)
    one = localise(Colours(), first, tuple(place), other, kernel)
    three = localise(Colours(), first, tuple(place), other, kernel, scales=(0.5, 1, 2))
    assert three.table["scale"].item() == 2
    assert three.table["score"].item() > one.table["score"].item() + 0.05
    assert gaps(three, place / 2 + (40, 8)).item() <= 2


def test_pixels_outside_the_field_of_view_are_never_found(scenes):
    images, places = scenes(2)
    images[1, :, :48] = 0
    found = localise(Colours(), images[0], places[0], images[1:])
    assert found.points[0, 1] >= 46 and (found.maps[0, :, :40] == -1).all()


BAD = {
    "outside the image": ((500, 3), DataError, "there is no pixel at row 500, column 3"),
    "before the image": ((-1, 3), DataError, "there is no pixel"),
    "outside the field of view": ((2, 2), DataError, "outside the field of view"),
    "no point": ((), ValueError, "a row and a column"),
    "three numbers": ((1, 2, 3), ValueError, "a row and a column"),
    "text": ("middle", ValueError, "point must be"),
    "column before row": ((10, 500), DataError, "choose a pixel inside it, its row first"),
    "flat": ((70, 70), DataError, "nothing is distinctive at row 70, column 70"),
}


@pytest.mark.parametrize("case", BAD)
def test_points_that_make_no_sense(scenes, case):
    images, _ = scenes(2)
    images[0, :8, :8] = 0
    images[0, 60:80, 60:80] = 100
    point, error, words = BAD[case]
    with pytest.raises(error, match=words):
        localise(Colours(), images[0], point, images[1:])


def test_images_that_make_no_sense(scenes):
    images, places = scenes(3)
    point = tuple(places[0])
    for wrong, words in (
        (images[:0], "images holds no image"),
        ([], "images holds no image"),
        (images[1:, ..., :1], "colour images .* grey images"),
        (images[1:, :80, :80], "must have the support image's size"),
        (images[1:, :90, :90], "multiple of 16"),
        ([images[1], images[2][:64]], "2 sizes"),
        (np.zeros_like(images), "is black"),
        ("eyes", "must be Prepared or arrays"),
        ("eye.png", "'eye.png': read a file with read_image"),
        ([Path("a.png"), Path("b.png")], "read a file with read_image, a folder with open_dataset"),
        (np.moveaxis(images, -1, 1), "images of 96 channels: channels come last"),
        (images.astype(int), "uint8 or floats"),
    ):
        with pytest.raises(DataError, match=words):
            localise(Colours(), images[0], point, wrong)
    with pytest.raises(ValueError, match="one row and column for each of 2 support images"):
        localise(Colours(), images[:2], places, images)
    with pytest.raises(ValueError, match="mirrored must hold one value for each of 3 images"):
        localise(Colours(), images[0], point, images, mirrored=[True])
    with pytest.raises(ValueError, match="embeds every pixel"):
        localise(nn.Linear(2, 2), images[0], point, images)
    with pytest.raises(ValueError, match="odd number"):
        Kernel(members=2)


def test_pictures_of_pillow_are_taken(scenes):
    images, places = scenes(2)
    pictures = [Image.fromarray(image) for image in images]
    own, expected = (
        localise(Colours(), support, places[0], searched)
        for support, searched in ((pictures[0], pictures), (images[0], images))
    )
    assert (own.maps == expected.maps).all()


def test_a_network_whose_weights_are_damaged_is_named(photograph):
    net = TwoBranchNet(3, n_clusters=2).eval()
    for weights in net.parameters():
        weights.data.fill_(np.nan)
    image = photograph()
    with pytest.raises(DataError, match="not finite: its weights are damaged"):
        localise(net, image, (48, 48), [image])


def test_a_common_place_is_called_not_distinctive(scenes):
    images, _ = scenes(2)
    images[:] = np.where(np.indices((96, 96)).sum(0) // 4 % 2, 200, 60)[None, :, :, None]
    with pytest.warns(UserWarning, match="nothing is distinctive at this point: .* % of the other"):
        found = localise(Colours(), images[0], (48, 48), images[1:])
    assert not found.distinctive and "nothing is distinctive" in str(found)


def test_one_other_place_that_looks_the_same_leaves_a_point_distinctive(scenes):
    images, _ = scenes(1)
    images[:] = np.random.default_rng(0).integers(90, 110, images.shape)
    for row, column in ((24, 24), (72, 72)):
        images[0, row - 5 : row + 6, column - 5 : column] = (250, 40, 40)
        images[0, row - 5 : row + 6, column : column + 6] = (40, 40, 250)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = localise(Colours(), images[0], (24, 24), images)
    assert found.distinctive and found.elsewhere > 0.95 and 0 < found.alike < MANY
    assert "distinctive" not in str(found)


@pytest.mark.parametrize("noise", [1, 3])
def test_a_point_on_an_even_area_is_called_not_distinctive(noise):
    rng = np.random.default_rng(0)
    smooth = ndimage.gaussian_filter(rng.normal(size=(96, 96, 3)), (3, 3, 0))
    image = (128 + 40 * smooth / smooth.std()).clip(1, 255)
    image[:, 40:] = 120 + rng.integers(-noise, noise + 1, (96, 56, 3))
    image = image.astype(np.uint8)
    with pytest.warns(UserWarning, match="nothing is distinctive"):
        even = localise(Colours(), image, (48, 70), [image])
    assert not even.distinctive and even.alike > 0.1
    assert localise(Colours(), image, (44, 20), [image]).distinctive


def test_a_real_network_gives_the_same_twice_and_stays_in_its_mode(photograph):
    torch.manual_seed(0)
    net = TwoBranchNet(3, n_clusters=4).train()
    images = [photograph(i) for i in range(2)]
    first, second = (localise(net, images[0], (48, 50), images) for _ in range(2))
    assert net.training and first.table.equals(second.table)
    assert gaps(first, (48, 50))[0] <= 3


def test_members_outside_the_field_of_view_count_for_nothing():
    rng = np.random.default_rng(0)
    features, inside = rng.normal(size=(64, 64, 4)), np.ones((64, 64), bool)
    inside[:, 40:] = False
    kernel = Kernel(1 / 16, 3)
    image = blurred(describe_cells(features, inside), kernel.width * 64)
    wanted = template([image], [(30, 37)], kernel)
    scores = score_map(image, wanted, kernel, 64)
    row, column, score = best_place(scores, image.cell)
    assert (round(row), round(column)) == (30, 37) and score == pytest.approx(1, abs=0.02)
    assert (scores[:, 40:] == -1).all() and kernel.weights.sum() == pytest.approx(1)
