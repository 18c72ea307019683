"""Checks of plain values: numbers, texts, paths, lists, and values in words."""

import json
import math
from numbers import Integral, Real
from os import PathLike, fsencode
from pathlib import Path

import numpy as np

MOST = 2**31 - 1
"""The largest whole number that is taken for a size or a count."""
LARGEST_SEED = 2**32 - 1
"""Seeds of numpy's older generators, which scikit-learn uses, end here."""


def shown(value) -> str:
    """A value in a few words, for a message.

    Example:
        >>> shown(np.zeros((2, 3))), shown("x"), shown(None)
        ('float64 of shape (2, 3)', "'x'", 'None')
    """
    if hasattr(value, "dtype") and hasattr(value, "shape") and len(value.shape):
        return f"{value.dtype} of shape {tuple(value.shape)}"
    words = repr(value)
    if len(words) <= 60 and " at 0x" not in words and "\n" not in words:
        return words
    return f"a {type(value).__name__}"


def whole(value, name: str, low: int = 0, high: int = MOST) -> int:
    """A whole number within bounds, as Python's int.

    Raises:
        ValueError: It is none, or lies outside.

    Example:
        >>> whole(np.int64(3), "steps", 1)
        3
        >>> whole(2.5, "steps", 1)
        Traceback (most recent call last):
        ValueError: steps must be a whole number of at least 1, not 2.5
    """
    is_whole = isinstance(value, Integral) and not isinstance(value, bool)
    if is_whole and low <= value <= high:
        return int(value)
    bounds = f"of at least {low}" if high == MOST else f"from {low} to {high}"
    raise ValueError(f"{name} must be a whole number {bounds}, not {shown(value)}")


def multiple(value, name: str, of: int, high: int = MOST) -> int:
    """A positive multiple of a number.

    Raises:
        ValueError: It is none, or too large.

    Example:
        >>> multiple(30, "side", 16)
        Traceback (most recent call last):
        ValueError: side must be a multiple of 16, not 30
    """
    value = whole(value, name, of, high)
    if value % of:
        raise ValueError(f"{name} must be a multiple of {of}, not {value}")
    return value


def number(
    value, name: str, low: float = -math.inf, high: float = math.inf, above: bool = False
) -> float:
    """A finite number within bounds, as Python's float.

    Args:
        value: What was given.
        name: Of the argument.
        low: Smallest value.
        high: Largest value.
        above: The smallest value itself is not allowed.

    Raises:
        ValueError: It is none, or lies outside.

    Example:
        >>> number(0.5, "temperature", 0, above=True)
        0.5
        >>> number(-1, "temperature", 0, above=True)
        Traceback (most recent call last):
        ValueError: temperature must be a number above 0, not -1
    """
    is_number = isinstance(value, Real) and not isinstance(value, bool | np.bool_)
    if is_number and math.isfinite(value) and low <= value <= high and not (above and value == low):
        return float(value)
    most = f" and at most {high:g}" if high < math.inf else ""
    if above:
        words = f" above {low:g}{most}"
    elif most:
        words = f" from {low:g} to {high:g}"
    else:
        words = f" of at least {low:g}" if low > -math.inf else ""
    raise ValueError(f"{name} must be a number{words}, not {shown(value)}")


def flag(value, name: str) -> bool:
    """True or False.

    Raises:
        ValueError: It is neither.
    """
    if isinstance(value, bool | np.bool_):
        return bool(value)
    raise ValueError(f"{name} must be True or False, not {shown(value)}")


def text(value, name: str) -> str:
    """A text that is not empty.

    Raises:
        ValueError: It is none.
    """
    if isinstance(value, str) and value:
        return value
    raise ValueError(f"{name} must be a text that is not empty, not {shown(value)}")


def path(value, name: str) -> Path:
    """A path of a file or folder.

    Raises:
        ValueError: It is empty, no text, or one that no file can have.
    """
    if not isinstance(value, str | PathLike) or not str(value) or "\0" in str(value):
        raise ValueError(f"{name} must be a path, not {shown(value)}")
    if longest := [part for part in Path(value).parts if len(fsencode(part)) > 255]:
        raise ValueError(
            f"{name} has a part of {len(longest[0])} characters, longer than file systems allow: "
            f"{longest[0][:20]}..."
        )
    return Path(value)


def seed(value, name: str = "seed") -> int:
    """A seed that all random generators take, 0 to 2**32 - 1.

    Raises:
        ValueError: It is none.
    """
    return whole(value, name, 0, LARGEST_SEED)


