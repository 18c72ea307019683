"""What happens around a training step, as small fastai callbacks: views, seeds, the log of losses,
snapshots.

Shapes in comments: B pairs of source images (2B sources, 4B views), K clusters, S pixels along an
image's side, s along a view's side.
"""

import csv
import math
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from fastai.callback.core import Callback, CancelFitException

from .checkpoint import save_model
from .data import checks
from .data.files import Progress, atomic_write
from .data.views import ViewMaker
from .distributed import (
    all_go_on,
    average,
    average_gradients,
    is_first,
    own_share,
    same_weights,
)
from .network import TwoBranchNet
from .shared_norm import own_statistics, share_statistics


class CollapseWarning(UserWarning):
    """The clusters are merging or most pixels go to one of them."""


class MakeViews(Callback):
    """Replaces the batch of source images by their views, on the device."""

    def __init__(self, make_views: ViewMaker):
        self.make_views = make_views

    def before_batch(self):
        images = self.xb[0].to(next(self.model.parameters()).device, non_blocking=True)
        images = images.permute(0, 3, 1, 2)  # (2B, S, S, C) to (2B, C, S, S)
        share = own_share()
        views = self.make_views(images) if share.of == 1 else self.make_views(images, share)
        self.learn.xb, self.learn.yb = (views,), (views,)


class AllProcesses(Callback):
    """Makes the shares of several processes one batch: one set of weights, statistics of BatchNorm
    over all, the mean of the gradients. Where one process stops between two steps, all stop.
    """

    order = -200

    def before_fit(self):
        self.all_know = False
        same_weights(self.model)
        share_statistics(self.model)

    def before_batch(self):
        if not all_go_on(True):
            self.all_know = True
            raise CancelFitException

    def before_step(self):
        average_gradients(self.model.parameters())

    def after_cancel_fit(self):
        if not self.all_know:
            all_go_on(False)

    def after_fit(self):
        own_statistics(self.model)


class SeedEpoch(Callback):
    """Gives each epoch its own random numbers, so that a resumed epoch repeats the interrupted one
    exactly. Several processes draw the same numbers, those of the whole batch.
    """

    order = -100

    def __init__(self, seed: int, stage: int):
        self.seed, self.stage = seed, stage

    def before_epoch(self):
        torch.manual_seed(
            int(np.random.SeedSequence([self.seed, self.stage, self.epoch]).generate_state(1)[0])
        )


class LossLog(Callback):
    """Averages every loss term over an epoch and all processes, measures the cluster areas, and
    warns of a collapse. Only the first process writes and warns.

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
        self.stage, self.watch = stage, watch
        self.rows = checks.instance(rows, list, "rows", "a list that receives the rows")
        self.path = None if path is None else checks.path(path, "log")

    def before_fit(self):
        self.progress = None
        if is_first():
            steps = len(self.dls.train)
            self.progress = Progress(f"stage {self.stage}", self.n_epoch * steps)
            self.progress.done = sum(row["stage"] == self.stage for row in self.rows) * steps

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
            inside = getattr(self.y, "inside", torch.ones_like(self.pred[1][:, :1]))
            seen = self.pred[1].detach() * inside  # (4B, K, s, s)
            self.areas.append(seen.mean((0, 2, 3)) / inside.mean().clamp(min=1e-6))  # (K,)

    def after_batch(self):
        if self.progress:
            self.progress.step()

    def after_train(self):
        row = {"stage": self.stage, "epoch": self.epoch}
        row |= {
            name: float(average(value)) / len(self.dls.train) for name, value in self.sums.items()
        }
        if self.areas:
            areas = average(torch.stack(self.areas).mean(0))  # (steps, K) to (K,)
            row |= {"smallest_area": float(areas.min()), "largest_area": float(areas.max())}
            if self.watch and is_first():
                self._warn_of_collapse(row, len(areas))
        self.rows.append(row | {"seconds": round(time.perf_counter() - self.epoch_started, 2)})
        if self.path and is_first():
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
        if self.progress:
            self.progress.close(f"{(self.epoch + 1) * len(self.dls.train)} steps")


class Snapshots(Callback):
    """Saves the network after every epoch as `after_<stage>_<epoch>.safetensors`, so that one can
    see how it changed.
    """

    def __init__(self, net: TwoBranchNet, folder: Path, stage: int):
        self.net, self.folder, self.stage = net, folder, stage

    def after_train(self):
        if is_first():
            save_model(
                self.net, self.folder / f"after_{self.stage}_{self.epoch + 1:03d}.safetensors"
            )


STEP_FILE = "step_{:06d}.safetensors"
"""Name of the file of a network after some steps."""


class StepSnapshots(Callback):
    """Saves the network as `step_<number>.safetensors` at given numbers of steps, where an epoch
    ends there; step 0 is the untrained network.

    Args:
        net: The network.
        folder: Receives the files.
        at: Numbers of steps, counted through all stages.
        done: Steps of the stages before.
    """

    def __init__(self, net: TwoBranchNet, folder: Path, at: Sequence[int], done: int):
        self.net, self.folder, self.at, self.done = net, folder, set(at), done

    def _save(self, steps: int) -> None:
        if steps in self.at and is_first():
            save_model(self.net, self.folder / STEP_FILE.format(steps))

    def before_fit(self):
        if self.done == 0 and self.epoch == 0:
            self._save(0)

    def after_train(self):
        self._save(self.done + (self.epoch + 1) * len(self.dls.train))


class StopAfter(Callback):
    """Ends a fit after some of its epochs.

    Args:
        epochs: How many, counted from the first one of the fit's schedule.
    """

    order = 100  # after the checkpoint of that epoch

    def __init__(self, epochs: int):
        self.epochs = epochs

    def after_epoch(self):
        if self.epoch + 1 == self.epochs < self.n_epoch:
            raise CancelFitException


def write_log(rows: list[dict], path: Path) -> None:
    """Writes the rows of the log as CSV, a column for every name that any row has."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    with (
        atomic_write(path) as temporary,
        open(temporary, "w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)
