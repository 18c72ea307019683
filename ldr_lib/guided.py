"""Training a two-branch network whose first clusters are guided by topological priors."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from fastai.callback.core import Callback
from fastai.callback.progress import ProgressCallback
from fastai.data.core import DataLoaders
from fastai.learner import Learner, Recorder
from fastai.optimizer import OptimWrapper

from .adversary import Discriminator, adversarial_losses
from .checkpoint import save_model
from .data.batches import image_batches
from .data.files import DataError
from .data.views import ViewMaker, Views
from .device import mixed_precision, pick_device, to_device
from .guide import Guide
from .network import TwoBranchNet
from .rendering import Pairs
from .training import BOTH_BRANCHES, PATCH_STAGE, LocalDiscrimination, LossLog, SeedEpoch, Settings, run_stages

_GENTLE = {"guided": 1.0, "region": 0.1, "entropy": 0.01}
METHODS = {
    "adversarial": (PATCH_STAGE, BOTH_BRANCHES | {"adversary": 1.0}),
    "rendered": ({"guided": 1.0}, _GENTLE),
    "combined": ({"guided": 1.0}, _GENTLE | {"adversary": 0.01, "agree": 0.1}),
}


@dataclass(frozen=True)
class GuidedSettings(Settings):
    """`Settings` of a guided training; its stages may also name the losses "guided", "adversary" and "agree".

    Attributes:
        rendered: Rendered images a step.
        later_rate: Learning rate of the later stages as a share of `learning_rate`: they refine.
        upright: Views of real images keep their upper side above, give or take 10 degrees.
    """

    known_losses: ClassVar[tuple[str, ...]] = (*Settings.known_losses, "guided", "adversary", "agree")

    rendered: int = 12
    later_rate: float = 0.3
    upright: bool = False


def method_stages(method: str) -> tuple[dict, dict]:
    """Loss weights of the two stages of a way of guiding.

    Args:
        method: "adversarial", the published one: a discriminator judges the guided clusters. "rendered": pairs that were
            drawn supervise them while region discrimination runs on real images. "combined": after a rendered start
            region discrimination, the discriminator and agreement of confident pixels between views, all on real images.

    Raises:
        DataError: Unknown method.

    Source: the first, Chen et al. 2021, section 3.4; the others are ours. Taught in notebook 04, sections 2 to 4.
    """
    if method not in METHODS:
        raise DataError(f'unknown method "{method}"; known are {", ".join(METHODS)}')
    return METHODS[method]


def guided_loss(maps: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Cross-entropy plus soft Dice of the structure maps against the masks that the images were drawn from.

    Args:
        maps: (B, n, H, W) structure maps in [0, 1].
        targets: (B, n, H, W) masks in [0, 1].

    Returns:
        Scalar.

    Taught in notebook 04, section 3.
    """
    p, t = maps.float().clamp(1e-5, 1 - 1e-5), targets
    over_images = lambda x: x.sum((0, 2, 3))
    overlap = (2 * over_images(p * t) + 1) / (over_images(p) + over_images(t) + 1)
    return F.binary_cross_entropy(p, t) + (1 - overlap).mean()


def agreement_loss(first: torch.Tensor, second: torch.Tensor, confident: float = 0.8) -> torch.Tensor:
    """Asks of the second view what the network is sure of in the first.

    Args:
        first: (B, n, H, W) structure maps of the first views; taken as they are, without gradient.
        second: (B, n, H, W) those of the second views, turned back.
        confident: Pixels of the first above this value, or below one minus it, count.

    Returns:
        Scalar: cross-entropy over confident pixels, those inside and those outside structures weighing alike.

    Source: the refinement stage of the extension (Chen et al. 2021b), simplified. Taught in notebook 04, section 4.
    """
    teacher, p = first.detach(), second.float().clamp(1e-5, 1 - 1e-5)
    mean_over = lambda loss, where: (loss * where).sum() / where.sum().clamp(min=1)
    return (mean_over(-p.log(), teacher > confident) + mean_over(-(1 - p).log(), teacher < 1 - confident)) / 2


