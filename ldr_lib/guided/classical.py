"""Baselines of guided clusters that need no training: filters, thresholds, mean masks, circles."""

import numpy as np
from PIL import Image
from scipy import ndimage
from skimage.filters import frangi, sato, threshold_otsu

from ..data import checks
from ..data.checks import as_bytes, number, several, text, whole
from ..data.crop import field_of_view
from ..data.errors import DataError, one_of
from ..data.simulate import chest
from .simulated_pairs import WHOLE

FILTERS = {"frangi": (frangi, (2, 2.5, 3, 4)), "sato": (sato, (1.5, 2, 2.5))}
"""Name of a ridge filter to its function and the ridge widths that it looks for."""


def _picture(image: np.ndarray, dims: str) -> np.ndarray:
    """An image as bytes, which is large enough to look for something in it."""
    image = as_bytes(image, "the image", dims)
    if image.ndim == 3 and image.shape[2] != 3:
        raise DataError(f"the image must be a photograph (H, W, 3), not {image.shape}")
    if min(image.shape[:2]) < 32:
        raise DataError(
            f"the image measures {image.shape[1]} x {image.shape[0]} pixels; at least 32 are needed"
        )
    return image


def vesselness(image: np.ndarray, kind: str) -> np.ndarray:
    """Response of a classical ridge filter to dark lines in the green channel.

    Args:
        image: (H, W, 3) photograph of the retina, uint8 or floats in [0, 1].
        kind: "frangi" or "sato".

    Returns:
        (H, W) float, rank of the response among the pixels of the field of view in [0, 1]; 0
        outside. Computed at 500 pixels; the ridge widths are those that did best on training images
        of CHASE_DB1.

    Raises:
        ValueError: Unknown filter.
        DataError: The image has another type, range or shape, or no field of view.

    Source: Frangi et al. 1998; Sato et al. 1998; as in scikit-image. Taught in notebook 04a,
    section 5.
    """
    ridges, widths = FILTERS[one_of(kind, FILTERS, "ridge filter")]
    image = _picture(image, "HWC")
    height, width = image.shape[:2]
    scale = min(1.0, 500 / max(height, width))
    small = np.asarray(
        Image.fromarray(image).resize(
            (round(width * scale), round(height * scale)), Image.Resampling.BOX
        )
    )
    fov = field_of_view(small)
    nearest = ndimage.distance_transform_edt(~fov, return_distances=False, return_indices=True)
    response = ridges(small[..., 1][tuple(nearest)] / 255.0, sigmas=widths, black_ridges=True)
    response = response * ndimage.binary_erosion(fov, iterations=4)
    ranks = np.zeros(fov.shape, np.float32)
    ranks[fov] = response[fov].argsort().argsort() / max(1, fov.sum() - 1)
    return np.asarray(Image.fromarray(ranks).resize((width, height), Image.Resampling.BILINEAR))


def brightest_blob(image: np.ndarray, radius: float = 0.15) -> np.ndarray:
    """Baseline of the optic disc: a circle around the brightest position of the blurred photograph.

    Args:
        image: (H, W, 3), uint8 or floats in [0, 1].
        radius: Of the circle, as a share of the field of view's half width, at most 1.

    Returns:
        (H, W) bool.

    Raises:
        ValueError: The radius is no such share.
        DataError: The image has another type, range or shape, or no field of view.

    Taught in notebook 04b, section 2.
    """
    image, radius = _picture(image, "HWC"), number(radius, "radius", 0, 1, above=True)
    inside = field_of_view(image)
    pixels = radius * np.ptp(np.flatnonzero(inside.any(0))) / 2
    well_inside = ndimage.distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1] > pixels
    bright = ndimage.gaussian_filter(image.astype(np.float32).mean(2), pixels / 2) * well_inside
    at = np.unravel_index(bright.argmax(), bright.shape)
    rows, columns = np.indices(inside.shape)
    return np.hypot(rows - at[0], columns - at[1]) <= pixels


def central_circle(image: np.ndarray, radius: float = 0.08) -> np.ndarray:
    """Baseline of the fovea: a circle in the middle of the field of view.

    Args:
        image: (H, W, 3), uint8 or floats in [0, 1].
        radius: Of the circle, as a share of the field of view's half width, at most 1; the default
            is the mean radius of simulated foveas.

    Returns:
        (H, W) bool.

    Raises:
        ValueError: The radius is no such share.
        DataError: The image has another type, range or shape, or no field of view.

    Taught in notebook 04b, section 2.
    """
    image, radius = _picture(image, "HWC"), number(radius, "radius", 0, 1, above=True)
    inside = field_of_view(image)
    rows, columns = (np.flatnonzero(inside.any(axis)) for axis in (1, 0))
    middle = (rows[0] + rows[-1]) / 2, (columns[0] + columns[-1]) / 2
    y, x = np.indices(inside.shape)
    return np.hypot(y - middle[0], x - middle[1]) <= radius * np.ptp(columns) / 2


def otsu_lungs(image: np.ndarray) -> np.ndarray:
    """Baseline of the lungs: the two largest regions below Otsu's threshold that do not touch the
    X-ray's border.

    Args:
        image: (H, W), uint8 or floats in [0, 1].

    Returns:
        (H, W) bool.

    Raises:
        DataError: The image has another type, range or shape.

    Taught in notebook 04b, section 3.
    """
    image = _picture(image, "HW")
    dark = ndimage.binary_opening(
        image < threshold_otsu(image), iterations=max(1, len(image) // 128)
    )
    regions, n = ndimage.label(dark)
    border = np.unique(np.concatenate([regions[0], regions[-1], regions[:, 0], regions[:, -1]]))
    sizes = np.bincount(regions.ravel(), minlength=n + 1)
    sizes[border] = sizes[0] = 0
    kept = np.argsort(sizes)[-2:]
    return ndimage.binary_fill_holes(np.isin(regions, kept[sizes[kept] > 0]))


def mean_mask(structure: str, n: int = 200) -> np.ndarray:
    """Pixels that belong to a structure in more than half of the simulated X-rays.

    Args:
        structure: "lungs" (with what other organs hide of them) or "heart".
        n: Number of simulated X-rays.

    Returns:
        (192, 192) bool.

    Raises:
        ValueError: Unknown structure, or no image.

    Taught in notebook 04b, section 3.
    """
    structure, n = text(structure, "structure"), whole(n, "n", 1, 10**5)
    name = WHOLE.get(structure, structure)
    one_of(name, chest(192, 500_000).masks, "structure of simulated X-rays")
    return np.mean([chest(192, 500_000 + i).masks[name] for i in range(n)], axis=0) > 0.5


def resize_mask(mask: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """A bool mask resized to an image's height and width.

    Args:
        mask: (H, W) bool.
        shape: Height and width; further numbers, such as that of channels, are not used.

    Raises:
        ValueError: The mask is none, or the shape is no two positive numbers.

    Taught in notebook 04b, section 3.
    """
    sides = [whole(side, "shape", 1, 20_000) for side in several(shape, "shape", "sides")]
    if len(sides) < 2:
        raise ValueError(f"shape must be height and width, not {shape}")
    mask = checks.mask(mask, "mask", "HW")
    if not mask.size:
        raise ValueError(f"mask holds no pixel, it is {mask.shape}")
    return np.asarray(Image.fromarray(mask).resize(sides[1::-1], Image.Resampling.NEAREST))
