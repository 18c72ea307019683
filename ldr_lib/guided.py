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
from .data.files import DataError, written_whole
from .data.views import ViewMaker, Views
from .device import mixed_precision, pick_device, to_device
from .guide import Guide
from .network import TwoBranchNet
from .rendering import LabelledPairs, Pairs
from .structures import taught_maps
from .training import BOTH_BRANCHES, PATCH_STAGE, LocalDiscrimination, LossLog, SeedEpoch, Settings, run_stages

_RENDERED = ({"guided": 1.0}, {"guided": 1.0, "region": 0.1, "entropy": 0.01})
_ON_DRAWN = {"guided", "calibrate"}
METHODS = {
    "adversarial": (PATCH_STAGE, BOTH_BRANCHES | {"adversary": 1.0}),
    "rendered": _RENDERED,
    "combined": (*_RENDERED, {"calibrate": 1.0, "confident": 1.0}),
}


@dataclass(frozen=True)
class GuidedSettings(Settings):
    """`Settings` of a guided training; its stages may also name the losses "guided", "calibrate", "confident" and "adversary".

    Attributes:
        rendered: Rendered images a step; with a teacher half of them are real ones instead.
        later_rate: Learning rate of the later stages as a share of `learning_rate`: they refine.
        upright: Views of real images keep their upper side above, give or take 10 degrees.
    """

    known_losses: ClassVar[tuple[str, ...]] = (*Settings.known_losses, "guided", "calibrate", "confident", "adversary")

    rendered: int = 12
    later_rate: float = 0.3
    upright: bool = False


def method_stages(method: str) -> tuple[dict, ...]:
    """Loss weights of the stages of a way of guiding.

    Args:
        method: "adversarial", the published one: a discriminator judges the guided clusters. "rendered": pairs that were
            drawn supervise them, at the end while region discrimination runs on real images. "combined": a third stage in
            which the network also learns from what it is sure of in real images.

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
    p, t = maps.float(), targets
    over_images = lambda x: x.sum((0, 2, 3))
    overlap = (2 * over_images(p * t) + 1) / (over_images(p) + over_images(t) + 1)
    return calibration_loss(p, t) + (1 - overlap).mean()


def calibration_loss(maps: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Cross-entropy alone: brings maps that soft Dice has made too generous to probabilities, so that one half is a fair limit.

    Args:
        maps: (B, n, H, W) structure maps in [0, 1].
        targets: (B, n, H, W) masks in [0, 1].

    Returns:
        Scalar.

    Taught in notebook 04, section 4.
    """
    return F.binary_cross_entropy(maps.float().clamp(1e-5, 1 - 1e-5), targets)


def confident_loss(maps: torch.Tensor, taught: torch.Tensor, confident: float = 0.8) -> torch.Tensor:
    """Cross-entropy against the teacher's decision where the teacher is sure.

    Args:
        maps: (B, n, H, W) structure maps in [0, 1].
        taught: (B, n, H, W) the teacher's, in [0, 1].
        confident: Pixels that the teacher puts above this value, or below one minus it, count.

    Returns:
        Scalar.

    Source: the refinement stage of the extension (Chen et al. 2021b), simplified. Taught in notebook 04, section 4.
    """
    sure = ((taught > confident) | (taught < 1 - confident)).float()
    p = maps.float().clamp(1e-5, 1 - 1e-5)
    entropy = F.binary_cross_entropy(p, (taught > 0.5).float(), reduction="none")
    return (entropy * sure).sum() / sure.sum().clamp(min=1)


