"""The error for images, masks and folders that cannot be used, and checks of arguments."""

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np


class DataError(Exception):
    """Images, masks or folders cannot be used. The message says what is wrong, where, and what to
    do.

    Taught in notebook 01, section 3.
    """


def printable(path: Path | str) -> str:
    """A path as it can be printed and stored: bytes that are no UTF-8 appear as escapes.

    Args:
        path: Any path or file name.

    Example:
        >>> printable("eye\\udcff.png")
        'eye\\\\xff.png'
    """
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def one_of(value: str, known: Iterable[str], what: str) -> str:
    """Returns a name if it is a known one.

    Args:
        value: The name that was given.
        known: All known names.
        what: What the names stand for, for the message.

    Returns:
        The name.

    Raises:
        ValueError: The name is not known; the message lists those that are.

    Example:
        >>> one_of("disk", ["vessel", "disc"], "structure")
        Traceback (most recent call last):
        ValueError: unknown structure "disk"; known are vessel, disc
    """
    known = list(known)
    if value not in known:
        raise ValueError(f'unknown {what} "{value}"; known are {", ".join(map(str, known))}')
    return value


def require_uint8(images: np.ndarray, what: str = "images") -> None:
    """Makes sure that images hold bytes.

    Args:
        images: Any array.
        what: What the array holds, for the message.

    Raises:
        DataError: The array is not uint8.

    Example:
        >>> require_uint8(np.zeros((4, 4)))
        Traceback (most recent call last):
        ldr_lib.data.errors.DataError: images must be uint8 with values from 0 to 255, not float64
    """
    if np.asarray(images).dtype != np.uint8:
        raise DataError(
            f"{what} must be uint8 with values from 0 to 255, not {np.asarray(images).dtype}"
        )
