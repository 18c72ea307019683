"""How much a pretrained encoder helps segmentation with few labels: the cells of the transfer table
and their records.
"""

import math
from collections.abc import Iterator
from dataclasses import asdict, replace
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from ..data import checks
from ..data.augment import LabelledPairs, Pairs
from ..data.checks import instance, whole
from ..data.datasets import open_dataset
from ..data.errors import DataError, one_of
from ..data.files import Progress
from ..data.names import safe_name
from ..data.prepare import Prepared, prepare
from ..pretrained import set_statistics
from ..runs.fingerprints import is_current, read_record
from ..runs.paths import record_path, runs_folder
from ..runs.processes import SomeFailed, in_own_processes
from ..runs.run import Run
from .imagenet import AnyEncoder
from .pretraining import NAME
from .segmenter import Segmenter, fine_tune, score, train_decoder
from .settings import TransferSettings
from .starts import fingerprint, initial_encoder, is_known
from .tasks import REAL_TASKS, Task, task
from .watched import WatchedImages

ONE_LABEL_STEPS = 520
"""Steps of a stage of the tier "converged" with one label, where nothing may be set aside to look
at: the `best_common_step` of fifteen trainings of the tier "longest".
"""


def labelled_images(task: Task, prepared: Prepared, n_labels: int, seed: int) -> np.ndarray:
    """Which training images are labelled: a random draw from those that do not validate and show
    the structure.

    Args:
        task: What is segmented.
        prepared: All training images; the first fifth is kept for validation.
        n_labels: Number of labelled images; 0 takes all.
        seed: Of the draw.

    Returns:
        Indices, sorted.

    Raises:
        DataError: No masks of the structure, only empty ones, or fewer than asked for.
        ValueError: There is no task, no prepared images, or a number makes no sense.

    Source: the released comparison validates on the first fifth of the list. Taught in notebook 05,
    section 1.
    """
    instance(task, Task, "task", "a Task, for example task(...)")
    if not hasattr(prepared, "masks"):
        raise ValueError(
            f"prepared must be images as `prepare` returns them, not {checks.shown(prepared)}"
        )
    n_labels, seed = whole(n_labels, "n_labels"), checks.seed(seed)
    if not task.is_marked(prepared.masks):
        raise DataError(f"{task.dataset} has no masks of {task.structure} in its training split")
    rest = np.arange(_validating(prepared), len(prepared))
    shown = showing(task, prepared, rest)
    if len(shown) < max(1, n_labels):
        raise DataError(
            f"{n_labels or 'at least 1'} labelled images of {task.dataset} are asked for and "
            f"{len(shown)} of {len(rest)} training "
            f"images have a mask of {task.structure} that is not empty (a fifth is kept for "
            "validation)"
        )
    return (
        shown
        if n_labels == 0
        else np.sort(np.random.default_rng([seed, n_labels]).choice(shown, n_labels, replace=False))
    )


def _validating(prepared: Prepared) -> int:
    """How many of the training images, from the first on, are set aside."""
    return math.ceil(len(prepared) / 5)


def showing(task: Task, prepared: Prepared, rows: np.ndarray) -> np.ndarray:
    """Those of some images that show a task's structure."""
    return np.array([i for i in rows if _truth(task, prepared, i).any()], int)


def _truth(task: Task, prepared: Prepared, rows: int | np.ndarray) -> np.ndarray:
    """The mask of a task's structure in one prepared image or in some."""
    return task.mask({part: np.asarray(prepared.masks[part][rows]) for part in task.marked_by})