@dataclass
class GuidedBatch:
    """What a step sees: views of real images, where a loss asks for them, and rendered images."""

    views: Views | None
    pairs: Pairs

    def stack(self, rendered: bool) -> torch.Tensor:
        """All images in one batch, views first, so that both share the statistics of BatchNorm."""
        images = [] if self.views is None else [self.views.stack()]
        images += [self.pairs.images] if rendered else []
        return torch.cat(images).contiguous(memory_format=torch.channels_last)


class GuidedDiscrimination(LocalDiscrimination):
    """`LocalDiscrimination` on real views plus the losses of the guided clusters.

    Args:
        weights: Loss name to weight.
        grid: Cells along each side of the patch grid.
        guide: Which clusters are guided.
        discriminator: Judges the structure maps.

    Taught in notebook 04, section 4.
    """

    def __init__(self, weights: dict[str, float], grid: int, guide: Guide, discriminator: Discriminator):
        super().__init__(weights, grid)
        self.guide, self.discriminator = guide, discriminator

    def __call__(self, outputs: tuple[torch.Tensor | None, torch.Tensor], batch: GuidedBatch) -> torch.Tensor:
        embeddings, assignments = outputs
        views, pairs = batch.views, batch.pairs
        n = 0 if views is None else len(views.first)
        total = 0.0 if views is None else super().__call__((embeddings, assignments[: 2 * n]), views)
        maps = self.guide.maps(assignments)
        terms = {}
        if "guided" in self.weights:
            terms["guided"] = guided_loss(maps[len(maps) - len(pairs.images) :], pairs.targets)
        if "agree" in self.weights:
            terms["agree"] = agreement_loss(maps[:n], views.realign(maps[n : 2 * n]))
        if "adversary" in self.weights:
            terms["adversary"], game = adversarial_losses(self.discriminator, maps[:n], pairs.targets)
            total = total + game
        self.terms = (self.terms if views is not None else {}) | {name: value.detach() for name, value in terms.items()}
        return total + sum(self.weights[name] * value for name, value in terms.items())


