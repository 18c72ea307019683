"""From one sample to a square of one size: field of view, cut, resizing, local normalisation."""

from collections.abc import Callable

import numpy as np
from PIL import Image
from scipy import ndimage

from .checks import as_bytes, instance, mask, number, one_shape, text, whole
from .errors import DataError
from .simulate import Sample
from .xray import exposed_area


def field_of_view(image: np.ndarray, threshold: int = 20) -> np.ndarray:
    """The camera's field of view in a photograph of the retina: the largest lit region. A flat
    background in white or in a colour, as cut-outs and exports have it, counts as dark.

    Args:
        image: (H, W, 3) or (H, W), uint8 or floats in [0, 1].
        threshold: Pixels whose brightest channel exceeds it are lit; 0 to 255.

    Returns:
        (H, W) bool, holes filled.

    Raises:
        DataError: The image has another type, range or shape, or less than 1 % of it is lit.
        ValueError: The threshold lies outside 0 to 255.

    Source: fundus preprocessing of the authors. Taught in notebook 01, section 4.
    """
    image, threshold = as_bytes(image, "an image"), number(threshold, "threshold", 0, 255)
    if image.ndim not in (2, 3) or not image.size:
        raise DataError(f"an image must be an array (H, W, 3) or (H, W), not {image.shape}")
    brightness = image.max(2) if image.ndim == 3 else image
    background = lit_background(image)
    if background is not None:
        brightness = np.where(background, np.uint8(0), brightness)
    step = max(1, min(brightness.shape) // 256)
    lit = ndimage.uniform_filter(brightness, step)[step // 2 :: step, step // 2 :: step] > threshold
    regions, n = ndimage.label(ndimage.binary_opening(lit, iterations=2))
    sizes = np.bincount(regions.ravel())[1:]
    if not n or sizes.max() < 0.01 * regions.size:
        raise DataError(
            "no field of view: the image is (almost) black. Remove it, or check its export."
        )
    largest = ndimage.binary_fill_holes(regions == 1 + sizes.argmax())
    return np.asarray(
        Image.fromarray(largest).resize(brightness.shape[::-1], Image.Resampling.NEAREST)
    )


def lit_background(image: np.ndarray, threshold: int = 40) -> np.ndarray | None:
    """The flat, lit background around a photograph that was cut out or exported.

    Args:
        image: (H, W, 3) or (H, W) uint8.
        threshold: A background whose brightest channel does not exceed it is dark.

    Returns:
        (H, W) bool, or None if fewer than two corners show one and the same flat, lit colour.
    """
    colours = image.reshape(*image.shape[:2], -1)
    side = max(4, min(colours.shape[:2]) // 50)
    ends = (slice(side), slice(-side, None))
    corners = (colours[rows, columns] for rows in ends for columns in ends)
    flat = [
        np.median(corner, (0, 1))
        for corner in corners
        if np.ptp(np.percentile(corner, (10, 90), (0, 1)), 0).max() <= 6
    ]
    for colour in flat:
        alike = sum(np.abs(other - colour).max() <= 8 for other in flat)
        if alike >= 2 and colour.max() > threshold:
            return _around(np.abs(colours - colour.astype(np.int16)).max(2) <= 12)
    return None


def _around(region: np.ndarray) -> np.ndarray:
    """The parts of a region that touch the picture's sides."""
    parts, _ = ndimage.label(region)
    ends = np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]])
    return np.isin(parts, np.unique(ends[ends > 0]))


def everywhere(image: np.ndarray) -> np.ndarray:
    """All pixels, (H, W) bool."""
    return np.ones(image.shape[:2], bool)


def exposed(image: np.ndarray) -> np.ndarray:
    """The part of an X-ray without borders (see `exposed_area`), (H, W) bool."""
    inside = np.zeros(image.shape[:2], bool)
    inside[exposed_area(image.max(2) if image.ndim == 3 else image)] = True
    return inside


CONTENT: dict[str, tuple[Callable[[np.ndarray], np.ndarray], int]] = {
    "fundus": (field_of_view, 16),
    "chest": (exposed, 0),
}
"""Modality to the function that finds what is looked at, and the margin in pixels around it. Of all
others the whole picture is taken.
"""


