"""Training a two-branch network whose first clusters are guided by topological priors."""

import json
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import torch
from fastai.callback.core import Callback
from fastai.learner import Learner

from ..callbacks import LossLog, SeedEpoch, StepSnapshots
from ..checkpoint import differences, identity, save_model, state_fingerprint
from ..data import checks
from ..data.augment import LabelledPairs, PairMaker
from ..data.batches import image_batches
from ..data.checksums import array_fingerprint
from ..data.errors import DataError
from ..data.views import ViewMaker
from ..device import mixed_precision, pick_device, to_device
from ..distributed import alone, from_first, is_first, own_share, process_group
from ..losses import (
    adversarial_losses,
    calibration_loss,
    confident_loss,
    gradient_penalty,
    guided_loss,
    prior_area_loss,
)
from ..network import TwoBranchNet
from ..stage import LocalDiscrimination, build_learner
from ..structures import Guide
from ..tensor_files import read_tensors, save_tensors
from ..training import new_network, run_stages
from .adversary import Discriminator, noisy, soften
from .batch import GuidedBatch, MakeGuidedBatch
from .predict import teacher_maps
from .settings import ON_RENDERED, GuidedSettings


class GuidedDiscrimination(LocalDiscrimination):
    """`LocalDiscrimination` on real views plus the losses of the guided clusters.

    Args:
        weights: Loss name to weight.
        grid: Cells along each side of the patch grid.
        guide: Which clusters are guided.
        discriminator: Judges the structure maps.
        noise: Standard deviation of the noise in all that it sees.
        penalty: Weight of its `gradient_penalty`.

    Taught in notebook 04a, section 4.
    """

    def __init__(
        self,
        weights: dict[str, float],
        grid: int,
        guide: Guide,
        discriminator: Discriminator,
        noise: float = 0.0,
        penalty: float = 0.0,
    ):
        super().__init__(weights, grid)
        self.guide, self.discriminator = guide, discriminator
        self.noise, self.penalty = noise, penalty

    def __call__(
        self, outputs: tuple[torch.Tensor | None, torch.Tensor], batch: GuidedBatch
    ) -> torch.Tensor:
        embeddings, assignments = outputs  # (5B, D, s, s) or None, (4B + R + T, K, s, s)
        of_views, _, _ = batch.split_unmixed(assignments)  # (4B, K, s, s)
        on_views = (
            0.0 if batch.views is None else super().__call__((embeddings, of_views), batch.views)
        )
        view_terms = {} if batch.views is None else self.terms

        maps = self.guide.maps(assignments)  # (4B + R + T, n, s, s)
        view_maps, rendered_maps, real_maps = batch.split_unmixed(maps)
        terms, game = {}, 0.0
        if "guided" in self.weights:
            terms["guided"] = guided_loss(rendered_maps, batch.rendered.targets)
        if "calibrate" in self.weights:
            terms["calibrate"] = calibration_loss(rendered_maps, batch.rendered.targets)
        if "confident" in self.weights:
            terms["confident"] = confident_loss(real_maps, batch.teacher.targets)
        if "adversary" in self.weights:
            first_views = noisy(view_maps[: batch.views.n_sources], self.noise)  # (2B, n, s, s)
            masks = noisy(soften(batch.rendered.targets), self.noise)  # (R, n, s, s)
            terms["adversary"], game = adversarial_losses(self.discriminator, first_views, masks)
            if self.penalty:
                game = game + self.penalty * gradient_penalty(self.discriminator, masks)
        if "prior_area" in self.weights:
            first_views = view_maps[: batch.views.n_sources]  # (2B, n, s, s)
            terms["prior_area"] = prior_area_loss(first_views, batch.rendered.targets)
        self.terms = view_terms | {name: value.detach() for name, value in terms.items()}
        return on_views + game + sum(self.weights[name] * value for name, value in terms.items())


