"""What a format's reader hands on: values, how they lie, and what has to be said about them."""

import os
from dataclasses import dataclass, field

import numpy as np

from ..errors import DataError

LARGE, LARGEST = 200, 1000
"""Megapixels from which an image is called large, and up to which it is read."""
LIMIT = "LDR_MAX_MEGAPIXELS"
"""The environment variable that sets another limit."""
NO_ALPHA = "its last channel, which is not marked as transparency, is left out"


@dataclass
class Picture:
    """One picture as it was read.

    Attributes:
        pixels: (H, W) grey or (H, W, 3) colour; uint8 once `read_picture` returns it.
        notes: What was done to the values, in a few words each.
        doubts: Notes that the user should look at, because something was guessed or left out.
        orientation: How the file says that its rows and columns lie, 1 to 8 as in EXIF; the pixels
            are upright already.
        alpha: (H, W) opacity of the same type as the pixels, or None.
        inverted: True if small values are bright.
        depth: What its values are: "8 bit", "16 bit", "32 bit", "floats", or "DICOM", where the
            file says how they are to be shown.
        range: Lowest and highest value without hot pixels and markers; None for bytes.
        frames: How many images of this size the file holds; the first was read.
    """

    pixels: np.ndarray
    notes: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    orientation: int = 1
    alpha: np.ndarray | None = None
    inverted: bool = False
    depth: str = "8 bit"
    range: tuple[float, float] | None = None
    frames: int = 1

    def doubt(self, text: str) -> None:
        """Notes something that the user should look at."""
        self.notes.append(text)
        self.doubts.append(text)

    def turn_upright(self) -> None:
        """Turns the values as the file's orientation says."""
        self.pixels = upright(self.pixels, self.orientation)
        if self.alpha is not None:
            self.alpha = upright(self.alpha, self.orientation)


def check_size(width: int, height: int) -> str | None:
    """Stops before an image is decoded that is too large, and says if it is merely large.

    Args:
        width: In pixels.
        height: In pixels.

    Returns:
        A doubt about images over 200 megapixels, else None.

    Raises:
        DataError: It has more megapixels than the limit, 1000 or $LDR_MAX_MEGAPIXELS.
    """
    given = os.environ.get(LIMIT, "")
    try:
        limit = float(given) if given else LARGEST
    except ValueError:
        raise DataError(f'{LIMIT} must be a number of megapixels, not "{given}"') from None
    megapixels = width * height / 1e6
    if megapixels > limit:
        raise DataError(
            f"it measures {width} x {height} pixels, {megapixels:.0f} megapixels, and at most "
            f"{limit:g} are read. Reduce it, or set {LIMIT}={int(megapixels) + 1} if there is "
            f"memory for {megapixels * 3 / 1000:.1f} GB and more"
        )
    if megapixels > LARGE:
        return f"large: {width} x {height} pixels, {megapixels:.0f} megapixels"
    return None


def upright(array: np.ndarray, orientation: int) -> np.ndarray:
    """Turns and mirrors rows and columns as an orientation of TIFF and EXIF says.

    Args:
        array: (H, W) or (H, W, C).
        orientation: 1 to 8; every other value leaves the array as it is.

    Example:
        >>> upright(np.array([[1, 2, 3]]), 6).ravel().tolist(), upright(np.array([[1, 2]]), 6).shape
        ([1, 2, 3], (2, 1))
        >>> upright(np.array([[1, 2, 3]]), 3).tolist()
        [[3, 2, 1]]
    """
    turns = {3: 2, 4: 2, 5: 3, 6: 3, 7: 1, 8: 1}.get(orientation, 0)
    turned = np.rot90(array, turns)
    return turned[:, ::-1] if orientation in (2, 4, 5, 7) else turned
