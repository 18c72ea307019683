"""Which cluster becomes the guided one: the one whose shape is most like the prior's."""

import numpy as np
import pytest
import torch

from ldr_lib.data.augment import Pairs
from ldr_lib.guided.settings import GuidedSettings
from ldr_lib.guided.start_cluster import begun_like_prior, most_like_prior, with_first_cluster
from ldr_lib.network import TwoBranchNet


def lines(every: int, width: int, shift: int = 0) -> torch.Tensor:
    on = (torch.arange(64) + shift) % every < width
    return on.float()[None, None, None].expand(1, 1, 64, 64)


@pytest.mark.parametrize(
    "prior, expected",
    [(lines(16, 2), 0), (lines(16, 8, 3), 1), (torch.full((1, 1, 64, 64), 0.3), 2)],
)
def test_area_and_border_tell_clusters_apart(prior, expected):
    """Thin lines, wide lines of as many borders, and grey without any."""
    clusters = torch.cat([lines(16, 2, 5), lines(16, 8), torch.full((1, 1, 64, 64), 0.28)], 1)
    assert most_like_prior(clusters, prior) == expected


def test_two_clusters_change_places_and_nothing_else():
    torch.manual_seed(0)
    net, x = TwoBranchNet(3, 8, 5).eval(), torch.rand(1, 3, 32, 32)
    moved = with_first_cluster(net, 3)
    with torch.no_grad():
        (v, a), (w, b) = net(x), moved(x)
    assert torch.equal(v, w)
    torch.testing.assert_close(b, a[:, [3, 1, 2, 0, 4]])
    with torch.no_grad():
        assert torch.equal(net(x)[1], a), "the network itself is left as it was"
    with pytest.raises(ValueError, match="number must be a whole number from 0 to 4"):
        with_first_cluster(net, 5)


def test_a_network_begins_with_the_cluster_most_like_the_prior():
    torch.manual_seed(1)
    net = TwoBranchNet(3, 8, 4)
    images = np.random.default_rng(0).integers(0, 255, (3, 64, 64, 3), np.uint8)
    inside = np.ones((3, 64, 64), bool)
    settings = GuidedSettings.for_tier("smoke", "vessel")
    with torch.no_grad():
        a = net.eval()(torch.rand(2, 3, 64, 64))[1]

    def pairs_like(number):
        masks = a[:1, number : number + 1].expand(32, 1, 64, 64)
        return lambda n: Pairs(torch.zeros(n, 3, 64, 64), masks[:n])

    state = torch.get_rng_state()
    begun = begun_like_prior(net, images, inside, pairs_like(2), settings)
    assert torch.equal(torch.get_rng_state(), state), "no random number is used up"
    weight = net.clustering_branch[-1].weight
    assert any(torch.equal(begun.clustering_branch[-1].weight[0], row) for row in weight)
    again = begun_like_prior(net, images, inside, pairs_like(2), settings)
    assert torch.equal(again.clustering_branch[-1].weight, begun.clustering_branch[-1].weight)
