"""Records of earlier runs: finding them, comparing them, tables over seeds."""

from pathlib import Path

import numpy as np
import pandas as pd

from ..data.checks import instance, path, plain, several, shown, text
from ..data.errors import DataError
from .fingerprints import read_record
from .intervals import paired_difference
from .paths import figures_folder, run_folder


def committed_records(name: str, **parameters) -> list[dict]:
    """Records of earlier runs of a notebook that are kept with the project, one per seed.

    Args:
        name: The notebook's name.
        parameters: Values that the records' parameters must have, for example
            dataset="simulated_fundus".

    Returns:
        The records, by seed.

    Taught in notebook 00, section 6.
    """
    plain(parameters, "parameters")
    paths = sorted((figures_folder(name) / "records").glob("*.json"))
    records = [read_record(path) for path in paths]
    fitting = [
        r
        for r in records
        if all(r["parameters"].get(key) == value for key, value in parameters.items())
    ]
    return sorted(fitting, key=lambda record: record["seed"])


def earlier_run(name: str, fingerprint: str, **parameters) -> Path | None:
    """The folder of an earlier run of a notebook on the same training images with these parameters,
    if there is one.

    Args:
        name: The notebook's name.
        fingerprint: Of the training images.
        parameters: Values that the run's parameters must have.

    Taught in notebook 03, section 1.
    """
    folder = run_folder(name)
    plain(parameters, "parameters")
    try:
        record = read_record(folder)
        same = record["data"]["train"] == fingerprint and all(
            record["parameters"].get(key) == value for key, value in parameters.items()
        )
    except (DataError, KeyError):
        return None
    return folder if same else None


def _tables(records: list[dict], table: str) -> list[pd.DataFrame]:
    """A table of each record, rows and columns as they were recorded."""
    table = text(table, "table")
    for record in instance(records, list, "records", "a list of records"):
        instance(record, dict, "records", "a list of records")
    if len(records) < 3:
        raise ValueError(
            f"a comparison needs at least three seeds; {len(records)} records were found"
        )
    found = [record.get("metrics", {}).get(table) for record in records]
    if not all(isinstance(rows, dict) for rows in found):
        raise ValueError(f'the records of {records[0]["name"]} hold no table "{table}"')
    return [pd.DataFrame(rows).T for rows in found]


