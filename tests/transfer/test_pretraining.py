"""Pretraining: every method sees the same views, resumes as if uninterrupted, and refuses what it
does not know.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ldr_lib.data.errors import DataError
from ldr_lib.data.views import ViewMaker
from ldr_lib.pretrained import load_weights, random_encoder
from ldr_lib.transfer.baselines import BASELINES
from ldr_lib.transfer.pretraining import ABLATIONS, PretrainingSettings, pretrain

TINY = replace(PretrainingSettings.for_tier("smoke", "fundus"), epochs=(1, 1), steps=2)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 255, (6, 48, 48, 3), dtype=np.uint8)


@pytest.mark.parametrize("method", [*ABLATIONS, *BASELINES])
def test_the_saved_encoder_is_the_trained_one(method, images, tmp_path):
    encoder, rows = pretrain(method, images, TINY, tmp_path, "cpu")
    loaded = load_weights(random_encoder(3, 9), tmp_path / "encoder.safetensors")
    assert all(
        torch.equal(a, b)
        for a, b in zip(loaded.state_dict().values(), encoder.state_dict().values())
    )
    assert sum(TINY.steps for _ in rows) == 4 and all(
        np.isfinite(list(row.values())).all() for row in rows
    )


def test_all_methods_see_the_same_views(images, tmp_path, monkeypatch):
    seen = {}
    make = ViewMaker.__call__

    def watched(maker, batch):
        views = make(maker, batch)
        seen.setdefault(method, []).append(views.first.clone())
        return views

    monkeypatch.setattr("ldr_lib.data.views.ViewMaker.__call__", watched)
    for method in ("patch_mixup", *BASELINES):
        pretrain(method, images, TINY, tmp_path / method, "cpu")
    for method in BASELINES:
        assert torch.equal(torch.stack(seen[method])[0], torch.stack(seen["patch_mixup"])[0]), (
            method
        )
        assert len(seen[method]) == len(seen["patch_mixup"]) == 4


@pytest.mark.parametrize("method", ["dense", "regions"])
def test_resumed_equals_uninterrupted(method, images, tmp_path, monkeypatch):
    whole, _ = pretrain(method, images, replace(TINY, epochs=(1, 2)), tmp_path / "whole", "cpu")
    steps = iter(range(100))
    make = ViewMaker.__call__

    def interrupted(maker, batch):
        if next(steps) == 3:
            raise KeyboardInterrupt
        return make(maker, batch)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("ldr_lib.data.views.ViewMaker.__call__", interrupted)
        pretrain(method, images, replace(TINY, epochs=(1, 2)), tmp_path / "cut", "cpu")
    resumed, _ = pretrain(
        method, images, replace(TINY, epochs=(1, 2)), tmp_path / "cut", "cpu", resume=True
    )
    assert all(
        torch.equal(a, b)
        for a, b in zip(whole.state_dict().values(), resumed.state_dict().values())
    )


def test_a_checkpoint_of_another_method_is_refused(images, tmp_path):
    pretrain("dense", images, TINY, tmp_path, "cpu")
    with pytest.raises(DataError, match="belongs to another run: data was"):
        pretrain("instance", images, TINY, tmp_path, "cpu", resume=True)


def test_what_is_unknown_is_named(images, tmp_path):
    with pytest.raises(
        ValueError,
        match='unknown pretraining "magic"; known are patch, patch_mixup, regions, instance',
    ):
        pretrain("magic", images, TINY, tmp_path)
    with pytest.raises(ValueError, match='unknown modality "liver"'):
        PretrainingSettings.for_tier("study", "liver")
    with pytest.raises(ValueError, match='unknown tier "long"'):
        PretrainingSettings.for_tier("long", "chest")
