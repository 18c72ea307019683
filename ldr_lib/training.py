"""The two stages of training as fastai Learners.

Shapes in comments: B pairs of source images (2B sources, 4B views, B mixed images), D embedding
dimensions, K clusters, G cells along each side of the patch grid, s pixels along a view's side.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from fastai.callback.core import Callback
from fastai.callback.progress import ProgressCallback
from fastai.callback.schedule import ParamScheduler
from fastai.data.core import DataLoaders
from fastai.learner import Learner, Recorder
from fastai.optimizer import OptimWrapper

from .callbacks import (
    AllProcesses,
    LossLog,
    MakeViews,
    SeedEpoch,
    Snapshots,
    StepSnapshots,
    StopAfter,
)
from .checkpoint import (
    Checkpoint,
    TrainingState,
    begin_anew,
    identity,
    put_back,
    restore,
    restore_optimizer,
    save_model,
)
from .data import checks
from .data.appearances import Appearances
from .data.batches import image_batches
from .data.cache import Prepared
from .data.checksums import array_fingerprint
from .data.errors import DataError
from .data.views import Views
from .device import mixed_precision, pick_device, require_memory, to_device
from .distributed import from_first, is_first, n_processes, own_share, process_group
from .k_means_start import ClustersAlone, NearestCentre, k_means_centres
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
from .prototypes import (
    balanced_assignment,
    cluster_prediction,
    cluster_prototypes,
    prototype_discrimination,
)
from .settings import Settings


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
        if self.weights.keys() & {"patch", "mixup", "prototype", "assignment"}:
            grids = patch_grid(embeddings, self.grid)  # (5B, D, s, s) to (5B, D, G, G)
            first, second, mixed = views.split(grids)  # (2B, ...), (2B, ...), (B, ...)
            anchors = patch_rows(first)  # (2B * G * G, D)
            positives = patch_rows(views.realign(second))  # same cells, same order
            inside = views.cells_inside(self.grid)  # (2B, G, G)
            if "patch" in self.weights:
                terms["patch"] = patch_discrimination(anchors, positives, counted=inside.flatten())
            if "mixup" in self.weights:
                source_a, source_b = first.chunk(2)  # (B, D, G, G) each
                inside_a, inside_b = inside.chunk(2)  # (B, G, G) each
                terms["mixup"] = hypersphere_mixup(
                    mixed, source_a, source_b, views.lam, counted=inside_a & inside_b
                )
        if clusters is not None:
            unmixed = views.unmixed(embeddings)  # (5B, D, s, s) to (4B, D, s, s)
            if "region" in self.weights:
                terms["region"] = region_discrimination(unmixed, clusters * views.inside)
            if "entropy" in self.weights:
                terms["entropy"] = cluster_entropy(clusters, views.inside)
            if "area" in self.weights:
                terms["area"] = cluster_area(clusters, views.inside)
            if self.weights.keys() & {"prototype", "assignment"}:
                prototypes = cluster_prototypes(unmixed, clusters * views.inside)  # (K, D)
                terms |= self._prototypes(clusters, views, prototypes, anchors, positives, inside)
        self.terms = {name: value.detach() for name, value in terms.items()}
        return sum(self.weights[name] * value for name, value in terms.items())

    def _prototypes(
        self,
        clusters: torch.Tensor,
        views: Views,
        prototypes: torch.Tensor,
        anchors: torch.Tensor,
        positives: torch.Tensor,
        inside: torch.Tensor,
    ) -> dict[str, torch.Tensor]:
        """The terms of prototypes: each patch of one view learns what the other is assigned to."""
        similarity = torch.cat([anchors, positives]) @ prototypes.T  # (4B * G * G, K)
        assigned = balanced_assignment(similarity, counted=inside.repeat(2, 1, 1).flatten())
        terms = {}
        if "prototype" in self.weights:
            terms["prototype"] = prototype_discrimination(anchors, positives, prototypes, assigned)
        if "assignment" in self.weights:
            cells = F.adaptive_avg_pool2d(clusters, self.grid)  # (4B, K, s, s) to (4B, K, G, G)
            first, second = cells.chunk(2)  # (2B, K, G, G) each
            rows = patch_rows(first), patch_rows(views.realign(second))  # (2B * G * G, K) each
            terms["assignment"] = cluster_prediction(*rows, assigned)
        return terms


WARM_UP = 50
"""Steps of a flat schedule in which the learning rate rises."""
CLUSTER_LOSSES = {"region", "entropy", "area", "prototype", "assignment"}
"""Losses that read the clustering branch."""


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
    if n_processes() > 1:
        callbacks = [AllProcesses(), *callbacks]
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
    images: np.ndarray | Appearances | Prepared,
    settings: Settings,
    stage: int = 0,
    rows: list | None = None,
    log: Path | None = None,
) -> Learner:
    """A fastai Learner for one stage.

    Train it with `fit` or `fit_one_cycle`, and add callbacks of your own.

    Args:
        net: The network, trained in place.
        images: As in `train`.
        settings: Batch, views, losses and seed.
        stage: Which of `settings.stages`, from 0.
        rows: List that receives one dictionary per epoch; read it from `learn.loss_log.rows`.
        log: CSV file kept up to date with these rows.

    Returns:
        The Learner.

    Raises:
        DataError: The images cannot be trained on, or do not fit the network.
        ValueError: No network, no settings, no such stage, or a stage without a loss of these.

    Example:
        >>> images = np.zeros((4, 48, 48, 3), np.uint8)
        >>> settings = Settings(n_clusters=4, pairs=2, view_size=32, steps=1)
        >>> learn = stage_learner(TwoBranchNet(n_clusters=4), images, settings, stage=1)
        >>> sorted(learn.loss_func.weights)
        ['entropy', 'mixup', 'patch', 'region']

    Source: Chen et al. 2021, section 3. Taught in notebook 02, section 6.
    """
    checks.instance(net, TwoBranchNet, "net", "a TwoBranchNet")
    checks.instance(settings, Settings, "settings", "Settings")
    images = checks.training_images(_arrays(images, settings))
    channels = channels_of(images, settings)
    if channels != net.in_channels:
        raise DataError(
            f"the network takes {net.in_channels} channels and the images have {channels}; "
            f"build TwoBranchNet(in_channels={channels})"
        )
    device = next(net.parameters()).device
    weights = settings.stages[checks.whole(stage, "stage", 0, len(settings.stages) - 1)]
    if not weights or weights.keys() - set(Settings.known_losses):
        raise ValueError(
            f"stage {stage} must name losses of {', '.join(Settings.known_losses)}, and names "
            f"{', '.join(weights) or 'none'}"
        )
    on_gpu = device.type == "cuda"
    batches = image_batches(
        images,
        settings.pairs,
        settings.steps,
        workers=4 if on_gpu else 0,
        pin=on_gpu,
        share=own_share(),
    )
    callbacks = [
        SeedEpoch(settings.seed, stage),
        MakeViews(settings.view_maker),
        LossLog(stage + 1, [] if rows is None else rows, log),
    ]
    if "k_means" in weights:
        stage_net, trained = ClustersAlone(net), net.clustering_branch
        loss = NearestCentre(k_means_centres(net, images, settings), weights["k_means"])
    else:
        stage_net = _StageNet(net, clusters=bool(weights.keys() & CLUSTER_LOSSES))
        trained, loss = net, LocalDiscrimination(weights, settings.grid)
    return build_learner(
        stage_net, batches, loss, [list(trained.parameters())], [settings.rates[stage]], callbacks
    )


def _arrays(
    images: np.ndarray | Appearances | Prepared, settings: Settings
) -> np.ndarray | Appearances:
    """Of prepared images what the settings' views are made of."""
    maker = settings.view_maker
    if not isinstance(images, Prepared):
        return images
    return images.appearances(maker.appearances, maker.field_of_view)


