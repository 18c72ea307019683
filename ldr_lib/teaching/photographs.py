"""Photographs on which single pixels tell little: those of the course's project."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import ndimage

from ..data.checks import several, whole
from ..data.simulate import fundus

CONTRAST = 0.75
"""Share of the contrast of fine structures that is left."""
SPOTS = (35, 60)
"""Number of dark spots, as dark as vessels."""
DEPTH = (0.25, 0.55)
"""Share of the light that a spot absorbs."""
LIGHT = 0.6
"""Spread of the logarithm of the illumination."""
NOISE = 0.006
KEPT = 32
"""Photographs that are kept in memory for a later call, more than the project asks for at once."""


@dataclass(frozen=True)
class Photographs:
    """Photographs and what is known about them.

    Attributes:
        images: (N, S, S, 3) uint8, black outside the field of view.
        vessels: (N, S, S) bool.
        inside: (N, S, S) bool, the field of view.
    """

    images: np.ndarray
    vessels: np.ndarray
    inside: np.ndarray


def hard_photographs(seeds: Sequence[int], size: int = 128) -> Photographs:
    """Simulated retinas with uneven illumination, low contrast and dark spots that are no vessels.

    The darkest pixels of such an image are shadows and spots; a vessel is recognised by its shape.

    Args:
        seeds: One for each photograph; any whole numbers from 0.
        size: Side S in pixels, 16 to 2048.

    Returns:
        The photographs with their masks.

    Raises:
        ValueError: There is no seed, or a number is out of range.

    Example:
        >>> one = hard_photographs([7], 64)
        >>> one.images.shape, round(float(one.vessels.sum() / one.inside.sum()), 1)
        ((1, 64, 64, 3), 0.2)
    """
    seeds = [whole(one, "each of seeds", 0, 2**62) for one in several(seeds, "seeds", "seeds")]
    size = whole(size, "size", 16, 2048)
    return Photographs(*map(np.stack, zip(*(_photograph(seed, size) for seed in seeds))))


@lru_cache(KEPT)
def _photograph(seed: int, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    sample = fundus(2 * size, seed, lesions=True)
    inside = _halved(sample.masks["field_of_view"]) > 0.5
    vessels = (_halved(sample.masks["vessel"]) >= 0.5) & inside
    image = _halved(sample.image / 255)
    rng = np.random.default_rng([seed, 21])
    wide = size / 16
    share = ndimage.gaussian_filter(inside.astype(float), wide)[..., None] + 1e-6
    smooth = ndimage.gaussian_filter(image * inside[..., None], (wide, wide, 0)) / share
    image = smooth + CONTRAST * (image - smooth)
    image = image * (1 - _spots(rng, size)[..., None] * [0.4, 1.0, 0.9])
    light = ndimage.zoom(
        rng.standard_normal((4, 4)), size / 4, order=3, mode="nearest", grid_mode=True
    )
    image = image * np.exp(LIGHT * light)[..., None] + rng.normal(0, NOISE, image.shape)
    image = (255 * (image * inside[..., None]).clip(0, 1)).round().astype(np.uint8)
    return image, vessels, inside


def _halved(values: np.ndarray) -> np.ndarray:
    """Means of 2 x 2 pixels."""
    half = values.shape[0] // 2
    return values.reshape(half, 2, half, 2, *values.shape[2:]).mean((1, 3))


def _spots(rng: np.random.Generator, size: int) -> np.ndarray:
    """Share of the light that dark spots absorb, (size, size)."""
    rows, columns = np.mgrid[:size, :size]
    dark = np.zeros((size, size))
    for _ in range(rng.integers(*SPOTS)):
        row, column = rng.uniform(size / 16, size - size / 16, 2)
        radius = rng.uniform(1.5, 5.5) * size / 128
        longer, angle = rng.uniform(0.7, 1.4), rng.uniform(0, np.pi)
        along = (columns - column) * np.cos(angle) + (rows - row) * np.sin(angle)
        across = (rows - row) * np.cos(angle) - (columns - column) * np.sin(angle)
        reach = np.hypot(along * longer, across / longer)
        dark = np.maximum(dark, rng.uniform(*DEPTH) * np.clip(radius - reach + 0.5, 0, 1))
    return dark
