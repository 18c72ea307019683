"""The ledger: what the run records say about every claim, as a table and as one self-contained
page.
"""

import json
import os
from pathlib import Path

import jinja2
import numpy as np
import pandas as pd

from ..data.checks import instance, text
from ..data.checks import path as path_of
from ..data.files import atomic_write
from .claims import Claim, all_claims, kind_of_images
from .fingerprints import changes_since, other_versions, read_record
from .intervals import paired_difference
from .parameters import parameters_of
from .paths import project_root, runs_folder
from .pictures import data_url, encode
from .records import stack_runs

TOO_FEW = "too few runs"
STATES = ("supported", "not supported", "undecided", TOO_FEW, "not run")
"""What the records say of a claim: its 95 % interval lies above the bound, below it, or across
it.
"""
COLUMNS = (
    "abstract",
    "says",
    "source",
    "mechanism",
    "on",
    "metric",
    "state",
    "better",
    "worse",
    "difference",
    "low",
    "high",
    "runs",
    "images",
    "stale",
    "versions",
    "notebook",
    "figure",
    "command",
)
"""What the ledger says of a claim on a dataset; see `build_ledger`."""
SEEDS = 3
"""Runs with other seeds that a claim needs."""
LONG = tuple(
    f"{measure}-{step}" for step in ("chosen", "last") for measure in ("ap", "across", "iou", "nmi")
)
"""Measures of the long trainings, after the step chosen on training images and after the last."""
ABSTRACT = {
    "The embedding branch and the clustering branch help each other.": (
        "both-nmi-clustering-only",
        "both-iou-clustering-only",
        "both-dice-clustering-only",
        "both-auc-clustering-only",
        "both-ap-clustering-only",
        "both-nmi-embedding-only",
        "both-iou-embedding-only",
        "both-dice-embedding-only",
        "both-auc-embedding-only",
        "both-ap-embedding-only",
        "transfer-regions",
        *(
            f"long-{modality}-{measure}{alone}"
            for alone in ("", "-clustering")
            for modality in ("fundus", "chest")
            for measure in (*LONG, "best")
        ),
        *(
            f"long-{modality}-{measure}"
            for modality in ("fundus", "chest")
            for measure in ("across-best", "iou-best", "nmi-best")
        ),
        *(
            f"long-{which}"
            for step in ("chosen", "last")
            for which in (
                f"fundus-structures-{step}",
                f"chest-structures-{step}",
                f"chest-structures-{step}-clustering",
            )
        ),
        "long-chest-structures-best",
        "plain-vessel-steps",
        "plain-vessel-embedding",
    ),
    "The embedding measures the similarity of local regions.": (
        "quick-auc-untrained",
        "quick-auc-normalised",
        "see-retrieval-untrained",
        "see-retrieval-filter-bank",
        "see-anatomy",
        "long-fundus-filter",
        "long-fundus-imagenet",
        "long-chest-filter",
        "long-chest-imagenet",
        "long-chest-auc-brightness",
        "long-chest-heart-brightness",
        "long-disc-auc-brightness",
        "short-filter-bank",
        "short-imagenet",
        "plain-vessel-both",
        *(
            f"plain-{structure}-{other}"
            for structure in ("vessel", "disc")
            for other in ("intensities", "filter-bank", "imagenet")
        ),
    ),
    "Pretraining by local discrimination helps segmentation with few labels, more than image-level "
    "discrimination does.": (
        "transfer-frozen",
        "transfer-tuned",
        "transfer-frozen-four",
        "transfer-tuned-four",
        "transfer-image",
        "transfer-image-tuned",
    ),
    "Structures are clustered without labels when masks of similar shape, simulated or of another "
    "modality, guide a cluster.": (
        "guided-frangi",
        "guided-shuffled",
        "guided-random",
        "guided-chest",
        "guided-unguided",
        "guided-best-cluster",
        "guided-real",
    ),
}
"""What the abstract claims, in our words, and the claims of the ledger that test it."""
OTHER = "What no sentence of the abstract says, but this kit tests."
WHOSE = {"published": "the paper's", "ours": "our variant"}
"""Whose method a claim tests, in words."""


NOTHING = pd.MultiIndex.from_arrays([[], []], names=["claim", "data"])


def evidence(tier: str = "class") -> list[dict]:
    """Records of finished notebook runs, committed ones and those of local sweeps.

    Of each set of parameters the newest record counts.

    Args:
        tier: Tier of the runs.

    Raises:
        DataError: A record cannot be read; it is named.
    """
    tier, figures = text(tier, "tier"), project_root() / "figures"
    paths = [*figures.glob("*/records/*.json"), *figures.glob("*/record.json")]
    finished = runs_folder().glob("sweeps/*/*/finished.json")
    paths += [path.parent / "record.json" for path in finished if _has_record(path.parent)]
    newest = {}
    for path in sorted(paths):
        record = read_record(path)
        if record["claims"] and record["parameters"].get("tier") == tier and _as_committed(record):
            key = record["name"], json.dumps(record["parameters"], sort_keys=True)
            if key not in newest or record["started"] > newest[key]["started"]:
                newest[key] = record
    return list(newest.values())


