"""Signs of clusters tell undecided pixels and prototypes that coincide."""

import numpy as np
import pytest
import torch

from ldr_lib import TwoBranchNet, explore


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)


def test_equal_shares_are_undecided_and_their_prototypes_coincide(images):
    torch.manual_seed(0)
    net = TwoBranchNet(n_clusters=4).train()
    with torch.no_grad():
        for weights in net.clustering_branch[-1].parameters():
            weights.zero_()
    signs = explore.cluster_signs(net, images, np.ones((2, 32, 32), bool))
    assert signs["mean largest share"] == pytest.approx(0.25) and signs["1/K"] == 0.25
    assert signs["mean cosine of two prototypes"] == pytest.approx(1, abs=1e-5)
    assert signs["largest"] == pytest.approx(1, abs=1e-5) and net.training


def test_only_pixels_inside_count_for_the_share(images):
    torch.manual_seed(0)
    net, inside = TwoBranchNet(n_clusters=4), np.zeros((2, 32, 32), bool)
    inside[0, 5, 6] = True
    with torch.no_grad():
        shares = net.eval()(torch.tensor(images).permute(0, 3, 1, 2) / 255)[1]
    signs = explore.cluster_signs(net, images, inside)
    assert signs["mean largest share"] == pytest.approx(shares[0, :, 5, 6].max().item())


def test_one_cluster_or_no_pixel_is_refused(images):
    inside = np.ones((2, 32, 32), bool)
    with pytest.raises(ValueError, match="two clusters"):
        explore.cluster_signs(TwoBranchNet(n_clusters=1), images, inside)
    with pytest.raises(ValueError, match="inside"):
        explore.cluster_signs(TwoBranchNet(n_clusters=4), images, ~inside)
    with pytest.raises(ValueError, match="inside"):
        explore.cluster_signs(TwoBranchNet(n_clusters=4), images, inside[:1])
