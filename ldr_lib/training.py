"""The two stages of training as fastai Learners with small callbacks.

Shapes in comments: B pairs of source images (2B sources, 4B views, B mixed images), D embedding
dimensions, K clusters, G cells along each side of the patch grid, s pixels along a view's side.
"""

import csv
import json
import math
import time
import warnings
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from fastai.callback.core import Callback
from fastai.callback.progress import ProgressCallback
from fastai.callback.schedule import ParamScheduler
from fastai.data.core import DataLoaders
from fastai.learner import Learner, Recorder
from fastai.optimizer import OptimWrapper

from .checkpoint import Checkpoint, TrainingState, restore, restore_optimizer, save_model
from .data.batches import image_batches
from .data.errors import DataError
from .data.files import Progress, atomic_write
from .data.views import ViewMaker, Views
from .device import mixed_precision, pick_device, to_device
from .losses import (
    cluster_area,
    cluster_entropy,
    hypersphere_mixup,
    patch_discrimination,
    patch_grid,
    patch_rows,
    region_discrimination,
)
from .network import TwoBranchNet
from .tiers import BOTH_BRANCHES, PATCH_STAGE, TRAINING, values_for


class CollapseWarning(UserWarning):
    """The clusters are merging or most pixels go to one of them."""


@dataclass(frozen=True)
class Settings:
    """Everything that decides what a training run computes.

    Attributes:
        tier: Name of the tier that these values belong to, "custom" for values of one's own.
        image_size: Side in pixels to which `ldr_lib.prepare` brings the images.
        embedding_dim: Dimension D of the embedding space.
        n_clusters: Number K of clusters.
        pairs: B; a step sees 2B source images as 4B views and B mixed images.
        view_size: Side s of the views in pixels.
        crop_scale: Smallest and largest share of the image's side that a crop covers, in (0, 1].
        grid: Cells G along each side of the patch grid.
        stages: One dictionary of loss weights per stage; keys "patch", "mixup", "region",
            "entropy", "area".
        epochs: Epochs of each stage, as many numbers as stages.
        steps: Steps per epoch.
        learning_rate: Highest learning rate of Adam.
        schedule: "one_cycle", or "published": halved every 10 epochs.
        seed: Fixes the initial weights, the order of images and their views.

    Raises:
        ValueError: A value makes no sense; the message says which.

    Example:
        >>> Settings(n_clusters=8, steps=20).epochs
        (4, 4)

    Source: the defaults of size, clusters, pairs, grid, dimension and loss weights are those of
    Chen et al. 2021. Taught in notebook 02, section 6.
    """

    known_losses: ClassVar[tuple[str, ...]] = ("patch", "mixup", "region", "entropy", "area")

    tier: str = "custom"
    image_size: int = 512
    embedding_dim: int = 32
    n_clusters: int = 16
    pairs: int = 4
    view_size: int = 128
    crop_scale: tuple[float, float] = (0.9, 1.0)
    grid: int = 8
    stages: tuple[dict, ...] = (PATCH_STAGE, BOTH_BRANCHES)
    epochs: tuple[int, ...] = (4, 4)
    steps: int = 50
    learning_rate: float = 1e-3
    schedule: str = "one_cycle"
    seed: int = 0

    def __post_init__(self):
        if len(self.stages) != len(self.epochs):
            raise ValueError(
                f"{len(self.stages)} stages need as many numbers of epochs, not {self.epochs}"
            )
        if self.schedule not in ("one_cycle", "published"):
            raise ValueError(f'schedule must be "one_cycle" or "published", not {self.schedule!r}')
        for stage in self.stages:
            if unknown := set(stage) - set(self.known_losses):
                raise ValueError(
                    f"unknown loss {sorted(unknown)}; known are {sorted(self.known_losses)}"
                )
        for name in ("pairs", "view_size", "grid", "steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")

    @classmethod
    def for_tier(
        cls, tier: str = "class", modality: str = "fundus", seed: int = 0, **changes
    ) -> "Settings":
        """The settings of a tier.

        Args:
            tier: "smoke" (seconds, to test that everything runs), "class" (minutes on two cores) or
                "full" (the published schedule, for a GPU). The environment variable LDR_TIER
                overrides it.
            modality: "fundus" or "chest".
            seed: Fixes the initial weights, the order of images and their views.
            changes: Further attributes to set; None takes the tier's value.

        Returns:
            The settings, with the tier in force as `tier`.

        Raises:
            ValueError: Unknown tier or modality.

        Example:
            >>> Settings.for_tier("class", "fundus", seed=0, n_clusters=4).n_clusters
            4

        Taught in notebook 02, section 6.
        """
        values = values_for(TRAINING, modality, tier, "modality") | {"seed": seed}
        given = {name: value for name, value in changes.items() if value is not None}
        return cls(**values | given)


