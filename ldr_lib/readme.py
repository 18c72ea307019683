"""The generated parts of the README, and the numbers that `make quickstart` prints."""

import json
import re
from pathlib import Path

import pandas as pd
import torch

from .data.errors import DataError
from .data.files import atomic_write
from .explore.learning_table import chosen_step, learning_records, learning_table
from .guided import study_markdown
from .runs.cell import run_cell
from .runs.fingerprints import read_record
from .runs.paths import project_root, runs_folder
from .runs.records import as_markdown, summary
from .tables import EXPLORE, PENDING, QUICKSTART, SAMPLE, TIER, all_tables, probes, recorded
from .transfer import transfer_records, transfer_table

NETWORKS = ("untrained", "trained")
COMPARED = {
    "AP vessel": "Average precision of vessels by similarity to one pixel",
    "Dice vessel": "Dice of vessels and the best cluster",
    "NMI": "NMI of clusters and anatomy",
}
"""Column to words: what a newcomer compares after `make quickstart`."""


def _cells(markdown: str) -> pd.DataFrame:
    """A table in Markdown as strings; its first column is the index."""
    lines = [re.split(r"(?<!\\)\|", line[1:-1]) for line in markdown.splitlines()]
    head, _, *body = [[cell.strip() for cell in line] for line in lines]
    return pd.DataFrame(body, columns=head).set_index(head[0])


def _best(table: pd.DataFrame, kind: str, column: str) -> str:
    """The best cell of the rows of one kind, for example "raw" and "locally normalised
    intensities".
    """
    cells = table.loc[table.index.str.endswith(kind), column]
    return max(cells, key=lambda cell: float(cell.split()[0]))


def _result_rows_of_notebooks() -> list[tuple[str, ...]]:
    """Rows of the README's table from notebooks 00 and 03 and the long trainings, where kept."""
    rows = []
    if recorded(QUICKSTART, "chase_db1"):
        real = _cells(summary(QUICKSTART, dataset="chase_db1", tier=TIER))
        column, what = "AP vessel", "Average precision of vessels by similarity to one pixel (00)"
        others = f"untrained {real.loc['untrained', column]}; "
        others += f"intensities {_best(real, 'intensities', column)}"
        rows.append((what, "CHASE_DB1", real.loc["trained", column], others))
    records, steps = learning_records("fundus"), chosen_step("fundus")
    _, table = learning_table(records, "fundus", steps)
    if "both" in table.index:
        others = "; ".join(
            f"{name} {table.loc[name, 'AP vessel']}"
            for name in ("embedding only", "filter bank", "ImageNet")
        )
        what = f"Average precision of vessels by similarity, {steps:,} steps (02)"
        rows.append((what, "CHASE_DB1", table.loc["both", "AP vessel"], others))
    if recorded(EXPLORE, "chase_db1"):
        column, table = "vessel linear AUC", probes(EXPLORE, "chase_db1")
        others = f"filter bank {_best(table, 'filter bank', column)}; "
        others += f"ImageNet {_best(table, 'ImageNet', column)}"
        what = "AUC of vessels, linear classifier, one label (03)"
        rows.append((what, "CHASE_DB1", table.loc["trained", column], others))
    return rows


def results() -> str:
    """The README's table of results: what was measured, this kit and what it is compared with."""
    study = _cells(study_markdown()).set_index("way", append=True)["Dice"]
    transfer = transfer_table(transfer_records("converged"))["1 label"]
    transfer = transfer.str.partition(" (")[0]  # without the numbers of draws and runs
    vessels, disc = ("vessel_chase_db1", "frozen"), ("disc_drions", "fine-tuned")
    rows = _result_rows_of_notebooks()
    rows += [
        (
            "Dice of vessels, guided by OCTA masks (04c)",
            "CHASE_DB1",
            study["vessel", "octa prior, combined, from representation"],
            f"Frangi filter {study['vessel', 'frangi, oracle threshold']}; "
            f"second observer {study['vessel', 'second observer']}",
        ),
        (
            "Dice of lungs, guided by simulated shapes (04c)",
            "COVID19_CXR_SEG",
            study["lungs", "combined"],
            f"mean simulated mask {study['lungs', 'mean simulated mask']}",
        ),
        (
            "Dice of vessels, one label, frozen (05)",
            "CHASE_DB1",
            transfer[(*vessels, "ldr")],
            f"random encoder {transfer[(*vessels, 'random')]}; "
            f"ImageNet {transfer[(*vessels, 'imagenet')]}",
        ),
        (
            "Dice of the optic disc, one label, fine-tuned (05)",
            "DRIONS-DB",
            transfer[(*disc, "ldr")],
            f"random encoder {transfer[(*disc, 'random')]}; "
            f"ImageNet {transfer[(*disc, 'imagenet')]}",
        ),
    ]
    return as_markdown(["measured", "images", "this kit", "compared with"], rows)


