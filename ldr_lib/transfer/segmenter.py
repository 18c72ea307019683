"""Segmentation on top of an encoder: a U-Net decoder, soft Dice, training frozen and fine-tuned,
scores at full size.
"""

from copy import deepcopy

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from fastai.callback.core import Callback
from PIL import Image
from torch import nn

from ..callbacks import SeedEpoch
from ..data import checks
from ..data.augment import LabelledPairs
from ..data.checks import flag, instance
from ..data.crop import local_normalize, prepare_sample, to_original
from ..data.errors import DataError, one_of
from ..data.own_images import MODALITIES
from ..data.simulate import Sample
from ..data.tensor_checks import require
from ..device import mixed_precision, pick_device, to_device
from ..losses import soft_dice_loss
from ..metrics import centreline_dice, dice, hausdorff95
from ..network import Encoder, convolution
from ..stage import build_learner
from .imagenet import AnyEncoder
from .settings import TransferSettings
from .tasks import Task
from .watched import Watched, WatchedImages


class Segmenter(nn.Module):
    """A pretrained encoder with a new U-Net decoder, 256 > 128 > 64 > 32 > 16 > 1 channels.

    Args:
        encoder: Its five feature maps are used; it becomes part of this module.

    Calling it on (B, C, H, W) with H and W multiples of 16 returns logits (B, 1, H, W). Where the
    encoder has no map at full size (`ImageNetEncoder`), its sides are multiples of 32 and the
    logits of its finest map are enlarged.

    `looks` is filled by a training with `TransferSettings.check_every`: number of steps of its last
    stage to the mean Dice of the images that were set aside.

    Raises:
        ValueError: There is no encoder, or, when called, an image batch of another size.

    Source: Chen et al. 2021, section 4 (downstream). Taught in notebook 05, section 2.
    """

    widths = (64, 32, 16, 16)

    def __init__(self, encoder: AnyEncoder):
        super().__init__()
        self.looks: dict[int, float] = {}
        self.encoder = instance(encoder, AnyEncoder, "encoder", "an Encoder")
        *skips, coarsest = encoder.widths
        below = (coarsest, *self.widths)
        self.decoder = nn.ModuleList(
            nn.Sequential(convolution(wide + skip, narrow), convolution(narrow, narrow))
            for wide, skip, narrow in zip(below, reversed(skips), self.widths)
        )
        self.head = nn.Conv2d(self.widths[-1], 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        require("BCHW", x=x)
        size = x.shape[-2:]
        if size[0] % 16 or size[1] % 16:
            raise ValueError(
                f"a segmenter takes images whose sides are multiples of 16, not {tuple(x.shape)}"
            )
        *skips, x = self.encoder(x)
        for level, skip in zip(self.decoder, reversed(skips)):
            x = level(torch.cat([F.interpolate(x, skip.shape[-2:]), skip], 1))
        logits = self.head(x)
        return logits if logits.shape[-2:] == size else F.interpolate(logits, size, mode="bilinear")


class _MakeCrops(Callback):
    """Replaces the empty batch by labelled crops, made on the device."""

    def __init__(self, make_pairs: LabelledPairs, batch: int):
        self.make_pairs, self.batch = make_pairs, batch

    def before_batch(self):
        pairs = self.make_pairs(self.batch, next(self.model.parameters()).device)
        self.learn.xb, self.learn.yb = (
            (pairs.images.contiguous(memory_format=torch.channels_last),),
            (pairs.targets,),
        )


class _FrozenEncoder(Callback):
    """Keeps the encoder as it is, its BatchNorm included."""

    def before_train(self):
        self.model.encoder.eval()


class _Mixed(nn.Module):
    def __init__(self, net: Segmenter):
        super().__init__()
        self.net, self.encoder = net, net.encoder

    def forward(self, x):
        with mixed_precision(x.device):
            return self.net(x)


def train_decoder(
    encoder: AnyEncoder,
    labelled: LabelledPairs,
    settings: TransferSettings,
    device: str = "auto",
    frozen: bool = True,
    watched: WatchedImages | None = None,
) -> Segmenter:
    """Frozen protocol: trains a new decoder on top of an encoder that stays as it is.

    Args:
        encoder: Where to start from; left as it is.
        labelled: Maker of crops of the labelled images.
        settings: The budget.
        device: As in `pick_device`.
        frozen: Leave the encoder as it is; otherwise it is trained from the first step, as from
            scratch.
        watched: Images that are set aside, where the settings want looks at them.

    Returns:
        The segmenter in evaluation mode, with a copy of the encoder.

    Raises:
        ValueError: Encoder, crops or settings are none, or do not fit each other.

    Source: Chen et al. 2021, section 4. Taught in notebook 05, section 2.
    """
    instance(encoder, AnyEncoder, "encoder", "an Encoder")
    _check_budget(labelled, settings, encoder, watched)
    flag(frozen, "frozen")
    torch.manual_seed(settings.seed)
    Encoder(encoder.in_channels)  # the decoder is drawn after an encoder, as in a new network
    net = to_device(Segmenter(deepcopy(encoder)), pick_device(device))
    net.encoder.requires_grad_(not frozen)
    return _fit(net, labelled, settings, 0, [_FrozenEncoder()] if frozen else [], watched)


def _check_budget(
    labelled: LabelledPairs,
    settings: TransferSettings,
    encoder: AnyEncoder,
    watched: WatchedImages | None,
) -> None:
    """Makes sure that crops, settings and encoder are some and fit each other."""
    if not callable(labelled):
        raise ValueError(f"labelled must be LabelledPairs, not {checks.shown(labelled)}")
    instance(settings, TransferSettings, "settings", "TransferSettings")
    if settings.check_every:
        instance(watched, WatchedImages, "watched", "the images to look at, WatchedImages(...)")
    if isinstance(labelled, LabelledPairs):
        channels = labelled.images.shape[-1]
        if channels != encoder.in_channels:
            raise ValueError(
                f"the encoder takes {encoder.in_channels} channels and the labelled images have "
                f"{channels}"
            )


def fine_tune(
    net: Segmenter,
    labelled: LabelledPairs,
    settings: TransferSettings,
    watched: WatchedImages | None = None,
) -> Segmenter:
    """Fine-tuned protocol: goes on from `train_decoder` with encoder and decoder, for as many steps
    again.

    Args:
        net: Trained further in place.
        labelled: Maker of crops of the labelled images.
        settings: The budget.
        watched: Images that are set aside, where the settings want looks at them.

    Returns:
        The segmenter in evaluation mode.

    Raises:
        ValueError: Segmenter, crops or settings are none, or do not fit each other.

    Source: Chen et al. 2021, section 4. Taught in notebook 05, section 2.
    """
    instance(net, Segmenter, "net", "a Segmenter")
    _check_budget(labelled, settings, net.encoder, watched)
    net.encoder.requires_grad_(True)
    return _fit(net, labelled, settings, 1, [], watched)


def _soft_dice(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return soft_dice_loss(logits.float().sigmoid(), targets)


def _fit(
    net: Segmenter,
    labelled: LabelledPairs,
    settings: TransferSettings,
    stage: int,
    callbacks: list[Callback],
    watched: WatchedImages | None,
) -> Segmenter:
    steps = settings.check_every or settings.steps  # of an epoch
    learn = build_learner(
        _Mixed(net),
        [(torch.zeros(1),)] * steps,
        _soft_dice,
        [list(net.encoder.parameters()), [*net.decoder.parameters(), *net.head.parameters()]],
        [settings.encoder_rate * settings.learning_rate, settings.learning_rate],
        [SeedEpoch(settings.seed, stage), _MakeCrops(labelled, settings.batch), *callbacks],
    )
    if settings.check_every:
        watch = Watched(net, watched, steps, settings.patience)
        learn.fit(settings.steps // steps, learn.lr, cbs=[watch])
        net.looks = watch.looks
    else:
        learn.fit_one_cycle(1, learn.lr)
    return net.eval()


@torch.no_grad()
def segment(net: Segmenter, sample: Sample, size: int, modality: str) -> np.ndarray:
    """The structure's probability in one image, at its own size.

    Args:
        net: A trained segmenter.
        sample: The image; its masks are not used.
        size: Side at which the network sees it.
        modality: "fundus" cuts to the field of view and evens the light, as in training; "chest"
            leaves borders out, "other" takes the image as it is.

    Returns:
        (H, W) float32 in [0, 1], 0 outside the field of view.

    Raises:
        ValueError: The network is no segmenter, or the size no multiple of 16.
        DataError: The image cannot be used.
    """
    instance(net, Segmenter, "net", "a Segmenter")
    instance(sample, Sample, "sample", "a Sample")
    size = checks.multiple(size, "size", 16, 4096)
    one_of(modality, MODALITIES, "modality")
    small, masks, box = prepare_sample(Sample(sample.image), size, modality)
    inside = masks["field_of_view"]
    seen = local_normalize(small, inside) if modality == "fundus" else small
    x = (
        torch.from_numpy(np.array(seen))
        .to(next(net.parameters()).device)
        .permute(2, 0, 1)[None]
        .float()
        / 255
    )
    with mixed_precision(x.device):
        p = net(x.contiguous(memory_format=torch.channels_last)).float().sigmoid()
    return to_original(
        p[0, 0].cpu().numpy() * inside, box, sample.image.shape[:2], Image.Resampling.BILINEAR
    )


def score(net: Segmenter, task: Task, dataset) -> pd.DataFrame:
    """Agreement with the masks, image by image, at the images' own size and threshold 0.5.

    Args:
        net: A trained segmenter.
        task: What was segmented.
        dataset: Test images with masks, as opened by `open_dataset`.

    Returns:
        One row per image that has a mask: "Dice", and "clDice" for vessels or "HD95" in pixels for
            all others.

    Raises:
        DataError: No image has a mask of the structure.
        ValueError: The network is no segmenter, or the task or the dataset none.

    Taught in notebook 05, section 3.
    """
    instance(net, Segmenter, "net", "a Segmenter")
    instance(task, Task, "task", "a Task, for example task(...)")
    if not hasattr(dataset, "modality") or not hasattr(dataset, "split"):
        raise ValueError(
            f"dataset must be one that open_dataset returned, not {checks.shown(dataset)}"
        )
    rows = {}
    for sample in (dataset[i] for i in range(len(dataset))):
        if not task.is_marked(sample.masks):
            continue
        found, truth = (
            segment(net, sample, task.size, dataset.modality) > 0.5,
            task.mask(sample.masks),
        )
        rows[sample.name] = {"Dice": dice(found, truth)}
        rows[sample.name] |= (
            {"clDice": centreline_dice(found, truth)}
            if task.is_thin
            else {"HD95": hausdorff95(found, truth)}
        )
    if not rows:
        raise DataError(
            f"no image of the {dataset.split} split of {dataset.name} has a mask of "
            f"{task.structure}"
        )
    return pd.DataFrame(rows).T