class LocalDiscrimination:
    """The weighted sum of the losses of one stage.

    Stage 1 as published: L_pd + L_mix. Stage 2: L_pd + L_mix + 10 L_ld + 0.1 L_ent.

    Args:
        weights: Loss name to weight; losses not named are not computed.
        grid: Cells G along each side of the patch grid.

    Attributes:
        terms: The unweighted terms of the last call, detached.

    Called with the network's outputs of `Views.stack()`, embeddings (5B, D, s, s) and assignments
    (4B, K, s, s) or None, and the `Views`; returns a scalar.

    Example:
        >>> views = ViewMaker(32)(torch.rand(4, 3, 48, 48))  # B = 2
        >>> embeddings, clusters = TwoBranchNet()(views.stack())
        >>> loss = LocalDiscrimination({"patch": 1.0, "region": 10.0})
        >>> loss((embeddings, views.unmixed(clusters)), views).ndim, sorted(loss.terms)
        (0, ['patch', 'region'])

    Source: Chen et al. 2021, stage losses of sections 3.2 and 3.3. Taught in notebook 02, section
    6.
    """

    def __init__(self, weights: dict[str, float], grid: int = 8):
        self.weights, self.grid, self.terms = weights, grid, {}

    def __call__(
        self, outputs: tuple[torch.Tensor, torch.Tensor | None], views: Views
    ) -> torch.Tensor:
        embeddings, clusters = outputs
        terms = {}
        if self.weights.keys() & {"patch", "mixup"}:
            grids = patch_grid(embeddings, self.grid)  # (5B, D, s, s) to (5B, D, G, G)
            first, second, mixed = views.split(grids)  # (2B, ...), (2B, ...), (B, ...)
            if "patch" in self.weights:
                anchors = patch_rows(first)  # (2B * G * G, D)
                positives = patch_rows(views.realign(second))  # same cells, same order
                terms["patch"] = patch_discrimination(anchors, positives)
            if "mixup" in self.weights:
                source_a, source_b = first.chunk(2)  # (B, D, G, G) each
                terms["mixup"] = hypersphere_mixup(mixed, source_a, source_b, views.lam)
        if clusters is not None:
            if "region" in self.weights:
                unmixed = views.unmixed(embeddings)  # (5B, D, s, s) to (4B, D, s, s)
                terms["region"] = region_discrimination(unmixed, clusters)
            if "entropy" in self.weights:
                terms["entropy"] = cluster_entropy(clusters)
            if "area" in self.weights:
                terms["area"] = cluster_area(clusters)
        self.terms = {name: value.detach() for name, value in terms.items()}
        return sum(self.weights[name] * value for name, value in terms.items())


class _StageNet(torch.nn.Module):
    """What a stage runs of the network: no clustering branch where no loss reads it, and never on
    mixed images.
    """

    def __init__(self, net: TwoBranchNet, clusters: bool):
        super().__init__()
        self.net, self.clusters = net, clusters

    def forward(self, views: Views) -> tuple[torch.Tensor, torch.Tensor | None]:
        x = views.stack()  # (5B, C, s, s)
        with mixed_precision(x.device):
            shared, size = self.net.shared_map(x), x.shape[-2:]  # (5B, 32, s', s')
            assignments = None
            if self.clusters:
                assignments = self.net.assignments(views.unmixed(shared), size)  # (4B, K, s, s)
            return self.net.embeddings(shared, size), assignments  # (5B, D, s, s)


