"""Checks of what a user hands over: numbers, arrays, images, masks.

Each takes a value and its name and returns the value, or ends with a sentence that says which
argument, what was given and what is expected. What can be read as meant is accepted: numbers of
numpy, tensors, lists and pictures of Pillow as arrays, floats in [0, 1] as images.
"""

import math
from collections.abc import Callable
from numbers import Integral, Real
from os import PathLike, fsencode
from pathlib import Path

import numpy as np

from .errors import DataError

MOST = 2**31 - 1
"""The largest whole number that is taken for a size or a count."""
ROUNDING = 1e-5
"""How far values of a resized image may lie outside [0, 1]."""
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
        ValueError: It is empty, or no text.
    """
    if not isinstance(value, str | PathLike) or not str(value):
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
    if isinstance(values, str | bytes | dict) or not hasattr(values, "__len__"):
        raise ValueError(f"{name} must be a list of {expected}, not {shown(values)}")
    if getattr(values, "shape", None) == () or not len(values):
        raise ValueError(f"{name} must be a list of {expected} and holds none")
    return [values[i] for i in range(len(values))]


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


def array(
    value, name: str, dims: str = "", error: Callable[[str], Exception] = ValueError
) -> np.ndarray:
    """Numbers as a numpy array.

    Args:
        value: An array, a tensor on any device, a picture of Pillow, or nested lists.
        name: Of the argument.
        dims: A letter for each dimension that is expected, for example "NHW"; "" takes any.
        error: Type of the error.

    Returns:
        The array; not copied where it is one. A memory-mapped array stays on disk.

    Raises:
        ValueError: It holds no numbers, or has other dimensions.

    Example:
        >>> array([1, 2], "maps", "HW")
        Traceback (most recent call last):
        ValueError: maps must be an array (H, W), not int64 of shape (2,)
    """
    expected = f"an array ({', '.join(dims)})" if dims else "an array of numbers"
    found = value.detach().cpu() if hasattr(value, "detach") else value
    try:
        found = found if isinstance(found, np.memmap) else np.asarray(found)
    except (TypeError, ValueError, RuntimeError):  # uneven lists, types that numpy does not have
        found = np.array(None)
    if found.dtype.kind not in "buif":
        raise error(f"{name} must be {expected}, not {_described(value)}")
    if dims and found.ndim != len(dims):
        raise error(f"{name} must be {expected}, not {shown(found)}")
    return found


def _described(value) -> str:
    return "lists of different lengths or types" if isinstance(value, list) else shown(value)


def finite(value: np.ndarray, name: str) -> np.ndarray:
    """An array without nan and infinity.

    Raises:
        ValueError: It holds some.
    """
    if value.dtype.kind == "f" and not np.isfinite(value).all():
        bad = int((~np.isfinite(value)).sum())
        raise ValueError(f"{name} must be finite, and {bad} of {value.size} values are nan or inf")
    return value


def one_shape(**arrays: np.ndarray) -> None:
    """Makes sure that arrays are of one shape.

    Raises:
        ValueError: They are not.
    """
    if len({value.shape for value in arrays.values()}) > 1:
        shapes = " and ".join(str(value.shape) for value in arrays.values())
        raise ValueError(f"{' and '.join(arrays)} must be of one shape, not {shapes}")


def mask(value, name: str, dims: str = "") -> np.ndarray:
    """A mask as a bool array.

    Args:
        value: bool, or numbers that are all 0 or 1.
        name: Of the argument.
        dims: As in `array`.

    Raises:
        ValueError: It holds other values, or has other dimensions.

    Example:
        >>> mask([[0, 255]], "truth", "HW")
        Traceback (most recent call last):
        ValueError: truth must be a mask, bool or 0 and 1, and holds values from 0 to 255
    """
    found = array(value, name, dims)
    if found.dtype == bool:
        return found
    if not ((found == 0) | (found == 1)).all():
        raise ValueError(
            f"{name} must be a mask, bool or 0 and 1, and holds values from "
            f"{found.min():g} to {found.max():g}"
        )
    return found == 1


def labels(value, name: str, n: int = MOST, dims: str = "") -> np.ndarray:
    """A map of labels.

    Args:
        value: Whole numbers from 0 to n - 1.
        name: Of the argument.
        n: Number of labels.
        dims: As in `array`.

    Raises:
        ValueError: Other values, or other dimensions.
    """
    found = array(value, name, dims)
    if found.dtype.kind not in "ui":
        raise ValueError(f"{name} must be whole numbers, not {found.dtype}")
    if found.size and not 0 <= int(found.min()) <= int(found.max()) < n:
        bounds = "at least 0" if n == MOST else f"from 0 to {n - 1}"
        raise ValueError(f"{name} must be {bounds}, not from {found.min()} to {found.max()}")
    return found


def probabilities(value, name: str, dims: str = "HW") -> np.ndarray:
    """A map of probabilities, floats in [0, 1] up to rounding; bool counts as 0 and 1.

    Raises:
        ValueError: Other values, or other dimensions.
    """
    found = array(value, name, dims)
    if not _in_unit_range(found):
        raise ValueError(f"{name} must hold values in [0, 1], not {_range(found)}")
    return found


def _in_unit_range(values: np.ndarray) -> bool:
    """Whether there are values and all lie in [0, 1], up to the rounding of a resized image."""
    return bool(values.size) and -ROUNDING <= values.min() <= values.max() <= 1 + ROUNDING


def _range(values: np.ndarray) -> str:
    if not values.size:
        return "none at all"
    if values.dtype.kind == "f" and np.isnan(values).any():
        return "nan"
    return f"values from {values.min():g} to {values.max():g}"


def as_unit_floats(images, name: str = "images", dims: str = "") -> np.ndarray:
    """Images as floats in [0, 1].

    Args:
        images: uint8, or floats in [0, 1]; anything that `array` takes.
        name: Of the argument.
        dims: As in `array`.

    Returns:
        float32 from uint8; floats as they are, up to rounding beyond 0 and 1.

    Raises:
        DataError: Another type, floats outside [0, 1] or nan, or other dimensions.
    """
    images = array(images, name, dims, DataError)
    if images.dtype == np.uint8:
        return images.astype(np.float32) / 255
    if images.dtype.kind != "f":
        raise DataError(f"{name} must be uint8 or floats in [0, 1], not {images.dtype}")
    if not _in_unit_range(images):  # also where a value is nan
        raise DataError(
            f"{name} of floats must lie in [0, 1], these hold {_range(images)}; divide by 255?"
        )
    return images if 0 <= images.min() <= images.max() <= 1 else images.clip(0, 1)


def as_bytes(images, name: str = "images", dims: str = "") -> np.ndarray:
    """Images as bytes.

    Args:
        images: uint8, or floats in [0, 1]; anything that `array` takes.
        name: Of the argument.
        dims: As in `array`.

    Returns:
        uint8: what is uint8 comes back as it is, floats are rounded.

    Raises:
        DataError: Another type, floats outside [0, 1] or nan, or other dimensions.

    Example:
        >>> as_bytes(np.array([0.0, 0.5, 1.0]))
        array([  0, 128, 255], dtype=uint8)
    """
    images = array(images, name, dims, DataError)
    if images.dtype == np.uint8:
        return images
    return (255 * as_unit_floats(images, name)).round().astype(np.uint8)


def training_images(images) -> np.ndarray:
    """Images that can be trained on, as bytes.

    Args:
        images: (N, S, S, C) uint8, in memory or memory-mapped, or floats in [0, 1].

    Returns:
        (N, S, S, C) uint8; what is uint8 is not copied.

    Raises:
        DataError: Fewer than two images, or an array of another shape, type or range.
    """
    images = as_bytes(images, "images")
    if images.ndim != 4 or images.shape[1] != images.shape[2] or 0 in images.shape[1:]:
        raise DataError(
            f"training takes square uint8 images (N, S, S, C), not {images.dtype} {images.shape}"
        )
    if len(images) < 2:
        raise DataError(
            f"training compares images with each other and needs at least 2, not {len(images)}"
        )
    return images
