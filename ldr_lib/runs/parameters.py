"""Parameters of a notebook: which it has, of which kind, and values as a user writes them."""

import ast
import csv
import json
import math
import os
import reprlib
from itertools import product
from pathlib import Path

import yaml

from ..data.checks import given as is_given
from ..data.checks import instance
from ..data.checks import path as path_of
from ..data.errors import DataError, in_one_line

KINDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    list: "a list",
    tuple: "a list",
    dict: "a mapping",
    type(None): "a number, a text, true, false or none",
}
"""Type of a notebook's value to what may be given in its place, in words."""
WORDS = {"true": True, "false": False, "none": None, "null": None}
MOST_CELLS = 100_000


def assignments(source: str) -> dict[str, ast.expr]:
    """Names that a parameters cell sets, with the expressions of their values.

    Args:
        source: Code of the cell: lines of name = value, with or without a type.

    Raises:
        SyntaxError: A line is something else; it is named.

    Example:
        >>> list(assignments("seed = 0; tier: str = 'class'"))
        ['seed', 'tier']
    """
    found = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue  # a text that explains
        targets = getattr(node, "targets", [getattr(node, "target", None)])
        is_assignment = isinstance(node, ast.Assign) or (
            isinstance(node, ast.AnnAssign) and node.value is not None
        )
        if not is_assignment or not all(isinstance(target, ast.Name) for target in targets):
            raise SyntaxError(f'"{ast.unparse(node)[:60]}" in the parameters cell sets no name')
        found |= {target.id: node.value for target in targets}
    return found


def parameters_of(notebook: Path) -> dict:
    """Names and values in a notebook's parameters cell.

    Raises:
        DataError: The notebook cannot be read or has no such cell.
    """
    notebook = path_of(notebook, "notebook")
    try:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        cell = next(cell for cell in cells if "parameters" in cell["metadata"].get("tags", []))
        found = assignments("".join(cell["source"]))
        return {name: ast.literal_eval(value) for name, value in found.items()}
    except StopIteration:
        raise DataError(f"{notebook} has no cell tagged parameters") from None
    except (OSError, ValueError, LookupError, TypeError, AttributeError, SyntaxError) as error:
        words = in_one_line(error)
        raise DataError(f"{notebook} cannot be read as a notebook ({words})") from error


def check_parameters(notebook: Path, given: dict, needed: tuple[str, ...] = ()) -> dict:
    """Makes sure that parameters are the notebook's.

    Args:
        notebook: Path of the notebook.
        given: Parameters that shall be set.
        needed: Names that must be among them.

    Returns:
        The given parameters in the kinds of the notebook: where it has a whole number, 2.0 is 2.

    Raises:
        DataError: A parameter that the notebook does not have, one of another kind than there, or
            one that is missing; named.

    Taught in notebook 06, section 1.
    """
    known, name = parameters_of(notebook), Path(notebook).name
    for parameter in instance(given, dict, "given", "a dictionary of parameters"):
        if parameter not in known:
            raise DataError(f'{name} has no parameter "{parameter}"; it has {", ".join(known)}')
    instance(needed, (list, tuple), "needed", "a list of names")
    if missing := [str(one) for one in needed if one not in list(given)]:
        raise DataError(f"parameter {', '.join(missing)} is missing for {name}")
    return {
        parameter: _fitting(value, known[parameter], f"parameter {parameter} of {name}")
        for parameter, value in given.items()
    }