class MakeViews(Callback):
    """Replaces the batch of source images by their views, on the device."""

    def __init__(self, make_views: ViewMaker):
        self.make_views = make_views

    def before_batch(self):
        images = self.xb[0].to(next(self.model.parameters()).device, non_blocking=True)
        views = self.make_views(images.permute(0, 3, 1, 2))  # (2B, S, S, C) to (2B, C, S, S)
        self.learn.xb, self.learn.yb = (views,), (views,)


class SeedEpoch(Callback):
    """Gives each epoch its own random numbers, so that a resumed epoch repeats the interrupted one
    exactly.
    """

    order = -100

    def __init__(self, seed: int, stage: int):
        self.seed, self.stage = seed, stage

    def before_epoch(self):
        torch.manual_seed(
            int(np.random.SeedSequence([self.seed, self.stage, self.epoch]).generate_state(1)[0])
        )


class LossLog(Callback):
    """Averages every loss term over an epoch, measures the cluster areas, and warns of a collapse.

    Args:
        stage: Number of the stage, from 1.
        rows: List that receives the rows.
        path: CSV file kept up to date with the rows, or None.
        watch: Whether to warn of a collapse.

    Attributes:
        rows: One dictionary per epoch: stage, epoch, each loss, smallest and largest cluster area,
            seconds.
    """

    def __init__(self, stage: int, rows: list[dict], path: Path | None = None, watch: bool = True):
        self.stage, self.rows, self.path, self.watch = stage, rows, path, watch

    def before_fit(self):
        self.progress = Progress(f"stage {self.stage}", self.n_epoch * len(self.dls.train))
        self.progress.done = sum(row["stage"] == self.stage for row in self.rows) * len(
            self.dls.train
        )

    def before_epoch(self):
        self.sums, self.areas, self.epoch_started = {}, [], time.perf_counter()

    def after_loss(self):
        if not torch.isfinite(self.loss):
            raise FloatingPointError(
                f"the loss became {self.loss.item()} in epoch {self.epoch}; lower the learning rate"
            )
        for name, value in self.loss_func.terms.items():
            self.sums[name] = self.sums.get(name, 0) + value
        if self.pred[1] is not None:
            self.areas.append(self.pred[1].detach().mean((0, 2, 3)))  # (4B, K, s, s) to (K,)

    def after_batch(self):
        self.progress.step()

    def after_train(self):
        row = {"stage": self.stage, "epoch": self.epoch}
        row |= {name: float(value) / len(self.dls.train) for name, value in self.sums.items()}
        if self.areas:
            areas = torch.stack(self.areas).mean(0)  # (steps, K) to (K,)
            row |= {"smallest_area": float(areas.min()), "largest_area": float(areas.max())}
            if self.watch:
                self._warn_of_collapse(row, len(areas))
        self.rows.append(row | {"seconds": round(time.perf_counter() - self.epoch_started, 2)})
        if self.path:
            write_log(self.rows, self.path)

    def _warn_of_collapse(self, row: dict, k: int):
        signs = []
        if row["largest_area"] > 0.9:
            signs.append(f"one cluster covers {row['largest_area']:.0%} of the pixels")
        if row["smallest_area"] < 0.01 / k:
            signs.append(f"the smallest cluster covers {row['smallest_area']:.2%} of the pixels")
        if self.epoch > 0 and row.get("region", 0) > 0.9 * math.log(k):
            signs.append(
                f"region loss {row['region']:.2f} is near ln K = {math.log(k):.2f}: "
                "all regions coincide"
            )
        if signs:
            warnings.warn(
                f"clusters may be collapsing in epoch {self.epoch}: {'; '.join(signs)}. "
                'Train stage 1 longer, or give the "area" loss a weight.',
                CollapseWarning,
                stacklevel=2,
            )

    def after_fit(self):
        self.progress.close(f"{self.n_epoch * len(self.dls.train)} steps")


