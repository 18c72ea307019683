"""Networks, their settings, files and trainings."""

from collections.abc import Callable
from pathlib import Path

import torch

import ldr_lib
from ldr_lib import Encoder, Settings, TwoBranchNet, save_model
from ldr_lib.tiers import PATCH_STAGE, TRAINING, values_for

from .inputs import SMALL, images, network


def calls(folder: Path) -> dict[str, tuple[Callable, dict]]:
    net = network()
    x = images()
    settings = Settings(**SMALL)
    return {
        "Encoder": (Encoder, dict(in_channels=3)),
        "TwoBranchNet": (TwoBranchNet, dict(in_channels=3, embedding_dim=4, n_clusters=3)),
        "net": (net, dict(x=torch.rand(1, 3, 32, 32))),
        "net.embed": (net.embed, dict(x=torch.rand(1, 3, 32, 32))),
        "Settings": (Settings, dict(SMALL)),
        "Settings.for_tier": (
            Settings.for_tier,
            dict(tier="class", modality="fundus", seed=0, steps=2),
        ),
        "values_for": (
            values_for,
            dict(table=TRAINING, key="fundus", tier="class", what="modality"),
        ),
        "load_model": (
            ldr_lib.load_model,
            dict(path=folder / "net.safetensors", device="cpu"),
        ),
        "save_model": (save_model, dict(net=net, path=folder / "again.safetensors")),
        "load_encoder": (
            ldr_lib.load_encoder,
            dict(modality="chest", method="ldr", device="cpu"),
        ),
        "load_representation": (
            ldr_lib.load_representation,
            dict(modality="fundus", device="cpu", step=10_000, way="embedding only"),
        ),
        "load_pretrained": (ldr_lib.load_pretrained, dict(name="chest", device="cpu")),
        "pick_device": (ldr_lib.pick_device, dict(name="cpu")),
        "to_device": (ldr_lib.to_device, dict(module=net, device=torch.device("cpu"))),
        "describe": (ldr_lib.describe, dict(device=torch.device("cpu"))),
        "train": (
            ldr_lib.train,
            dict(
                images=x,
                settings=Settings(**SMALL | dict(stages=(PATCH_STAGE,), epochs=(1,))),
                folder=folder / "train",
                device="cpu",
                start=None,
            ),
        ),
        "stage_learner": (
            ldr_lib.stage_learner,
            dict(net=network(), images=x, settings=settings, stage=0),
        ),
    }
