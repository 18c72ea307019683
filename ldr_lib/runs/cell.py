"""One run of a notebook with given parameters: what it is called, where it is kept, how it ends."""

import atexit
import hashlib
import json
import os
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from ..data.checks import instance
from ..data.checks import path as path_of
from ..data.errors import DataError
from ..data.files import atomic_write
from ..data.names import label_of, safe_label, safe_name
from .fingerprints import read_record
from .notebooks import cells_of, in_words
from .parameters import check_parameters
from .paths import project_root, require_home, runs_folder
from .processes import MARK, end_processes, is_stopped, new_mark, time_limit


class Outcome(NamedTuple):
    """How a cell ended.

    Attributes:
        error: "" or why it failed, in one line.
        seconds: That it took; None where it was not run.
        state: "finished", "failed" or "skipped".
    """

    error: str
    seconds: float | None
    state: str


def cell_parameters(notebook: Path, given: dict) -> dict:
    """Parameters in the kinds of the notebook, with data_dir as it is seen from where the user
    stands.

    Args:
        notebook: Path of the notebook.
        given: As the user gave them.

    Raises:
        DataError: A parameter does not fit the notebook, or is chosen by the sweep itself.
    """
    if "out_dir" in instance(given, dict, "parameters", "a dictionary of parameters"):
        raise DataError(
            "a sweep gives each run an out_dir of its own: leave it out, and set LDR_RUNS to keep "
            "all runs elsewhere"
        )
    found = check_parameters(notebook, given)
    if found.get("data_dir"):
        found["data_dir"] = os.path.abspath(os.path.expanduser(found["data_dir"]))
    return found


def cell_label(parameters: dict) -> str:
    """The name of a cell: all its parameters, as `cell_parameters` returns them."""
    return label_of(parameters) or "default"


def sweep_folder(notebook: Path) -> Path:
    """Where all cells of a notebook are kept. Notebooks of one name in two places have two."""
    path = path_of(notebook, "notebook").resolve()
    name = safe_label(path.stem)
    if path.parent != (project_root() / "notebooks").resolve():
        place = hashlib.blake2b(os.fsencode(path.parent), digest_size=3).hexdigest()
        name = f"{name}~{place}"
    return runs_folder() / "sweeps" / name


def cell_folder(notebook: Path, parameters: dict) -> Path:
    """Where one cell of a sweep is kept.

    Args:
        notebook: Path of the notebook.
        parameters: Of the cell, all that were given.

    Raises:
        DataError: A parameter does not fit the notebook.

    Taught in notebook 06, section 1.
    """
    return sweep_folder(notebook) / cell_label(cell_parameters(notebook, parameters))


def is_finished(notebook: Path, parameters: dict) -> bool:
    """Whether a cell was run to its end with these parameters and the notebook's present cells, and
    its record can be read, if it wrote one.
    """
    folder = cell_folder(notebook, parameters)
    try:
        done = json.loads((folder / "finished.json").read_text(encoding="utf-8"))
        if done.pop("with record", (folder / "record.json").exists()):
            read_record(folder)
    except (OSError, ValueError, TypeError, AttributeError, DataError):
        return False
    return done == _description(notebook, cell_parameters(notebook, parameters))


def _description(notebook: Path, parameters: dict) -> dict:
    """What a cell is, as its file can hold it."""
    whole = {"parameters": parameters, "cells": cells_of(Path(notebook))[0]}
    return json.loads(json.dumps(whole))


def run_cell(
    notebook: str,
    parameters: dict,
    folder: Path,
    threads: int,
    minutes: float | None = None,
    mark: str = "",
) -> Outcome:
    """Runs one cell. Its notebook is saved after each of its parts, and kept if one fails.

    Args:
        notebook: Path.
        parameters: Of this cell.
        folder: Receives what the run writes; replaced.
        threads: For the processes that it starts.
        minutes: Time that it may take; None is no limit.
        mark: Of its processes; those of an earlier attempt are ended first. "" takes a new one.

    Returns:
        How it ended. No process of it is left.
    """
    started, mark = time.perf_counter(), mark or new_mark()
    end_processes(mark)
    with time_limit(minutes, mark) as over:
        try:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True, exist_ok=True)
            given = {**parameters, "out_dir": str(folder)}
            kernel = {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads), MARK: mark}
            _execute(Path(notebook), given, folder / Path(notebook).name, os.environ | kernel)
            done = _description(notebook, parameters)
            with atomic_write(folder / "finished.json") as temporary:
                done["with record"] = (folder / "record.json").exists()
                temporary.write_text(json.dumps(done), encoding="utf-8")
            return Outcome("", time.perf_counter() - started, "finished")
        except Exception as error:  # noqa: BLE001 whatever stops one cell must not stop the others
            reason = f"stopped after {minutes:g} minutes" if over.is_set() else in_words(error)
            with suppress(DataError), atomic_write(folder / "error.txt") as temporary:
                temporary.write_text(f"{reason}\n\n{error}\n", "utf-8", "backslashreplace")
            return Outcome(reason, time.perf_counter() - started, "failed")
        finally:
            end_processes(mark)


def _execute(notebook: Path, parameters: dict, target: Path, environment: dict) -> None:
    """Runs a notebook with parameters in its own folder; what was run so far is kept at `target`.

    The parameters stand in a cell of their own behind the notebook's, as papermill puts them.
    """
    import nbformat
    from nbclient import NotebookClient

    require_home()
    content = nbformat.read(notebook, as_version=4)
    lines = [f"{name} = {value!a}" for name, value in parameters.items()]
    given = nbformat.v4.new_code_cell(
        "\n".join(lines), metadata={"tags": ["injected-parameters"]}, id="given-parameters"
    )
    tags = [cell.metadata.get("tags", []) for cell in content.cells]
    position = next((i + 1 for i, found in enumerate(tags) if "parameters" in found), 0)
    content.cells.insert(position, given)

    def unless_stopped(**_):
        if is_stopped(environment[MARK]):
            raise DataError("it was stopped")

    def save(**_):
        with atomic_write(target) as temporary:
            nbformat.write(content, temporary)

    client = NotebookClient(
        content,
        timeout=None,
        startup_timeout=180,
        resources={"metadata": {"path": str(notebook.parent)}},
        extra_arguments=["--log-level=CRITICAL"],
        on_cell_start=unless_stopped,
        on_cell_complete=save,
    )
    try:
        client.execute(env=environment)
    finally:
        atexit.unregister(client._cleanup_kernel)  # left there where the kernel did not start
        save()


def record_label(parameters: dict) -> str:
    """The name of a notebook run's record.

    Args:
        parameters: Of the run.

    Returns:
        The seed, or the dataset and the seed, where nothing else was chosen: `chase_db1_0`. Where
        a dataset with a name lies does not count. Otherwise all parameters with their names.

    Example:
        >>> record_label({"dataset": "hrf", "seed": 1}), record_label({"seed": 1, "k": 8})
        ('hrf_1', 'k=8,seed=1')
    """
    chosen = {name: value for name, value in parameters.items() if name != "out_dir"}
    if chosen.get("dataset", "folder") not in ("folder", "folder_other"):
        chosen.pop("data_dir", None)
    if set(chosen) in ({"seed"}, {"dataset", "seed"}) and type(chosen["seed"]) is int:
        dataset = [safe_name(chosen["dataset"])] if "dataset" in chosen else []
        return "_".join([*dataset, str(chosen["seed"])])
    return cell_label(chosen)