class _GuidedNet(torch.nn.Module):
    """All images of a step pass through the network together; the discriminator is held for the
    optimiser.
    """

    def __init__(self, net: TwoBranchNet, discriminator: Discriminator, weights: dict[str, float]):
        super().__init__()
        self.net, self.discriminator = net, discriminator
        self.embeds = bool(weights.keys() & {"patch", "mixup", "region"})

    def forward(self, batch: GuidedBatch) -> tuple[torch.Tensor | None, torch.Tensor]:
        x = batch.stack()  # (5B + R + T, C, s, s)
        with mixed_precision(x.device):
            shared, size = self.net.shared_map(x), x.shape[-2:]  # (5B + R + T, 32, s, s)
            of_views, _ = batch.split(shared)
            embeddings = self.net.embeddings(of_views, size) if self.embeds else None
            return embeddings, self.net.assignments(batch.unmixed(shared), size)


class CallAfterEpoch(Callback):
    """Calls a function with the network after every epoch, in the first process."""

    def __init__(self, function: Callable[[TwoBranchNet], None], net: TwoBranchNet):
        self.function, self.net = function, net

    def after_train(self):
        if is_first():
            with alone():
                self.function(self.net)


def guided_learner(
    net: TwoBranchNet,
    discriminator: Discriminator,
    images: np.ndarray,
    make_pairs: PairMaker,
    settings: GuidedSettings,
    stage: int = 0,
    rows: list | None = None,
    log: Path | None = None,
    make_teacher_pairs: PairMaker | None = None,
) -> Learner:
    """A fastai Learner for one stage of a guided training.

    Args:
        net: The network with its `guide`, trained in place.
        discriminator: Trained beside it at `settings.game_rate` of the learning rate where the
            stage names "adversary".
        images: (N, S, S, C) real images, `standardise`d; uint8, or floats in [0, 1].
        make_pairs: Renders images with their masks.
        settings: Batch, views, losses and seed.
        stage: Which of `settings.stages`, from 0.
        rows: List that receives one dictionary per epoch.
        log: CSV file kept up to date with these rows.
        make_teacher_pairs: Crops real images with the teacher's maps, for a stage that names
            "confident".

    Returns:
        The Learner.

    Raises:
        DataError: The images cannot be trained on or do not fit the network, or the network has no
            guide.
        ValueError: There is no such stage, it names no loss, or an argument makes no sense.

    Taught in notebook 04a, section 4.
    """
    checks.instance(net, TwoBranchNet, "net", "a TwoBranchNet")
    checks.instance(settings, GuidedSettings, "settings", "GuidedSettings")
    checks.instance(discriminator, Discriminator, "discriminator", "a Discriminator")
    images = checks.training_images(images)
    if net.guide is None:
        raise DataError("the network has no guide: set net.guide = guide_for(...) before training")
    if images.shape[-1] != net.in_channels:
        raise DataError(
            f"the network takes {net.in_channels} channels and the images have {images.shape[-1]}"
        )
    weights = settings.stages[checks.whole(stage, "stage", 0, len(settings.stages) - 1)]
    if not weights:
        raise ValueError(
            f"stage {stage} names no loss; known are {', '.join(settings.known_losses)}"
        )
    makers = {"make_pairs": make_pairs}
    if "confident" in weights or make_teacher_pairs is not None:
        makers["make_teacher_pairs"] = make_teacher_pairs
    for name, maker in makers.items():
        if not callable(maker):
            raise ValueError(f"{name} must be a PairMaker, not {checks.shown(maker)}")
    expected = (net.in_channels, settings.view_size, settings.view_size)
    pairs = make_pairs(1)
    if not hasattr(pairs, "images") or not hasattr(pairs, "targets"):
        raise ValueError(f"make_pairs must return Pairs, not {checks.shown(pairs)}")
    found = tuple(pairs.images.shape[1:])
    if found != expected:
        raise DataError(
            f"the rendered images are {found} and the views of real ones {expected}; "
            "give both the same channels and size"
        )
    needs_views = bool(weights.keys() - ON_RENDERED - {"confident"})
    make_views = ViewMaker(
        settings.view_size,
        settings.crop_scale,
        rotation=10.0 if settings.upright else 180.0,
        wobble=0.0,
        upright=settings.upright,
    )
    make_batch = MakeGuidedBatch(
        make_views if needs_views else None,
        make_pairs,
        make_teacher_pairs,
        settings.rendered,
        use_rendered=bool(weights.keys() & ON_RENDERED),
    )
    rate = settings.learning_rate * (settings.later_rate if stage else 1.0)
    return build_learner(
        _GuidedNet(net, discriminator, weights),
        image_batches(images, settings.pairs, settings.steps, share=own_share()),
        GuidedDiscrimination(
            *(weights, settings.grid, net.guide, discriminator),
            *(settings.instance_noise, settings.gradient_penalty),
        ),
        [list(net.parameters()), list(discriminator.parameters())],
        [rate, settings.game_rate * rate],
        [
            SeedEpoch(settings.seed, stage),
            make_batch,
            LossLog(stage + 1, [] if rows is None else rows, log, watch=False),
        ],
    )


