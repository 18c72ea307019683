"""How much a pretrained encoder helps segmentation with few labels: the cells of the transfer table
and their records.
"""

import math
import os
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import torch

from ..data import checks
from ..data.augment import LabelledPairs, Pairs
from ..data.checks import instance, whole
from ..data.checksums import file_digest
from ..data.datasets import DATASETS, open_dataset
from ..data.errors import DataError, one_of
from ..data.files import Progress
from ..data.names import safe_name
from ..data.prepare import Prepared, prepare
from ..network import Encoder
from ..pretrained import (
    CHANNELS,
    SHIPPED,
    WEIGHTS,
    load_encoder,
    load_weights,
    random_encoder,
    set_statistics,
)
from ..runs.fingerprints import is_current, read_record
from ..runs.paths import record_path, runs_folder
from ..runs.processes import SomeFailed, in_own_processes
from ..runs.run import Run
from .pretraining import METHODS, NAME, pretrained_folder
from .segmenter import Segmenter, TransferSettings, fine_tune, score, train_decoder
from .tasks import REAL_TASKS, Task, task

INITS = (
    "random",
    "scratch",
    *SHIPPED,
    *(method for method in METHODS if method not in SHIPPED),
    "guided",
)


def initial_encoder(init: str, one: Task, seed: int) -> Encoder:
    """The encoder from which a cell starts.

    Args:
        init: "random" or "scratch" (drawn from the seed), one that comes with the package as in
            `load_encoder`, an ablation that `ldr_lib.pretraining` has trained here, either of them
            with the seed of another pretraining as in "ldr-1", "guided" (the network of notebook 04
            for this structure), or the path of a safetensors file.
        one: What is segmented.
        seed: Of the cell.

    Returns:
        The encoder, on the processor.

    Raises:
        DataError: The weights of the initialisation are not there.
        ValueError: Unknown initialisation, no task, or no seed.
    """
    instance(one, Task, "one", "a Task, for example task(...)")
    init, seed = str(checks.path(init, "init")), checks.seed(seed)
    modality = DATASETS[one_of(one.dataset, DATASETS, "dataset")].modality
    if init in SHIPPED:
        return load_encoder(modality, init, "cpu")
    encoder = random_encoder(CHANNELS[modality], seed)
    if init in ("random", "scratch"):
        return encoder
    if init == "guided":
        network = "chest" if modality == "chest" else "vessel" if one.is_thin else "disc"
        return load_weights(encoder, WEIGHTS / f"{network}.safetensors")
    method, _, number = init.partition("-")
    if method in METHODS and (number or "0").isdecimal():
        path = pretrained_folder(modality, method, int(number or 0)) / "encoder.safetensors"
        if not path.exists():
            raise DataError(
                f"{path} is not there; python -m ldr_lib pretrain {modality} --method {method} "
                f"--seed {number or 0} makes it"
            )
        return load_weights(encoder, path)
    if Path(init).is_file():
        return load_weights(encoder, init)
    known = (*INITS, "or the path of a safetensors file")
    return one_of(init, known, "initialisation")


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
    if task.structure not in prepared.masks:
        raise DataError(f"{task.dataset} has no masks of {task.structure} in its training split")
    rest = np.arange(math.ceil(len(prepared) / 5), len(prepared))
    shown = np.array([i for i in rest if prepared.masks[task.structure][i].any()], int)
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


def segmenters(
    encoder: Encoder,
    one: Task,
    prepared: Prepared,
    chosen: np.ndarray,
    settings: TransferSettings,
    scratch: bool = False,
    device: str = "auto",
    label: str = "",
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

    Yields:
        "frozen" and the segmenter, then "fine-tuned" and the same one trained further.

    Raises:
        ValueError: An argument is none of these, or there is no such image.
    """
    instance(encoder, Encoder, "encoder", "an Encoder")
    instance(one, Task, "one", "a Task, for example task(...)")
    instance(settings, TransferSettings, "settings", "TransferSettings")
    if not hasattr(prepared, "masks"):
        raise ValueError(
            f"prepared must be images as `prepare` returns them, not {checks.shown(prepared)}"
        )
    one_of(one.structure, prepared.masks, "structure of the prepared images")
    chosen = checks.labels(chosen, "chosen", len(prepared), "n")
    inside = np.asarray(prepared.masks["field_of_view"])

    def crops(rows: np.ndarray) -> LabelledPairs:
        masks = np.asarray(prepared.masks[one.structure][rows])[:, None]
        return LabelledPairs(
            prepared.images[rows], masks, inside[rows], settings.side, one.crop, one.turn
        )

    torch.manual_seed(settings.seed)
    set_statistics(encoder, crops(np.arange(len(prepared)))(64).images)
    labelled = crops(chosen)
    line = Progress(label, 2 * settings.steps) if label else None
    if line:
        labelled = _Counted(labelled, line)
    net = train_decoder(encoder, labelled, settings, device, frozen=not scratch)
    if not scratch:
        yield "frozen", net
    yield "fine-tuned", fine_tune(net, labelled, settings)
    if line:
        line.close()


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
    one, settings, init = task(name), TransferSettings.for_tier(tier, seed), str(init)
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
    run.data(train=prepared.fingerprint, **own_weights(init))
    run.metrics(settings=asdict(settings), labelled=[prepared.names[i] for i in chosen])
    for protocol, net in segmenters(encoder, one, prepared, chosen, settings, init == "scratch"):
        table = score(net, one, test)
        run.metrics(**{protocol: table.mean().round(4).to_dict(), f"{protocol}, images": table})
    return run.keep(label)


def cell_label(name: str, init: str, labels: int, seed: int, tier: str) -> str:
    """The name of a cell's record. A file of your own is told apart by its whole path, also from an
    initialisation of the same name.
    """
    start = safe_name(init if _is_known(init) else str(Path(init).expanduser().resolve()))
    return "_".join([name, start, str(labels or "all"), tier, str(seed)])


def _is_known(init: str) -> bool:
    """Whether an initialisation is one of this project, not a file of the user's."""
    method, dash, number = init.partition("-")
    return init in INITS or bool(dash and method in METHODS and number.isdecimal())


def own_weights(init: str) -> dict[str, str]:
    """The fingerprint of an initialisation that is a file of the user's, as "weights"; nothing for
    others.
    """
    if _is_known(init) or not Path(init).is_file():
        return {}
    return {"weights": file_digest(init)[:32]}


def missing_cells(
    names: list[str], inits: list[str], labels: list[int], seeds: list[int], tier: str = "study"
) -> list[tuple]:
    """Cells of a grid without a current record, one-label cells of all starts first."""
    grid = [(name, init, n, seed) for n, seed, name, init in product(labels, seeds, names, inits)]
    return [one for one in grid if not _is_measured(one, tier)]


def _is_measured(one: tuple, tier: str) -> bool:
    path, own = record_path(NAME, cell_label(*one, tier)), own_weights(one[1])
    return is_current(path) and own.items() <= read_record(path)["data"].items()


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
    threads = max(1, (os.cpu_count() or 1) // jobs)
    measure = partial(_one_of_many, data_dir=data_dir, tier=tier, threads=threads)
    failed = {}
    for number, (one, _, error) in enumerate(in_own_processes(measure, todo, jobs), 1):
        label = cell_label(*one, tier)
        print(f"{number:4d}  {'failed  ' if error else ''}{label}", flush=True)
        if error:
            failed[label] = error
    if failed:
        raise SomeFailed(failed, len(todo), "cells")
