"""The ledger: what the run records say about every claim, as a table and as one self-contained
page.
"""

import base64
import html
import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from ..data.files import atomic_write
from .claims import Claim, all_claims
from .fingerprints import changes_since
from .notebooks import parameters_of
from .paths import project_root, runs_folder

STATES = ("supported", "not supported", "too few runs", "not run")
ABSTRACT = {
    "Discriminating local regions gives a better start for segmentation than discriminating whole images.": (
        "transfer-image",
        "transfer-image-tuned",
    ),
    "A pretrained network needs fewer labels than a randomly drawn one.": (
        "transfer-frozen",
        "transfer-tuned",
    ),
    "The embedding branch and the clustering branch help each other.": (
        "both-nmi-clustering-only",
        "both-dice-clustering-only",
        "both-auc-clustering-only",
        "both-nmi-embedding-only",
        "both-dice-embedding-only",
        "both-auc-embedding-only",
    ),
    "The embedding measures the similarity of local regions.": (
        "quick-auc-untrained",
        "see-retrieval-untrained",
        "see-anatomy",
    ),
    "Structures are clustered without labels when masks of like shape, simulated or of another modality, guide a cluster.": (
        "guided-frangi",
        "guided-shuffled",
        "guided-random",
        "guided-chest",
    ),
}
"""What the abstract claims, in our words, and which claims of the ledger test it."""


def evidence(tier: str = "class") -> list[dict]:
    """Records of finished notebook runs: kept with the project, and of local sweeps; the newest of
    each set of parameters.

    Args:
        tier: Tier of the runs.
    """
    figures = project_root() / "figures"
    paths = [*figures.glob("*/records/*.json"), *figures.glob("*/record.json")]
    paths += [
        path.with_name("record.json") for path in runs_folder().glob("sweeps/*/*/finished.json")
    ]
    newest = {}
    for path in sorted(paths):
        record = json.loads(path.read_text())
        if record["claims"] and record["parameters"].get("tier") == tier and _as_committed(record):
            key = record["name"], json.dumps(record["parameters"], sort_keys=True)
            if key not in newest or record["started"] > newest[key]["started"]:
                newest[key] = record
    return list(newest.values())


def _as_committed(record: dict) -> bool:
    """Whether a run kept the notebook's own values of all parameters that are not data set, seed
    and tier.
    """
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

    Args:
        tier: Tier of the runs that count.

    Returns:
        Rows indexed by claim and data; columns "says", "source", "metric", "state" (one of
        `STATES`), "held" (in how many of how many comparisons), "ours" and "against" (means),
        "difference", "spread" (standard deviation over runs), "runs", "stale" (what changed since,
        in words), "notebook", "figure", "command".

    Raises:
        DataError: The list of claims cannot be used.

    Taught in notebook 06, section 2.
    """
    records, rows = evidence(tier), {}
    for claim in all_claims():
        for data in [", ".join(claim.data)] if claim.inside else claim.data:
            rows[claim.id, data] = _row(
                claim,
                [
                    r
                    for r in records
                    if r["name"] == claim.notebook
                    and (claim.inside or r["parameters"].get("dataset") == data)
                ],
            )
    return pd.DataFrame(rows).T.rename_axis(["claim", "data"])


def _mean(values: list[float]) -> float | None:
    return round(float(np.mean(values)), 4) if values else None


def _row(claim: Claim, records: list[dict]) -> dict:
    outcomes = [
        (record, outcome)
        for record in records
        for sentence, outcome in record["claims"].items()
        if claim.matches(sentence)
    ]
    held, gaps = (
        [outcome["holds"] for _, outcome in outcomes],
        [outcome["better"] - outcome["worse"] for _, outcome in outcomes],
    )
    seeds = {record["seed"] for record, _ in outcomes}
    enough = len(seeds) >= (1 if claim.inside else 3)
    state = (
        "not run"
        if not outcomes
        else "not supported"
        if not all(held)
        else "supported"
        if enough
        else "too few runs"
    )
    return {
        "says": claim.says,
        "source": claim.source,
        "metric": claim.metric,
        "state": state,
        "held": f"{sum(held)} of {len(held)}",
        "ours": _mean([o["better"] for _, o in outcomes]),
        "against": _mean([o["worse"] for _, o in outcomes]),
        "difference": _mean(gaps),
        "spread": round(float(np.std(gaps, ddof=1)), 4) if len(gaps) > 1 else None,
        "runs": len({id(r) for r, _ in outcomes}),
        "stale": ", ".join(
            sorted(
                {
                    change
                    for record, _ in outcomes
                    for change in changes_since(record, project_root() / "notebooks")
                }
                | _other_data(outcomes)
            )
        ),
        "notebook": claim.notebook,
        "figure": f"figures/{claim.notebook}/{claim.figure}",
        "command": claim.command,
    }


def _other_data(outcomes: list[tuple[dict, dict]]) -> set[str]:
    """Says so where runs that stand beside each other saw different images."""
    seen = {json.dumps(record["data"], sort_keys=True) for record, _ in outcomes}
    return {"the images differ between runs"} if len(seen) > 1 else set()


def describe_row(row: pd.Series) -> str:
    """One row of the ledger as a sentence."""
    if row["state"] == "not run":
        return "not run"
    spread = "" if row["spread"] is None or np.isnan(row["spread"]) else f" ± {row['spread']:.3f}"
    return f"{row['state']}: {row['ours']:.3f} against {row['against']:.3f} ({row['metric']}), difference {row['difference']:+.3f}{spread}, held in {row['held']}"


def compare_with_abstract(table: pd.DataFrame) -> pd.DataFrame:
    """What the abstract claims, in words, and what was measured here.

    Args:
        table: As `build_ledger` returns it.

    Returns:
        A row for each test: "the abstract claims", "tested by", "data", "measured here".

    Taught in notebook 06, section 4.
    """
    rows = [
        {
            "the abstract claims": words,
            "tested by": row["says"],
            "data": data,
            "measured here": describe_row(row),
        }
        for words, ids in ABSTRACT.items()
        for name in ids
        for (claim, data), row in table.iterrows()
        if claim == name
    ]
    return pd.DataFrame(rows)


def write_report(table: pd.DataFrame, path: Path | str) -> Path:
    """The ledger as one HTML page that holds its figures and needs no network.

    Args:
        table: As `build_ledger` returns it.
        path: The page.

    Returns:
        The path.

    Taught in notebook 06, section 5.
    """
    counts = table["state"].value_counts()
    parts = [
        f"<p>{' · '.join(f'{state}: {counts.get(state, 0)}' for state in STATES)}; stale: {(table['stale'] != '').sum()}</p>"
    ]
    parts.append(
        "<h2>The paper beside this kit</h2><p>What the abstract claims is said in our words; numbers are ours alone.</p>"
    )
    for words, part in compare_with_abstract(table).groupby("the abstract claims", sort=False):
        lines = "".join(
            f"<li>{html.escape(r['tested by'])} ({html.escape(r['data'])}): {html.escape(r['measured here'])}</li>"
            for _, r in part.iterrows()
        )
        parts.append(f"<h3>{html.escape(words)}</h3><ul>{lines}</ul>")
    for notebook, own in table.groupby("notebook", sort=False):
        parts.append(f"<h2>{notebook}</h2>{_rows(own)}")
        for figure in dict.fromkeys(own["figure"]):
            if (project_root() / figure).exists():
                parts.append(
                    f'<figure id="{figure}"><img alt="{figure}" src="{_picture(project_root() / figure)}"><figcaption>{figure}</figcaption></figure>'
                )
    page = f"""<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Claims and what was measured</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 24px auto; padding: 0 16px; color: #111; }}
