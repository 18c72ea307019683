"""A notebook over a grid of parameters: in parallel, on one machine or a cluster, going on where it
was stopped.
"""

import json
import os
import shutil
import time
from itertools import product
from pathlib import Path

import pandas as pd
import yaml
from joblib import Parallel, delayed, parallel_config

from ..data.errors import DataError
from ..data.files import Progress, atomic_write
from .notebooks import cells_of, check_parameters
from .paths import record_path, runs_folder


def grid_of(words: list[str]) -> list[dict]:
    """All combinations of "name=value,value" axes.

    Raises:
        DataError: An axis without values, or named twice.
    """
    axes = {}
    for word in words:
        name, _, values = word.partition("=")
        if not name or not values or name in axes:
            raise DataError(f'a grid is given as name=value,value and each name once, not "{word}"')
        try:
            axes[name] = [yaml.safe_load(value) for value in values.split(",")]
        except yaml.YAMLError as error:
            raise DataError(f"a value of {word} cannot be read ({error})") from error
    return [dict(zip(axes, values)) for values in product(*axes.values())]


def cell_folder(notebook: Path, parameters: dict) -> Path:
    """Where one cell of a sweep is kept."""
    label = "_".join(
        f"{name}={str(value).replace('/', '-')}"
        for name, value in sorted(parameters.items())
        if name not in ("data_dir", "out_dir")
    )
    return runs_folder() / "sweeps" / Path(notebook).stem / (label or "default")


def is_finished(notebook: Path, parameters: dict) -> bool:
    """Whether a cell was run to its end with these parameters and the notebook's present cells."""
    try:
        done = json.loads((cell_folder(notebook, parameters) / "finished.json").read_text())
    except (OSError, ValueError):
        return False
    return done == {"parameters": parameters, "cells": cells_of(Path(notebook))[0]}


def run_cell(
    notebook: str, parameters: dict, folder: Path, threads: int
) -> tuple[dict, float, str]:
    """Runs one cell; its notebook is kept even if it fails.

    Args:
        notebook: Path.
        parameters: Of this cell.
        folder: Receives what the run writes; replaced.
        threads: For the processes that it starts.

    Returns:
        The parameters, seconds, and the error's last line or "".
    """
    import papermill

    started = time.perf_counter()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    os.environ |= {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    try:
        papermill.execute_notebook(
            notebook,
            str(folder / Path(notebook).name),
            {**parameters, "out_dir": str(folder)},
            cwd=str(Path(notebook).parent),
            progress_bar=False,
            log_output=False,
            extra_arguments=["--log-level=CRITICAL"],
        )
    except Exception as error:  # noqa: BLE001 whatever stops one cell must not stop the others
        lines = str(error).strip().splitlines() or [type(error).__name__]
        with atomic_write(folder / "error.txt") as temporary:
            temporary.write_text(f"{error}\n")
        return parameters, time.perf_counter() - started, lines[-1]
    with atomic_write(folder / "finished.json") as temporary:
        temporary.write_text(
            json.dumps({"parameters": parameters, "cells": cells_of(Path(notebook))[0]})
        )
    return parameters, time.perf_counter() - started, ""


def run_sweep(notebook: Path, cells: list[dict], jobs: int = 2, cluster: str = "") -> pd.DataFrame:
    """Runs a notebook for every cell of a grid that is not finished yet.

    Args:
        notebook: Path of the notebook.
        cells: Parameters of each run; checked before anything starts.
        jobs: Runs at once on this machine; the processor's threads are shared among them.
        cluster: Address of a Dask scheduler whose workers see the same files; "" computes here.

    Returns:
        One row for each cell: its parameters, "state" (finished, skipped, failed), "minutes",
            "error", and the folder's name. Also
        written to `table.csv` in the sweep's folder.

    Raises:
        DataError: A parameter that the notebook does not have.

    Taught in notebook 06, section 1.
    """
    notebook = Path(notebook).resolve()
    for cell in cells:
        check_parameters(notebook, cell)
    todo = [cell for cell in cells if not is_finished(notebook, cell)]
    outcome = {str(cell): ("skipped", None, "") for cell in cells}
    bar = Progress(f"{len(todo)} of {len(cells)} runs of {notebook.stem}", len(todo))
    threads = max(1, (os.cpu_count() or 1) // max(1, jobs))
    backend = {"backend": "loky", "n_jobs": jobs}
    if cluster:
        backend = {"backend": "dask", "n_jobs": -1}
        _connect(cluster)
    with parallel_config(**backend):
        for cell, seconds, error in Parallel(
            return_as="list" if cluster else "generator_unordered"
        )(
            delayed(run_cell)(str(notebook), cell, cell_folder(notebook, cell).resolve(), threads)
            for cell in todo
        ):
            outcome[str(cell)] = ("failed" if error else "finished", round(seconds / 60, 2), error)
            bar.step()
            print(
                f"{outcome[str(cell)][0]:9s} {cell_folder(notebook, cell).name}  {seconds:.0f} s "
                f" {error}",
                flush=True,
            )
    bar.close()
    table = pd.DataFrame(
        [
            {
                **cell,
                **dict(zip(("state", "minutes", "error"), outcome[str(cell)])),
                "folder": cell_folder(notebook, cell).name,
            }
            for cell in cells
        ]
    )
    with atomic_write(runs_folder() / "sweeps" / notebook.stem / "table.csv") as temporary:
        table.to_csv(temporary, index=False)
    return table


def _connect(address: str) -> None:
    try:
        from dask.distributed import Client
    except ImportError as error:
        raise DataError('a cluster needs dask: pip install "ldr_lib[cluster]"') from error
    try:
        Client(address, timeout=20)
    except OSError as error:
        raise DataError(f"no Dask scheduler answers at {address}") from error


def record_label(parameters: dict) -> str:
    """The name of a notebook run's record."""
    return "_".join(
        str(value) for name, value in parameters.items() if name not in ("data_dir", "out_dir")
    )


def keep_records(notebook: Path, cells: list[dict]) -> list[Path]:
    """Copies the records of finished cells to `figures/<notebook>/records/` of this project.

    Args:
        notebook: Path of the notebook.
        cells: Parameters of each run.

    Returns:
        The paths of the kept records.
    """
    kept = []
    for cell in cells:
        if is_finished(Path(notebook), cell):
            target = record_path(Path(notebook).stem, record_label(cell))
            with atomic_write(target) as temporary:
                shutil.copyfile(cell_folder(notebook, cell) / "record.json", temporary)
            kept.append(target)
    return kept
