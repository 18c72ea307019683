"""Transfer: what is frozen stays, what is loaded arrived, what is reported is measured at the image's own size."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from ldr_lib.checkpoint import save_model
from ldr_lib.data.datasets import DATASETS
from ldr_lib.data.files import DataError
from ldr_lib.data.simulate import Sample
from ldr_lib.metrics import hausdorff95
from ldr_lib.network import Encoder, TwoBranchNet
from ldr_lib.rendering import LabelledPairs
from ldr_lib.tasks import TASKS, task
from ldr_lib.transfer import (
    Segmenter, TransferSettings, labelled_images, score, segment, set_statistics, soft_dice_loss, start_from, train_segmenter,
)
from safetensors.torch import save_file

TINY = TransferSettings(tuned=False, steps=3, batch=2, side=32)


def encoder(seed: int = 0, channels: int = 3) -> Encoder:
    torch.manual_seed(seed)
    return Encoder(channels)


@pytest.fixture
def squares():
    """Photographs in which one bright square is the structure."""
    rng = np.random.default_rng(0)
    images, masks = rng.integers(40, 90, (6, 64, 64, 3), dtype=np.uint8), np.zeros((6, 64, 64), bool)
    for image, mask, (row, column) in zip(images, masks, rng.integers(4, 36, (6, 2))):
        mask[row : row + 22, column : column + 22] = True
        image[mask] += 120
    return images, masks


@pytest.fixture
def labelled(squares):
    images, masks = squares
    return LabelledPairs(images, masks[:, None], np.ones_like(masks), 32, (0.6, 0.9))


def test_registry_names_known_datasets_and_structures():
    assert len(TASKS) == 15
    for name, one in TASKS.items():
        assert one.structure in DATASETS[one.dataset].structures, name
    with pytest.raises(DataError, match='unknown task "liver"; known are vessel_rite'):
        task("liver")


def test_loss_equals_its_formula():
    rng = np.random.default_rng(0)
    logits, t = rng.normal(size=(3, 1, 8, 8)), rng.integers(0, 2, (3, 1, 8, 8)).astype(float)
    p = 1 / (1 + np.exp(-logits))
    expected = 1 - (2 * (p * t).sum() + 1) / (p.sum() + t.sum() + 1)
    assert soft_dice_loss(torch.from_numpy(logits), torch.from_numpy(t)).item() == pytest.approx(expected, rel=1e-5)


def test_decoder_has_the_published_widths():
    net = Segmenter(encoder())
    wide = [level[0][0].in_channels for level in net.decoder] + [net.head.in_channels, net.head.out_channels]
    assert wide == [256, 128, 64, 32, 16, 1]
    assert net(torch.rand(2, 3, 48, 64)).shape == (2, 1, 48, 64)


def test_weights_of_a_whole_network_arrive_in_an_encoder(tmp_path):
    torch.manual_seed(5)
    source = TwoBranchNet(3)
    save_model(source, tmp_path / "net.safetensors")
    got = start_from(encoder(), tmp_path / "net.safetensors")
    assert all(torch.equal(a, b) for a, b in zip(got.state_dict().values(), source.encoder.state_dict().values()))


def test_weights_that_did_not_arrive_are_an_error(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_file(encoder(1).state_dict(), path)
    start_from(encoder(0), path)
    with pytest.raises(DataError, match="nothing was transferred"):
        start_from(encoder(1), path)
    with pytest.raises(DataError, match="does not fit the encoder: groups.0.0.0.weight .*1 image channels"):
        start_from(encoder(0, channels=1), path)
    partly = {name: value for name, value in encoder(1).state_dict().items() if "groups.4" not in name}
    save_file(partly, path)
    with pytest.raises(DataError, match="lacks 21 of 91 weights"):
        start_from(encoder(0), path)
    mixed = encoder(0).state_dict() | {name: value for name, value in encoder(1).state_dict().items() if "groups.0" in name}
    save_file(mixed, path)
    with pytest.raises(DataError, match="equal those that the encoder had before"):
        start_from(encoder(0), path)
    path.write_bytes(b"no weights")
    with pytest.raises(DataError, match="cannot be read as weights"):
        start_from(encoder(0), path)


def test_statistics_are_those_of_the_images():
    net, images = encoder(), torch.rand(12, 3, 32, 32) * 0.2 + 0.5
    set_statistics(net, images, batch=4)
    normalised = net.groups[0][0][1](net.groups[0][0][0](images))
    assert not net.training and normalised.mean((0, 2, 3)).abs().max() < 0.02
    assert (normalised.var((0, 2, 3)) - 1).abs().max() < 0.05


def test_a_frozen_encoder_stays_and_a_tuned_one_moves(labelled):
    start = encoder()
    before = {name: value.clone() for name, value in start.state_dict().items()}
    frozen, tuned = (train_segmenter(start, labelled, replace(TINY, tuned=tuned), "cpu") for tuned in (False, True))
    assert all(torch.equal(value, frozen.encoder.state_dict()[name]) for name, value in before.items())
    assert all(torch.equal(value, start.state_dict()[name]) for name, value in before.items())
    moved = [name for name, value in tuned.encoder.named_parameters() if not torch.equal(value, before[name])]
    assert len(moved) > 0.8 * len(list(tuned.encoder.parameters()))


def test_every_start_gets_the_same_decoder_and_crops(labelled):
    seen = []

    def watched(n, device):
        pairs = labelled(n, device)
        seen.append(pairs.images.clone())
        return pairs

    a, b = (train_segmenter(encoder(seed), watched, TINY, "cpu") for seed in (0, 1))
    assert torch.equal(torch.stack(seen[:3]), torch.stack(seen[3:]))
    again = train_segmenter(encoder(0), watched, TINY, "cpu")
    assert torch.equal(a.head.weight, again.head.weight) and not torch.equal(a.head.weight, b.head.weight)


def test_an_easy_structure_is_learned(labelled, squares):
    net = train_segmenter(encoder(), labelled, replace(TINY, tuned=True, steps=30, batch=6, learning_rate=5e-3), "cpu")
    images, masks = squares
    samples = [Sample(np.repeat(np.repeat(i, 2, 0), 2, 1), {"disc": np.repeat(np.repeat(m, 2, 0), 2, 1)}, str(k)) for k, (i, m) in enumerate(zip(images, masks))]
    dataset = SimpleNamespace(modality="chest", split="test", name="squares")
    table = score(net, replace(TASKS["disc_drions"], size=64), _Listed(samples, dataset))
    assert table["Dice"].mean() > 0.85 and table["HD95"].median() < 12
    assert segment(net, samples[0], 64, "chest").shape == (128, 128)
    with pytest.raises(DataError, match="no image of the test split of squares has a mask of lungs"):
        score(net, TASKS["lungs_scr"], _Listed(samples, dataset))


class _Listed(list):
    """Samples that carry what a dataset does."""

    def __init__(self, samples, about):
        super().__init__(samples)
        self.modality, self.split, self.name = about.modality, about.split, about.name


def test_labelled_images_do_not_validate_and_are_not_empty(squares):
    masks = np.ones((10, 4, 4), bool)
    masks[[4, 7]] = False
    prepared = _Sized({"disc": masks})
    one = TASKS["disc_drions"]
    assert labelled_images(one, prepared, 0, 0).tolist() == [2, 3, 5, 6, 8, 9]
    draws = [labelled_images(one, prepared, 2, seed).tolist() for seed in range(8)]
    assert draws[0] == labelled_images(one, prepared, 2, 0).tolist() and len({tuple(d) for d in draws}) > 3
    assert all(set(d) <= {2, 3, 5, 6, 8, 9} and len(d) == 2 for d in draws)
    with pytest.raises(DataError, match="7 labelled images of drions are asked for and 6 of 8"):
        labelled_images(one, prepared, 7, 0)
    with pytest.raises(DataError, match="has no masks of vessel"):
        labelled_images(TASKS["vessel_stare"], prepared, 1, 0)


class _Sized:
    """Prepared images of which only the masks matter."""

    def __init__(self, masks):
        self.masks = masks

    def __len__(self):
        return len(self.masks["disc"])


def test_hausdorff_distance_equals_that_of_all_border_points():
    rng = np.random.default_rng(0)
    a, b = np.zeros((40, 50), bool), np.zeros((40, 50), bool)
    a[5:25, 8:30], b[9:33, 5:25] = True, True
    a[30:33, 40:43] = rng.random((3, 3)) > 0.3
    border = lambda m: np.argwhere(m & ~(np.roll(m, 1, 0) & np.roll(m, -1, 0) & np.roll(m, 1, 1) & np.roll(m, -1, 1)))
    apart = np.linalg.norm(border(a)[:, None] - border(b)[None], axis=-1)
    expected = max(np.percentile(apart.min(1), 95), np.percentile(apart.min(0), 95))
    assert hausdorff95(a, b) == pytest.approx(expected, abs=0.1)
    empty = np.zeros_like(a)
    assert hausdorff95(empty, empty) == 0 and hausdorff95(a, empty) == pytest.approx(np.hypot(40, 50))
