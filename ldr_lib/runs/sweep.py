"""A notebook over a grid of parameters: in parallel, on one machine or a cluster, going on where it
was stopped.
"""

import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import pandas as pd
import torch

from ..data.checks import given, instance, number, whole
from ..data.checks import path as path_of
from ..data.errors import DataError
from ..data.files import Progress, atomic_write
from .cell import (
    Outcome,
    cell_label,
    cell_parameters,
    is_finished,
    record_label,
    run_cell,
    sweep_folder,
)
from .cluster import QUEUED, Cluster
from .fingerprints import read_record
from .locks import Taken, claimed, writable
from .paths import record_path, require_home
from .processes import all_ended, ended_by_signals, new_mark, stop_work


class Here:
    """This machine, as `Cluster` is another."""

    run = staticmethod(run_cell)
    end = staticmethod(stop_work)

    def close(self) -> None:
        """Nothing is open."""


def run_sweep(
    notebook: Path,
    cells: list[dict],
    jobs: int = 2,
    cluster: str = "",
    timeout: float | None = None,
) -> pd.DataFrame:
    """Runs a notebook for every cell of a grid that is not finished yet.

    A cell that fails, takes too long or whose process is killed stops no other. Cells that another
    sweep is running are waited for and not run twice. Where the sweep is stopped, all its processes
    end, and finished cells are kept.

    Args:
        notebook: Path of the notebook.
        cells: Parameters of each run; checked before anything starts. Equal ones are run once.
        jobs: Runs at once on this machine; the threads that torch has here are shared among them.
        cluster: Address of a Dask scheduler whose workers see the same files; "" computes here.
        timeout: Minutes that one run may take; None is no limit.

    Returns:
        One row for each different cell: its parameters, "state" (finished, skipped, failed),
            "minutes", "error", and the folder's name. Also written to `table.csv` in the sweep's
            folder, where a stopped sweep leaves what it has ("not run" for the others).

    Raises:
        DataError: A parameter that the notebook does not have or that does not fit; no place to
            write; no cluster.
        ValueError: No job or no time.

    Taught in notebook 06, section 1.
    """
    notebook, jobs = path_of(notebook, "notebook").resolve(), whole(jobs, "jobs", 1)
    instance(cells, (list, tuple), "cells", "a list of the parameters of each run")
    if timeout is not None:
        number(timeout, "timeout", 0, above=True)
    found = [cell_parameters(notebook, cell) for cell in cells]
    grid = {cell_label(cell): cell for cell in found}
    require_home()
    writable(sweep_folder(notebook).resolve())
    todo = [label for label, cell in grid.items() if not is_finished(notebook, cell)]
    outcomes = {label: Outcome("", None, "skipped") for label in grid if label not in todo}
    place = Cluster(cluster) if given(cluster) else Here()
    threads = max(1, torch.get_num_threads() // jobs)
    work = _Work(notebook, grid, place, threads, timeout)
    bar = Progress(f"{len(todo)} of {len(grid)} runs of {notebook.stem}", len(todo))

    def note(label: str, outcome: Outcome) -> None:
        outcomes[label] = outcome
        bar.step()
        spent = f"  {outcome.seconds:.0f} s" if outcome.seconds is not None else ""
        print(f"{outcome.state:9s} {label}{spent}  {outcome.error}".rstrip(), flush=True)

    try:
        with ended_by_signals():
            taken = work.through(todo, QUEUED if given(cluster) else jobs, note)
            work.through(taken, QUEUED if given(cluster) else jobs, note, waits=True)
    finally:
        place.close()
        bar.close()
        table = _table(grid, outcomes)
        with atomic_write(sweep_folder(notebook) / "table.csv") as temporary:
            table.to_csv(temporary, index=False, encoding="utf-8", errors="surrogateescape")
    return table


def _table(grid: dict[str, dict], outcomes: dict[str, Outcome]) -> pd.DataFrame:
    rows = []
    for label, cell in grid.items():
        error, seconds, state = outcomes.get(label, Outcome("", None, "not run"))
        minutes = None if seconds is None else round(seconds / 60, 2)
        rows.append({**cell, "state": state, "minutes": minutes, "error": error, "folder": label})
    return pd.DataFrame(rows)


class _Work:
    """Cells of a grid, each run by one thread of this process that waits for its kernel or worker.

    Args:
        notebook: Path of the notebook.
        grid: Label to parameters.
        place: Where cells are run.
        threads: Of the processor for each cell.
        minutes: Time that a cell may take.
    """

    def __init__(self, notebook: Path, grid: dict[str, dict], place, threads: int, minutes):
        self.notebook, self.grid, self.place = notebook, grid, place
        self.limits = threads, minutes
        self.mark, self.started = new_mark(), time.time()
        self.stopping = threading.Event()

    def through(
        self, labels: list[str], at_once: int, note: Callable, waits: bool = False
    ) -> list[str]:
        """Runs cells; returns those that another sweep is running, unless it waits for them."""
        taken = []
        with ThreadPoolExecutor(max(1, min(at_once, len(labels)))) as pool:
            futures = {pool.submit(self._one, label, waits): label for label in labels}
            try:
                for future in as_completed(futures):
                    outcome = future.result()
                    if isinstance(outcome, Taken):
                        taken.append(futures[future])
                        print(f"waiting   {futures[future]}  is run by {outcome}", flush=True)
                    else:
                        note(futures[future], outcome)
            except BaseException:
                self.stopping.set()
                all_ended(futures, lambda: self.place.end(self.mark))
                raise
        return taken

    def _one(self, label: str, waits: bool) -> Outcome | Taken:
        """One cell, unless another sweep has it."""
        folder = (sweep_folder(self.notebook) / label).resolve()
        mark = f"{self.mark}{label};"
        while True:
            try:
                with claimed(folder, mark):
                    return self._unless_done(label, folder, mark)
            except Taken as taken:
                if not waits or self.stopping.wait(1):
                    return taken
            except (DataError, OSError) as error:
                return Outcome(str(error), None, "failed")

    def _unless_done(self, label: str, folder: Path, mark: str) -> Outcome:
        """One cell, unless another sweep ran it in the meantime."""
        error = folder / "error.txt"
        if is_finished(self.notebook, self.grid[label]):
            return Outcome("", None, "skipped")
        if error.exists() and error.stat().st_mtime > self.started:
            return Outcome(error.read_text(encoding="utf-8").partition("\n")[0], None, "failed")
        outcome = self.place.run(str(self.notebook), self.grid[label], folder, *self.limits, mark)
        if self.stopping.is_set() and error.exists():
            error.unlink()  # it did not fail, it was stopped
        return outcome


def keep_records(notebook: Path, cells: list[dict]) -> list[Path]:
    """Copies the records of finished cells to `figures/<notebook>/records/` of this project.

    Args:
        notebook: Path of the notebook.
        cells: Parameters of each run.

    Returns:
        The paths of the kept records. Cells that would have one record get the names of all their
        parameters instead.

    Raises:
        DataError: A finished cell has no record that can be read, or would replace the record of
            other images, as where a dataset lies in two folders. Nothing is copied then.
    """
    notebook = path_of(notebook, "notebook")
    instance(cells, (list, tuple), "cells", "a list of the parameters of each run")
    found = [cell_parameters(notebook, cell) for cell in cells]
    finished = {cell_label(cell): cell for cell in found if is_finished(notebook, cell)}
    short = [record_label(cell) for cell in finished.values()]
    copies = {}
    for label, cell in finished.items():
        record = sweep_folder(notebook) / label / "record.json"
        name = record_label(cell)
        place = sweep_folder(notebook).name
        target = record_path(place, name if short.count(name) == 1 else label)
        _require_same_images(read_record(record), target, cell.get("data_dir", ""))
        copies[target] = record
    for target, record in copies.items():
        with atomic_write(target) as temporary:
            shutil.copyfile(record, temporary)
    return list(copies)


def _require_same_images(record: dict, target: Path, data_dir: str) -> None:
    """Makes sure that a record of images from a folder does not replace one of other images. Those
    that the package makes itself change with its code, and their records are replaced.
    """
    try:
        earlier = read_record(target)["data"] if data_dir else {}
    except DataError:  # there is none, or it is damaged
        return
    data = record["data"]
    if other := [role for role in earlier if data.get(role, earlier[role]) != earlier[role]]:
        raise DataError(
            f"{target} holds a record of other images than those in {data_dir} "
            f"({', '.join(other)}), and would be lost. Move or remove it to keep the new one "
            "instead; or run the sweep for both folders at once, as --grid data_dir=FIRST,SECOND, "
            "which gives each record a name of its own."
        )
