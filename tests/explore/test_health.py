from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ldr_lib import DataError, Settings, TwoBranchNet, open_dataset, prepare
from ldr_lib.explore.health import (
    _effective_rank,
    _top_1,
    alignment_and_uniformity,
    health,
    health_table,
)


@pytest.fixture(scope="module")
def prepared():
    return tuple(
        prepare(open_dataset("simulated_fundus", "", split), 64) for split in ("train", "test")
    )


class Fixed(TwoBranchNet):
    """A network whose answers are given."""

    def embed(self, x):
        return self(x)[0]

    def forward(self, x):
        return self.answer(x)


def shares(x, *values):
    """The same cluster assignments for every pixel of x."""
    return torch.tensor(values)[None, :, None, None].expand(len(x), -1, *x.shape[-2:])


def test_alignment_and_uniformity_have_their_known_values(prepared):
    settings = Settings.for_tier("smoke", "fundus", 0)
    net = Fixed(3)
    net.answer = lambda x: (F.normalize(torch.ones(len(x), 32, *x.shape[-2:]), dim=1), None)
    assert alignment_and_uniformity(net, prepared[0].images, settings) == pytest.approx(
        (0, 0), abs=1e-5
    )
    torch.manual_seed(0)
    net.answer = lambda x: (F.normalize(torch.randn(len(x), 32, 8, 8), dim=1), None)
    alignment, uniformity = alignment_and_uniformity(net, prepared[0].images, settings)
    assert alignment == pytest.approx(2, abs=0.1) and uniformity == pytest.approx(-3.75, abs=0.1)
    with pytest.raises(DataError, match="at least one image is needed"):
        alignment_and_uniformity(net, prepared[0].images[:0], settings)


def test_health_of_a_network_that_knows_every_patch_and_of_one_that_has_collapsed(prepared):
    settings = Settings.for_tier("smoke", "fundus", 0)
    images, net = prepared[0].images, Fixed(3)
    same = F.normalize(torch.ones(1, 32, 1, 1), dim=1)
    net.answer = lambda x: (same.expand(len(x), -1, *x.shape[-2:]), shares(x, 0.25, 0.25, 0.5))
    collapsed = health(net, images, settings)
    assert collapsed["top-1 patch match"] < 0.05 and collapsed["uniformity"] == pytest.approx(0)
    assert collapsed["alignment"] == pytest.approx(0, abs=1e-6)
    assert collapsed["cosine after a half turn"] == pytest.approx(1)
    assert collapsed["largest share"] == 0.5 and collapsed["decided pixels"] == 0

    directions = torch.randn(32, 3, generator=torch.Generator().manual_seed(0))

    def colours(x):
        waves = torch.einsum("dc,nchw->ndhw", 9 * directions, x)
        return F.normalize(waves.cos(), dim=1), shares(x, 0.9, 0.1)

    net.answer = colours
    knowing = health(net, images, replace(settings, view_size=64))
    assert knowing["decided pixels"] == 1 and knowing["largest share"] == pytest.approx(0.9)
    assert knowing["cosine after a half turn"] == pytest.approx(1, abs=1e-4)
    assert knowing["top-1 patch match"] > collapsed["top-1 patch match"]


def test_health_sees_an_embedding_that_depends_on_position(prepared):
    settings, net = Settings.for_tier("smoke", "fundus", 0), Fixed(3)

    def rows(x):
        height = torch.linspace(-1, 1, x.shape[-2])[None, None, :, None]
        angle = (torch.pi / 2 * height).expand(len(x), 1, -1, x.shape[-1])
        return torch.cat([angle.cos(), angle.sin()], 1), shares(x, 1.0)

    net.answer = rows
    assert health(net, prepared[0].images, settings)["cosine after a half turn"] < 0.7


def test_partners_are_found_among_the_patches_of_one_training_step():
    v, other = F.normalize(torch.randn(2, 36, 16), dim=2)  # of two steps
    assert _top_1([(v, v), (other, other)]) == 1
    assert _top_1([(v, v.flip(0)), (v[:0], v[:0])]) == 0
    assert _top_1([(v, v), (v, v)]) == 1  # a copy in another step is no candidate
    assert np.isnan(_top_1([(v[:0], v[:0])]))


def test_black_patches_count_in_no_sign():
    settings, net = Settings.for_tier("smoke", "fundus", 0), Fixed(3)
    torch.manual_seed(0)
    images = np.random.default_rng(0).integers(1, 256, (4, 64, 64, 3), dtype=np.uint8)
    images[:, :, 24:] = 0

    def black_is_alike(x):
        torch.manual_seed(0)
        seen = x.amax(1, keepdim=True) > 0
        away = torch.nn.functional.one_hot(torch.zeros(1, dtype=torch.long), 32).float()
        apart = F.normalize(torch.randn(len(x), 32, *x.shape[-2:]), dim=1)
        return torch.where(seen, apart, away.reshape(1, 32, 1, 1)), None

    net.answer = black_is_alike
    alignment, uniformity = alignment_and_uniformity(net, images, settings)
    assert uniformity < -3 and alignment > 1


def test_health_of_an_untrained_network_and_of_one_without_clusters(prepared):
    settings = Settings.for_tier("smoke", "fundus", 0)
    torch.manual_seed(0)
    untrained, flat = TwoBranchNet(3, n_clusters=8), TwoBranchNet(3)
    flat.clustering_branch = None
    untrained.train()
    table = health_table({"untrained": untrained, "flat": flat}, prepared[0].images, settings)
    assert list(table.index) == ["untrained", "flat"] and untrained.training
    row = table.loc["untrained"]
    assert row["decided pixels"] < 0.01 and 1 / 8 < row["largest share"] < 0.3
    assert row["top-1 patch match"] < 0.3 and row["cosine after a half turn"] > 0.8
    assert table.loc["flat", ["largest share", "decided pixels"]].isna().all()
    alignment, uniformity = alignment_and_uniformity(untrained, prepared[0].images, settings)
    assert row["alignment"] == alignment and row["uniformity"] == uniformity
    with pytest.raises(DataError, match="at least one image is needed"):
        health(untrained, prepared[0].images[:0], settings)
    one = health(untrained, prepared[0].images[:1], settings)
    assert one["cosine after a half turn"] > 0.8


def test_health_sees_an_embedding_that_knows_left_from_right(prepared):
    settings, net = Settings.for_tier("smoke", "fundus", 0), Fixed(3)

    def columns(x):
        angle = torch.linspace(0, torch.pi, x.shape[-1])[None, None, None]
        angle = angle.expand(len(x), 1, x.shape[-2], -1)
        return torch.cat([angle.cos(), angle.sin()], 1), shares(x, 1.0)

    net.answer = columns
    assert health(net, prepared[0].images, settings)["cosine after a flip"] < 0.7


def test_effective_rank_counts_the_axes_in_use():
    noise = torch.randn(6, 20_000, generator=torch.Generator().manual_seed(0))
    assert _effective_rank(noise) == pytest.approx(6, abs=0.05)
    noise[2:] = 0
    assert _effective_rank(noise) == pytest.approx(2, abs=0.02)
    assert _effective_rank(torch.ones(6, 100)) == pytest.approx(1)
    shares = torch.tensor([0.7, 0.2, 0.1])  # of the variance
    expected = float((-shares * shares.log()).sum().exp())
    axes = noise.new_zeros(3, 20_000).normal_() * shares.sqrt()[:, None]
    assert _effective_rank(axes) == pytest.approx(expected, abs=0.05)