def local_normalize(image: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Removes uneven illumination: every pixel is compared with the mean and spread of its
    surroundings.

    Each channel x becomes 0.5 + 0.15 (x - mean) / (deviation + 0.02). Mean and standard deviation
    are taken inside the field of view under a Gaussian whose spread is 1/16 of the image's side.
    Without this step a network can tell patches apart by their brightness alone.

    Args:
        image: (S, S, C) uint8, or floats in [0, 1].
        inside: (S, S) bool, the field of view.

    Returns:
        (S, S, C) uint8, black outside the field of view.

    Raises:
        DataError: The image has another type, range or shape.
        ValueError: The field of view has another shape.

    Ours, not published. Taught in notebook 01, section 4.
    """
    image, inside = as_bytes(image, "an image", "SSC"), mask(inside, "inside", "SS")
    one_shape(inside=inside, **{"the pixels of the image": image[..., 0]})
    weight = inside.astype(np.float32)

    def blur(array: np.ndarray) -> np.ndarray:
        return ndimage.gaussian_filter(
            array, len(image) / 16, mode="constant", truncate=3, axes=(0, 1)
        )

    total = np.maximum(blur(weight), 1e-3)[..., None]  # (S, S, 1)
    x = image.astype(np.float32) / 255 * weight[..., None]  # (S, S, C)
    difference = (x - blur(x) / total) * weight[..., None]
    deviation = np.sqrt(blur(difference**2) / total)
    normalised = (0.5 + 0.15 * difference / (deviation + 0.02)) * weight[..., None]
    return (255 * normalised.clip(0, 1)).round().astype(np.uint8)


def prepare_sample(
    sample: Sample, size: int, modality: str
) -> tuple[np.ndarray, dict[str, np.ndarray], tuple]:
    """Cuts a square out of a sample and resizes it. Outside the image the square is black.

    Args:
        sample: Image and masks.
        size: Side S of the result in pixels.
        modality: "fundus" cuts to the field of view plus 16 pixels, "chest" to the exposed area;
            of all others the whole image is taken.

    Returns:
        The (S, S, C) uint8 image, the masks (S, S) bool with "field_of_view" among them, and the
        square's top, left, height and width in the original image.

    Raises:
        DataError: No field of view can be found, or image and masks do not fit each other.
        ValueError: The size is no whole number of at least 1.

    Taught in notebook 01, section 4.
    """
    size, image = whole(size, "size", 1, 4096), _checked(sample)
    text(modality, "modality")
    height, width = image.shape[:2]
    find, margin = CONTENT.get(modality, (everywhere, 0))
    fov = find(image)
    rows, columns = np.flatnonzero(fov.any(1)), np.flatnonzero(fov.any(0))
    top, bottom = max(0, rows[0] - margin), min(height, rows[-1] + 1 + margin)
    left, right = max(0, columns[0] - margin), min(width, columns[-1] + 1 + margin)
    side = max(bottom - top, right - left)
    top, left = (top + bottom - side) // 2, (left + right - side) // 2

    def cut(array: np.ndarray) -> np.ndarray:
        square = Image.fromarray(_square(array, top, left, side))
        return np.asarray(square.resize((size, size), Image.Resampling.BILINEAR))

    if modality == "chest":
        image = image * fov.reshape(fov.shape + (1,) * (image.ndim - 2))
    masks = {"field_of_view": fov} | sample.masks
    masks = {name: cut(mask.astype(np.uint8) * 255) > 127 for name, mask in masks.items()}
    return np.atleast_3d(cut(image)), masks, (top, left, side, side)


def _checked(sample: Sample) -> np.ndarray:
    """A sample's image as bytes; its masks are of the image's size."""
    instance(sample, Sample, "sample", "a Sample")
    image = as_bytes(sample.image, "the image")
    if image.ndim not in (2, 3) or not image.size:
        raise DataError(f"an image must be an array (H, W, 3) or (H, W), not {image.shape}")
    for name, one in sample.masks.items():
        if one.shape != image.shape[:2]:
            raise DataError(
                f"the mask of {name} has shape {one.shape} and the image {image.shape[:2]}"
            )
    return image


def _square(array: np.ndarray, top: int, left: int, side: int) -> np.ndarray:
    """A square of an array; black where it reaches beyond."""
    height, width = array.shape[:2]
    rows = slice(max(0, top), min(height, top + side))
    columns = slice(max(0, left), min(width, left + side))
    square = np.zeros((side, side, *array.shape[2:]), array.dtype)
    square[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = array[
        rows, columns
    ]
    return square


def to_original(
    map_: np.ndarray,
    box: tuple[int, int, int, int],
    shape: tuple[int, int],
    smooth: Image.Resampling,
) -> np.ndarray:
    """Brings a map of a prepared image back to the original image; the inverse of
    `prepare_sample`.

    Args:
        map_: (S, S) float32 in [0, 1].
        box: Top, left, height and width of the square that was cut out.
        shape: Height and width of the original image.
        smooth: Pillow's filter for resizing.

    Returns:
        (H, W) float32 in [0, 1], 0 outside the square.
    """
    top, left, side, _ = (int(value) for value in box)
    grown = np.asarray(Image.fromarray(map_).resize((side, side), smooth)).clip(0, 1)
    whole = np.zeros(shape, np.float32)
    rows, columns = (
        slice(max(0, top), min(shape[0], top + side)),
        slice(max(0, left), min(shape[1], left + side)),
    )
    whole[rows, columns] = grown[
        rows.start - top : rows.stop - top, columns.start - left : columns.stop - left
    ]
    return whole
