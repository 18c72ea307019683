"""The training through all stages, with a checkpoint after every epoch."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from fastai.callback.schedule import ParamScheduler
from fastai.learner import Learner

from .callbacks import Snapshots, StepSnapshots, StopAfter
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
from .data.cache import Prepared
from .data.checksums import array_fingerprint
from .device import pick_device, require_memory, to_device
from .distributed import from_first, is_first, n_processes, process_group
from .network import TwoBranchNet
from .settings import Settings
from .stage import arrays_of, channels_of, stage_learner

WARM_UP = 50
"""Steps of a flat schedule in which the learning rate rises."""


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
    images = checks.training_images(arrays_of(images, settings))
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
        DataError: The checkpoint is damaged or of another run, or it cannot be removed.
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