def _fitting(value, usual, what: str):
    """A value in the kind of the notebook's."""
    value = value.item() if getattr(value, "ndim", None) == 0 else value
    value = os.fspath(value) if isinstance(value, os.PathLike) else value
    kind, found = type(usual), value
    if kind is int and type(value) is float and value.is_integer():
        found = int(value)
    elif kind is float and type(value) is int and abs(value) < 2**53:
        found = float(value)
    elif kind is tuple and type(value) is list:
        found = tuple(value)
    fits = kind in (type(None), type(found)) and (usual is None or kind in KINDS)
    try:
        json.dumps(found, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        fits = False
    if not fits:
        quotes = "; in a YAML file a text like this needs quotes" if kind is str else ""
        raise DataError(
            f"{what} is {usual!r} there, {KINDS.get(kind, 'of another kind')}, and cannot be "
            f"{reprlib.repr(value)}{quotes}"
        )
    return found


def value_of(text: str, usual=None):
    """What a text on the command line stands for.

    Args:
        text: As the user wrote it.
        usual: The notebook's value of this parameter. Where that is a text, so is the result,
            letter by letter; otherwise the text is read as a number, true, false, none, a list or
            a mapping.

    Returns:
        The value; the text itself where it cannot be read as one.

    Example:
        >>> value_of("no", "yes"), value_of("0123", ""), value_of("1e-3", 0.1), value_of("2", 0)
        ('no', '0123', 0.001, 2)
    """
    if isinstance(usual, str):
        return text
    if isinstance(usual, (list, tuple, dict)):
        try:
            return yaml.safe_load(text)
        except (yaml.YAMLError, RecursionError):
            return text
    if text.strip().lower() in WORDS:
        return WORDS[text.strip().lower()]
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text


def given_parameters(words: list[str], notebook: Path) -> dict:
    """Parameters given as NAME=VALUE.

    Args:
        words: As on the command line; the value is everything behind the first equals sign.
        notebook: Whose values say of which kind each one is.

    Raises:
        DataError: A word without an equals sign, or a name given twice.

    Example:
        >>> given_parameters([], Path("notebooks/00_quickstart.ipynb"))
        {}
    """
    known, found = parameters_of(notebook) if words else {}, {}
    for word in words:
        name, equals, text = word.partition("=")
        if not name or not equals or name in found:
            raise DataError(
                f'a parameter is given as NAME=VALUE and each name once, not "{_short(word)}"'
            )
        found[name] = value_of(text, known.get(name))
    return found


def grid_of(words: list[str], notebook: Path | None = None) -> list[dict]:
    """All combinations of "name=value,value" axes.

    Args:
        words: Axes. A value that holds a comma stands in double quotes, as
            `data_dir="/a,b",/c`; a double quote inside quotes is written twice.
        notebook: Whose values say of which kind each one is. None reads what looks like a number,
            true, false or none as one, and everything else as text.

    Raises:
        DataError: An axis without values, one named twice, an empty value, an open quote, or more
            than 100,000 combinations.

    Example:
        >>> grid_of(["seed=0,1", "dataset=hrf"])
        [{'seed': 0, 'dataset': 'hrf'}, {'seed': 1, 'dataset': 'hrf'}]

    Taught in notebook 06, section 1.
    """
    known, axes = parameters_of(notebook) if is_given(notebook) and words else {}, {}
    for word in instance(words, (list, tuple), "words", "a list of name=value,value"):
        instance(word, str, "words", "a list of name=value,value")
        name, _, values = word.partition("=")
        try:
            texts = next(csv.reader([values], strict=True), [])
        except csv.Error:
            texts = []
        if not name or not texts or "" in texts or name in axes:
            raise DataError(
                f'a grid is given as name=value,value and each name once, not "{_short(word)}"; '
                'no value may be empty, and one with a comma stands in double quotes: name="a,b",c'
            )
        axes[name] = [value_of(text, known.get(name)) for text in texts]
    if (number := math.prod(map(len, axes.values()))) > MOST_CELLS:
        raise DataError(f"this grid has {number} combinations; at most {MOST_CELLS} can be run")
    return [dict(zip(axes, values)) for values in product(*axes.values())]


def _short(word: str) -> str:
    return word if len(word) <= 80 else f"{word[:60]} ... {word[-15:]}"


def read_parameters(path: Path) -> dict:
    """Parameters of a YAML file.

    Raises:
        DataError: The file cannot be read as one.
    """
    try:
        found = yaml.safe_load(path_of(path, "path").read_text(encoding="utf-8"))
    except (OSError, RecursionError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DataError(f"{path} cannot be read ({in_one_line(error)})") from error
    if not isinstance(found, dict):
        raise DataError(f"{path} must hold lines of name: value")
    return found