def train(
    images: np.ndarray | Appearances | Prepared,
    settings: Settings,
    folder: Path | str,
    device: str = "auto",
    data: str = "",
    start: TwoBranchNet | None = None,
    resume: bool = False,
    snapshots: bool | Sequence[int] = False,
    until: int | None = None,
) -> tuple[TwoBranchNet, list[dict]]:
    """Trains a network through all stages and saves it. Processes started by torchrun do it
    together (see `ldr_lib.distributed`); the first one writes.

    Args:
        images: What `ldr_lib.prepare` returned; or (N, S, S, C) uint8, in memory or memory-mapped,
            or floats in [0, 1]. Where the settings ask for several appearances, an array has all of
            them along its channels.
        settings: What to compute.
        folder: Receives `model.safetensors`, `log.csv` and `checkpoint.safetensors`.
        device: As in `pick_device`.
        data: Fingerprint of the images, "" for that of prepared ones or to compute it; a checkpoint
            of other images is refused.
        start: Network whose weights the training starts from; it is not changed. None draws the
            weights from the seed.
        resume: Go on from the folder's checkpoint if there is one; the result is that of an
            uninterrupted run. Without, an earlier checkpoint and snapshots are removed.
        snapshots: True keeps the network after every epoch too, as `Snapshots` does; numbers of
            steps, counted through all stages, keep it at the ends of epochs that lie there, as
            `StepSnapshots` does.
        until: Number of steps, counted through all stages, after which the training stops, at the
            end of an epoch; with `resume` it goes on from there another time. None trains to the
            end.

    Returns:
        The network, and the rows of the log, one per epoch.

    Raises:
        DataError: Images, checkpoint or folder cannot be used; the message says why.
        ValueError: The processes cannot share the pairs equally, a step needs more memory than
            there is, `start` has other sizes, or an argument makes no sense.

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
    checks.instance(settings, Settings, "settings", "Settings")
    folder, place = checks.path(folder, "folder"), pick_device(device)
    if until is not None:
        until = checks.whole(until, "until", 1)
    data = data or getattr(images, "fingerprint", "")
    images = checks.training_images(_arrays(images, settings))
    net = to_device(new_network(images, settings, start), place)
    about = identity(settings, data or array_fingerprint(images), start)

    def learner(stage: int, rows: list[dict]) -> Learner:
        learn = stage_learner(net, images, settings, stage, rows, folder / "log.csv")
        if snapshots is True:
            return learn.add_cb(Snapshots(net, folder, stage + 1))
        if snapshots:
            done = settings.steps_before(stage)
            return learn.add_cb(StepSnapshots(net, folder, snapshots, done))
        return learn

    with process_group(place):
        rows = run_stages(net, learner, settings, folder, about, resume, until)
        from_first(partial(save_model, net, folder / "model.safetensors", about))
    return net, rows


def channels_of(images: np.ndarray, settings: Settings) -> int:
    """Channels of a view of these images.

    Raises:
        DataError: The images' channels are not what the settings' views are made of.
    """
    maker = settings.view_maker
    try:
        return maker.channels_of(images.shape[-1])
    except ValueError as error:
        raise DataError(
            f"{error}; prepared images give them by "
            f".appearances({maker.appearances}, field_of_view={maker.field_of_view})"
        ) from error


def new_network(images: np.ndarray, settings: Settings, start: TwoBranchNet | None) -> TwoBranchNet:
    """The network with which a training begins. Sets torch's seed.

    Args:
        images: (N, S, S, C), for the number of channels.
        settings: Sizes and seed.
        start: Network whose weights it gets; None draws them from the seed.

    Raises:
        ValueError: `start` is no network of these sizes.
    """
    torch.manual_seed(settings.seed)
    channels = channels_of(images, settings)
    net = TwoBranchNet(channels, settings.embedding_dim, settings.n_clusters)
    if start is not None:
        checks.instance(start, TwoBranchNet, "start", "a TwoBranchNet or None")
        for name in ("in_channels", "embedding_dim", "n_clusters"):
            its, needed = getattr(start, name), getattr(net, name)
            if its != needed:
                raise ValueError(f"start has {name}={its} and the training needs {name}={needed}")
        net.load_state_dict(start.state_dict())
    return net


def run_stages(
    whole: torch.nn.Module,
    learner: Callable[[int, list], Learner],
    settings: Settings,
    folder: Path,
    about: dict,
    resume: bool,
    until: int | None = None,
) -> list[dict]:
    """Trains through all stages with a checkpoint after every epoch.

    Args:
        whole: The module with everything that is trained; its state goes into the checkpoint.
        learner: Makes the Learner of a stage, given its number and the rows of the log so far.
        settings: What to compute.
        folder: Receives `checkpoint.safetensors`.
        about: As in `identity`; a checkpoint of another run is refused.
        resume: Go on from the folder's checkpoint if there is one. Without, it is removed.
        until: As in `train`.

    Returns:
        The rows of the log.

    Raises:
        ValueError: A step needs more memory than there is.
    """
    require_memory(settings.step_bytes // n_processes(), next(whole.parameters()).device)
    checkpoint = folder / "checkpoint.safetensors"

    def reached() -> TrainingState:
        if resume and checkpoint.exists():
            return restore(checkpoint, about)
        begin_anew(folder)
        return TrainingState()

    found = from_first(reached)
    put_back(found, whole, checkpoint)
    for stage in range(found.stage, len(settings.stages)):
        learn = learner(stage, found.rows)
        if is_first():
            learn.add_cb(Checkpoint(whole, checkpoint, about, stage, found.rows))
        learn.create_opt()
        first_epoch = 0
        if stage == found.stage:
            first_epoch = found.next_epoch
            restore_optimizer(learn, found.optimizer)
        last_epoch = settings.epochs[stage]
        if until is not None:
            left = until - settings.steps_before(stage)
            last_epoch = min(last_epoch, math.ceil(left / settings.steps))
        if first_epoch < last_epoch:
            learn.add_cb(StopAfter(last_epoch))
            _fit(learn, settings, stage, first_epoch)
        if last_epoch < settings.epochs[stage]:
            break
    return found.rows


def _fit(learn: Learner, settings: Settings, stage: int, first_epoch: int) -> None:
    n_epochs = settings.epochs[stage]
    if settings.schedule == "one_cycle":
        learn.fit_one_cycle(n_epochs, learn.lr, start_epoch=first_epoch)
        return

    def halved(share: float) -> float:
        return settings.rates[stage] * 0.5 ** (int(share * n_epochs + 1e-6) // 10)

    def flat(share: float) -> float:
        return settings.rates[stage] * min(1.0, (share * n_epochs * settings.steps + 1) / WARM_UP)

    rate = {"published": halved, "flat": flat}[settings.schedule]
    learn.fit(n_epochs, cbs=ParamScheduler({"lr": rate}), start_epoch=first_epoch)
