"""Datasets, images, views and pairs."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

import ldr_lib
from ldr_lib import ViewMaker
from ldr_lib.data import augment, batches, crop
from ldr_lib.data.simulate import Sample

from .inputs import N, S, images, mask, pairs_of, photograph


def calls(folder: Path) -> dict[str, tuple[Callable, dict]]:
    x = images()
    y = images(1)
    inside = np.ones((N, S, S), bool)
    truth = np.stack([mask()] * N)
    soft = torch.rand(2, 1, 8, 8)
    grey = Sample(y[0, ..., 0], {"heart": mask()}, "one")
    return {
        "ViewMaker": (
            ViewMaker,
            dict(size=32, scale=(0.5, 1.0), rotation=180.0, wobble=2.0, colour=0.4, grey=0.2),
        ),
        "views": (
            ViewMaker(32, (0.5, 1.0)),
            dict(images=torch.from_numpy(x).permute(0, 3, 1, 2)),
        ),
        "open_dataset": (
            ldr_lib.open_dataset,
            dict(name="folder", data_dir=folder, split="all"),
        ),
        "read_image": (ldr_lib.read_image, dict(path=folder / "image.png")),
        "prepare": (
            ldr_lib.prepare,
            dict(
                dataset=ldr_lib.open_dataset("folder", folder / "masks", "all"),
                size=32,
                cache=folder / "cache",
            ),
        ),
        "image_batches": (batches.image_batches, dict(images=x, pairs=1, steps=1)),
        "field_of_view": (crop.field_of_view, dict(image=photograph(), threshold=20)),
        "local_normalize": (crop.local_normalize, dict(image=x[0], inside=mask())),
        "prepare_sample": (crop.prepare_sample, dict(sample=grey, size=32, modality="chest")),
        "colour_statistics": (augment.colour_statistics, dict(images=x, inside=inside)),
        "standardise": (augment.standardise, dict(images=x, inside=inside)),
        "blur": (augment.blur, dict(x=soft, sigma=1.0)),
        "crops": (
            augment.crops,
            dict(arrays=[soft], size=16, scale=(0.5, 1.0), turn=True, mirror=True, bend=0.0),
        ),
        "LabelledPairs": (
            augment.LabelledPairs,
            dict(
                images=x,
                targets=truth[:, None],
                inside=inside,
                size=32,
                scale=(0.5, 1.0),
                turn=True,
            ),
        ),
        "pairs": (pairs_of(), dict(n=2, device="cpu")),
        "ViewMaker.channels_of": (ViewMaker().channels_of, dict(channels=3)),
    }