def segmenters(
    encoder: AnyEncoder,
    one: Task,
    prepared: Prepared,
    chosen: np.ndarray,
    settings: TransferSettings,
    scratch: bool = False,
    device: str = "auto",
    label: str = "",
    looked_at: np.ndarray | None = None,
) -> Iterator[tuple[str, Segmenter]]:
    """Both protocols on the same labelled images.

    Args:
        encoder: Where to start from.
        one: What is segmented.
        prepared: Training images and masks.
        chosen: Which of them are labelled.
        settings: The budget.
        scratch: Train the encoder in both stages; there is no frozen segmenter then.
        device: As in `pick_device`.
        label: Name of the work in a line that counts its steps; none is shown without it.
        looked_at: Which images are set aside for the looks that the settings want; None takes those
            of the first fifth that show the structure.

    Yields:
        "frozen" and the segmenter, then "fine-tuned" and the same one trained further.

    Raises:
        ValueError: An argument is none of these, or there is no such image.
    """
    instance(encoder, AnyEncoder, "encoder", "an Encoder")
    instance(one, Task, "one", "a Task, for example task(...)")
    instance(settings, TransferSettings, "settings", "TransferSettings")
    if not hasattr(prepared, "masks"):
        raise ValueError(
            f"prepared must be images as `prepare` returns them, not {checks.shown(prepared)}"
        )
    for part in one.marked_by:
        one_of(part, prepared.masks, "structure of the prepared images")
    chosen = checks.labels(chosen, "chosen", len(prepared), "n")
    inside = np.asarray(prepared.masks["field_of_view"])

    def crops(rows: np.ndarray) -> LabelledPairs:
        masks = _truth(one, prepared, rows)[:, None]
        return LabelledPairs(
            prepared.images[rows], masks, inside[rows], settings.side, one.crop, one.turn
        )

    torch.manual_seed(settings.seed)
    set_statistics(encoder, crops(np.arange(len(prepared)))(64).images)
    labelled, watched = crops(chosen), None
    if settings.check_every:
        watched = _watched(one, prepared, looked_at, chosen)
    line = Progress(label, 2 * settings.steps) if label else None
    if line:
        labelled = _Counted(labelled, line)
    net = train_decoder(encoder, labelled, settings, device, not scratch, watched)
    if not scratch:
        yield "frozen", net
    yield "fine-tuned", fine_tune(net, labelled, settings, watched)
    if line:
        line.close()


def _watched(
    one: Task, prepared: Prepared, looked_at: np.ndarray | None, chosen: np.ndarray
) -> WatchedImages:
    """The images that are set aside, none of which is labelled."""
    if looked_at is None:
        looked_at = showing(one, prepared, np.arange(_validating(prepared)))
    rows = checks.labels(looked_at, "looked_at", len(prepared), "n")
    if len(both := np.intersect1d(rows, chosen)):
        raise ValueError(
            f"images that are looked at while training must not be trained on; {len(both)} are"
        )
    masks = _truth(one, prepared, rows)
    return WatchedImages(
        prepared.images[rows], masks, np.asarray(prepared.masks["field_of_view"])[rows]
    )


class _Counted:
    """A maker of pairs whose calls, one a step, are counted in a line of progress."""

    def __init__(self, pairs: LabelledPairs, line: Progress):
        self.pairs, self.line = pairs, line

    def __call__(self, n: int, device: torch.device | str = "cpu") -> Pairs:
        self.line.step()
        return self.pairs(n, device)


def cell(name: str, init: str, labels: int, seed: int, data_dir: str, tier: str = "study") -> Path:
    """Measures one cell of the big table, frozen and fine-tuned, and keeps its record with the
    project.

    Args:
        name: Of the task.
        init: As in `initial_encoder`.
        labels: Number of labelled images; 0 takes all.
        seed: Of the labelled images, the decoder and the crops; of the encoder where it is random.
        data_dir: Folder of the datasets.
        tier: As in `TransferSettings.for_tier`.

    Returns:
        Path of the record.

    Raises:
        DataError: What was asked for cannot be done; the message says why.

    Taught in notebook 05, section 4.
    """
    one, init = task(name), str(init)
    settings = budget(TransferSettings.for_tier(tier, seed), labels)
    encoder = initial_encoder(init, one, seed)
    train, test = (open_dataset(one.dataset, data_dir, split) for split in ("train", "test"))
    prepared = prepare(train, one.size)
    chosen = labelled_images(one, prepared, labels, seed)
    label = cell_label(name, init, labels, seed, tier)
    run = Run(
        NAME,
        dict(task=name, init=init, labels=labels, tier=tier, seed=seed),
        str(runs_folder() / "records" / NAME / label),
    )
    run.data(train=prepared.fingerprint, **fingerprint(init, one))
    run.metrics(settings=asdict(settings), labelled=[prepared.names[i] for i in chosen])
    for protocol, net in segmenters(encoder, one, prepared, chosen, settings, init == "scratch"):
        table = score(net, one, test)
        run.metrics(**{protocol: table.mean().round(4).to_dict(), f"{protocol}, images": table})
        if net.looks:
            looks = {str(step): round(value, 4) for step, value in net.looks.items()}
            run.metrics(**{f"{protocol}, looks": looks})
    return run.keep(label)


