"""Pretraining of encoders for transfer: local discrimination, its ablations and its rivals, on the same images and steps.

`python -m ldr_lib.pretraining fundus --method ldr --seed 0` trains one, goes on where it was interrupted, and keeps its record
with the project; `python -m ldr_lib.pretraining ship` puts the encoders of seed 0 into the package.
"""

import argparse
import json
import os
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from fastai.callback.progress import ProgressCallback
from fastai.data.core import DataLoaders
from fastai.learner import Learner, Recorder
from fastai.optimizer import OptimWrapper
from safetensors.torch import save_file

from .baselines import BASELINES
from .checkpoint import load_model, save_model
from .data.batches import image_batches
from .data.datasets import DATASETS, open_dataset
from .data.files import DataError, written_whole
from .data.prepare import joint_fingerprint, prepare
from .data.views import ViewMaker, Views
from .device import mixed_precision, pick_device, to_device
from .encoders import CHANNELS, SHIPPED, WEIGHTS, random_encoder, shipped_file, start_from
from .network import Encoder, draw_weights
from .places import runs_folder
from .runs import Run
from .training import PATCH_STAGE, SHORT_BOTH_BRANCHES, LossLog, MakeViews, SeedEpoch, Settings, run_stages, train

NAME = "05_downstream_transfer"
UNLABELLED = {"fundus": (("chase_db1", "train"), ("hrf", "all"), ("drions", "train")), "chest": (("kermany", "all"),)}
ABLATIONS = {"patch": ({"patch": 1.0},), "patch_mixup": (PATCH_STAGE,), "ldr": (PATCH_STAGE, SHORT_BOTH_BRANCHES)}
METHODS = (*ABLATIONS, *BASELINES, "simulated", "whole")


def pretraining_plan(modality: str, tier: str, seed: int) -> tuple[int, Settings]:
    """Side of the prepared images and settings of a pretraining.

    Args:
        modality: "fundus" (crops of many sizes: vessels and discs are to profit) or "chest" (larger parts of the X-ray).
        tier: "smoke", "class" (minutes), "study" (behind the shipped encoders) or "full" (published number of steps, GPU).
        seed: Of the training.

    Raises:
        DataError: Unknown modality or tier.
    """
    if modality not in UNLABELLED:
        raise DataError(f'no pretraining for "{modality}"; there are {", ".join(UNLABELLED)}')
    size, scale = {"fundus": (256, (0.35, 1.0)), "chest": (192, (0.5, 1.0))}[modality]
    settings = Settings(n_clusters=16, pairs=4, view_size=128, crop_scale=scale, stages=ABLATIONS["ldr"], learning_rate=3e-3, seed=seed)
    if tier == "smoke":
        return 64, replace(settings, pairs=2, view_size=32, epochs=(1, 1), steps=2)
    if tier == "class":
        return size // 2, replace(settings, view_size=64, epochs=(2, 2), steps=40)
    if tier == "study":
        return size, replace(settings, epochs=(7, 7), steps=50)
    if tier == "full":
        return 2 * size, replace(settings, view_size=256, epochs=(20, 80), steps=1000, learning_rate=1e-3, schedule="published")
    raise DataError(f'unknown tier "{tier}"; known are smoke, class, study and full')


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
    method: str, images: np.ndarray, settings: Settings, folder: Path | str, device: str = "auto", data: str = "", resume: bool = False
) -> tuple[Encoder, list[dict]]:
    """Trains an encoder without labels and saves it; every method sees as many batches of the same views.

    Args:
        method: "ldr" (both stages of local discrimination), "patch" or "patch_mixup" (the embedding branch with these losses,
            over the steps of both stages), "instance", "dense" or "autoencoder" as in `ldr_lib.baselines`.
        images: (N, S, S, C) uint8.
        settings: Of local discrimination; the others take batch, views, number of steps, learning rate and seed from it.
        folder: Receives `encoder.safetensors`, `log.csv` and `checkpoint.safetensors`.
        device: As in `pick_device`.
        data: Fingerprint of the images; a checkpoint of other images is refused.
        resume: Go on from the folder's checkpoint if there is one.

    Returns:
        The encoder in evaluation mode, and the rows of the log.

    Raises:
        DataError: Unknown method, or images, checkpoint or folder cannot be used.

    Taught in notebook 05, section 3.
    """
    if method not in (*ABLATIONS, *BASELINES):
        raise DataError(f'unknown pretraining "{method}"; known are {", ".join((*ABLATIONS, *BASELINES))}')
    folder = Path(folder)
    at_once = replace(settings, stages=ABLATIONS.get(method, ({},))[:1], epochs=(sum(settings.epochs),))
    if method in ABLATIONS:
        chosen = settings if method == "ldr" else at_once
        net, rows = train(images, chosen, folder, device, f"{method}: {data}", resume=resume)
    else:
        torch.manual_seed(settings.seed)
        net = to_device(draw_weights(BASELINES[method](images.shape[-1])), pick_device(device))
        learner = partial(_learner, net, images, at_once, folder)
        rows = run_stages(net, learner, at_once, folder, f"{method}: {data}", resume)
    encoder = net.encoder.eval()
    save_encoder(encoder, folder / "encoder.safetensors")
    return encoder, rows


def _learner(net: torch.nn.Module, images: np.ndarray, settings: Settings, folder: Path, stage: int, rows: list[dict]) -> Learner:
    device = next(net.parameters()).device
    learn = Learner(
        DataLoaders(image_batches(images, settings.pairs, settings.steps), [], device=device),
        _Pretext(net),
        loss_func=_Given(),
        opt_func=partial(OptimWrapper, opt=torch.optim.Adam),
        lr=settings.learning_rate,
        cbs=[
            SeedEpoch(settings.seed, stage),
            MakeViews(ViewMaker(settings.view_size, settings.crop_scale)),
            LossLog(stage + 1, rows, folder / "log.csv"),
        ],
    )
    learn.remove_cbs([Recorder, ProgressCallback])
    return learn


