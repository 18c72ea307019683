"""The table of the guided study, from its committed records."""

import pandas as pd

from ..data import checks
from ..runs.paths import figures_folder
from ..runs.records import as_markdown, committed_records
from ..structures import guide_for
from .predict import READINGS
from .shipped_study import SHIPPED
from .study import NAME

ORDER = ("vessel", "disc", "fovea", "lungs", "heart")
"""Structures in the order of the table."""
MEASURES = ("Dice", "clDice", "oracle Dice", "average precision", "found", "seeds")
"""Columns in the order of the table."""


def study_table() -> pd.DataFrame:
    """What the committed runs of `ldr_lib.guided.study.study` measured: one row for each way, mean
    ± standard deviation over its seeds.

    Returns:
        Rows indexed by structure and way; columns are those of `MEASURES` that the records hold.
        "found" is the share of images in which the centre of the fovea lies within half a disc
        diameter of the true one. All cells are text, "" where nothing was measured.

    Taught in notebook 04c, section 8.
    """
    records = committed_records(NAME)
    ways = {}
    for record in records:
        if "control" in record["parameters"]:
            ways.setdefault(_way(record["parameters"]), []).append(record["metrics"])
    rows = {}
    for (guided, name, tier), runs in ways.items():
        rows |= _rows_of_runs(guided, name, tier, runs)
    for record in records:
        if record["parameters"].get("modality") in ("baselines", SHIPPED):
            rows |= _rows_without_seeds(record["metrics"])
    table = pd.DataFrame(rows).T.fillna("")
    columns = [name for name in MEASURES if name in table]
    keys = [key for structure in ORDER for key in table.index if key[0] == structure]
    return table.loc[keys, columns]


def study_markdown() -> str:
    """`study_table` in Markdown."""
    table = study_table()
    body = [
        [structure, way, *values] for (structure, way), values in zip(table.index, table.values)
    ]
    return as_markdown(["structure", "way", *table.columns], body)


def confidence_markdown() -> str:
    """What `ldr_lib.guided.confidence_study.measure` counted, in Markdown."""
    table = pd.read_csv(figures_folder(NAME) / "confidence.csv")
    names = [name.replace("_", " ") for name in table.columns]
    return as_markdown(names, table.to_numpy().tolist())


def study_images(structure: str, measure: str = "Dice", **parameters) -> pd.DataFrame:
    """A score of the committed runs, image by image.

    Args:
        structure: "vessel", "disc", "lungs" or "heart", read as its guide says.
        measure: "Dice", "clDice", "oracle Dice" or "average precision".
        parameters: Values that the records' parameters must have, for example guided="vessel",
            prior="octa", method="combined", control="none", tier="study".

    Returns:
        One row per seed and one column per test image.

    Raises:
        ValueError: No record has these parameters, or some hold nothing of the structure or the
            measure.

    Taught in notebook 04c, section 8.
    """
    checks.text(measure, "measure")
    records = committed_records(NAME, **parameters)
    if not records:
        raise ValueError(f"no committed guided training has the parameters {parameters}")
    by = guide_for(records[0]["parameters"]["guided"])[structure].by
    name = f"{structure} by {by}, images"
    tables = [pd.DataFrame(record["metrics"].get(name, {})).T for record in records]
    if not all(measure in table for table in tables):
        raise ValueError(
            f"not all of the {len(records)} runs with the parameters {parameters} hold "
            f"{measure} of {structure}, image by image"
        )
    scores = [table[measure] for table in tables]
    return pd.DataFrame(scores, index=[record["seed"] for record in records])


def baseline_images(structure: str, name: str) -> pd.Series:
    """Dice of a committed baseline, image by image.

    Args:
        structure: "vessel", "disc", "lungs" or "heart".
        name: Of the baseline, for example "frangi, oracle threshold".

    Returns:
        One value per test image.

    Raises:
        ValueError: There is no such record or no such baseline in it.

    Taught in notebook 04c, section 8.
    """
    for given, what in ((structure, "structure"), (name, "name")):
        checks.text(given, what)
    for record in committed_records(NAME, modality="baselines"):
        tables = record["metrics"].get(f"{structure}, images", {})
        if name in tables:
            return pd.Series(tables[name])
    raise ValueError(f'no committed baseline "{name}" of the structure "{structure}"')


def _rows_of_runs(guided: str, name: str, tier: str, runs: list[dict]) -> dict:
    """Rows of one way: the reading that the guide names, and in long runs the other one too."""
    rows = {}
    for structure in guide_for(guided).structures:
        for by in READINGS:
            key = f"{structure.name} by {by}"
            scores = [run[key] for run in runs if key in run]
            if scores and by == structure.by:
                rows[structure.name, name] = _spread(scores)
            elif scores and tier == "study":
                rows[structure.name, f"{name}, by {by}"] = _spread(scores)
        found = [
            {"found": run[structure.name]["within half a disc diameter"]}
            for run in runs
            if structure.name in run
        ]
        if found:
            rows[structure.name, name] = _spread(found)
    return rows


def _rows_without_seeds(metrics: dict) -> dict:
    """Rows of what needs no training, and of the networks that come with the package."""
    rows = {}
    for structure, table in metrics.items():
        if structure not in ORDER:
            continue  # tables image by image
        measure = "found" if structure == "fovea" else "Dice"
        for name, value in table.items():
            values = value if isinstance(value, dict) else {measure: value}
            shown = {c: f"{number:.3f}" for c, number in values.items() if pd.notna(number)}
            rows[structure, name] = shown | {"seeds": ""}
    return rows


def _way(parameters: dict) -> tuple[str, str, str]:
    """Guided network, what was done in words, and tier of a record."""
    guided, control, tier = (parameters[key] for key in ("guided", "control", "tier"))
    words = []
    if control not in ("untrained", "one label"):  # those use neither a prior nor a method
        words = [parameters["method"]]
        if guided == "vessel":
            words.insert(0, f"{parameters['prior']} prior")
    if control != "none":
        words.append("supervised with one label" if control == "one label" else control)
    if tier != "study":
        words.append(tier)
    return guided, ", ".join(words), tier


def _spread(scores: list[dict]) -> dict[str, str]:
    """Mean ± standard deviation over runs of each measure, the mean alone of one run, and the
    number of runs.
    """
    table = pd.DataFrame(scores)
    means, spreads = table.mean(), table.std() if len(table) > 1 else {}
    shown = {
        name: f"{mean:.3f} ± {spreads[name]:.3f}" if name in spreads else f"{mean:.3f}"
        for name, mean in means.items()
    }
    return shown | {"seeds": str(len(table))}