@dataclass
class GuidedBatch:
    """What a step sees: views of real images and real images with the teacher's maps, where a loss asks for them, and drawn ones."""

    views: Views | None
    pairs: Pairs
    taught: Pairs | None

    def stack(self, rendered: bool) -> torch.Tensor:
        """All images in one batch, views first, so that all share the statistics of BatchNorm."""
        images = [] if self.views is None else [self.views.stack()]
        images += [self.pairs.images] if rendered else []
        images += [self.taught.images] if self.taught else []
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
        drawn, seen = maps[2 * n :][: len(pairs.images)], maps[2 * n :][len(pairs.images) :]
        terms = {}
        if "guided" in self.weights:
            terms["guided"] = guided_loss(drawn, pairs.targets)
        if "calibrate" in self.weights:
            terms["calibrate"] = calibration_loss(drawn, pairs.targets)
        if "confident" in self.weights:
            terms["confident"] = confident_loss(seen, batch.taught.targets)
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
        self.rendered = bool(weights.keys() & _ON_DRAWN)
        self.embeds = bool(weights.keys() & {"patch", "mixup", "region"})

    def forward(self, batch: GuidedBatch) -> tuple[torch.Tensor | None, torch.Tensor]:
        x = batch.stack(self.rendered)
        with mixed_precision(x.device):
            shared, size = self.net.shared_map(x), x.shape[-2:]
            n = 0 if batch.views is None else len(batch.views.stack())
            embeddings = self.net.embeddings(shared[:n], size) if self.embeds else None
            unmixed = torch.cat([shared[: n * 4 // 5], shared[n:]]) if n else shared
            return embeddings, self.net.assignments(unmixed, size)


class MakeGuidedBatch(Callback):
    """Replaces the batch of real images by their views and adds drawn images, half of them real ones if there is a teacher."""

    def __init__(
        self, make_views: ViewMaker | None, make_pairs: Callable[..., Pairs], rendered: int, make_taught: Callable[..., Pairs] | None
    ):
        self.make_views, self.make_pairs, self.rendered, self.make_taught = make_views, make_pairs, rendered, make_taught

    def before_batch(self):
        device, views = next(self.model.parameters()).device, None
        if self.make_views:
            views = self.make_views(self.xb[0].to(device, non_blocking=True).permute(0, 3, 1, 2))
        n = self.rendered // 2 if self.make_taught else 0
        batch = GuidedBatch(views, self.make_pairs(self.rendered - n, device), self.make_taught(n, device) if n else None)
        self.learn.xb, self.learn.yb = (batch,), (batch,)


def guided_learner(
    net: TwoBranchNet, discriminator: Discriminator, images: np.ndarray, make_pairs: Callable[..., Pairs],
    settings: GuidedSettings, stage: int = 0, rows: list | None = None, log: Path | None = None,
    make_taught: Callable[..., Pairs] | None = None,
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
        make_taught: Maker of real images with a teacher's maps, for a stage that names "confident".

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
    needs_views = bool(weights.keys() - _ON_DRAWN - {"confident"})
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
            MakeGuidedBatch(look if needs_views else None, make_pairs, settings.rendered, make_taught),
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
    start: TwoBranchNet | None = None,
    teach: np.ndarray | None = None,
    resume: bool = False,
    after_epoch: Callable[[TwoBranchNet], None] | None = None,
) -> tuple[TwoBranchNet, list[dict]]:
    """Trains a network whose first clusters become the guide's structures, and saves it.

    Args:
        images: (N, S, S, C) uint8 real images without labels, `standardise`d.
        make_pairs: Maker of `Pairs`, for example a `VesselPairs` or `SimulatedPairs`.
        guide: Which cluster becomes which structure.
        settings: What to compute; `method_stages` gives the stages.
        folder: Receives `model.safetensors`, `log.csv` and `checkpoint.safetensors`, and `taught.npy` where a stage names
            "confident": what the network found in `teach` when that stage began.
        device: As in `pick_device`.
        data: Fingerprint of images and priors; a checkpoint of others is refused.
        start: Network whose weights the training starts from, left as it is; None draws them from the seed.
        teach: (M, S, S, C) uint8 real images, `standardise`d, from which "confident" learns; None takes `images`.
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
    if start is not None:
        net.load_state_dict(start.state_dict())
    net.guide = guide
    players = torch.nn.ModuleDict({"net": net, "discriminator": Discriminator(len(guide.structures))})
    players = to_device(players, place)
    taught = folder / "taught.npy"
    if not (resume and (folder / "checkpoint.safetensors").exists()):
        taught.unlink(missing_ok=True)

    def learner(stage: int, rows: list) -> Learner:
        make_taught = None
        if "confident" in settings.stages[stage]:
            real = images if teach is None else teach
            if not taught.exists():
                with written_whole(taught) as temporary, open(temporary, "wb") as file:
                    np.save(file, taught_maps(net, real))
            make_taught = LabelledPairs(real, np.load(taught), real.any(-1), settings.view_size, settings.crop_scale, not settings.upright)
        learn = guided_learner(
            net, players["discriminator"], images, make_pairs, settings, stage, rows, folder / "log.csv", make_taught
        )
        return learn.add_cb(Callback(after_train=lambda self: after_epoch(net))) if after_epoch else learn

    rows = run_stages(players, learner, settings, folder, data, resume)
    save_model(net, folder / "model.safetensors")
    return net, rows
