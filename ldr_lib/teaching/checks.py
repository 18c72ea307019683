"""What the assignments check with: messages that teach, and the leaderboard of a class."""

import ast
import inspect
import json
import re
import textwrap
import types
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from .data.errors import DataError


def check(what: str, got, expected, mistakes: dict | None = None, tolerance: float = 1e-4) -> None:
    """Holds an answer against the right one, and against those that known mistakes lead to.

    Args:
        what: What is checked, for the message.
        got: The student's number, array or tensor.
        expected: The right one.
        mistakes: Explanation to the value that this mistake gives.
        tolerance: Largest absolute difference.

    Raises:
        AssertionError: They differ; says how, and what it looks like if a known mistake explains
            it.
    """
    assert got is not None, f"{what}: the function returns nothing yet. Does it end with return?"
    try:
        answer, right = (
            np.asarray(x.detach().cpu() if torch.is_tensor(x) else x, dtype=np.float64)
            for x in (got, expected)
        )
    except (TypeError, ValueError) as error:
        raise AssertionError(
            f"{what}: a number or tensor is expected, not {type(got).__name__}"
        ) from error
    assert answer.shape == right.shape, (
        f"{what}: has shape {answer.shape}, and {right.shape} is expected"
    )
    assert np.isfinite(answer).all(), (
        f"{what}: holds values that are not finite. Is something divided by zero, or the "
        "logarithm of zero taken?"
    )
    if np.abs(answer - right).max() <= tolerance:
        return
    for explanation, wrong in (mistakes or {}).items():
        wrong = np.asarray(
            wrong.detach().cpu() if torch.is_tensor(wrong) else wrong, dtype=np.float64
        )
        if wrong.shape == answer.shape and np.abs(answer - wrong).max() <= tolerance:
            raise AssertionError(
                f"{what}: {_short(answer)} instead of {_short(right)}. {explanation}"
            )
    raise AssertionError(f"{what}: {_short(answer)} instead of {_short(right)}")


def _short(values: np.ndarray) -> str:
    return (
        f"{values.item():.4g}"
        if values.size == 1
        else f"an array of mean {values.mean():.4g}, first value {values.flat[0]:.4g},"
    )


def own_work(function: types.FunctionType) -> None:
    """Makes sure that an answer is written out and does not call this package.

    Raises:
        AssertionError: It does.
    """

    def names(code: types.CodeType) -> set[str]:
        inner = [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]
        return set(code.co_names).union(*map(names, inner)) if inner else set(code.co_names)

    for name in names(function.__code__):
        used = function.__globals__.get(name)
        home = getattr(used, "__module__", None) or getattr(used, "__name__", "")
        assert name != "ldr_lib" and not str(home).startswith("ldr_lib"), (
            f"{function.__name__} calls {name} of ldr_lib: write it out from the equation"
        )


def show_source(*functions: Callable) -> None:
    """Prints functions without their docstrings, so that a notebook shows the code that it runs.

    Args:
        functions: Functions of this package or your own.

    Example:
        >>> from ldr_lib.losses import cluster_area
        >>> show_source(cluster_area)
        def cluster_area(clusters: torch.Tensor) -> torch.Tensor:
            areas = clusters.mean((2, 3))  # (N, K)
            return (areas - 1 / clusters.shape[1]).square().mean()

    Taught in notebook 02, section 3.
    """
    sources = []
    for function in functions:
        source = textwrap.dedent(inspect.getsource(function))
        lines, definition = source.rstrip().splitlines(), ast.parse(source).body[0]
        if ast.get_docstring(definition) is not None:
            docstring = definition.body[0]
            del lines[docstring.lineno - 1 : docstring.end_lineno]
        sources.append("\n".join(lines))
    print("\n\n".join(sources))


def leaderboard(course: Path | str, assignment: str = "project") -> pd.DataFrame:
    """Scores of all graded submissions of the project, best first.

    Args:
        course: Folder of the course, after autograding.
        assignment: Whose cells print "leaderboard: <score>".

    Returns:
        Columns "student" and "Dice"; a student whose notebook printed no score has nan.

    Raises:
        DataError: Nothing has been graded yet.
    """
    rows = []
    for path in sorted(Path(course).glob(f"autograded/*/{assignment}/*.ipynb")):
        outputs = [
            output
            for cell in json.loads(path.read_text())["cells"]
            for output in cell.get("outputs", [])
        ]
        found = re.findall(
            r"leaderboard: ([\d.]+)", "".join("".join(output.get("text", "")) for output in outputs)
        )
        rows.append(
            {"student": path.parts[-3], "Dice": float(found[-1]) if found else float("nan")}
        )
    if not rows:
        raise DataError(
            f"{course} holds no graded submission of {assignment}; run nbgrader autograde "
            f"{assignment} there first"
        )
    return pd.DataFrame(rows).sort_values(
        "Dice", ascending=False, na_position="last", ignore_index=True
    )
