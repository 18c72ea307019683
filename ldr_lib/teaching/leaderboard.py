"""The leaderboard of a class, from the records that grading leaves."""

import json
from pathlib import Path

import pandas as pd

from ..data import checks
from ..data.errors import DataError

COLUMNS = ("Dice", "low", "high", "gain")


def leaderboard(course: Path | str, assignment: str = "project") -> pd.DataFrame:
    """Scores of all graded submissions of the project, best first.

    Args:
        course: Folder of the course, after grading. Grading leaves one record for each submission,
            `records/<assignment>/<student>.json`; nothing that a notebook prints is read.
        assignment: Whose records are read.

    Returns:
        Columns "student", "Dice" with its 95 % interval "low" and "high", and "gain", the share of
        the way from the best pixel rule to the given segmentation. A submission that could not be
        scored is a row of nan.

    Raises:
        DataError: Nothing has been graded yet.
    """
    course = checks.path(course, "course")
    checks.path(checks.text(assignment, "assignment"), "assignment")
    records = {path.stem: path for path in course.glob(f"records/{assignment}/*.json")}
    if not records:
        raise DataError(
            f"{course} holds no graded submission of {assignment}; run make grade COURSE={course} "
            f"ASSIGNMENT={assignment} first"
        )
    submitted = {path.parent.name for path in course.glob(f"submitted/*/{assignment}")}
    rows = [
        {"student": student} | _scores(records.get(student))
        for student in sorted(submitted | records.keys())
    ]
    return pd.DataFrame(rows, columns=["student", *COLUMNS]).sort_values(
        "Dice", ascending=False, na_position="last", ignore_index=True
    )


def _scores(path: Path | None) -> dict[str, float]:
    """The numbers of one record; nothing where it is missing or damaged."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return {name: float(record[name]) for name in COLUMNS}
    except (AttributeError, KeyError, OSError, TypeError, ValueError):
        return {}
