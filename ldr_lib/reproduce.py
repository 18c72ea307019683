"""The declared runs of `notebooks/runs.yaml`: which of them have a current record, and making the
others.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from itertools import product
from pathlib import Path
from types import ModuleType

import torch
import yaml

from .data.errors import DataError, one_of
from .runs.cell import record_label
from .runs.fingerprints import is_current
from .runs.locks import Taken, claimed
from .runs.parameters import check_parameters
from .runs.paths import project_root, record_path, runs_folder
from .runs.processes import SomeFailed, in_own_processes
from .runs.sweep import keep_records, run_sweep

PLAN = project_root() / "notebooks" / "runs.yaml"


@dataclass(frozen=True)
class DeclaredRun:
    """One run of the plan.

    Attributes:
        command: Verb of the command line.
        options: Its arguments by name; the first is the subject.
    """

    command: str
    options: dict

    @property
    def record(self) -> Path:
        """Where its record is kept."""
        return RUNNERS[self.command].record(self.options)

    @property
    def is_made(self) -> bool:
        """Whether it has a record of the present code, from the weights that are there now."""
        return is_current(self.record) and RUNNERS[self.command].same_start(self.options)

    def make(self, data_dir: str) -> None:
        """Runs it and keeps its record."""
        RUNNERS[self.command].make(self.options, data_dir)

    def __str__(self) -> str:
        subject, *options = self.options.items()
        return " ".join(
            [self.command, str(subject[1]), *(f"{name}={value}" for name, value in options)]
        )


def declared_runs(group: str, plan: Path = PLAN) -> list[DeclaredRun]:
    """All runs of a group, in the order in which they depend on each other.

    Args:
        group: A key of the plan.
        plan: The YAML file.

    Raises:
        ValueError: Unknown group or command.
        DataError: The plan cannot be read, or an entry is none; it is named.
    """
    try:
        groups = yaml.safe_load(plan.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise DataError(f"{plan} cannot be read ({error})") from error
    if not isinstance(groups, dict) or not all(isinstance(one, list) for one in groups.values()):
        raise DataError(f"{plan} must hold groups, each a list of runs")
    found = {}
    for number, entry in enumerate(groups[one_of(group, groups, "group of runs")], 1):
        where = f"{plan.name}, {group}, entry {number}"
        if not isinstance(entry, dict) or not all(isinstance(name, str) for name in entry):
            raise DataError(f"{where} must be a command and its options, not {entry!r}")
        command = one_of(next(iter(entry), ""), RUNNERS, "command")
        axes = [value if isinstance(value, list) else [value] for value in entry.values()]
        for values in product(*axes):
            run = DeclaredRun(command, dict(zip(entry, values)))
            try:
                found[run.record] = run
            except (TypeError, LookupError, AttributeError, ValueError) as error:
                raise DataError(f"{where} ({run}) is no run: {error}") from error
    return list(found.values())


def run_group(group: str, data_dir: str, jobs: int = 2, dry_run: bool = False) -> list[DeclaredRun]:
    """Makes the records of a group that are missing or stale: made by other code, or from weights
    that have changed since, also by the runs that come before in the group. A run that fails or
    whose process is killed says why and does not stop the others; one that another process is
    making is left to it.

    Args:
        group: A key of the plan.
        data_dir: Folder of the datasets.
        jobs: Runs at once.
        dry_run: Only say what would run.

    Returns:
        The runs that were to make.

    Raises:
        SomeFailed: Runs failed; they are named.
        ValueError: No job.
    """
    if jobs < 1:
        raise ValueError(f"jobs must be above 0, not {jobs}")
    runs = declared_runs(group)
    todo = [run for run in runs if not run.is_made]
    print(f"{len(runs) - len(todo)} of {len(runs)} records of {group} are current")
    if dry_run:
        for run in todo:
            print(f"would run: {run}")
        return todo
    attempt = partial(_attempt, data_dir=data_dir, threads=max(1, torch.get_num_threads() // jobs))
    tried, failed = [], {}
    for command in dict.fromkeys(run.command for run in runs):
        # pretraining comes before what starts from it, and makes it stale
        todo = [run for run in runs if run.command == command and not run.is_made]
        tried += todo
        for run, said, error in in_own_processes(attempt, todo, jobs):
            print(f"{'failed' if error else said}  {run}", flush=True)
            if error:
                failed[str(run)] = error
    if failed:
        raise SomeFailed(failed, len(tried), "runs")
    return tried


def _attempt(run: DeclaredRun, data_dir: str, threads: int) -> str:
    """Makes a run unless another process does; says which."""
    torch.set_num_threads(threads)
    record = run.record
    try:
        with claimed(runs_folder() / "records" / f"{record.parents[1].name}-{record.stem}"):
            if not run.is_made:
                run.make(data_dir)
            return "done"
    except Taken as taken:
        return f"left to {taken}"


@dataclass(frozen=True)
class Runner:
    """How a command's record is named and made, and whether a record that the present code made
    started from the present weights.
    """

    record: Callable[[dict], Path]
    make: Callable[[dict, str], None]
    same_start: Callable[[dict], bool] = lambda options: True


def _notebook_run(options: dict, data_dir: str = "") -> tuple[Path, dict]:
    notebook = project_root() / "notebooks" / f"{options['sweep']}.ipynb"
    given = {name: value for name, value in options.items() if name != "sweep"}
    parameters = check_parameters(notebook, given)
    needs_files = not parameters.get("dataset", "simulated").startswith("simulated")
    return notebook, parameters | ({"data_dir": data_dir} if needs_files else {})


def _make_notebook(options: dict, data_dir: str) -> None:
    notebook, parameters = _notebook_run(options, data_dir)
    table = run_sweep(notebook, [parameters], jobs=1)
    if (table["state"] == "failed").any():
        raise DataError(str(table["error"].iloc[0]))
    keep_records(notebook, [parameters])


def _notebook_record(options: dict) -> Path:
    notebook, parameters = _notebook_run(options)
    return record_path(notebook.stem, record_label(parameters))


def _guided(options: dict) -> dict:
    usual = {
        "prior": "simulated",
        "method": "rendered",
        "control": "none",
        "tier": "study",
        "seed": 0,
    }
    return (
        {"guided": options["guided"]} | usual | {k: v for k, v in options.items() if k != "guided"}
    )


def _learning(options: dict) -> dict:
    return {"way": options["learn"]} | {k: v for k, v in options.items() if k != "learn"}


def _switch(options: dict) -> dict:
    usual = {"modality": "fundus", "seed": 0}
    return usual | options


def _pretraining(options: dict) -> dict:
    usual = {"modality": options["pretrain"], "method": "instance", "seed": 0, "tier": "study"}
    return usual | {k: v for k, v in options.items() if k != "pretrain"}


def _cell(options: dict) -> dict:
    usual = {"name": options["transfer"], "init": "ldr", "labels": 1, "seed": 0, "tier": "study"}
    return usual | {k: v for k, v in options.items() if k != "transfer"}


def _is_measured(options: dict) -> bool:
    one = _cell(options)
    grid = ([one[name]] for name in ("name", "init", "labels", "seed"))
    return not _load("transfer.experiment").missing_cells(*grid, one["tier"])


def _load(module: str) -> ModuleType:
    """A module of this package, when it is needed: records name every module that was loaded when
    they were made.
    """
    return import_module(f".{module}", __package__)


RUNNERS = {
    "sweep": Runner(_notebook_record, _make_notebook),
    "baselines": Runner(
        lambda _: record_path(_load("guided.study").NAME, "baselines"),
        lambda _, data_dir: _load("guided.baselines").baselines(data_dir),
    ),
    "shipped": Runner(
        lambda _: record_path(_load("guided.study").NAME, _load("guided.shipped_study").SHIPPED),
        lambda _, data_dir: _load("guided.shipped_study").measure(data_dir),
    ),
    "guided": Runner(
        lambda options: record_path(
            _load("guided.study").NAME, _load("guided.study").run_label(**_guided(options))
        ),
        lambda options, data_dir: _load("guided.study").study(
            **_guided(options), data_dir=data_dir
        ),
    ),
    "learn": Runner(
        lambda options: record_path(
            _load("explore.learning").NAME,
            _load("explore.learning").study_label(**_learning(options)),
        ),
        lambda options, data_dir: _load("explore.learning").learning_study(
            **_learning(options), data_dir=data_dir
        ),
    ),
    "switch": Runner(
        lambda options: record_path(
            _load("explore.switches").NAME, _load("explore.switches").label(**_switch(options))
        ),
        lambda options, data_dir: _load("explore.switches").switch_study(
            **_switch(options), data_dir=data_dir
        ),
    ),
    "pretrain": Runner(
        lambda options: record_path(
            _load("transfer.pretraining").NAME,
            _load("transfer.pretraining").pretrained_folder(**_pretraining(options)).name,
        ),
        lambda options, data_dir: _load("transfer.pretraining").pretraining_study(
            **_pretraining(options), data_dir=data_dir
        ),
    ),
    "transfer": Runner(
        lambda options: record_path(
            _load("transfer.experiment").NAME,
            _load("transfer.experiment").cell_label(**_cell(options)),
        ),
        lambda options, data_dir: _load("transfer.experiment").cell(
            **_cell(options), data_dir=data_dir
        ),
        _is_measured,
    ),
}