def budget(settings: TransferSettings, labels: int) -> TransferSettings:
    """The settings for a number of labels. With one label the looks decide nothing, since every
    image that is looked at is a labelled one: a stage has `ONE_LABEL_STEPS` steps, for all starts,
    and one look at its end.

    Args:
        settings: For many labels.
        labels: Number of labelled images; 0 stands for all.
    """
    if settings.patience and labels == 1:
        return replace(settings, steps=ONE_LABEL_STEPS, check_every=ONE_LABEL_STEPS, patience=0)
    return settings


def best_common_step(looks: list[dict[str, float]]) -> int:
    """The number of steps after which images that were set aside were segmented best, in the mean
    over trainings.

    Args:
        looks: Of each training, the number of steps to Dice, all of the same steps.

    Raises:
        ValueError: There is no training, or they were looked at after other steps.

    Example:
        >>> best_common_step([{"50": 0.2, "100": 0.4}, {"50": 0.5, "100": 0.4}])
        100
    """
    if not looks or any(one.keys() != looks[0].keys() for one in looks):
        raise ValueError("looks must be of trainings that were looked at after the same steps")
    table = pd.DataFrame(looks).mean()
    return int(table.index[table.to_numpy().argmax()])


def cell_label(name: str, init: str, labels: int, seed: int, tier: str) -> str:
    """The name of a cell's record. A file of your own is told apart by its whole path, also from an
    initialisation of the same name.
    """
    start = safe_name(init if is_known(init) else str(Path(init).expanduser().resolve()))
    return "_".join([name, start, str(labels or "all"), tier, str(seed)])


def missing_cells(
    names: list[str], inits: list[str], labels: list[int], seeds: list[int], tier: str = "study"
) -> list[tuple]:
    """Cells of a grid without a current record, one-label cells of all starts first."""
    grid = [(name, init, n, seed) for n, seed, name, init in product(labels, seeds, names, inits)]
    return [one for one in grid if not _is_measured(one, tier)]


def _is_measured(one: tuple, tier: str) -> bool:
    path, weights = record_path(NAME, cell_label(*one, tier)), fingerprint(one[1], task(one[0]))
    return is_current(path) and weights.items() <= read_record(path)["data"].items()


def _one_of_many(one: tuple, data_dir: str, tier: str, threads: int) -> str:
    torch.set_num_threads(threads)
    return cell(*one, data_dir, tier).stem


def cells(
    tasks: list[str],
    inits: list[str],
    labels: list[int],
    seeds: list[int],
    data_dir: str,
    tier: str,
    jobs: int,
) -> None:
    """Measures the missing cells of a grid, each in a process of its own. One that fails or whose
    process is killed says why and does not stop the others.

    Args:
        tasks: Their names; "real" stands for those on real images.
        inits: As in `initial_encoder`.
        labels: Numbers of labelled images; 0 takes all.
        seeds: As in `cell`.
        data_dir: Folder of the datasets.
        tier: As in `TransferSettings.for_tier`.
        jobs: Cells at once.

    Raises:
        SomeFailed: Cells failed; they are named.
        ValueError: A task or a number of labels makes no sense.
    """
    names = [name for given in tasks for name in (REAL_TASKS if given == "real" else (given,))]
    for name in names:
        task(name)
    labels = [whole(n, "labels") for n in labels]
    todo = missing_cells(names, inits, labels, seeds, tier)
    print(f"{len(todo)} cells to measure, {jobs} at once")
    threads = max(1, torch.get_num_threads() // jobs)
    measure = partial(_one_of_many, data_dir=data_dir, tier=tier, threads=threads)
    failed = {}
    for number, (one, _, error) in enumerate(in_own_processes(measure, todo, jobs), 1):
        label = cell_label(*one, tier)
        print(f"{number:4d}  {'failed  ' if error else ''}{label}", flush=True)
        if error:
            failed[label] = error
    if failed:
        raise SomeFailed(failed, len(todo), "cells")
