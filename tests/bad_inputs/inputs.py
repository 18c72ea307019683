"""Wrong arrays, numbers and paths that the rows of the table share, and the form of a row."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from valid_calls.inputs import images, mask


class Row(NamedTuple):
    """A line of the table: a valid call, what is wrong, the changed arguments, and the error."""

    call: str
    what: str
    words: str
    error: type
    changes: dict


def row(call: str, what: str, words: str, error: type = ValueError, /, **changes) -> Row:
    """A row of the table.

    Args:
        call: Name of a call of `valid_calls`.
        what: What is wrong.
        words: Regular expression for the sentence.
        error: Type of the error.
        changes: Arguments in place of the valid ones.
    """
    return Row(call, what, words, error, changes)


FOLDER = Path("FOLDER")
"""Stands for the test's own folder."""
NAN, INF = float("nan"), float("inf")
X, GREY = images(), images(1)
SHARES = X / np.float32(255)
WITH_NAN = np.where(np.arange(X.size).reshape(X.shape) == 5, np.float32(NAN), SHARES)
INSIDE, OTHER = np.ones((2, 32, 32), bool), np.ones((2, 20, 32), bool)
MASK, SMALLER = mask(), mask()[:20]
LABELS = np.zeros((2, 32, 32), int)
MAP = np.full((32, 32), 0.3)
VECTORS = np.ones((2, 32, 32, 4), np.float32)
BROKEN = np.full_like(VECTORS, NAN)
A = torch.rand(2, 3, 8, 8)
V, ROWS, GRID, SOFT = (
    torch.rand(shape) for shape in ((2, 4, 8, 8), (6, 4), (2, 4, 2, 2), (2, 1, 8, 8))
)
UNEVEN = [[1, 2], [3]]
UNAVAILABLE = 'device "gpu" is not available here; use "auto" or "cpu"'