class Snapshots(Callback):
    """Saves the network after every epoch as `after_<stage>_<epoch>.safetensors`, so that one can
    see how it changed.
    """

    def __init__(self, net: TwoBranchNet, folder: Path, stage: int):
        self.net, self.folder, self.stage = net, folder, stage

    def after_train(self):
        save_model(self.net, self.folder / f"after_{self.stage}_{self.epoch + 1:03d}.safetensors")


def write_log(rows: list[dict], path: Path) -> None:
    """Writes the rows of the log as CSV, a column for every name that any row has."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    with atomic_write(path) as temporary, open(temporary, "w", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)


def build_learner(
    model: torch.nn.Module,
    batches: Iterable,
    loss: Callable,
    groups: list[list[torch.nn.Parameter]],
    rates: list[float],
    callbacks: list[Callback],
) -> Learner:
    """A fastai Learner that trains with Adam and reports through our callbacks only.

    Args:
        model: What is called on each batch.
        batches: Loader of batches.
        loss: Called with the model's output and the batch.
        groups: Parameters of each group.
        rates: Highest learning rate of each group.
        callbacks: What else happens in a step.

    Returns:
        The Learner, without fastai's own recorder and progress bar.
    """
    device = next(model.parameters()).device
    learn = Learner(
        DataLoaders(batches, [], device=device),
        model,
        loss_func=loss,
        opt_func=_adam,
        splitter=lambda _: groups,
        lr=rates,
        cbs=callbacks,
    )
    learn.remove_cbs([Recorder, ProgressCallback])
    return learn


def _adam(groups: list, lr: list[float]) -> OptimWrapper:
    return OptimWrapper(groups, torch.optim.Adam, lr=lr[0])


def stage_learner(
    net: TwoBranchNet,
    images: np.ndarray,
    settings: Settings,
    stage: int = 0,
    rows: list | None = None,
    log: Path | None = None,
) -> Learner:
    """A fastai Learner for one stage.

    Train it with `fit` or `fit_one_cycle`, and add callbacks of your own.

    Args:
        net: The network, trained in place.
        images: (N, S, S, C) uint8 images.
        settings: Batch, views, losses and seed.
        stage: Which of `settings.stages`, from 0.
        rows: List that receives one dictionary per epoch; read it from `learn.loss_log.rows`.
        log: CSV file kept up to date with these rows.

    Returns:
        The Learner.

    Raises:
        DataError: The images do not fit the network.

    Example:
        >>> images = np.zeros((4, 48, 48, 3), np.uint8)
        >>> settings = Settings(n_clusters=4, pairs=2, view_size=32, steps=1)
        >>> learn = stage_learner(TwoBranchNet(n_clusters=4), images, settings, stage=1)
        >>> sorted(learn.loss_func.weights)
        ['entropy', 'mixup', 'patch', 'region']

    Source: Chen et al. 2021, section 3. Taught in notebook 02, section 6.
    """
    if images.shape[-1] != net.in_channels:
        raise DataError(
            f"the network takes {net.in_channels} channels and the images have {images.shape[-1]}; "
            f"build TwoBranchNet(in_channels={images.shape[-1]})"
        )
    device = next(net.parameters()).device
    weights = settings.stages[stage]
    on_gpu = device.type == "cuda"
    batches = image_batches(
        images, settings.pairs, settings.steps, workers=4 if on_gpu else 0, pin=on_gpu
    )
    callbacks = [
        SeedEpoch(settings.seed, stage),
        MakeViews(ViewMaker(settings.view_size, settings.crop_scale)),
        LossLog(stage + 1, [] if rows is None else rows, log),
    ]
    stage_net = _StageNet(net, clusters=bool(weights.keys() & {"region", "entropy", "area"}))
    loss = LocalDiscrimination(weights, settings.grid)
    return build_learner(
        stage_net, batches, loss, [list(net.parameters())], [settings.learning_rate], callbacks
    )


def train(
    images: np.ndarray,
    settings: Settings,
    folder: Path | str,
    device: str = "auto",
    data: str = "",
    start: TwoBranchNet | None = None,
    resume: bool = False,
    snapshots: bool = False,
) -> tuple[TwoBranchNet, list[dict]]:
    """Trains a network through all stages and saves it.

    Args:
        images: (N, S, S, C) uint8, in memory or memory-mapped.
        settings: What to compute.
        folder: Receives `model.safetensors`, `log.csv` and `checkpoint.safetensors`.
        device: As in `pick_device`.
        data: Fingerprint of the images; a checkpoint of other images is refused.
        start: Network whose weights the training starts from; it is not changed. None draws the
            weights from the seed.
        resume: Go on from the folder's checkpoint if there is one; the result is that of an
            uninterrupted run.
        snapshots: Keep the network after every epoch too, as `Snapshots` does.

    Returns:
        The network, and the rows of the log, one per epoch.

    Raises:
        DataError: Images, checkpoint or folder cannot be used; the message says why.

    Example:
        >>> import tempfile
        >>> images = np.random.default_rng(0).integers(0, 256, (4, 48, 48, 3), dtype=np.uint8)
        >>> settings = Settings(n_clusters=4, pairs=2, view_size=32, epochs=(1, 1), steps=1)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     net, log = train(images, settings, folder, device="cpu")
        >>> [row["stage"] for row in log], sorted(log[1].keys() - log[0].keys())
        ([1, 2], ['entropy', 'largest_area', 'region', 'smallest_area'])

    Source: Chen et al. 2021, section 3 (two stages). Taught in notebook 02, section 6.
    """
    folder, place = Path(folder), pick_device(device)
    image_batches(images, settings.pairs, 1)
    torch.manual_seed(settings.seed)
    net = TwoBranchNet(images.shape[-1], settings.embedding_dim, settings.n_clusters)
    if start is not None:
        net.load_state_dict(start.state_dict())
    net = to_device(net, place)

    def learner(stage: int, rows: list[dict]) -> Learner:
        learn = stage_learner(net, images, settings, stage, rows, folder / "log.csv")
        return learn.add_cb(Snapshots(net, folder, stage + 1)) if snapshots else learn

    rows = run_stages(net, learner, settings, folder, data, resume)
    save_model(net, folder / "model.safetensors")
    return net, rows


def run_stages(
    whole: torch.nn.Module,
    learner: Callable[[int, list], Learner],
    settings: Settings,
    folder: Path,
    data: str,
    resume: bool,
) -> list[dict]:
    """Trains through all stages with a checkpoint after every epoch.

    Args:
        whole: The module with everything that is trained; its state goes into the checkpoint.
        learner: Makes the Learner of a stage, given its number and the rows of the log so far.
        settings: What to compute.
        folder: Receives `checkpoint.safetensors`.
        data: Fingerprint of the images; a checkpoint of other images is refused.
        resume: Go on from the folder's checkpoint if there is one.

    Returns:
        The rows of the log.
    """
    checkpoint = folder / "checkpoint.safetensors"
    about = json.loads(json.dumps(asdict(settings) | {"data": data}))  # tuples become lists
    found = restore(checkpoint, about) if resume and checkpoint.exists() else TrainingState()
    if found.net:
        whole.load_state_dict(found.net)
    for stage in range(found.stage, len(settings.stages)):
        learn = learner(stage, found.rows)
        learn.add_cb(Checkpoint(whole, checkpoint, about, stage, found.rows))
        learn.create_opt()
        first_epoch = 0
        if stage == found.stage:
            first_epoch = found.next_epoch
            restore_optimizer(learn, found.optimizer)
        if first_epoch < settings.epochs[stage]:
            _fit(learn, settings, stage, first_epoch)
    return found.rows


def _fit(learn: Learner, settings: Settings, stage: int, first_epoch: int) -> None:
    n_epochs = settings.epochs[stage]
    if settings.schedule == "one_cycle":
        learn.fit_one_cycle(n_epochs, learn.lr, start_epoch=first_epoch)
    else:

        def halved(share: float) -> float:
            return settings.learning_rate * 0.5 ** (int(share * n_epochs + 1e-6) // 10)

        learn.fit(n_epochs, cbs=ParamScheduler({"lr": halved}), start_epoch=first_epoch)
