"""One stage of the training: its loss, what it runs of the network, and the fastai Learner of both.

Shapes in comments: B pairs of source images (2B sources, 4B views, B mixed images), D embedding
dimensions, K clusters, G cells along each side of the patch grid, s pixels along a view's side.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from fastai.callback.core import Callback
from fastai.callback.progress import ProgressCallback
from fastai.data.core import DataLoaders
from fastai.learner import Learner, Recorder
from fastai.optimizer import OptimWrapper

from .callbacks import AllProcesses, LossLog, MakeViews, SeedEpoch
from .data import checks
from .data.appearances import Appearances
from .data.batches import image_batches
from .data.cache import Prepared
from .data.errors import DataError
from .data.views import Views
from .device import mixed_precision
from .distributed import n_processes, own_share
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

CLUSTER_LOSSES = {"region", "entropy", "area", "prototype", "assignment"}
"""Losses that read the clustering branch."""


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
    images = checks.training_images(arrays_of(images, settings))
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


def arrays_of(
    images: np.ndarray | Appearances | Prepared, settings: Settings
) -> np.ndarray | Appearances:
    """The arrays that views are made of.

    Args:
        images: As in `ldr_lib.train`.
        settings: How many appearances the views are made of.

    Returns:
        Of prepared images what the settings ask for; all else as it is.
    """
    maker = settings.view_maker
    if not isinstance(images, Prepared):
        return images
    return images.appearances(maker.appearances, maker.field_of_view)


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
