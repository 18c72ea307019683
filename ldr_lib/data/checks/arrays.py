"""Checks of arrays: masks, maps, labels, images."""

from collections.abc import Callable

import numpy as np

from ..appearances import Appearances
from ..errors import DataError
from .values import MOST, shown

ROUNDING = 1e-5
"""How far values of a resized image may lie outside [0, 1]."""


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
    try:
        found = value.detach().cpu() if hasattr(value, "detach") else value
        found = found if isinstance(found, np.memmap) else np.asarray(found)
    except (TypeError, ValueError, RuntimeError, AttributeError):
        found = np.array(None)  # uneven lists, tensors without values, types unknown to numpy
    if np.ma.is_masked(value):
        raise error(
            f"{name} hides {np.ma.count_masked(value)} of {found.size} values behind a mask; "
            "fill them with .filled(value) first"
        )
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
        advice = (
            "; divide by 255?" if images.size and images.min() >= 0 and images.max() > 1 else ""
        )
        raise DataError(f"{name} of floats must lie in [0, 1], these hold {_range(images)}{advice}")
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


def training_images(images) -> np.ndarray | Appearances:
    """Images that can be trained on, as bytes.

    Args:
        images: (N, S, S, C) uint8, in memory or memory-mapped, or floats in [0, 1]; or
            `Appearances` of such.

    Returns:
        (N, S, S, C) uint8; what is uint8 is not copied.

    Raises:
        DataError: Fewer than two images, or an array of another shape, type or range.
    """
    if isinstance(images, Appearances):
        return Appearances(*map(training_images, images.arrays))
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
