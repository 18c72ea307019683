"""Guided training: its losses against float64 formulas, its stages, and that it can be resumed."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from ldr_lib.data.files import DataError
from ldr_lib.guide import guide_for
from ldr_lib.guided import GuidedSettings, METHODS, agreement_loss, guided_loss, method_stages, train_guided
from ldr_lib.network import TwoBranchNet
from ldr_lib.priors import vessel_trees
from ldr_lib.rendering import Pairs, guided_sources, standardise
from ldr_lib.tiers import guided_plan

TINY = GuidedSettings(n_clusters=8, pairs=1, view_size=32, crop_scale=(0.4, 0.6), epochs=(1, 2), steps=2, rendered=3)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    images, inside = rng.integers(40, 200, (4, 64, 64, 3), dtype=np.uint8), np.ones((4, 64, 64), bool)
    sources = guided_sources("fundus", images, inside, vessel_trees(2, 0, 64), 3, 0, 32)
    return standardise(images, inside), sources


def test_guided_loss_equals_its_formula():
    rng = np.random.default_rng(0)
    p, t = rng.uniform(0.05, 0.95, (2, 3, 5, 4)), rng.integers(0, 2, (2, 3, 5, 4)).astype(float)
    known = np.array([[True, False, False], [True, True, False]])
    terms = [-(t[b, s] * np.log(p[b, s]) + (1 - t[b, s]) * np.log(1 - p[b, s])).mean() for b, s in zip(*known.nonzero())]
    overlaps = []
    for s in (0, 1):
        rows = known[:, s]
        overlaps.append(1 - (2 * (p[rows, s] * t[rows, s]).sum() + 1) / (p[rows, s].sum() + t[rows, s].sum() + 1))
    tensor = lambda x: torch.from_numpy(x).float()
    pairs = Pairs(torch.zeros(2, 3, 5, 4), tensor(t), torch.from_numpy(known))
    assert guided_loss(tensor(p), pairs).item() == pytest.approx(np.mean(terms) + 2 / 3 * overlaps[0] + 1 / 3 * overlaps[1], rel=1e-5)


def test_unknown_structures_get_no_gradient():
    maps = torch.full((2, 2, 4, 4), 0.3, requires_grad=True)
    known = torch.tensor([[True, False], [False, False]])
    guided_loss(maps, Pairs(torch.zeros(2, 3, 4, 4), torch.ones(2, 2, 4, 4), known)).backward()
    assert maps.grad[0, 0].abs().min() > 0 and maps.grad[0, 1].abs().sum() == maps.grad[1].abs().sum() == 0


def test_agreement_counts_confident_pixels_only():
    first = torch.tensor([0.9, 0.5, 0.1]).reshape(1, 1, 1, 3).requires_grad_()
    second = torch.tensor([0.6, 0.2, 0.4]).reshape(1, 1, 1, 3).requires_grad_()
    loss = agreement_loss(first, second)
    assert loss.item() == pytest.approx(-(np.log(0.6) + np.log(0.6)) / 2, rel=1e-5)
    loss.backward()
    assert first.grad is None and second.grad[0, 0, 0, 1] == 0 and second.grad[0, 0, 0, 0] < 0 < second.grad[0, 0, 0, 2]


@pytest.mark.parametrize("method", METHODS)
def test_every_method_trains_and_moves_the_network(data, tmp_path, method):
    images, sources = data
    seen = []
    net, rows = train_guided(
        images, sources, guide_for("fundus"), replace(TINY, stages=method_stages(method)), tmp_path, "cpu",
        after_epoch=lambda net: seen.append(net.training),
    )
    torch.manual_seed(0)
    assert len(rows) == len(seen) == 3 and net.guide == guide_for("fundus")
    named = [set(stage) for stage in method_stages(method)]
    assert all(named[row["stage"] - 1] <= row.keys() for row in rows)
    assert not torch.equal(TwoBranchNet(3, 32, 8).encoder.groups[0][0][0].weight, net.encoder.groups[0][0][0].weight)


def test_resumed_equals_uninterrupted(data, tmp_path):
    images, sources = data
    settings = replace(TINY, stages=method_stages("combined"))
    whole, rows = train_guided(images, sources, guide_for("fundus"), settings, tmp_path / "whole", "cpu")

    class Interrupted(Exception):
        pass

    def stop(net, count=[0]):
        count[0] += 1
        if count[0] == 3:
            raise Interrupted("the power went")

    with pytest.raises(Interrupted):
        train_guided(images, sources, guide_for("fundus"), settings, tmp_path / "parts", "cpu", after_epoch=stop)
    resumed, again = train_guided(images, sources, guide_for("fundus"), settings, tmp_path / "parts", "cpu", resume=True)
    assert all(torch.equal(a, b) for a, b in zip(whole.state_dict().values(), resumed.state_dict().values()))
    strip = lambda rows: [{k: v for k, v in row.items() if k != "seconds"} for row in rows]
    assert strip(rows) == strip(again)


def test_a_guided_cluster_learns_its_prior(data, tmp_path):
    images, sources = data
    settings = replace(TINY, stages=({"guided": 1.0},), epochs=(4,), steps=10, rendered=6, learning_rate=5e-3)
    _, rows = train_guided(images, sources, guide_for("fundus"), settings, tmp_path, "cpu")
    assert rows[-1]["guided"] < 0.9 * rows[0]["guided"]


def test_mistakes_are_named(data, tmp_path):
    images, sources = data
    with pytest.raises(DataError, match='unknown method "magic"; known are adversarial, rendered, combined'):
        method_stages("magic")
    with pytest.raises(DataError, match="give both the same channels and size"):
        train_guided(images[..., :1], sources, guide_for("fundus"), TINY, tmp_path, "cpu")
    with pytest.raises(DataError, match='no structures are guided for modality "knee"'):
        guide_for("knee")
    with pytest.raises(DataError, match="unknown tier"):
        guided_plan("huge", "fundus", "rendered", 0)
    with pytest.raises(ValueError, match="unknown loss"):
        replace(TINY, stages=({"guided": 1, "magic": 1}, {}))