def save_encoder(encoder: Encoder, path: Path, half: bool = False) -> None:
    """Writes an encoder's weights to a safetensors file, whole or not at all."""
    kept = {name: value.detach().cpu().contiguous() for name, value in encoder.state_dict().items()}
    with written_whole(path) as temporary:
        save_file({name: value.half() if half and value.is_floating_point() else value for name, value in kept.items()}, temporary)


def unlabelled_images(modality: str, data_dir: str, size: int, simulated: bool = False) -> tuple[np.ndarray, str]:
    """The images that the encoders of the study are pretrained on, (N, S, S, C) uint8, and their fingerprint.

    Args:
        modality: "fundus" or "chest".
        data_dir: Folder of the datasets.
        size: Side S.
        simulated: Take simulated images instead of real ones.
    """
    sets = ((f"simulated_{modality}", "train"),) if simulated else UNLABELLED[modality]
    parts = [prepare(open_dataset(name, data_dir, split), size) for name, split in sets]
    return np.concatenate([part.images for part in parts]), joint_fingerprint(parts)


def study(modality: str, method: str, seed: int, data_dir: str, tier: str = "study") -> Path:
    """Pretrains one encoder, or goes on with it, and keeps its record with the project.

    Args:
        modality: "fundus" or "chest".
        method: As in `pretrain`, or "simulated": "ldr" on simulated images, or "whole": "ldr" on (almost) whole images.
        seed: Of the training.
        data_dir: Folder of the datasets.
        tier: As in `pretraining_plan`.

    Returns:
        Path of `encoder.safetensors`.
    """
    size, settings = pretraining_plan(modality, tier, seed)
    if method == "whole":
        settings = replace(settings, crop_scale=(0.9, 1.0))
    folder = pretrained_folder(modality, method, seed, tier)
    run = Run(NAME, dict(pretraining=modality, method=method, tier=tier, seed=seed), str(folder))
    images, fingerprint = unlabelled_images(modality, data_dir, size, method == "simulated")
    encoder, rows = pretrain("ldr" if method in ("simulated", "whole") else method, images, settings, folder, data=fingerprint, resume=True)
    run.data(train=fingerprint)
    last = {name: round(value, 4) for name, value in rows[-1].items()}
    run.metrics(settings=json.loads(json.dumps(asdict(settings))), images=len(images), last_epoch=last, seconds=sum(row["seconds"] for row in rows))
    run.keep(folder.name)
    return folder / "encoder.safetensors"


def pretrained_folder(modality: str, method: str, seed: int, tier: str = "study") -> Path:
    """Where `study` puts an encoder."""
    return runs_folder() / "records" / NAME / "_".join(["pretraining", modality, method, tier, str(seed)])


def ship(tier: str = "study") -> Path:
    """Puts the encoders of seed 0 into the package, at half precision, with one card."""
    rows = []
    for modality in UNLABELLED:
        for method in SHIPPED:
            folder = pretrained_folder(modality, method, 0, tier)
            encoder = start_from(random_encoder(CHANNELS[modality]), folder / "encoder.safetensors")
            if method == "ldr":
                save_model(load_model(folder / "model.safetensors", "cpu").half(), shipped_file(modality, method))
            else:
                save_encoder(encoder, shipped_file(modality, method), half=True)
            record = json.loads((folder / "record.json").read_text())
            settings, metrics = record["metrics"]["settings"], record["metrics"]
            steps = settings["steps"] * sum(settings["epochs"])
            rows.append(f"| {modality} | {method} | {metrics['images']} | {steps} | {5 * settings['pairs']} of {settings['view_size']} px | {metrics['seconds'] / 60:.0f} |")
    sets = {name: DATASETS[name] for parts in UNLABELLED.values() for name, _ in parts}
    used = "; ".join(f"{kind.title}, {split} images" for parts in UNLABELLED.values() for kind, split in [(sets[n], s) for n, s in parts])
    card = f"""# Pretrained encoders

Weights of `ldr_lib.load_encoder(modality, method)`, and for the method ldr of the whole two-branch network,
`ldr_lib.load_representation(modality)`; trained without labels: {used}.

| modality | method | images | steps | views a step | minutes on one core |
|---|---|---|---|---|---|
{chr(10).join(rows)}

- **Terms** {"; ".join(f"{kind.title}: {kind.terms}" for kind in sets.values())}.
- **Seed** 0; not chosen among seeds. Weights rounded to half precision.
- **Made by** `python -m ldr_lib.pretraining MODALITY --method METHOD`; measured on segmentation: figures/{NAME}.

For research and teaching, not for diagnosis.
"""
    with written_whole(WEIGHTS / "encoders.md") as temporary:
        temporary.write_text(card)
    return WEIGHTS / "encoders.md"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=[*UNLABELLED, "ship"])
    parser.add_argument("--method", default="ldr", choices=METHODS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tier", default="study", help="smoke, class, study or full")
    parser.add_argument("--data-dir", default=os.environ.get("LDR_DATA", ""))
    chosen = parser.parse_args()
    try:
        if chosen.what == "ship":
            print(ship(chosen.tier))
        else:
            print(study(chosen.what, chosen.method, chosen.seed, chosen.data_dir, chosen.tier))
    except DataError as error:
        parser.exit(2, f"{error}\n")


if __name__ == "__main__":
    main()
