"""From one sample to a square of one size: field of view, cut, resizing, local normalisation."""

import numpy as np
from PIL import Image
from scipy import ndimage

from .errors import DataError, require_uint8
from .simulate import Sample


def field_of_view(image: np.ndarray, threshold: int = 20) -> np.ndarray:
    """The camera's field of view in a photograph of the retina: the largest lit region.

    Args:
        image: (H, W, 3) or (H, W) uint8.
        threshold: Pixels whose brightest channel exceeds it are lit.

    Returns:
        (H, W) bool, holes filled.

    Raises:
        DataError: The image is not uint8, or less than 1 % of it is lit.

    Source: fundus preprocessing of the authors. Taught in notebook 01, section 4.
    """
    require_uint8(image, "an image")
    brightness = image.max(2) if image.ndim == 3 else image
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


def local_normalize(image: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Removes uneven illumination: every pixel is compared with the mean and spread of its
    surroundings.

    Each channel x becomes 0.5 + 0.15 (x - mean) / (deviation + 0.02). Mean and standard deviation
    are taken inside the field of view under a Gaussian whose spread is 1/16 of the image's side.
    Without this step a network can tell patches apart by their brightness alone.

    Args:
        image: (S, S, C) uint8.
        inside: (S, S) bool, the field of view.

    Returns:
        (S, S, C) uint8, black outside the field of view.

    Raises:
        DataError: The image is not uint8.

    Ours, not published. Taught in notebook 01, section 4.
    """
    require_uint8(image, "an image")
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
    sample: Sample, size: int, crop: bool
) -> tuple[np.ndarray, dict[str, np.ndarray], tuple]:
    """Cuts a square out of a sample and resizes it. Outside the image the square is black.

    Args:
        sample: Image and masks.
        size: Side S of the result in pixels.
        crop: True cuts to the field of view plus 16 pixels (photographs of the retina); False
            takes the whole image.

    Returns:
        The (S, S, C) uint8 image, the masks (S, S) bool with "field_of_view" among them, and the
        square's top, left, height and width in the original image.

    Raises:
        DataError: No field of view can be found.
    """
    height, width = sample.image.shape[:2]
    fov = field_of_view(sample.image) if crop else np.ones((height, width), bool)
    rows, columns = np.flatnonzero(fov.any(1)), np.flatnonzero(fov.any(0))
    margin = 16 if crop else 0
    top, bottom = max(0, rows[0] - margin), min(height, rows[-1] + 1 + margin)
    left, right = max(0, columns[0] - margin), min(width, columns[-1] + 1 + margin)
    side = max(bottom - top, right - left)
    top, left = (top + bottom - side) // 2, (left + right - side) // 2

    def cut(array: np.ndarray) -> np.ndarray:
        square = Image.fromarray(array).crop((left, top, left + side, top + side))
        return np.asarray(square.resize((size, size), Image.Resampling.BILINEAR))

    masks = {"field_of_view": fov} | sample.masks
    masks = {name: cut(mask.astype(np.uint8) * 255) > 127 for name, mask in masks.items()}
    return np.atleast_3d(cut(sample.image)), masks, (top, left, side, side)


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