def over_seeds(records: list[dict], table: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Mean and standard deviation of a recorded table over records.

    Args:
        records: As `committed_records` returns them.
        table: Name under which the table was recorded.

    Returns:
        Mean and standard deviation (n - 1), DataFrames of the table's shape.

    Raises:
        ValueError: Fewer than three records, or they hold no such table.

    Taught in notebook 00, section 6.
    """
    tables = _tables(records, table)
    stacked = pd.concat(tables, keys=range(len(tables)))
    by_row = stacked.groupby(level=1, sort=False)
    return by_row.mean(), by_row.std()


def summary(name: str, table: str = "agreement", **parameters) -> str:
    """The README's table of a notebook's kept runs, in Markdown.

    Args:
        name: The notebook's name.
        table: Name under which the table was recorded; rows "<what>, clusters" and "<what>,
            k-means".
        parameters: As in `committed_records`.

    Returns:
        One row for each <what>, with the better of its two clusterings in every run; mean ±
        standard deviation over runs.

    Raises:
        ValueError: Fewer than three records, or they hold no such table.
    """
    better = []
    for rows in _tables(committed_records(name, **parameters), table):
        better.append(rows.groupby(rows.index.str.rsplit(", ", n=1).str[0], sort=False).max())
    measured = pd.concat(better).dropna(axis=1, how="all")  # NMI of structures needs two
    by_row = measured.groupby(level=0, sort=False)
    shown = by_row.mean().map("{:.2f}".format) + " ± " + by_row.std().map("{:.2f}".format)
    body = [[row, *values] for row, values in zip(shown.index, shown.values)]
    return as_markdown(["", *shown.columns], body)


def as_markdown(head: list[str], body: list[list[str]]) -> str:
    """A table in Markdown.

    Args:
        head: Name of each column.
        body: Rows of as many texts. What would end a cell or begin HTML is escaped.

    Raises:
        ValueError: A row has more or fewer texts.

    Example:
        >>> print(as_markdown(["name"], [["a|<b>"]]))
        | name |
        | --- |
        | a\\|&lt;b> |
    """
    for name, lines in (("head", head), ("body", body)):
        instance(lines, (list, tuple), name, "a list")
    for line in body:
        instance(line, (list, tuple), "body", "a list of rows")
    if any(len(line) != len(head) for line in body):
        raise ValueError(f"every row of the table must have {len(head)} texts, as its head has")
    lines = [[_in_a_cell(text) for text in line] for line in (head, *body)]
    lines.insert(1, ["---"] * len(head))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _in_a_cell(text: str) -> str:
    return " ".join(str(text).split("\n")).replace("|", "\\|").replace("<", "&lt;")


def claims_over(records: list[dict]) -> pd.DataFrame:
    """What the recorded runs together say about each claim.

    Args:
        records: As `committed_records` returns them.

    Returns:
        One row for each claim that all records hold: "better", "worse", "difference" with its 95 %
        interval over seeds and test images, and "state". A claim for which each run pools kept
        seeds itself is left out, because all runs repeat the same numbers.

    Raises:
        ValueError: There are no records, or they hold no claims.

    Taught in notebook 00, section 6.
    """
    rows = {}
    for record in several(records, "records", "records of runs"):
        if not isinstance(record, dict) or "claims" not in record:
            raise ValueError(f"records must be those of runs, with claims, not {shown(record)}")
    for sentence, claim in records[0]["claims"].items():
        better = claim["better"]  # a number, a list over images, or a list of such lists
        pools_itself = isinstance(better, list) and any(isinstance(one, list) for one in better)
        if pools_itself or not all(sentence in record["claims"] for record in records):
            continue
        better, worse = (
            stack_runs([record["claims"][sentence][side] for record in records])
            for side in ("better", "worse")
        )
        difference = paired_difference(better, worse)
        rows[sentence] = {
            "better": round(float(np.nanmean(better)), 3),
            "worse": round(float(np.nanmean(worse)), 3),
            "difference": str(difference),
            "state": difference.state(),
        }
    return pd.DataFrame(rows).T


def stack_runs(values: list) -> np.ndarray:
    """Values of several runs as one array.

    Args:
        values: One entry for each run: a number, a list over images in which None stands for nan,
            or a list of such lists.

    Returns:
        (runs, images); (runs, 1) means where the runs differ in their number of images.
    """
    runs = [np.atleast_2d(np.array(value, dtype=float)) for value in values]
    if len({run.shape[1] for run in runs}) > 1:
        runs = [np.nanmean(run, axis=1, keepdims=True) for run in runs]
    return np.concatenate(runs)


def compare(first: Path, second: Path) -> pd.DataFrame:
    """What differs between two runs.

    Args:
        first: A run's folder or its `record.json`.
        second: Another one.

    Returns:
        A row for each difference in parameters, versions, machine, code, data, results and claims;
        columns are the two runs. Tables are compared number by number.

    Raises:
        DataError: A record is missing or cannot be read.

    Taught in notebook 06, section 1.
    """
    first, second = path(first, "first"), path(second, "second")
    sides = [flat_record(read_record(side)) for side in (first, second)]
    rows = [
        (name, *(side.get(name, "") for side in sides))
        for name in dict.fromkeys([*sides[0], *sides[1]])
    ]
    table = pd.DataFrame(
        [row for row in rows if row[1] != row[2]], columns=["what", str(first), str(second)]
    )
    return table.set_index("what")


def flat_record(value, name: str = "") -> dict:
    """Nested dictionaries as one, with names such as "parameters, seed"; what differs between any
    two runs is left out.
    """
    if not isinstance(value, dict):
        return {name: value}
    left_out = ("started", "wall_seconds", "peak_memory_mib", "figures")
    parts = (
        flat_record(part, f"{name}, {key}" if name else key)
        for key, part in value.items()
        if name or key not in left_out
    )
    return {key: entry for part in parts for key, entry in part.items()}
