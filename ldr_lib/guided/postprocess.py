"""What is known of a structure's shape, applied to its predicted map: number of connected
components, convexity, an ellipse.
"""

import numpy as np
from scipy import ndimage
from scipy.signal import fftconvolve
from skimage.morphology import convex_hull_image

from ..data.checks import number, probabilities, whole


def largest_components(map_: np.ndarray, n: int) -> np.ndarray:
    """Keeps the n largest connected components above one half; in the others p becomes
    min(p, 1 - p).

    Args:
        map_: (S, S) floats in [0, 1].
        n: Number of components to keep; their size is the sum of the map over them.

    Returns:
        (S, S) floats in [0, 1].

    Raises:
        ValueError: The map has another shape or other values, or n is no positive number.

    Ours, not published. Taught in notebook 04b, section 2.
    """
    map_, n = probabilities(map_, "map_"), whole(n, "n", 1)
    labels, found = ndimage.label(map_ > 0.5)
    if found <= n:
        return map_
    weights = ndimage.sum(map_, labels, range(1, found + 1))
    return _lower_inside(
        map_, (labels > 0) & ~np.isin(labels, 1 + np.argsort(weights)[found - n :])
    )


def fill_convex_hulls(map_: np.ndarray) -> np.ndarray:
    """Fills the convex hull of every connected component above one half: p becomes max(p, 1 - p)
    there.

    Args:
        map_: (S, S) floats in [0, 1].

    Returns:
        (S, S) floats in [0, 1].

    Raises:
        ValueError: The map has another shape or other values.

    Ours, not published. Taught in notebook 04b, section 2.
    """
    map_ = probabilities(map_, "map_")
    labels, found = ndimage.label(map_ > 0.5)
    hulls = np.zeros(map_.shape, bool)
    for component in range(1, found + 1):
        hulls |= convex_hull_image(labels == component)
    return _raise_inside(map_, hulls) if found else map_


def best_ellipse(map_: np.ndarray, smallest: float = 1 / 32, largest: float = 1 / 6) -> np.ndarray:
    """The ellipse that overlaps a map most: p becomes max(p, 1 - p) in it and min(p, 1 - p)
    outside.

    Ellipses with horizontal and vertical axes, ratios 0.85 to 1.18, are tried at all positions; the
    best has the largest soft Dice 2 sum_in(p) / (sum(p) + area).

    Args:
        map_: (S, S) floats in [0, 1].
        smallest, largest: Bounds of the mean radius as a share of the side.

    Returns:
        (S, S) floats in [0, 1]; a map without anything above one half comes back as it is.

    Raises:
        ValueError: The map has another shape or other values, or the bounds are not ordered.

    Ours, not published. Taught in notebook 04b, section 2.
    """
    map_ = probabilities(map_, "map_", "SS")
    if map_.shape[0] != map_.shape[1]:
        raise ValueError(f"map_ must be square, not {map_.shape}")
    smallest = number(smallest, "smallest", 0, 1, above=True)
    largest = number(largest, "largest", smallest, 1, above=True)
    if not (map_ > 0.5).any():
        return map_
    side, best = len(map_), (0.0,)
    for radius in np.arange(smallest * side, largest * side, side / 200):
        for ratio in (0.85, 1.0, 1.18):
            high, wide = radius * ratio**0.5, radius / ratio**0.5
            rows, columns = (np.arange(-int(half), int(half) + 1) / half for half in (high, wide))
            inside = rows[:, None] ** 2 + columns**2 <= 1
            overlap = (
                2
                * fftconvolve(map_, inside.astype(map_.dtype), "same")
                / (map_.sum() + inside.sum())
            )
            if overlap.max() > best[0]:
                best = (
                    overlap.max(),
                    np.unravel_index(overlap.argmax(), overlap.shape),
                    high,
                    wide,
                )
    _, (row, column), high, wide = best
    rows, columns = np.ogrid[:side, :side]
    ellipse = ((rows - row) / high) ** 2 + ((columns - column) / wide) ** 2 <= 1
    return _raise_inside(_lower_inside(map_, ~ellipse), ellipse)


def _raise_inside(map_: np.ndarray, shape: np.ndarray) -> np.ndarray:
    return np.where(shape, np.maximum(map_, 1 - map_), map_).astype(np.float32)


def _lower_inside(map_: np.ndarray, shape: np.ndarray) -> np.ndarray:
    return np.where(shape, np.minimum(map_, 1 - map_), map_).astype(np.float32)
