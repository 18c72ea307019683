"""Notebooks, their records and tables."""

from pathlib import Path
from typing import Annotated

import typer

from .guard import one_by_one
from .options import DATA, DataDir, Parameter


def execute(notebooks: Annotated[list[Path], typer.Argument(help="Notebooks to run.")]) -> None:
    """Run notebooks in place: their outputs are rewritten and figures/ is redrawn. One that fails
    stays as it was and does not stop the others; the status is then 1.
    """
    from ..runs.notebooks import execute_in_place, keep_figures
    from ..runs.parameters import parameters_of

    for notebook in notebooks:
        parameters_of(notebook)

    def execute_one(notebook: Path) -> Path:
        execute_in_place(notebook)
        return keep_figures(notebook.stem)

    one_by_one(execute_one, notebooks, "notebooks")


def sweep(
    notebook: Annotated[Path, typer.Argument(help="The notebook.")],
    grid: Annotated[
        list[str],
        typer.Option(
            metavar="NAME=VALUE,VALUE",
            help="Values of a parameter, as --grid seed=0,1,2; all combinations are run. A value "
            "with a comma stands in double quotes, as in --grid 'data_dir=\"/a,b\",/c'.",
        ),
    ] = (),
    p: Parameter = (),
    f: Annotated[Path | None, typer.Option("-f", help="A YAML file of parameters.")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Runs at once.")] = 2,
    cluster: Annotated[
        str, typer.Option(help="Address of a Dask scheduler; default: this machine.")
    ] = "",
    timeout: Annotated[
        float | None, typer.Option(metavar="MINUTES", help="Time that one run may take.")
    ] = None,
    keep: Annotated[
        bool, typer.Option(help="Keep the records with the project, under figures/.")
    ] = False,
) -> None:
    """Run a notebook over a grid of parameters; finished runs are skipped, failed ones run again.

    Values are of the kind that the notebook has: a text arrives letter by letter.
    The status is 1 where a run failed.

    Example: python -m ldr_lib sweep notebooks/02_two_branch_training.ipynb --grid seed=0,1,2
    """
    from ..runs.cell import sweep_folder
    from ..runs.parameters import given_parameters, grid_of, read_parameters
    from ..runs.processes import SomeFailed
    from ..runs.sweep import keep_records, run_sweep

    given, axes = given_parameters(p, notebook), grid_of(grid, notebook)
    if twice := given.keys() & axes[0].keys():
        raise ValueError(f"{', '.join(sorted(twice))} is given by -p and by --grid: choose one")
    fixed = (read_parameters(f) if f else {}) | given
    cells = [fixed | cell for cell in axes]
    table = run_sweep(notebook, cells, jobs, cluster, timeout)
    typer.echo(table.to_string(index=False))
    typer.echo(f"this table and the runs: {sweep_folder(notebook)}")
    if keep:
        typer.echo(f"{len(keep_records(notebook, cells))} records kept")
    failed = table[table["state"] == "failed"]
    if len(failed):
        raise SomeFailed(dict(zip(failed["folder"], failed["error"])), len(table), "runs")


def compare(
    first: Annotated[Path, typer.Argument(help="Folder of a run, or its record.json.")],
    second: Annotated[Path, typer.Argument(help="Another one.")],
) -> None:
    """Say what differs between two runs: parameters, versions, code, images and results."""
    from ..runs.records import compare as differences

    typer.echo(differences(first, second).to_string() or "nothing differs")


def summary(
    notebook: Annotated[Path, typer.Argument(help="The notebook.")], p: Parameter = ()
) -> None:
    """Print means and standard deviations over a notebook's committed records, in Markdown.

    Example: python -m ldr_lib summary notebooks/00_quickstart.ipynb -p dataset=chase_db1
    """
    from ..runs.parameters import check_parameters, given_parameters
    from ..runs.records import summary as table

    chosen = check_parameters(notebook, given_parameters(p, notebook))
    typer.echo(table(notebook.stem, **chosen))


def records(
    group: Annotated[
        str,
        typer.Argument(
            help="A list in notebooks/runs.yaml, for example records, learning, priors, transfer."
        ),
    ] = "records",
    jobs: Annotated[int, typer.Option(min=1, help="Runs at once.")] = 2,
    dry_run: Annotated[bool, typer.Option(help="Only say what would run.")] = False,
    data_dir: DataDir = DATA,
) -> None:
    """Make the records of a declared list of runs; those with a current record are skipped. The
    status is 1 where a run failed.
    """
    from ..reproduce import run_group

    run_group(group, data_dir, jobs, dry_run)


def confirm(
    revisions: Annotated[list[str], typer.Argument(help="Revisions that made records.")],
    group: Annotated[str, typer.Option(help="List of short runs in runs.yaml.")] = "probes",
    jobs: Annotated[int, typer.Option(min=1, help="Runs at once.")] = 2,
    data_dir: DataDir = DATA,
) -> None:
    """Compare short runs of earlier revisions with the present code; where all numbers are equal,
    the records of that revision count as current.
    """
    from ..data.errors import DataError
    from ..runs import confirm as short_runs

    present = short_runs.present_runs(data_dir, jobs, group)

    def compared(revision: str) -> str:
        outcome = short_runs.confirm(revision, data_dir, jobs, present, group)
        differ = [f"{run}: {', '.join(names[:5])}" for run, names in outcome.items() if names]
        if differ:
            raise DataError("\n".join(["other numbers", *differ]))
        return f"{revision}: all numbers of {len(outcome)} runs are equal"

    one_by_one(compared, revisions, "revisions")


def tables() -> None:
    """Write figures/README.md: all result tables, from the committed records."""
    from ..readme import write_tables

    typer.echo(write_tables())