def expected() -> str:
    """What notebook 00 reaches on the included sample, as a list for the README."""
    if not recorded(QUICKSTART, SAMPLE):
        return f"- {PENDING}"
    table = _cells(summary(QUICKSTART, dataset=SAMPLE, tier=TIER))
    lines = [
        f"- {what}: {table.loc['trained', column]} (untrained {table.loc['untrained', column]})"
        for column, what in COMPARED.items()
    ]
    return "\n".join(lines)


def notebook_map() -> str:
    """The README's map: each notebook, its question, its time and memory."""
    body = []
    for path in sorted((project_root() / "notebooks").glob("0*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        title = "".join(cells[0]["source"]).splitlines()[0].removeprefix("# ")
        name, _, question = title.partition(": ")
        record = _record(path.stem)
        minutes, held = record["wall_seconds"] / 60, record["peak_memory_mib"]["process"] / 1024
        body.append(
            [
                f"[{name}](notebooks/{path.name})",
                question,
                f"{minutes:.1f} min, {held:.1f} GB",
            ]
        )
    return as_markdown(["notebook", "question", "one thread, cores shared"], body)


def _record(name: str, folder: Path | None = None) -> dict:
    """A notebook's record: the committed one, or that of a run's folder."""
    return read_record(folder or project_root() / "figures" / name)


def readme_with_tables(text: str) -> str:
    """The README with its generated parts made anew.

    Args:
        text: The README; a part stands between `<!-- NAME -->` and `<!-- end of NAME -->`.

    Raises:
        ValueError: A part is missing.
    """
    for name, make in PARTS.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        before, found, rest = text.partition(begin)
        _, closed, after = rest.partition(end)
        if not found or not closed:
            raise ValueError(f"README.md has no part between {begin.strip()} and {end}")
        text = before + begin + make() + "\n" + end + after
    return text


PARTS = {"expected": expected, "map": notebook_map, "results": results}
"""Generated parts of the README."""


def write_tables() -> Path:
    """Writes `figures/README.md` and the generated parts of the README.

    Returns:
        The path of `figures/README.md`.

    Raises:
        ValueError: A table has fewer than three seeds, or the README lacks a part.
        DataError: There is no record of the transfer study.
    """
    page, readme = project_root() / "figures" / "README.md", project_root() / "README.md"
    pages = {page: all_tables(), readme: readme_with_tables(readme.read_text(encoding="utf-8"))}
    for path, text in pages.items():
        with atomic_write(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return page


def quickstart(folder: Path | None = None) -> str:
    """Runs notebook 00 without a word of its kernel, and says what to look at.

    Args:
        folder: Receives the figures, the record and the executed notebook; its old content is
            removed. None takes runs/00_quickstart.

    Returns:
        Where the figures are, and the run's numbers beside those of the README.

    Raises:
        DataError: The notebook stopped with an error.
    """
    folder = (folder or runs_folder() / QUICKSTART).resolve()
    notebook = project_root() / "notebooks" / f"{QUICKSTART}.ipynb"
    error = run_cell(str(notebook), {}, folder, torch.get_num_threads()).error
    if error:
        raise DataError(f"notebook 00 stopped ({error}); {folder / 'error.txt'} says more")
    return quickstart_numbers(folder)


def quickstart_numbers(folder: Path) -> str:
    """What a run of notebook 00 wrote and measured, beside the numbers of the README.

    Args:
        folder: Of a finished run on the included sample.
    """
    record = _record(QUICKSTART, folder)
    measured = pd.DataFrame(record["metrics"]["agreement"]).T
    usual = {}
    if recorded(QUICKSTART, SAMPLE):
        usual = _cells(summary(QUICKSTART, dataset=SAMPLE, tier=TIER)).loc["trained"]
    lines = [
        f"Done. Open these in {folder}:",
        "  " + ", ".join([*record["figures"], f"{QUICKSTART}.ipynb"]),
        "",
        f"{'':56}{'untrained':>13}{'trained':>13}   README, trained",
    ]
    for column, what in COMPARED.items():
        values = [
            measured.loc[measured.index.str.startswith(f"{name}, "), column].max()
            for name in NETWORKS
        ]
        numbers = "".join(f"{value:13.2f}" for value in values)
        lines.append(f"{what:56}{numbers}   {usual.get(column, '-')}")
    return "\n".join(lines)