def span(value, name: str, high: float = math.inf) -> tuple[float, float]:
    """Two ordered numbers above 0, for example the smallest and largest share of a crop.

    Raises:
        ValueError: They are not.

    Example:
        >>> span((0.9, 0.5), "scale", 1)
        Traceback (most recent call last):
        ValueError: scale must be two numbers, smaller first, above 0 and at most 1, not (0.9, 0.5)
    """
    pair = tuple(value) if isinstance(value, tuple | list | np.ndarray) else ()
    try:
        small, large = (number(one, name, 0, high, above=True) for one in pair)
    except ValueError:
        small, large = 1, 0
    if small <= large:
        return small, large
    most = f" and at most {high:g}" if high < math.inf else ""
    raise ValueError(
        f"{name} must be two numbers, smaller first, above 0{most}, not {shown(value)}"
    )


def given(value) -> bool:
    """Whether something was given at all: neither None nor an empty text.

    Args:
        value: Of any type.

    Example:
        >>> given(""), given(None), given(np.zeros(2))
        (False, False, True)
    """
    return value is not None and not (isinstance(value, str) and not value)


def instance(value, kind: type | tuple[type, ...], name: str, expected: str):
    """A value of some type.

    Args:
        value: What was given.
        kind: Its type or types.
        name: Of the argument.
        expected: What it should be, in words.

    Raises:
        ValueError: It is of another type.
    """
    if isinstance(value, kind):
        return value
    raise ValueError(f"{name} must be {expected}, not {shown(value)}")


def several(values, name: str, expected: str) -> list:
    """A sequence with at least one item, as a list.

    Args:
        values: A list, tuple, array or any other sequence, but no text and no dictionary.
        name: Of the argument.
        expected: What the items should be, in words.

    Raises:
        ValueError: It is none, or empty.

    Example:
        >>> several([], "maps", "maps (H, W)")
        Traceback (most recent call last):
        ValueError: maps must be a list of maps (H, W) and holds none
    """
    if isinstance(values, str | bytes | dict | set | frozenset) or not hasattr(values, "__len__"):
        raise ValueError(f"{name} must be a list of {expected}, not {shown(values)}")
    if getattr(values, "shape", None) == () or not len(values):
        raise ValueError(f"{name} must be a list of {expected} and holds none")
    return [values[i] for i in range(len(values))]


def names(values, name: str, expected: str) -> list[str]:
    """A list of texts that are all different.

    Args:
        values: A list, tuple, array or any other sequence.
        name: Of the argument.
        expected: What they are names of, in words.

    Raises:
        ValueError: It is none, or empty, or holds a text twice.

    Example:
        >>> names(["heart", "heart"], "structures", "structures")
        Traceback (most recent call last):
        ValueError: structures must be names of structures, each once, and "heart" is there twice
    """
    found = [text(one, f"each of {name}") for one in several(values, name, f"names of {expected}")]
    for one in found:
        if found.count(one) > 1:
            raise ValueError(
                f'{name} must be names of {expected}, each once, and "{one}" is there twice'
            )
    return found


def plain(value, name: str):
    """A value that JSON can hold: numbers, texts, lists and dictionaries.

    Args:
        value: What was given.
        name: Of the argument.

    Raises:
        ValueError: It holds something else.

    Example:
        >>> plain({"images": np.zeros((2, 3))}, "made_from")
        Traceback (most recent call last):
        ValueError: made_from must be numbers, texts, lists or dictionaries of such, not a dict
    """
    try:
        json.dumps(value)
    except (TypeError, ValueError, RecursionError) as error:
        held = f"a {type(value).__name__}" if isinstance(value, list | dict) else shown(value)
        raise ValueError(
            f"{name} must be numbers, texts, lists or dictionaries of such, not {held}"
        ) from error
    return value


def named(values, name: str, expected: str) -> dict:
    """A dictionary with at least one entry.

    Args:
        values: Names to values.
        name: Of the argument.
        expected: What the values should be, in words.

    Raises:
        ValueError: It is none, or empty.
    """
    if isinstance(values, dict) and values:
        return values
    raise ValueError(
        f"{name} must be a dictionary of a name to {expected} with at least one entry, "
        f"not {shown(values)}"
    )


def equally_many(**lists) -> None:
    """Makes sure that sequences are of one length.

    Raises:
        ValueError: They are not.
    """
    if len({len(values) for values in lists.values()}) > 1:
        counted = " and ".join(f"{len(values)} {name}" for name, values in lists.items())
        raise ValueError(f"{' and '.join(lists)} must be equally many, not {counted}")
