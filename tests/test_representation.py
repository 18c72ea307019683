"""Embeddings of whole images, and clusters of features."""

import numpy as np
import pytest
import torch

from ldr_lib import DataError, TwoBranchNet, represent
from ldr_lib.device import mixed_precision
from ldr_lib.representation import k_means


def test_represent_is_the_network_in_evaluation_whatever_the_batch(images):
    torch.manual_seed(0)
    net = TwoBranchNet(n_clusters=4)
    images = images[:3]
    v, labels = represent(net, images, batch=2)
    assert net.training
    with torch.no_grad(), mixed_precision(torch.device("cpu")):
        expected, a = net.eval()(torch.from_numpy(images[2:]).permute(0, 3, 1, 2) / 255)
    np.testing.assert_allclose(v[2], expected[0].permute(1, 2, 0).numpy(), atol=1e-5)
    np.testing.assert_array_equal(labels[2], a[0].argmax(0).numpy())
    with pytest.raises(DataError, match=r"\(N, H, W, 3\), not \(3, 48, 48, 1\)"):
        represent(net, images[..., :1])


def test_represent_takes_floats_as_they_are(images):
    torch.manual_seed(0)
    net = TwoBranchNet(n_clusters=4)
    images = images[:3]
    expected, expected_labels = represent(net, images)
    for kind in (np.float32, np.float64):
        v, labels = represent(net, (images / 255).astype(kind))
        np.testing.assert_allclose(v, expected, atol=1e-5)
        np.testing.assert_array_equal(labels, expected_labels)


@pytest.mark.parametrize(
    "images, words",
    [
        (np.full((1, 32, 32, 3), 200.0), "values from 200 to 200; divide by 255"),
        (np.full((1, 32, 32, 3), -0.1), "must lie in .0, 1., these hold values from -0.1"),
        (np.full((1, 32, 32, 3), np.nan), "must lie in .0, 1., these hold nan"),
        (np.ones((1, 32, 32, 3), np.int64), "uint8 or floats in .0, 1., not int64"),
        (np.ones((1, 32, 32, 3), bool), "not bool"),
    ],
)
def test_represent_refuses_images_of_another_range_or_type(images, words):
    net = TwoBranchNet(n_clusters=4)
    with pytest.raises(DataError, match=words):
        represent(net, images)
    assert net.training


def test_k_means_finds_two_kinds_inside_only():
    values = np.random.default_rng(0).random((3, 32, 32, 3)) / 6
    values[:, :, 16:] += 0.7
    inside = np.ones((3, 32, 32), bool)
    inside[:, :4] = False
    labels = k_means(values, inside, 2)
    assert (labels[~inside] == 0).all()
    right, left = labels[:, 4:, 16:], labels[:, 4:, :16]
    assert np.unique(right).size == np.unique(left).size == 1 and right[0, 0, 0] != left[0, 0, 0]