def _has_record(folder: Path) -> bool:
    return (folder / "record.json").exists()


def _as_committed(record: dict) -> bool:
    """Whether a run kept the notebook's values of all parameters but dataset, seed and tier."""
    notebook = project_root() / "notebooks" / f"{record['name']}.ipynb"
    usual = parameters_of(notebook) if notebook.exists() else {}
    free = ("dataset", "data_dir", "seed", "tier", "out_dir")
    return all(
        record["parameters"].get(name, value) == value
        for name, value in usual.items()
        if name not in free
    )


def build_ledger(tier: str = "class") -> pd.DataFrame:
    """Every claim on every dataset, with what the runs say.

    The difference and its interval pool all seeds and test images (`paired_difference`).

    Args:
        tier: Tier of the runs that count.

    Returns:
        Rows indexed by claim and data. Columns: "abstract" (the sentence of the abstract that it
        tests), "says", "source", "mechanism" ("published" or "ours"), "on" ("real" or "simulated"),
        "metric", "state" (one of `STATES`), "better" and "worse" (means), "difference", "low",
        "high" (95 % interval), "runs", "images", "stale" (what changed since, in words), "versions"
        (packages of another version than now), "notebook", "figure", "command".

    Raises:
        DataError: The list of claims or a record cannot be used.

    Taught in notebook 06, section 2.
    """
    records, rows = evidence(tier), {}
    for claim in all_claims():
        of_notebook = [record for record in records if record["name"] == claim.notebook]
        for data in [", ".join(claim.data)] if claim.inside else claim.data:
            used = [
                r for r in of_notebook if claim.inside or r["parameters"].get("dataset") == data
            ]
            found = _rows_of(claim, used, claim.tested_on or data)
            rows |= {(claim.id, name): row for name, row in found.items()}
    index = pd.MultiIndex.from_tuples(rows, names=["claim", "data"]) if rows else NOTHING
    return pd.DataFrame(list(rows.values()), index, COLUMNS, dtype=object)


def _rows_of(claim: Claim, records: list[dict], data: str) -> dict[str, dict]:
    """One row, or where a claim's sentence names several things (such as tasks) one for each."""
    outcomes = {}
    for record in records:
        for sentence, outcome in record["claims"].items():
            if claim.matches(sentence):
                outcomes.setdefault(claim.filled(sentence), []).append((record, outcome))
    if not outcomes:
        return {data: _row(claim, [], data)}
    if claim.inside:  # each run pools the same kept seeds: one of them says all, the newest
        outcomes = {
            words: [max(found, key=lambda run: run[0]["started"])]
            for words, found in outcomes.items()
        }
    if len(outcomes) == 1:
        return {data: _row(claim, *outcomes.values(), data)}
    return {
        _place(claim, words, data): _row(claim, found, data) for words, found in outcomes.items()
    }


def _place(claim: Claim, words: str, data: str) -> str:
    """What one of several rows is of: the words that fill the sentence, and the images, unless the
    words name them, as those of a task do.
    """
    return words if any(name in words for name in claim.data) else f"{data}: {words}"


def _row(claim: Claim, outcomes: list[tuple[dict, dict]], data: str) -> dict:
    records = [record for record, _ in outcomes]
    if outcomes:
        better, worse = (
            stack_runs([outcome[side] for _, outcome in outcomes]) for side in ("better", "worse")
        )
    else:
        better = worse = np.empty((0, 1))
    difference = paired_difference(better, worse)
    state = difference.state(claim.bound)
    seeds = difference.runs if claim.inside else len({record["seed"] for record in records})
    if not outcomes:
        state = "not run"
    elif seeds < SEEDS:
        state = TOO_FEW
    changed = {c for record in records for c in changes_since(record, _notebooks())}
    tested = [words for words, ids in ABSTRACT.items() if claim.id in ids]
    return {
        "abstract": tested[0] if tested else OTHER,
        "says": claim.says,
        "source": claim.source,
        "mechanism": claim.mechanism,
        "on": claim.images if claim.inside else kind_of_images([data]),
        "metric": claim.metric,
        "state": state,
        "better": _mean(better),
        "worse": _mean(worse),
        "difference": difference.mean,
        "low": difference.low,
        "high": difference.high,
        "runs": difference.runs if outcomes else 0,
        "images": difference.images,
        "stale": ", ".join(sorted(changed | _other_data(records))),
        "versions": ", ".join(sorted({n for record in records for n in other_versions(record)})),
        "notebook": claim.notebook,
        "figure": f"figures/{claim.notebook}/{claim.figure}",
        "command": claim.command,
    }


