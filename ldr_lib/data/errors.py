"""The error for images, masks and folders that cannot be used, and the check of names."""

import os
from collections.abc import Iterable
from numbers import Real
from pathlib import Path


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


def in_one_line(error: Exception) -> str:
    """What another library's error says, in one line.

    Example:
        >>> in_one_line(ValueError("no list\\n  in line 7"))
        'no list in line 7'
    """
    return " ".join(str(error).split())


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
    if isinstance(value, str | Real | tuple) and value in known:
        return value
    words = f'"{value}"'
    words = words if len(words) <= 80 and "\n" not in words else f"of type {type(value).__name__}"
    raise ValueError(f"unknown {what} {words}; known are {', '.join(map(str, known))}")
