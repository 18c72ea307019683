"""Segmentation on an encoder: frozen stays, fine-tuned moves, what is reported is measured at the
image's own size.
"""

from copy import deepcopy
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ldr_lib.data.augment import LabelledPairs
from ldr_lib.data.errors import DataError
from ldr_lib.data.simulate import Sample
from ldr_lib.losses import soft_dice_loss
from ldr_lib.network import Encoder
from ldr_lib.transfer.segmenter import (
    Segmenter,
    fine_tune,
    score,
    segment,
    train_decoder,
)
from ldr_lib.transfer.settings import TransferSettings
from ldr_lib.transfer.tasks import TASKS

TINY = TransferSettings(steps=3, batch=2, side=32)


def encoder(seed: int = 0, channels: int = 3) -> Encoder:
    torch.manual_seed(seed)
    return Encoder(channels)


@pytest.fixture
def squares():
    """Photographs in which one bright square is the structure."""
    rng = np.random.default_rng(0)
    images, masks = (
        rng.integers(40, 90, (6, 64, 64, 3), dtype=np.uint8),
        np.zeros((6, 64, 64), bool),
    )
    for image, mask, (row, column) in zip(images, masks, rng.integers(4, 36, (6, 2))):
        mask[row : row + 22, column : column + 22] = True
        image[mask] += 120
    return images, masks


@pytest.fixture
def labelled(squares):
    images, masks = squares
    return LabelledPairs(images, masks[:, None], np.ones_like(masks), 32, (0.6, 0.9))


def test_loss_equals_its_formula():
    rng = np.random.default_rng(0)
    logits, t = rng.normal(size=(3, 1, 8, 8)), rng.integers(0, 2, (3, 1, 8, 8)).astype(float)
    p = 1 / (1 + np.exp(-logits))
    expected = 1 - (2 * (p * t).sum() + 1) / (p.sum() + t.sum() + 1)
    loss = soft_dice_loss(torch.from_numpy(p), torch.from_numpy(t))
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_loss_equals_that_of_monai():
    from monai.losses import DiceLoss

    torch.manual_seed(0)
    p, t = torch.rand(3, 2, 8, 8), (torch.rand(3, 2, 8, 8) > 0.6).float()
    monai = DiceLoss(batch=True, smooth_nr=1, smooth_dr=1)
    torch.testing.assert_close(soft_dice_loss(p, t), monai(p, t))


def test_budgets_grow_with_the_tier_and_the_environment_overrides_it(monkeypatch):
    steps = [TransferSettings.for_tier(tier).steps for tier in ("smoke", "class", "study", "full")]
    assert steps == [2, 40, 80, 2000]
    monkeypatch.setenv("LDR_TIER", "smoke")
    assert TransferSettings.for_tier("full").tier == "smoke"
    with pytest.raises(ValueError, match='unknown tier "huge"; known are smoke, class, study'):
        monkeypatch.delenv("LDR_TIER")
        TransferSettings.for_tier("huge")


def test_decoder_has_the_published_widths():
    net = Segmenter(encoder())
    wide = [level[0][0].in_channels for level in net.decoder] + [
        net.head.in_channels,
        net.head.out_channels,
    ]
    assert wide == [256, 128, 64, 32, 16, 1]
    assert net(torch.rand(2, 3, 48, 64)).shape == (2, 1, 48, 64)


def test_a_frozen_encoder_stays_and_a_tuned_one_moves(labelled):
    start = encoder()
    before = {name: value.clone() for name, value in start.state_dict().items()}
    frozen = train_decoder(start, labelled, TINY, "cpu")
    tuned = fine_tune(deepcopy(frozen), labelled, TINY)
    assert all(
        torch.equal(value, frozen.encoder.state_dict()[name]) for name, value in before.items()
    )
    assert all(torch.equal(value, start.state_dict()[name]) for name, value in before.items())
    moved = [
        name
        for name, value in tuned.encoder.named_parameters()
        if not torch.equal(value, before[name])
    ]
    assert len(moved) > 0.8 * len(list(tuned.encoder.parameters()))


def test_from_scratch_the_encoder_moves_at_once(labelled):
    start = encoder()
    net = train_decoder(start, labelled, TINY, "cpu", frozen=False)
    assert not any(
        torch.equal(value, start.state_dict()[name])
        for name, value in net.encoder.named_parameters()
        if value.ndim > 1
    )


def test_every_start_gets_the_same_decoder_and_crops(labelled):
    seen = []

    def watched(n, device):
        pairs = labelled(n, device)
        seen.append(pairs.images.clone())
        return pairs

    a, b = (train_decoder(encoder(seed), watched, TINY, "cpu") for seed in (0, 1))
    assert torch.equal(torch.stack(seen[:3]), torch.stack(seen[3:]))
    again = train_decoder(encoder(0), watched, TINY, "cpu")
    assert torch.equal(a.head.weight, again.head.weight) and not torch.equal(
        a.head.weight, b.head.weight
    )


def test_an_easy_structure_is_learned(labelled, squares):
    longer = replace(TINY, steps=30, batch=6, learning_rate=5e-3)
    net = fine_tune(train_decoder(encoder(), labelled, longer, "cpu"), labelled, longer)
    images, masks = squares
    samples = [
        Sample(
            np.repeat(np.repeat(i, 2, 0), 2, 1),
            {"disc": np.repeat(np.repeat(m, 2, 0), 2, 1)},
            str(k),
        )
        for k, (i, m) in enumerate(zip(images, masks))
    ]
    dataset = SimpleNamespace(modality="chest", split="test", name="squares")
    table = score(net, replace(TASKS["disc_drions"], size=64), _Listed(samples, dataset))
    assert table["Dice"].mean() > 0.85 and table["HD95"].median() < 12
    assert segment(net, samples[0], 64, "chest").shape == (128, 128)
    with pytest.raises(
        DataError, match="no image of the test split of squares has a mask of lungs"
    ):
        score(net, TASKS["lungs_scr"], _Listed(samples, dataset))


class _Listed(list):
    """Samples that carry what a dataset does."""

    def __init__(self, samples, about):
        super().__init__(samples)
        self.modality, self.split, self.name = about.modality, about.split, about.name
