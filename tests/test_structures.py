"""Guides: which clusters make up which structure."""

from dataclasses import asdict

import pytest
import torch

from ldr_lib.structures import GUIDES, Guide, Structure, guide_for


@pytest.mark.parametrize("network", GUIDES)
def test_maps_are_sums_of_clusters_in_the_guide_s_order(network):
    torch.manual_seed(0)
    guide, assignments = guide_for(network), torch.rand(2, 8, 4, 4).softmax(1)
    maps = guide.maps(assignments)
    assert maps.shape == (2, len(guide.names), 4, 4)
    for i, structure in enumerate(guide.structures):
        expected = sum(assignments[:, cluster] for cluster in structure.clusters)
        assert torch.allclose(maps[:, i], expected)
    assert maps.max() <= 1


def test_structures_that_overlap_share_a_cluster():
    guide = guide_for("chest")
    behind_heart = torch.zeros(1, 8, 1, 1)
    behind_heart[:, 2] = 1
    assert guide.names == ["lungs", "heart"] and guide.maps(behind_heart).flatten().tolist() == [
        1,
        1,
    ]


@pytest.mark.parametrize("network", GUIDES)
def test_a_guide_survives_being_made_plain(network):
    guide = guide_for(network)
    assert Guide.from_dict(asdict(guide)) == guide
    lists = asdict(guide)
    for structure in lists["structures"]:  # as JSON gives them back
        for key, value in structure.items():
            structure[key] = list(value) if isinstance(value, tuple) else value
    assert Guide.from_dict(lists) == guide


def test_structures_are_found_by_name():
    guide = guide_for("disc")
    assert guide["fovea"].clusters == (1,) and guide["disc"].ellipse
    with pytest.raises(ValueError, match='unknown structure "heart"; known are disc, fovea'):
        guide["heart"]
    unknown = 'unknown guided network "knee"; known are vessel, disc, chest'
    with pytest.raises(ValueError, match=unknown):
        guide_for("knee")


def test_only_structures_without_a_known_shape_are_thin():
    assert Structure("vessel", (0,), (64,)).is_thin
    assert not Structure("fovea", (1,), (64,), pieces=1).is_thin
    assert not Structure("disc", (0,), (64,), ellipse=True).is_thin
    assert not Structure("lungs", (0,), (64,), convex=True).is_thin