class _GuidedNet(torch.nn.Module):
    """What a stage runs: views and rendered images pass through the network together; the discriminator is held for the optimiser."""

    def __init__(self, net: TwoBranchNet, discriminator: Discriminator, weights: dict[str, float]):
        super().__init__()
        self.net, self.discriminator = net, discriminator
        self.rendered = "guided" in weights
        self.embeds = bool(weights.keys() & {"patch", "mixup", "region"})

    def forward(self, batch: GuidedBatch) -> tuple[torch.Tensor | None, torch.Tensor]:
        x = batch.stack(self.rendered)
        with mixed_precision(x.device):
            shared, size = self.net.shared_map(x), x.shape[-2:]
            n = len(x) - len(batch.pairs.images) * self.rendered
            embeddings = self.net.embeddings(shared[:n], size) if self.embeds else None
            unmixed = torch.cat([shared[: n * 4 // 5], shared[n:]]) if n else shared
            return embeddings, self.net.assignments(unmixed, size)


class MakeGuidedBatch(Callback):
    """Replaces the batch of real images by their views and adds rendered ones, on the device."""

    def __init__(self, make_views: ViewMaker | None, make_pairs: Callable[..., Pairs], rendered: int):
        self.make_views, self.make_pairs, self.rendered = make_views, make_pairs, rendered

    def before_batch(self):
        device, views = next(self.model.parameters()).device, None
        if self.make_views:
            views = self.make_views(self.xb[0].to(device, non_blocking=True).permute(0, 3, 1, 2))
        batch = GuidedBatch(views, self.make_pairs(self.rendered, device))
        self.learn.xb, self.learn.yb = (batch,), (batch,)


def guided_learner(
    net: TwoBranchNet, discriminator: Discriminator, images: np.ndarray, make_pairs: Callable[..., Pairs],
    settings: GuidedSettings, stage: int = 0, rows: list | None = None, log: Path | None = None,
) -> Learner:
    """A fastai Learner for one stage of a guided training.

    Args:
        net: The network with its `guide`, trained in place.
        discriminator: Trained beside it at 1/20 of the learning rate where the stage names "adversary".
        images: (N, S, S, C) uint8 real images, `standardise`d.
        make_pairs: Maker of `Pairs`, called with their number and the device.
        settings: Batch, views, losses and seed.
        stage: Which of `settings.stages`, from 0.
        rows: List that receives one dictionary per epoch.
        log: CSV file kept up to date with these rows.

    Returns:
        The Learner.

    Raises:
        DataError: The images do not fit the network, or the network has no guide.

    Taught in notebook 04, section 4.
    """
    if net.guide is None:
        raise DataError("the network has no guide: set net.guide = guide_for(...) before training")
    if images.shape[-1] != net.in_channels:
        raise DataError(f"the network takes {net.in_channels} channels and the images have {images.shape[-1]}")
    weights = settings.stages[stage]
    needs_views = bool(weights.keys() - {"guided"})
    rate = settings.learning_rate * (settings.later_rate if stage else 1.0)
    look = ViewMaker(settings.view_size, settings.crop_scale, 10.0 if settings.upright else 180.0, wobble=0.0, upright=settings.upright)
    sample = make_pairs(1)
    if sample.images.shape[1:] != (net.in_channels, settings.view_size, settings.view_size):
        raise DataError(
            f"the rendered images are {tuple(sample.images.shape[1:])} and the views of real ones "
            f"{(net.in_channels, settings.view_size, settings.view_size)}; give both the same channels and size"
        )
    learn = Learner(
        DataLoaders(image_batches(images, settings.pairs, settings.steps), [], device=next(net.parameters()).device),
        _GuidedNet(net, discriminator, weights),
        loss_func=GuidedDiscrimination(weights, settings.grid, net.guide, discriminator),
        opt_func=lambda groups, lr: OptimWrapper(groups, torch.optim.Adam, lr=lr[0]),
        splitter=lambda whole: [list(whole.net.parameters()), list(whole.discriminator.parameters())],
        lr=[rate, 0.05 * rate],
        cbs=[
            SeedEpoch(settings.seed, stage),
            MakeGuidedBatch(look if needs_views else None, make_pairs, settings.rendered),
            LossLog(stage + 1, [] if rows is None else rows, log, watch=False),
        ],
    )
    learn.remove_cbs([Recorder, ProgressCallback])
    return learn


def train_guided(
    images: np.ndarray,
    make_pairs: Callable[..., Pairs],
    guide: Guide,
    settings: GuidedSettings,
    folder: Path | str,
    device: str = "auto",
    data: str = "",
    resume: bool = False,
    after_epoch: Callable[[TwoBranchNet], None] | None = None,
) -> tuple[TwoBranchNet, list[dict]]:
    """Trains a network whose first clusters become the guide's structures, and saves it.

    Args:
        images: (N, S, S, C) uint8 real images without labels, `standardise`d.
        make_pairs: Maker of `Pairs`, for example a `VesselPairs` or `SimulatedPairs`.
        guide: Which cluster becomes which structure.
        settings: What to compute; `method_stages` gives the stages.
        folder: Receives `model.safetensors`, `log.csv` and `checkpoint.safetensors`.
        device: As in `pick_device`.
        data: Fingerprint of images and priors; a checkpoint of others is refused.
        resume: Go on from the folder's checkpoint if there is one; the result is that of an uninterrupted run.
        after_epoch: Called with the network after every epoch, for example to keep what it predicts.

    Returns:
        The network, and the rows of the log, one per epoch.

    Raises:
        DataError: Images, priors, checkpoint or folder cannot be used; the message says why.

    Source: Chen et al. 2021, section 3.4. Taught in notebook 04, section 4.
    """
    folder, place = Path(folder), pick_device(device)
    torch.manual_seed(settings.seed)
    net = TwoBranchNet(images.shape[-1], settings.embedding_dim, settings.n_clusters)
    net.guide = guide
    players = torch.nn.ModuleDict({"net": net, "discriminator": Discriminator(len(guide.structures))})
    players = to_device(players, place)

    def learner(stage: int, rows: list) -> Learner:
        learn = guided_learner(net, players["discriminator"], images, make_pairs, settings, stage, rows, folder / "log.csv")
        return learn.add_cb(Callback(after_train=lambda self: after_epoch(net))) if after_epoch else learn

    rows = run_stages(players, learner, settings, folder, data, resume)
    save_model(net, folder / "model.safetensors")
    return net, rows
