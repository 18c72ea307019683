"""The table of the guided study, from its committed records."""

import numpy as np
import pandas as pd

from ..runs.records import as_markdown, committed_records
from ..structures import guide_for
from .predict import READINGS
from .study import NAME


def study_table() -> pd.DataFrame:
    """What the committed runs measured: one row for each way, mean ± standard deviation over its
    seeds.

    Taught in notebook 04, section 9.
    """
    ways, rows = {}, {}
    for record in committed_records(NAME):
        if "control" in record["parameters"]:
            ways.setdefault(_way(record["parameters"]), []).append(record["metrics"])
    for (guided, name, tier), runs in ways.items():
        for guided_structure in guide_for(guided).structures:
            structure = guided_structure.name
            for by in READINGS:
                scores = [
                    pd.Series(run[f"{structure} by {by}"])
                    for run in runs
                    if f"{structure} by {by}" in run
                ]
                if scores and by == guided_structure.by:
                    rows[structure, name] = _spread(pd.DataFrame(scores))
                elif scores and tier == "study":
                    rows[structure, f"{name}, by {by}"] = _spread(pd.DataFrame(scores))
            scores = [
                {"found": run[structure]["within half a disc diameter"]}
                for run in runs
                if structure in run
            ]
            if scores:
                rows[structure, name] = _spread(pd.DataFrame(scores))
    for record in (
        r for r in committed_records(NAME) if r["parameters"].get("modality") == "baselines"
    ):
        for structure, table in record["metrics"].items():
            for name, value in table.items():
                value = (
                    value
                    if isinstance(value, dict)
                    else {"found" if structure == "fovea" else "Dice": value}
                )
                rows[structure, name] = {key: f"{number:.3f}" for key, number in value.items()} | {
                    "seeds": ""
                }
    table = pd.DataFrame(rows).T.fillna("")
    order = ("vessel", "disc", "fovea", "lungs", "heart")
    return table.loc[[key for structure in order for key in table.index if key[0] == structure]]


def study_markdown() -> str:
    """`study_table` as the README shows it."""
    table = study_table()
    body = [
        [structure, way, *values] for (structure, way), values in zip(table.index, table.values)
    ]
    return as_markdown(["structure", "way", *table.columns], body)


def _way(parameters: dict) -> tuple[str, str, str]:
    """Guide, what was done in words, and tier of a record."""
    guided, control, tier = (parameters[key] for key in ("guided", "control", "tier"))
    words = []
    if control not in ("untrained", "one label"):
        words = (
            [parameters["method"]]
            if guided != "vessel"
            else [f"{parameters['prior']} prior", parameters["method"]]
        )
    words += (
        [{"one label": "supervised with one label"}.get(control, control)]
        if control != "none"
        else []
    )
    return guided, ", ".join(words + ([tier] if tier != "study" else [])), tier


def _spread(scores: pd.DataFrame) -> dict[str, str]:
    spread = scores.std() if len(scores) > 1 else scores.mean() * np.nan
    return {name: f"{scores[name].mean():.3f} ± {spread[name]:.3f}" for name in scores} | {
        "seeds": str(len(scores))
    }