table {{ border-collapse: collapse; width: 100%; font-size: 14px; }}
th, td {{ text-align: left; vertical-align: top; padding: 4px 8px; border-bottom: 1px solid #ccc; }}
td.number {{ font-variant-numeric: tabular-nums; white-space: nowrap; }}
.supported {{ color: #00527a; font-weight: 600; }} .not-supported {{ color: #a03c00; font-weight: 600; }} .stale {{ color: #6b5900; }}
img {{ max-width: 100%; }} figure {{ margin: 12px 0; }} figcaption, code {{ font-size: 13px; }}
</style>
<h1>Claims and what was measured</h1>
{chr(10).join(parts)}
</html>
"""
    with atomic_write(Path(path)) as temporary:
        temporary.write_text(page)
    return Path(path)


def _rows(own: pd.DataFrame) -> str:
    cells = []
    for (claim, data), row in own.iterrows():
        number = "" if row["state"] == "not run" else f"{row['ours']:.3f} / {row['against']:.3f}"
        spread = (
            "" if row["spread"] is None or np.isnan(row["spread"]) else f" ± {row['spread']:.3f}"
        )
        gap = "" if row["state"] == "not run" else f"{row['difference']:+.3f}{spread}"
        stale = (
            f'<br><span class="stale">stale: {html.escape(row["stale"])}</span>'
            if row["stale"]
            else ""
        )
        mark = {"supported": "✓ ", "not supported": "✗ "}.get(row["state"], "? ")
        cells.append(
            f'<tr id="{claim}-{data}"><td>{html.escape(row["says"])}</td><td>{html.escape(data)}</td><td class="{row["state"].replace(" ", "-")}">{mark}{row["state"]}{stale}</td>'
            f'<td class="number">{number}</td><td class="number">{gap}</td><td class="number">{row["held"]}</td><td><a href="#{row["figure"]}">figure</a></td></tr>'
        )
    commands = "".join(
        f"<p><code>{html.escape(command)}</code></p>" for command in dict.fromkeys(own["command"])
    )
    head = "<tr><th>claim</th><th>data</th><th>state</th><th>ours / against</th><th>difference</th><th>held in</th><th></th></tr>"
    return f"<table>{head}{''.join(cells)}</table>{commands}"


def _picture(path: Path) -> str:
    picture, file = Image.open(path).convert("RGB"), io.BytesIO()
    picture.thumbnail((1000, 1400))
    picture.save(file, "JPEG", quality=70)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
