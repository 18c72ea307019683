"""Training until images that are set aside get no better: the best network is left, looks change no
number of the training, and no image is both trained on and looked at.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ldr_lib.data.augment import LabelledPairs
from ldr_lib.data.datasets import DATASETS, open_dataset
from ldr_lib.data.errors import DataError
from ldr_lib.data.prepare import prepare
from ldr_lib.metrics import dice
from ldr_lib.network import Encoder
from ldr_lib.transfer.experiment import best_common_step, budget, labelled_images, segmenters
from ldr_lib.transfer.segmenter import Segmenter, fine_tune, train_decoder
from ldr_lib.transfer.settings import TransferSettings
from ldr_lib.transfer.tasks import task
from ldr_lib.transfer.watched import WatchedImages

SHORT = TransferSettings(steps=12, batch=2, side=32, check_every=3, patience=0)


def encoder(seed: int = 0) -> Encoder:
    torch.manual_seed(seed)
    return Encoder(3)


@pytest.fixture
def squares():
    """Photographs in which one bright square is the structure; of each the half that is seen."""
    rng = np.random.default_rng(0)
    images = rng.integers(40, 90, (6, 64, 64, 3), dtype=np.uint8)
    masks, inside = np.zeros((6, 64, 64), bool), np.ones((6, 64, 64), bool)
    for image, mask, (row, column) in zip(images, masks, rng.integers(4, 36, (6, 2))):
        mask[row : row + 22, column : column + 22] = True
        image[mask] += 120
    inside[:, :, 60:] = False
    return images, masks, inside


@pytest.fixture
def labelled(squares):
    images, masks, inside = (part[:4] for part in squares)
    return LabelledPairs(images, masks[:, None], inside, 32, (0.6, 0.9))


@pytest.fixture
def watched(squares):
    return WatchedImages(*(part[4:] for part in squares))


def test_a_look_is_the_mean_dice_inside_the_field_of_view(squares, watched):
    images, masks, inside = squares
    net = Segmenter(encoder()).eval()
    with torch.no_grad():
        logits = net(torch.from_numpy(images[4:]).permute(0, 3, 1, 2).float() / 255)[:, 0].numpy()
    expected = [
        dice((one > 0) & seen, truth) for one, seen, truth in zip(logits, inside[4:], masks[4:])
    ]
    assert watched(net) == pytest.approx(np.mean(expected), abs=0.01) and not net.training


def test_looks_change_nothing_but_the_end(labelled, watched):
    seen = train_decoder(encoder(), labelled, SHORT, "cpu", watched=watched)
    assert list(seen.looks) == [3, 6, 9, 12] and all(0 <= look <= 1 for look in seen.looks.values())

    other = WatchedImages(watched.images[:1], watched.masks[:1], watched.inside[:1])
    again = train_decoder(encoder(), labelled, SHORT, "cpu", watched=other)
    assert torch.equal(seen.head.weight, again.head.weight)
    assert seen.looks[12] == pytest.approx(watched(seen))


def test_training_ends_without_progress_and_leaves_the_best_network(labelled, watched, monkeypatch):
    given, kept = iter([0.2, 0.6, 0.5, 0.6, 0.1, 0.9]), []

    def look(self, net):
        kept.append(net.head.weight.detach().clone())
        return next(given)

    monkeypatch.setattr(WatchedImages, "__call__", look)
    settings = replace(SHORT, steps=18, patience=3)
    net = train_decoder(encoder(), labelled, settings, "cpu", watched=watched)
    assert list(net.looks.values()) == [0.2, 0.6, 0.5, 0.6, 0.1]
    assert torch.equal(net.head.weight, kept[1]) and not torch.equal(net.head.weight, kept[4])


def test_a_stage_without_patience_leaves_the_last_network(labelled, watched):
    net = train_decoder(encoder(), labelled, SHORT, "cpu", watched=watched)
    tuned = fine_tune(net, labelled, SHORT, watched)
    assert list(tuned.looks) == [3, 6, 9, 12] and tuned.looks[12] == pytest.approx(watched(tuned))


@pytest.mark.parametrize(
    "values, message",
    [
        (dict(patience=2), "patience needs looks: give check_every"),
        (dict(steps=10, check_every=4), "steps must be a multiple of check_every, 10 is none of 4"),
        (dict(check_every=-1), "check_every must be"),
        (dict(patience=1.5, check_every=5), "patience must be"),
    ],
)
def test_settings_that_make_no_sense(values, message):
    with pytest.raises(ValueError, match=message):
        TransferSettings(**values)


def test_images_to_look_at_are_checked(squares, labelled):
    images, masks, inside = squares
    with pytest.raises(DataError, match="there is no image to look at"):
        WatchedImages(images[:0], masks[:0], inside[:0])
    with pytest.raises(ValueError, match="must be of one shape"):
        WatchedImages(images, masks[:2], inside)
    with pytest.raises(ValueError, match="watched must be the images to look at"):
        train_decoder(encoder(), labelled, SHORT, "cpu")


def test_set_aside_images_are_neither_labelled_nor_trained_on(monkeypatch):
    monkeypatch.setattr(DATASETS["simulated_fundus"], "n_train", 6)
    one = replace(task("disc_simulated_fundus"), size=64)
    prepared = prepare(open_dataset("simulated_fundus", split="train"), one.size)
    settings = replace(SHORT, steps=3)
    chosen = labelled_images(one, prepared, 1, seed=0)
    with pytest.raises(ValueError, match="must not be trained on; 1 are"):
        list(segmenters(encoder(), one, prepared, chosen, settings, device="cpu", looked_at=chosen))
    found = dict(segmenters(encoder(), one, prepared, chosen, settings, device="cpu"))
    assert all(list(net.looks) == [3] for net in found.values())


def test_with_one_label_looks_decide_nothing():
    settings = TransferSettings.for_tier("converged", 3)
    one, more = budget(settings, 1), budget(settings, 2)
    assert one.patience == 0 < more.patience and one.steps % one.check_every == 0
    assert more == settings == budget(settings, 0) and one.seed == 3
    study = TransferSettings.for_tier("study")
    assert budget(study, 1) == study


def test_the_step_that_is_best_in_the_mean():
    looks = [{"40": 0.1, "80": 0.5, "120": 0.4}, {"40": 0.6, "80": 0.3, "120": 0.5}]
    assert best_common_step(looks) == 120
    for wrong in ([], [{"40": 0.1}, {"80": 0.1}]):
        with pytest.raises(ValueError, match="looked at after the same steps"):
            best_common_step(wrong)
