"""Bad inputs. Room of notebook 06 and the checks of the course."""

import numpy as np
import pandas as pd
import torch

from ldr_lib import DataError

from .inputs import FOLDER, X, row

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
    row("Run", "no seed", 'parameters must be a dictionary that holds "seed"', parameters={}),
    row("Run", "a number for a folder", "out_dir must be a path, not 5", out_dir=5),
    row(
        "Run.claim",
        "a text for a number",
        "better must be numbers of runs and images, not .x.",
        better="x",
    ),
    row("record_path", "no label", "label must be a text that is not empty, not ''", label=""),
    row("committed_records", "no name", "name must be a text that is not empty", name=None),
    row("claims_over", "no records", "records must be a list of records of runs", records=[]),
    row("claims_over", "records without claims", "records must be those of runs", records=[{}]),
    row("as_markdown", "one text for a table", "body must be a list, not 'a'", body="a"),
    row("as_markdown", "a row that is too long", "must have 1 texts", body=[["a", "b"]]),
    row("grid_of", "a text for axes", "words must be a list of name=value", words="seed=1"),
    row("check_parameters", "a list", "given must be a dictionary of parameters", given=[1]),
    row("runs.compare", "None for a run", "first must be a path, not None", first=None),
    row(
        "Run",
        "a parameter that no record can hold",
        "parameter net must be numbers, texts, lists, dictionaries or tables .* not a object",
        parameters={"seed": 0, "net": object()},
    ),
    row(
        "Run.metrics",
        "a result that no record can hold",
        "dice must be numbers, texts, lists, dictionaries or tables",
        dice=torch.rand(3),
    ),
    row(
        "Run.metrics",
        "a table with one name for two rows",
        "dice must be .* tables with a name for each row",
        dice=pd.DataFrame({"Dice": [1, 2]}, ["a", "a"]),
    ),
    row("Run.data", "no fingerprint", "train must be a text that is not empty", train=None),
    row("Run.figure", "an image for a figure", "figure must be one of matplotlib", figure=X),
    row("Run.figure", "a list for numbers", "numbers must be a DataFrame", numbers=[1]),
    row("read_parameters", "None for a file", "None cannot be read", DataError, path=None),
    row("run_sweep", "a text for jobs", "jobs must be a whole number of at least 1", jobs="2"),
    row("run_sweep", "no time", "timeout must be a number above 0, not 0", timeout=0),
    row("run_sweep", "one cell", "cells must be a list of the parameters", cells={"seed": 0}),
    row("run_sweep", "no notebook", "notebook must be a path, not None", notebook=None),
    row("keep_records", "no notebook", "notebook must be a path, not None", notebook=None),
    row("keep_records", "one cell", "cells must be a list of the parameters", cells=3),
    row("all_claims", "a number for a file", "path must be a path, not 3", path=3),
    row(
        "compare_with_abstract",
        "records for a ledger",
        "table must be a table, as build_ledger returns it",
        table=[{}],
    ),
    row(
        "write_report",
        "another table",
        "table must be one that build_ledger returned, this one lacks abstract",
        table=pd.DataFrame({"Dice": [1]}),
    ),
    row("write_report", "no place for a report", "path must be a path, not None", path=None),
    row(
        "show_source", "a number for a function", "functions must be written in Python", function=3
    ),
    row("show_source", "a function in C", "functions must be written in Python", function=len),
    row("leaderboard", "no course", "course must be a path, not None", course=None),
]
