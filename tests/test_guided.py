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
from ldr_lib.rendering import standardise
from ldr_lib.tiers import guided_plan
from ldr_lib.vessel_pairs import VesselPairs

TINY = GuidedSettings(n_clusters=8, pairs=1, view_size=32, crop_scale=(0.4, 0.6), epochs=(1, 2), steps=2, rendered=3)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    images, inside = rng.integers(40, 200, (4, 64, 64, 3), dtype=np.uint8), np.ones((4, 64, 64), bool)
    make_pairs = VesselPairs(images, inside, vessel_trees(2, 0, 64), size=32)
    return standardise(images, inside), make_pairs


def test_guided_loss_equals_its_formula():
    rng = np.random.default_rng(0)
    p, t = rng.uniform(0.05, 0.95, (2, 3, 5, 4)), rng.integers(0, 2, (2, 3, 5, 4)).astype(float)
    entropy = -(t * np.log(p) + (1 - t) * np.log(1 - p)).mean()
    overlaps = [(2 * (p[:, s] * t[:, s]).sum() + 1) / (p[:, s].sum() + t[:, s].sum() + 1) for s in range(3)]
    tensor = lambda x: torch.from_numpy(x).float()
    assert guided_loss(tensor(p), tensor(t)).item() == pytest.approx(entropy + 1 - np.mean(overlaps), rel=1e-5)


def test_agreement_counts_confident_pixels_only():
    first = torch.tensor([0.9, 0.5, 0.1]).reshape(1, 1, 1, 3).requires_grad_()
    second = torch.tensor([0.6, 0.2, 0.4]).reshape(1, 1, 1, 3).requires_grad_()
    loss = agreement_loss(first, second)
    assert loss.item() == pytest.approx(-(np.log(0.6) + np.log(0.6)) / 2, rel=1e-5)
    loss.backward()
    assert first.grad is None and second.grad[0, 0, 0, 1] == 0 and second.grad[0, 0, 0, 0] < 0 < second.grad[0, 0, 0, 2]


@pytest.mark.parametrize("method", METHODS)
def test_every_method_trains_and_moves_the_network(data, tmp_path, method):
    images, make_pairs = data
    seen = []
    net, rows = train_guided(
        images, make_pairs, guide_for("vessel"), replace(TINY, stages=method_stages(method)), tmp_path, "cpu",
        after_epoch=lambda net: seen.append(net.training),
    )
    torch.manual_seed(0)
    assert len(rows) == len(seen) == 3 and net.guide == guide_for("vessel")
    named = [set(stage) for stage in method_stages(method)]
    assert all(named[row["stage"] - 1] <= row.keys() for row in rows)
    assert not torch.equal(TwoBranchNet(3, 32, 8).encoder.groups[0][0][0].weight, net.encoder.groups[0][0][0].weight)


def test_resumed_equals_uninterrupted(data, tmp_path):
    images, make_pairs = data
    settings = replace(TINY, stages=method_stages("combined"))
    whole, rows = train_guided(images, make_pairs, guide_for("vessel"), settings, tmp_path / "whole", "cpu")

    class Interrupted(Exception):
        pass

    def stop(net, count=[0]):
        count[0] += 1
        if count[0] == 3:
            raise Interrupted("the power went")

    with pytest.raises(Interrupted):
        train_guided(images, make_pairs, guide_for("vessel"), settings, tmp_path / "parts", "cpu", after_epoch=stop)
    resumed, again = train_guided(images, make_pairs, guide_for("vessel"), settings, tmp_path / "parts", "cpu", resume=True)
    assert all(torch.equal(a, b) for a, b in zip(whole.state_dict().values(), resumed.state_dict().values()))
    strip = lambda rows: [{k: v for k, v in row.items() if k != "seconds"} for row in rows]
    assert strip(rows) == strip(again)


def test_a_guided_cluster_learns_its_prior(data, tmp_path):
    images, make_pairs = data
    settings = replace(TINY, stages=({"guided": 1.0},), epochs=(4,), steps=10, rendered=6, learning_rate=5e-3)
    _, rows = train_guided(images, make_pairs, guide_for("vessel"), settings, tmp_path, "cpu")
    assert rows[-1]["guided"] < 0.9 * rows[0]["guided"]


def test_mistakes_are_named(data, tmp_path):
    images, make_pairs = data
    with pytest.raises(DataError, match='unknown method "magic"; known are adversarial, rendered, combined'):
        method_stages("magic")
    with pytest.raises(DataError, match="give both the same channels and size"):
        train_guided(images[..., :1], make_pairs, guide_for("vessel"), TINY, tmp_path, "cpu")
    with pytest.raises(DataError, match='there is no guide "knee"; known are vessel, disc, chest'):
        guide_for("knee")
    with pytest.raises(DataError, match="unknown tier"):
        guided_plan("huge", "vessel", "rendered", 0)
    with pytest.raises(ValueError, match="unknown loss"):
        replace(TINY, stages=({"guided": 1, "magic": 1}, {}))
