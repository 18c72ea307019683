"""Whether mask files can serve as a prior: what is grey, inverted, stretched or written on is named
before anything is trained on it. Letters that touch the structure are part of it and may be missed.
"""

import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from ..data.errors import DataError, printable
from ..data.masks import by_histogram, flat
from ..data.read import read_image

LEAST, MOST, FULL = 0.001, 0.5, 0.9
"""Shares of a mask below which it is empty, above which it is inverted, and above which it is full.
"""
BETWEEN = 0.05
"""Share of pixels between black and white from which a picture is grey."""
LONG, LONGEST = 2.0, 4.0
"""Longer side by shorter side from which mirroring is worth a warning, and up to which it is done.
"""
LETTERS, FEWER = 4, 2
"""Components in a row that make a text, and from which at an edge they look like one."""
EDGE = 1 / 6
"""Share of the shorter side within which a text stands at an edge."""
GAP = 1.6
"""Largest distance of letters that follow each other, in heights."""


class Part(NamedTuple):
    """Bounds of a connected component, in pixels: first and last row and column, the last
    excluded.
    """

    top: int
    bottom: int
    left: int
    right: int

    @property
    def height(self) -> int:
        """Rows."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Columns."""
        return self.right - self.left


def check_shape(mask: np.ndarray, name: str) -> None:
    """Makes sure that a mask shows a shape.

    Args:
        mask: (H, W) bool.
        name: How messages call it.

    Raises:
        DataError: It is smaller than 32 pixels, more than four times as long as wide, empty, full,
            or its structure covers more than half of it.

    Warns:
        UserWarning: It is at least twice as long as wide.
    """
    height, width = mask.shape
    share = mask.mean() if mask.size else 0.0
    if min(height, width) < 32:
        raise DataError(f"{name} measures {width} x {height} pixels; at least 32 are needed")
    if share < LEAST or share > FULL:
        raise DataError(
            f"{name} is {'empty' if share < LEAST else 'full'} ({share:.1%} of it is structure), "
            "so it shows no shape. Remove it, or check which value marks the structure."
        )
    if share > MOST:
        raise DataError(
            f"{name} is structure in {share:.0%} of its pixels: it seems to be inverted. White "
            "marks the structure; exchange black and white."
        )
    stretched = max(height, width) / min(height, width)
    if stretched > LONGEST:
        raise DataError(
            f"{name} measures {width} x {height} pixels; masks are brought to squares, and the "
            f"longer side may be {LONGEST:g} times the shorter one at most. Cut it into pieces."
        )
    if stretched >= LONG:
        warnings.warn(
            f"{name} measures {width} x {height} pixels: its shorter side is filled with mirror "
            "images of it. Cut it into squares if they do not look like the structure.",
            stacklevel=4,
        )


def read_mask(path: Path) -> np.ndarray:
    """A mask file as a bool array, if it can be one of a prior.

    Args:
        path: An image file, white structure on black.

    Returns:
        (H, W) bool.

    Raises:
        DataError: It is unreadable, grey, has text in it, or shows no shape; the file is named.
            Text that touches the structure may be missed.

    Warns:
        UserWarning: Two or three parts at an edge look like letters, or as `check_shape`.
    """
    values, name = flat(read_image(path)), printable(path)
    low, high = int(values.min()), int(values.max())
    quarter = (high - low) / 4
    between = np.mean((values > low + quarter) & (values < high - quarter))
    if between > BETWEEN:
        raise DataError(
            f"{name} is a grey image, no mask: {between:.0%} of its pixels are neither black nor "
            "white. Threshold it first, white structure on black."
        )
    mask = by_histogram(values).mask
    check_shape(mask, name)
    letters = letters_in(mask)
    advice = "Paint them black, because crops would show them as structure."
    if len(letters) >= LETTERS:
        raise DataError(
            f"{name} has text in it: {_place(letters)}. {advice} If these are no letters, give the "
            "masks to mask_bank as arrays."
        )
    if letters:
        warnings.warn(f"{name} may have text in it: {_place(letters)}. {advice}", stacklevel=4)
    return mask


def _place(letters: list[Part]) -> str:
    return f"{len(letters)} letters in a row at column {letters[0].left}, row {letters[0].top}"


def letters_in(mask: np.ndarray) -> list[Part]:
    """The longest text in a mask: small components of one height that stand in a row, across or
    upwards.

    Args:
        mask: (H, W) bool.

    Returns:
        Its letters in the order of reading: at least four, or two where they stand at an edge; none
        where there is no text. Letters that touch something else are not told from it.

    Example:
        >>> letters_in(np.eye(64, dtype=bool))
        []
    """
    upwards = [
        [_turned_back(part, len(mask)) for part in row]
        for row in _rows_of_letters(np.rot90(mask, -1))
    ]
    rows = [
        row
        for row in _rows_of_letters(mask) + upwards
        if len(row) >= (FEWER if _is_at_edge(row, *mask.shape) else LETTERS)
    ]
    return max(rows, key=len, default=[])


def _turned_back(part: Part, height: int) -> Part:
    """Where a part of a mask that was turned by a quarter lies in the mask, of so many rows."""
    return Part(height - part.right, height - part.left, part.top, part.bottom)


def _is_at_edge(row: list[Part], height: int, width: int) -> bool:
    """Whether all letters of a row stand near one edge of the mask."""
    near = EDGE * min(height, width)
    return all(part.bottom <= near or part.top >= height - near for part in row) or all(
        part.right <= near or part.left >= width - near for part in row
    )


def _rows_of_letters(mask: np.ndarray) -> list[list[Part]]:
    """Rows of letters, also of a single one."""
    labels, _ = ndimage.label(mask, np.ones((3, 3)))
    parts = [Part(y.start, y.stop, x.start, x.stop) for y, x in ndimage.find_objects(labels)]
    tallest = max(mask.shape) / 8
    small = [part for part in parts if _may_be_letter(part, tallest)]
    rows: list[list[Part]] = []
    ended: list[list[Part]] = []
    for part in sorted(small, key=lambda part: part.left):
        ended += [row for row in rows if _gap(row[-1], part) > GAP * tallest]
        rows = [row for row in rows if _gap(row[-1], part) <= GAP * tallest]
        row = next((row for row in rows if _continues(row[-1], part)), None)
        if row is None:
            rows.append([part])
        else:
            row.append(part)
    return ended + rows


def _may_be_letter(part: Part, tallest: float) -> bool:
    return 5 <= part.height <= tallest and 0.15 <= part.width / part.height <= 1.6


def _continues(letter: Part, following: Part) -> bool:
    """Whether a component stands on the line of a letter, behind it and of its height. One that
    reaches below the line may stand between them.
    """
    height = max(letter.height, following.height)
    aligned = abs(following.bottom - letter.bottom) <= 0.1 * height + 1
    alike = min(letter.height, following.height) >= 0.6 * height
    return aligned and alike and -1 <= _gap(letter, following) <= GAP * height


def _gap(letter: Part, following: Part) -> int:
    return following.left - letter.right
