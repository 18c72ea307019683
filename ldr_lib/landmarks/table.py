"""What the records say about one-shot localisation, as tables."""

import pandas as pd

from ..data.checks import text
from ..data.errors import DataError
from ..runs.fingerprints import read_record
from ..runs.paths import record_path
from ..runs.records import as_markdown
from .gallery import LANDMARKS
from .study import NAME

WORDS = {
    "fovea_simulated": "centre of the fovea, simulated photographs",
    "disc_simulated": "centre of the disc, simulated photographs",
    "crossing_simulated": "a crossing of vessels, simulated photographs",
    "disc_drions": "centre of the disc, DRIONS-DB",
    "disc_drions_window": "centre of the disc, DRIONS-DB, windows at random places",
    "apex_left": "apex of the left lung, COVID19_CXR_SEG",
    "apex_right": "apex of the right lung, COVID19_CXR_SEG",
}
"""Landmark to words."""


def records_of_landmarks() -> dict[str, dict]:
    """The committed records, landmark by landmark.

    Raises:
        DataError: One is missing.
    """
    return {name: read_record(record_path(NAME, name)) for name in LANDMARKS}


def measured(landmark: str, what: str = "table") -> pd.DataFrame:
    """A table of a committed record.

    Args:
        landmark: A key of `LANDMARKS`.
        what: "table", "chosen" or "errors, <row>", as `measure` and `choose` return them.

    Raises:
        DataError: There is no such record or table.
        ValueError: Landmark or table are no text.

    Taught in notebook 07, section 4.
    """
    metrics = read_record(record_path(NAME, landmark))["metrics"]
    text(what, "what")
    if what not in metrics:
        raise DataError(f'the record of {landmark} holds no "{what}"; run the study again')
    return pd.DataFrame(metrics[what]).T.astype(float)


def study_markdown() -> str:
    """All landmarks and rows in Markdown, one line for each.

    Raises:
        DataError: A record is missing.
    """
    body = []
    for name, record in records_of_landmarks().items():
        unit, near = record["metrics"]["unit"], record["metrics"]["near"]
        for row, one in measured(name).iterrows():
            percent = [f"{100 * one[key]:.0f}" for key in ("hit rate", "low", "high")]
            body.append(
                [
                    f"{WORDS[name]}: at most {near:g} {unit}",
                    row,
                    f"{percent[0]} % [{percent[1]}, {percent[2]}]",
                    f"{one['median error']:.2f}",
                    "" if pd.isna(one["told apart"]) else f"{one['told apart']:.2f}",
                    "" if pd.isna(one["told apart"]) else f"{100 * one['right decisions']:.0f} %",
                ]
            )
    head = ["landmark, and what counts as a hit", "found by", "hits", "median error"]
    return as_markdown([*head, "told apart", "right decisions"], body)
