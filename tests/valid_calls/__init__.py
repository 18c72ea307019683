"""One valid call of every public function, on tiny inputs; the table of bad inputs changes one
argument of it at a time. One module a room.
"""

from collections.abc import Callable
from pathlib import Path

from . import data, explore, guided, landmarks, losses, measures, method, runs, teaching, transfer
from .inputs import write_files

ROOMS = (method, data, losses, measures, guided, explore, transfer, landmarks, runs, teaching)


def valid_calls(folder: Path) -> dict[str, tuple[Callable, dict]]:
    """Name to a function and arguments with which it works.

    Args:
        folder: Empty; calls that write do it below.
    """
    write_files(folder)
    return {name: call for room in ROOMS for name, call in room.calls(folder).items()}