def train_guided(
    images: np.ndarray,
    make_pairs: PairMaker,
    guide: Guide,
    settings: GuidedSettings,
    folder: Path | str,
    device: str = "auto",
    data: str = "",
    start: TwoBranchNet | None = None,
    teacher_images: np.ndarray | None = None,
    resume: bool = False,
    after_epoch: Callable[[TwoBranchNet], None] | None = None,
    snapshots: Sequence[int] = (),
) -> tuple[TwoBranchNet, list[dict]]:
    """Trains a network whose first clusters are guided to the guide's structures, and saves it.
    Processes started by torchrun do it together (see `ldr_lib.distributed`); the first one writes.

    Args:
        images: (N, S, S, C) real images without labels, `standardise`d; uint8, or floats in [0, 1].
        make_pairs: Renders images with their masks, for example `VesselPairs` or `SimulatedPairs`.
        guide: Which cluster becomes which structure.
        settings: What to compute; `method_stages` gives the stages.
        folder: Receives `model.safetensors`, `log.csv` and `checkpoint.safetensors`, and
            `teacher.safetensors` where a stage names "confident": the network's maps of
            `teacher_images` at the beginning of that stage, which are its pseudo-labels.
        device: As in `pick_device`.
        data: Fingerprint of the images, "" to compute it; a checkpoint of others is refused.
        start: Network whose weights initialise the training, itself not changed; None initialises
            at random from the seed.
        teacher_images: (M, S, S, C) uint8 real images, `standardise`d, on which the teacher makes
            the pseudo-labels for "confident"; None takes `images`.
        resume: Continue from the folder's checkpoint if there is one; the result is that of an
            uninterrupted run. A checkpoint of another guide, or of a `make_pairs` that holds other
            masks or images, is refused. Where `make_pairs` is a function, or holds what cannot be
            fingerprinted, this cannot be known, and a warning says so. Without `resume`, an earlier
            checkpoint is removed.
        after_epoch: Called with the network after every epoch, for example to keep its
            predictions; by the first process.
        snapshots: Numbers of steps after which the network is kept, where an epoch ends there, as
            `StepSnapshots` does.

    Returns:
        The network, and the rows of the log, one per epoch.

    Raises:
        DataError: Images, rendered pairs, checkpoint or folder cannot be used; the message says
            why.
        ValueError: The processes cannot share the batch equally.

    Source: Chen et al. 2021, section 3.4. Taught in notebook 04a, section 4.
    """
    checks.instance(settings, GuidedSettings, "settings", "GuidedSettings")
    checks.instance(guide, Guide, "guide", "a Guide, for example guide_for(...)")
    folder, place = checks.path(folder, "folder"), pick_device(device)
    images = checks.training_images(images)
    if teacher_images is not None:
        teacher_images = checks.as_bytes(teacher_images, "teacher_images", "NSSC")
        if teacher_images.shape[-1] != images.shape[-1]:
            raise DataError(
                f"teacher_images have {teacher_images.shape[-1]} channels and the images "
                f"{images.shape[-1]}; give both the same"
            )
    if after_epoch is not None and not callable(after_epoch):
        raise ValueError(
            f"after_epoch must be a function of the network, not {checks.shown(after_epoch)}"
        )
    if settings.n_clusters < guide.n_clusters:
        raise ValueError(
            f"the guide needs {guide.n_clusters} clusters and n_clusters is {settings.n_clusters}"
        )
    net = new_network(images, settings, start)
    net.guide = guide
    players = torch.nn.ModuleDict(
        {"net": net, "discriminator": Discriminator(len(guide.structures))}
    )
    players = to_device(players, place)
    about = identity(
        settings,
        data or array_fingerprint(images),
        start,
        make_pairs=_drawn_from(make_pairs, resume and (folder / "checkpoint.safetensors").exists()),
        guide=asdict(guide),
    )
    with_teacher = [n for n, weights in enumerate(settings.stages) if "confident" in weights]

    def learner(stage: int, rows: list) -> Learner:
        make_teacher_pairs = None
        if stage in with_teacher:
            real = images if teacher_images is None else teacher_images
            has_begun = any(row["stage"] - 1 in with_teacher for row in rows)
            kept = partial(_kept_maps, net, real, folder / "teacher.safetensors", about, has_begun)
            make_teacher_pairs = LabelledPairs(
                real,
                from_first(kept),  # (M, n, S, S)
                inside=real.any(-1),
                size=settings.view_size,
                scale=settings.crop_scale,
                turn=not settings.upright,
            )
        learn = guided_learner(
            net,
            players["discriminator"],
            images,
            make_pairs,
            settings,
            stage,
            rows,
            folder / "log.csv",
            make_teacher_pairs,
        )
        if snapshots:
            done = settings.steps * sum(settings.epochs[:stage])
            learn.add_cb(StepSnapshots(net, folder, snapshots, done))
        return learn.add_cb(CallAfterEpoch(after_epoch, net)) if after_epoch else learn

    with process_group(place):
        rows = run_stages(players, learner, settings, folder, about, resume)
        from_first(partial(save_model, net, folder / "model.safetensors", about))
    return net, rows


