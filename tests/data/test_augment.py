"""Parts of rendered images, and pairs from images whose masks are known."""

import numpy as np
import pytest
import torch

from ldr_lib import DataError
from ldr_lib.data.augment import LabelledPairs, colour_statistics, crops, smooth_noise, standardise
from ldr_lib.data.simulate import fundus


@pytest.fixture(scope="module")
def eyes():
    samples = [fundus(256, seed) for seed in range(3)]
    return (
        np.stack([s.image for s in samples]),
        np.stack([s.masks["field_of_view"] for s in samples]),
        samples,
    )


def test_statistics_are_those_of_the_field_of_view(eyes):
    images, inside, _ = eyes
    mean, spread = colour_statistics(images, inside)
    for image, fov, m, s in zip(images, inside, mean, spread):
        pixels = image[fov].astype(np.float64) / 255
        assert np.allclose(m, pixels.mean(0), atol=1e-4) and np.allclose(
            s, pixels.std(0), atol=1e-4
        )


def test_standardised_images_do_not_depend_on_exposure(eyes):
    images, inside, _ = eyes
    darker = (images * 0.8).round().astype(np.uint8)
    assert (
        np.abs(standardise(images, inside).astype(int) - standardise(darker, inside))[inside].mean()
        < 3
    )
    assert (standardise(images, inside)[~inside] == 0).all()


def test_crops_cut_the_same_square_of_every_array():
    torch.manual_seed(0)
    x = torch.rand(5, 1, 64, 64)
    a, b, inside = crops([x, x, torch.ones_like(x)], 32, (0.3, 0.6), turn=True, bend=0.05)
    inner = inside > 0.999
    assert torch.allclose(a[inner], b[inner], atol=1e-5) and inner.float().mean() > 0.8


@pytest.mark.parametrize("cells", [2, 7, 50])
def test_smooth_noise_is_bicubic_interpolation(cells):
    torch.manual_seed(0)
    fast = smooth_noise(3, 64, cells, "cpu")
    torch.manual_seed(0)
    coarse = torch.randn(3, 1, cells + 4, cells + 4)
    whole = torch.nn.functional.interpolate(
        coarse.double(), (round(64 * (1 + 4 / cells)),) * 2, mode="bicubic"
    )
    cut = (whole.shape[-1] - 64) // 2
    torch.testing.assert_close(
        fast.double(), whole[..., cut : cut + 64, cut : cut + 64], atol=1e-4, rtol=0
    )


def test_smooth_noise_is_smooth_and_of_unit_spread():
    torch.manual_seed(0)
    coarse, fine = smooth_noise(50, 64, 4, "cpu"), smooth_noise(50, 64, 32, "cpu")

    def step(x):
        return float((x[..., 1:] - x[..., :-1]).abs().mean())

    assert 0.5 < coarse.std() < 1.2 and step(coarse) < 0.3 * step(fine)


def test_labelled_pairs_cut_image_and_mask_in_the_same_way(eyes):
    torch.manual_seed(0)
    eye = eyes[2][0]
    image = np.repeat(255 * eye.masks["vessel"][None, ..., None].astype(np.uint8), 3, -1)
    pairs = LabelledPairs(
        image, eye.masks["vessel"][None, None], eye.masks["field_of_view"][None], size=32
    )(8)
    green, target = pairs.images[:, 1], pairs.targets[:, 0]
    assert target.max() == 1 and green[target > 0.9].mean() > green[target < 0.1].mean() + 0.3


def test_shares_are_taken_as_the_bytes_that_they_stand_for(eyes):
    images, inside, _ = eyes
    for kind in (np.float32, np.float64):
        same = (images / 255).astype(kind)
        assert (standardise(same, inside) == standardise(images, inside)).all()
        assert (LabelledPairs(same, inside[:, None], inside).images == images).all()


def test_images_that_are_neither_bytes_nor_shares_are_refused(eyes):
    images, inside, _ = eyes
    for wrong, words in ((images * 1.0, "divide by 255"), (images.astype(int), "not int64")):
        with pytest.raises(DataError, match=words):
            standardise(wrong, inside)
        with pytest.raises(DataError, match=words):
            LabelledPairs(wrong, inside[:, None], inside)
