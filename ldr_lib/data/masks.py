"""What the values of a mask file mean, decided from their histogram."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

LEAST, MOST = 0.0001, 0.60
"""Shares of the picture that a structure usually covers; beyond them there is a doubt."""
FEW_VALUES = 16
"""Most values of a mask file that may be a map of labels."""
FAR = 0.15
"""Share of pixels far from the two peaks from which a file looks like a grey picture."""


@dataclass(frozen=True)
class Decision:
    """A mask and how it was decided.

    Attributes:
        mask: (H, W) bool.
        note: What was taken for structure, in a few words.
        doubt: Why the user should look at it, or None.
    """

    mask: np.ndarray
    note: str
    doubt: str | None = None


Rule = Callable[[np.ndarray], "np.ndarray | Decision"]
"""From the uint8 values of a mask file to the mask."""


def flat(values: np.ndarray) -> np.ndarray:
    """A mask file's values as (H, W), the largest of the channels if it has several."""
    return values.max(2) if values.ndim == 3 else values


def by_histogram(values: np.ndarray) -> Decision:
    """Mask rule: the brighter of the two peaks of the histogram is structure.

    It fits masks of 0 and 255, of 0 and 1, of one colour on black, with compressed or soft edges,
    and on a background that is nearly black. Of two colours of equal brightness, the one that is
    rarer along the sides is structure.

    Args:
        values: (H, W) or (H, W, 3) uint8.

    Example:
        >>> by_histogram(np.array([[0, 1], [1, 1]], np.uint8)).mask.tolist()
        [[False, True], [True, True]]

    Taught in notebook 01, section 9.
    """
    grey = flat(values)
    low, high = int(grey.min()), int(grey.max())
    if low == high:
        if values.ndim == 3 and np.ptp(values.reshape(-1, 3), axis=0).any():
            return _other_colour(values)
        return _checked(np.full(grey.shape, high > 127), f"all {high}")
    counts = np.bincount(grey.ravel(), minlength=256)
    middle = (low + high + 1) // 2
    dark, bright = int(counts[:middle].argmax()), middle + int(counts[middle:].argmax())
    cut = (dark + bright) / 2
    reach = (bright - dark) / 4
    levels = np.arange(256)
    away = np.minimum(np.abs(levels - dark), np.abs(levels - bright)) > reach
    far = counts[away].sum() / grey.size
    decision = _checked(grey > cut, f"peaks at {dark} and {bright}, cut at {cut:g}")
    if far > FAR and np.count_nonzero(counts) > 2:
        doubt = f"looks like a grey picture: {far:.0%} of its pixels are far from its two peaks"
        return Decision(decision.mask, decision.note, doubt)
    if (areas := _areas(values)) > 2:
        doubt = f"has areas of {areas} values (above {cut:g} was taken): is it a map of labels?"
        return Decision(decision.mask, decision.note, decision.doubt or doubt)
    return decision


def _areas(values: np.ndarray) -> int:
    """How many values, or colours, fill areas of 3 x 3 pixels; 0 where there are too many values,
    as compression and soft edges make them.
    """
    step = max(1, min(values.shape[:2]) // 512)
    colours = values[::step, ::step].astype(np.int32)
    colours = colours @ np.array([65536, 256, 1]) if colours.ndim == 3 else colours
    found = np.unique(colours)
    if not 2 < len(found) <= FEW_VALUES:
        return 0
    return sum(ndimage.binary_erosion(colours == one, np.ones((3, 3))).any() for one in found)


def _other_colour(values: np.ndarray) -> Decision:
    """Everything but the colour that most pixels along the sides have."""
    colours = values.astype(np.int32) @ np.array([65536, 256, 1])
    sides = np.concatenate([colours[0], colours[-1], colours[:, 0], colours[:, -1]])
    found, counts = np.unique(sides, return_counts=True)
    ground = int(found[counts.argmax()])
    return _checked(colours != ground, f"every colour but #{ground:06x}")


def _checked(mask: np.ndarray, note: str) -> Decision:
    share = float(mask.mean())
    doubt = None
    if share < LEAST:
        doubt = (
            f"covers {share:.3%} of the picture: is it empty, or are its values meant otherwise?"
        )
    elif share > MOST:
        doubt = f"covers {share:.0%} of the picture: is it inverted, or no mask?"
    return Decision(mask, note, doubt)


def half(values: np.ndarray) -> np.ndarray:
    """Mask rule: at least half of full white, where the value is a share of agreeing experts."""
    return flat(values) > 127


def bits(*flags: int) -> Rule:
    """Mask rule: any of the given bits is set."""
    return lambda values: (flat(values) & sum(flags)) > 0


def looks_like_mask(image: np.ndarray) -> bool:
    """Whether a picture has two peaks, one of them black, and next to nothing between.

    Args:
        image: (H, W) or (H, W, 3) uint8.
    """
    grey = flat(image)
    low, high = int(grey.min()), int(grey.max())
    if low == high:
        return False
    near = (high - low) // 8
    bright = float(np.mean(grey >= high - near))
    at_peaks = bright + float(np.mean(grey <= low + near))
    in_two_shades = image.ndim == 2 or len(np.unique(image[::8, ::8].reshape(-1, 3), axis=0)) < 32
    return at_peaks > 0.98 and 0.001 < bright < 0.9 and low <= 16 and in_two_shades