def _drawn_from(make_pairs: PairMaker, goes_on: bool) -> str:
    """Fingerprint of what a pair maker holds; "" for one, such as a function, of which nobody can
    tell what it draws from, with a warning if a training goes on with it.
    """
    try:
        return state_fingerprint(make_pairs)
    except DataError as error:
        if goes_on:
            warnings.warn(
                f"make_pairs cannot be compared with that of the interrupted training: {error}. "
                "Make sure that it draws from the same masks and images.",
                stacklevel=3,
            )
        return ""


def _kept_maps(
    net: TwoBranchNet, images: np.ndarray, path: Path, about: dict, has_begun: bool
) -> np.ndarray:
    """The teacher's maps, made when the first stage that needs them begins, and kept for the case
    that it is interrupted.
    """
    about = about | {"teacher_images": array_fingerprint(images)}
    advice = "Begin the training anew with resume=False"
    if not path.exists():
        if has_begun:
            raise DataError(f"{path}, which this training has used so far, is missing. {advice}")
        maps = torch.from_numpy(teacher_maps(net, images))
        save_tensors({"maps": maps}, path, {"made_from": json.dumps(about)})
    kept, header = read_tensors(path, advice)
    found = json.loads(header.get("made_from", "{}"))
    if changed := differences(found, about):
        raise DataError(f"{path} belongs to a run with other {', '.join(changed)}. {advice}")
    return kept["maps"].numpy()
