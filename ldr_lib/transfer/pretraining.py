"""Pretraining of encoders for transfer: local discrimination and its baselines, on the same images
and steps.
"""

import json
import os
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from fastai.learner import Learner

from ..callbacks import LossLog, MakeViews, SeedEpoch
from ..checkpoint import begin_anew_if_finished, identity
from ..data import checks
from ..data.batches import image_batches
from ..data.checksums import array_fingerprint
from ..data.datasets import open_dataset
from ..data.errors import one_of
from ..data.files import atomic_write
from ..data.prepare import joint_fingerprint, prepare
from ..data.views import Views
from ..device import mixed_precision, pick_device, to_device
from ..distributed import from_first, is_first, own_share, process_group
from ..explore.learning import UNLABELLED
from ..explore.shipping import source
from ..network import Encoder, init_weights
from ..pretrained import (
    CHANNELS,
    REPRESENTATIONS,
    WEIGHTS,
    load_weights,
    random_encoder,
    shipped_file,
)
from ..runs.cards import card_head
from ..runs.fingerprints import read_record
from ..runs.paths import runs_folder
from ..runs.run import Run
from ..settings import Settings
from ..stage import build_learner
from ..tensor_files import save_tensors
from ..tiers import PATCH_STAGE, SHORT_BOTH_BRANCHES, values_for
from ..training import run_stages, train
from .baselines import BASELINES

NAME = "05_downstream_transfer"
ABLATIONS = {
    "patch": ({"patch": 1.0},),
    "patch_mixup": (PATCH_STAGE,),
    "regions": (PATCH_STAGE, SHORT_BOTH_BRANCHES),
}
METHODS = (*ABLATIONS, *BASELINES)

_COMMON = dict(
    n_clusters=16, pairs=4, view_size=128, learning_rate=3e-3, stages=ABLATIONS["regions"]
)
_EPOCH = 50
_CROPS = {
    "fundus": dict(image_size=256, crop_scale=(0.35, 1.0)),
    "chest": dict(image_size=192, crop_scale=(0.5, 1.0)),
}
"""Photographs are cropped at many sizes, as vessels and discs are to profit; X-rays are cropped
less.
"""