def _notebooks() -> Path:
    return project_root() / "notebooks"


def _mean(values: np.ndarray) -> float:
    return float(np.nanmean(values)) if values.size else np.nan


def _other_data(records: list[dict]) -> set[str]:
    """Says so where runs that are pooled used different images."""
    used = {json.dumps(record["data"], sort_keys=True) for record in records}
    return {"the images differ between runs"} if len(used) > 1 else set()


def require_ledger(table: pd.DataFrame) -> None:
    """Makes sure that something is a ledger, or some rows of it.

    Raises:
        ValueError: It is none.
    """
    instance(table, pd.DataFrame, "table", "a table, as build_ledger returns it")
    if missing := [name for name in COLUMNS if name not in table]:
        raise ValueError(
            f"table must be one that build_ledger returned, this one lacks {', '.join(missing)}"
        )


def describe_row(row: pd.Series) -> str:
    """One row of the ledger as a sentence."""
    if row["state"] == "not run":
        return "not run"
    interval = "" if np.isnan(row["low"]) else f" [{row['low']:+.3f}, {row['high']:+.3f}]"
    count = f"{row['runs']} run{'s' if row['runs'] != 1 else ''}"
    if row["images"] > 1:
        count += f", {row['images']} test images"
    return (
        f"{row['state']}: {row['better']:.3f} against {row['worse']:.3f} ({row['metric']}), "
        f"difference {row['difference']:+.3f}{interval}, {count}"
    )


def chance_of(table: pd.DataFrame) -> str:
    """How many tests were made and how many would succeed by chance, as a sentence.

    Args:
        table: As `build_ledger` returns it.

    Taught in notebook 06, section 2.
    """
    require_ledger(table)
    tests = int(table["low"].notna().sum())
    return (
        f"{tests} differences have an interval. Where nothing is different, one interval in forty "
        f"lies above zero by chance: {tests / 40:.1f} of {tests}, if none of the claims were true."
    )


def compare_with_abstract(table: pd.DataFrame) -> pd.DataFrame:
    """What the abstract claims, in words, and what was measured here.

    Args:
        table: As `build_ledger` returns it.

    Returns:
        A row for each test: "the abstract claims", "tested by", "data", "whose method", "measured
        here", and an empty column "paper" for the reader's own page references.

    Taught in notebook 06, section 4.
    """
    require_ledger(table)
    rows = [
        {
            "the abstract claims": row["abstract"],
            "tested by": row["says"],
            "data": data,
            "whose method": WHOSE[row["mechanism"]],
            "measured here": describe_row(row),
            "paper": "",
        }
        for words in ABSTRACT
        for (_, data), row in table.iterrows()
        if row["abstract"] == words
    ]
    columns = ["the abstract claims", "tested by", "data", "whose method", "measured here"]
    return pd.DataFrame(rows, columns=[*columns, "paper"])


def _place_in_abstract(words: str) -> tuple[int, str]:
    """Where a sentence stands on the page: as in the abstract, and behind it what is none."""
    known = [*ABSTRACT, OTHER]
    return known.index(words) if words in known else len(known), words


def _is_figure(path: Path) -> bool:
    """Whether a path leads to a file among the project's figures, and not out of them."""
    inside = (project_root() / "figures").resolve()
    return os.path.isfile(path) and path.resolve().is_relative_to(inside)


def _small(path: Path) -> bytes:
    return encode(path, "jpeg", fit=(1000, 1400), quality=70)


def write_report(table: pd.DataFrame, path: Path | str) -> Path:
    """The ledger as one HTML page that holds its figures and needs no network.

    Args:
        table: As `build_ledger` returns it.
        path: The page.

    Returns:
        The path.

    Raises:
        DataError: A figure cannot be read; it is named.

    Taught in notebook 06, section 5.
    """
    require_ledger(table)
    path = path_of(path, "path")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True
    )
    figures = {
        figure: {"anchor": f"figure-{number}", "url": data_url(_small(project_root() / figure))}
        for number, figure in enumerate(dict.fromkeys(table["figure"]))
        if _is_figure(project_root() / figure)
    }
    rows = [
        {"anchor": f"row-{number}", "data": data, "whose": WHOSE[row["mechanism"]]} | row.to_dict()
        for number, ((_, data), row) in enumerate(table.iterrows())
    ]
    page = environment.get_template("report.jinja2").render(
        rows=rows,
        groups=sorted(set(table["abstract"]), key=_place_in_abstract),
        counts={state: int((table["state"] == state).sum()) for state in STATES},
        chance=chance_of(table),
        stale=int((table["stale"] != "").sum()),
        figures=figures,
        commands=list(dict.fromkeys(table["command"])),
    )
    with atomic_write(path) as temporary:
        temporary.write_text(page, encoding="utf-8", errors="backslashreplace")
    return path
