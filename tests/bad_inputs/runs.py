"""Bad inputs. Room of notebook 06 and the checks of the course."""

import numpy as np

from ldr_lib import DataError

from .inputs import FOLDER, row

RUNS = [
    row(
        "Run", "a run below a file", "text.txt", DataError, out_dir=str(FOLDER / "text.txt" / "run")
    ),
    row(
        "grid_of",
        "an axis without values",
        'name=value,value and each name once, not "seed="',
        DataError,
        words=["seed="],
    ),
    row(
        "grid_of",
        "an axis named twice",
        'each name once, not "seed=2"',
        DataError,
        words=["seed=1", "seed=2"],
    ),
    row(
        "parameters_of",
        "a notebook that is not there",
        "absent.ipynb cannot be read as a notebook",
        DataError,
        notebook=FOLDER / "absent.ipynb",
    ),
    row(
        "check_parameters",
        "an unknown parameter",
        'has no parameter "sed"; it has',
        DataError,
        given={"sed": 1},
    ),
    row(
        "check_parameters",
        "a parameter of another kind",
        "parameter seed of 00_quickstart.ipynb is 0 there, a whole number, and cannot be .one.",
        DataError,
        given={"seed": "one"},
    ),
    row("runs.compare", "a record that is not there", "absent", DataError, first=FOLDER / "absent"),
    row(
        "over_seeds",
        "two records for a spread",
        "at least three seeds; 2 records were found",
        records=[{}, {}],
    ),
    row("over_seeds", "an unknown table", 'hold no table "magic"', table="magic"),
    row("Run.claim", "values of other shapes", "shape", worse=np.ones(3)),
    row("teaching.check", "a wrong answer", "x: 2 instead of 1", AssertionError, got=2.0),
    row(
        "teaching.check",
        "an answer that is a text",
        "a number or tensor is expected, not the text .one.",
        AssertionError,
        got="one",
    ),
]