TRAINING = {
    modality: {
        "smoke": _COMMON
        | crops
        | dict(image_size=64, pairs=2, view_size=32, epochs=(1, 1), steps=2),
        "class": _COMMON
        | crops
        | dict(image_size=crops["image_size"] // 2, view_size=64, epochs=(2, 2), steps=40),
        "study": _COMMON
        | crops
        | dict(epochs=2 * (REPRESENTATIONS[modality]["both"][0] // 2 // _EPOCH,), steps=_EPOCH),
        "full": _COMMON
        | crops
        | dict(
            image_size=2 * crops["image_size"],
            view_size=256,
            epochs=(20, 80),
            steps=1000,
            learning_rate=1e-3,
            schedule="published",
        ),
    }
    for modality, crops in _CROPS.items()
}
"""Values of `PretrainingSettings` by modality and tier; "study" has as many steps as the network of
`load_representation`.
"""


@dataclass(frozen=True)
class PretrainingSettings(Settings):
    """`Settings` of the encoders of notebook 05."""

    @classmethod
    def for_tier(
        cls, tier: str = "class", modality: str = "fundus", seed: int = 0, **changes
    ) -> "PretrainingSettings":
        """The settings of a tier.

        Args:
            tier: "smoke", "class" (minutes), "study" (behind the shipped encoders) or "full"
                (published number of steps, GPU). LDR_TIER overrides it.
            modality: "fundus" or "chest".
            seed: Of the training.
            changes: Further attributes to set.

        Raises:
            ValueError: Unknown modality or tier, or a change that makes no sense.

        Example:
            >>> PretrainingSettings.for_tier("study", "chest").image_size
            192

        Taught in notebook 05, section 3.
        """
        values = values_for(TRAINING, modality, tier, "modality") | {"seed": seed}
        return cls(**values | cls.changed(changes))


class _Pretext(torch.nn.Module):
    """A baseline that trains itself: its output is its loss."""

    def __init__(self, net: torch.nn.Module):
        super().__init__()
        self.net = net

    def forward(self, views: Views) -> tuple[torch.Tensor, None]:
        with mixed_precision(views.first.device):
            return self.net(views), None


class _Given:
    """The loss that the network returned."""

    def __call__(self, outputs: tuple[torch.Tensor, None], views: Views) -> torch.Tensor:
        self.terms = {"loss": outputs[0].detach()}
        return outputs[0]


def pretrain(
    method: str,
    images: np.ndarray,
    settings: Settings,
    folder: Path | str,
    device: str = "auto",
    data: str = "",
    resume: bool = False,
) -> tuple[Encoder, list[dict]]:
    """Trains an encoder without labels and saves it; every method sees as many batches of the same
    views. Processes started by torchrun train together (see `ldr_lib.distributed`).

    Args:
        method: "regions" (both stages of local discrimination, the second by region
            discrimination), "patch" or "patch_mixup" (the embedding branch with these losses, over
            the steps of both stages), "instance", "dense" or "autoencoder" (`BASELINES`).
        images: (N, S, S, C) uint8, or floats in [0, 1].
        settings: Of local discrimination; the others take batch, views, number of steps, learning
            rate and seed from it.
        folder: Receives `encoder.safetensors`, `log.csv` and `checkpoint.safetensors`.
        device: As in `pick_device`.
        data: Fingerprint of the images, "" to compute it; a checkpoint of other images is refused.
        resume: Go on from the folder's checkpoint if there is one.

    Returns:
        The encoder in evaluation mode, and the rows of the log.

    Raises:
        DataError: Images, checkpoint or folder cannot be used.
        ValueError: Unknown method, or there are no settings.

    Taught in notebook 05, section 3.
    """
    one_of(method, (*ABLATIONS, *BASELINES), "pretraining")
    checks.instance(settings, Settings, "settings", "Settings")
    folder, place = checks.path(folder, "folder"), pick_device(device)
    images = checks.training_images(images)
    data = f"{method}: {data or array_fingerprint(images)}"
    at_once = replace(
        settings, stages=ABLATIONS.get(method, ({},))[:1], epochs=(sum(settings.epochs),)
    )
    with process_group(place):
        if method in ABLATIONS:
            chosen = settings if method == "regions" else at_once
            net, rows = train(images, chosen, folder, device, data, resume=resume)
        else:
            torch.manual_seed(settings.seed)
            net = to_device(init_weights(BASELINES[method](images.shape[-1])), place)
            learner = partial(_learner, net, images, at_once, folder)
            rows = run_stages(net, learner, at_once, folder, identity(at_once, data), resume)
        encoder = net.encoder.eval()
        from_first(partial(save_encoder, encoder, folder / "encoder.safetensors"))
    return encoder, rows


def _learner(
    net: torch.nn.Module,
    images: np.ndarray,
    settings: Settings,
    folder: Path,
    stage: int,
    rows: list[dict],
) -> Learner:
    return build_learner(
        _Pretext(net),
        image_batches(images, settings.pairs, settings.steps, share=own_share()),
        _Given(),
        [list(net.parameters())],
        [settings.rates[0]],
        [
            SeedEpoch(settings.seed, stage),
            MakeViews(settings.view_maker),
            LossLog(stage + 1, rows, folder / "log.csv"),
        ],
    )


def save_encoder(encoder: Encoder, path: Path, half: bool = False) -> None:
    """Writes an encoder's weights to a safetensors file, whole or not at all."""
    kept = {
        name: value.half() if half and value.is_floating_point() else value
        for name, value in encoder.state_dict().items()
    }
    save_tensors(kept, path, {})


def unlabelled_images(modality: str, data_dir: str, size: int) -> tuple[np.ndarray, str]:
    """The images that the encoders of the study are pretrained on, those of the long trainings,
    (N, S, S, C) uint8, and their fingerprint.

    Args:
        modality: "fundus" or "chest".
        data_dir: Folder of the datasets.
        size: Side S.
    """
    parts = [
        prepare(open_dataset(name, os.path.join(data_dir, folder), split), size)
        for name, split, folder in UNLABELLED[modality]
    ]
    return np.concatenate([part.images for part in parts]), joint_fingerprint(parts)


def pretraining_study(
    modality: str, method: str, seed: int, data_dir: str, tier: str = "study"
) -> Path:
    """Pretrains one encoder and keeps its record with the project. A run that was interrupted goes
    on from its last epoch; one that has ended is made again.

    Args:
        modality: "fundus" or "chest".
        method: As in `pretrain`.
        seed: Of the training.
        data_dir: Folder of the datasets.
        tier: As in `PretrainingSettings.for_tier`.

    Returns:
        Path of `encoder.safetensors`.
    """
    one_of(method, METHODS, "pretraining")
    settings = PretrainingSettings.for_tier(tier, modality, seed)
    folder = pretrained_folder(modality, method, seed, tier)
    run = Run(NAME, dict(pretraining=modality, method=method, tier=tier, seed=seed), str(folder))
    begin_anew_if_finished(folder)
    images, fingerprint = unlabelled_images(modality, data_dir, settings.image_size)
    encoder, rows = pretrain(method, images, settings, folder, data=fingerprint, resume=True)
    if not is_first():
        return folder / "encoder.safetensors"
    run.data(train=fingerprint)
    last = {name: round(value, 4) for name, value in rows[-1].items()}
    run.metrics(
        settings=json.loads(json.dumps(asdict(settings))),
        images=len(images),
        last_epoch=last,
        seconds=sum(row["seconds"] for row in rows),
    )
    run.keep(folder.name)
    return folder / "encoder.safetensors"


def pretrained_folder(modality: str, method: str, seed: int, tier: str = "study") -> Path:
    """Where `pretraining_study` puts an encoder."""
    return (
        runs_folder()
        / "records"
        / NAME
        / "_".join(["pretraining", modality, method, tier, str(seed)])
    )


def ship(tier: str = "study") -> Path:
    """Puts the baselines' encoders of seed 0 into the package, at half precision, with one card."""
    rows, used = [], {}
    for modality, collections in UNLABELLED.items():
        for method in BASELINES:
            folder = pretrained_folder(modality, method, 0, tier)
            encoder = load_weights(
                random_encoder(CHANNELS[modality]), folder / "encoder.safetensors"
            )
            save_encoder(encoder, shipped_file(modality, method), half=True)
            record = read_record(folder)
            settings, metrics = record["metrics"]["settings"], record["metrics"]
            steps = settings["steps"] * sum(settings["epochs"])
            rows.append(
                f"| {modality} | {method} | {metrics['images']} | {steps} | "
                f"{4 * settings['pairs']} of {settings['view_size']} px | "
                f"{metrics['seconds'] / 60:.0f} |"
            )
        used |= {source(name, folder): split for name, split, folder in collections}
    head = card_head("ldr_lib encoders", list(used), {})
    parts = "; ".join(f"{images.title}, {split} images" for images, split in used.items())
    card = f"""{head}
# Pretrained encoders

Weights of `ldr_lib.load_encoder(modality, method)`, the baselines of *ldr*, whose encoder is \
that of [representations.md](representations.md); trained without labels: {parts}.

| modality | method | images | steps | views a step | minutes on one core |
|---|---|---|---|---|---|
{chr(10).join(rows)}

- **Terms** {"; ".join(f"{images.title}: {images.terms}" for images in used)}.
- **Seed** 0; not chosen among seeds. Weights rounded to half precision.
- **Made by** `python -m ldr_lib pretrain MODALITY --method METHOD`.
- **Measured** on segmentation: figures/{NAME}.

For research and teaching, not for diagnosis.
"""
    with atomic_write(WEIGHTS / "encoders.md") as temporary:
        temporary.write_text(card, encoding="utf-8")
    return WEIGHTS / "encoders.md"
