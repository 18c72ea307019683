"""Whether a chosen point can be told from the other places of its own image."""

from collections.abc import Sequence

import numpy as np

from .template import COMMON

MANY = 0.0075
"""From this share of other places that look like it on, a chosen point is not distinctive.

It was chosen on training images of CHASE_DB1 and Kermany, for the shipped representations and one
Gaussian of 1/32 of the side, so that few points at structures and most on even areas count as not
distinctive; at edges of X-rays it is too strict.
"""


def share_alike(
    maps: Sequence[np.ndarray], points: Sequence[tuple[float, float]], reach: float, cell: int
) -> float:
    """Which share of the other places in the support images looks like the chosen point.

    A place looks like it where it scores at least `COMMON` times as high as the chosen points do on
    the mean. The best other place alone says little: among thousands of places one is nearly always
    similar.

    Args:
        maps: Score maps (h, w) of the support images, -1 outside the field of view.
        points: The chosen pixel in each of them.
        reach: How far the kernel looks, in pixels; nearer to the point is no other place.
        cell: Side of a cell in pixels.

    Returns:
        From 0 to 1; 0 where the kernel reaches everywhere, since nothing is known then.

    Taught in notebook 07, section 5.
    """
    others, own = [], []
    for map_, point in zip(maps, points):
        rows, columns = np.indices(map_.shape) * cell + (cell - 1) / 2
        far = np.hypot(rows - point[0], columns - point[1]) > reach
        others.append(map_[far & (map_ > -1)])
        own.append(float(map_[~far].max()))
    alike = np.concatenate(others) >= COMMON * np.mean(own)
    return float(alike.mean()) if len(alike) else 0.0
