"""Where predictions are wrong."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from scipy import ndimage

from ..data.checks import equally_many, mask, number, one_shape, probabilities, several
from ..data.errors import DataError
from ..metrics import dice
from .colours import unit_range
from .panels import frame, panels, show

MISSED, INVENTED, RIGHT = (0.95, 0.45, 0.0), (0.25, 0.6, 1.0), (0.95, 0.95, 0.95)


def failure_maps(images, predictions, truths, zoom: float = 3.0) -> Figure:
    """Where predictions are wrong: each image, a map of its errors, and the worst part enlarged.

    The image is shown dark and grey behind the map. Missed pixels are orange, invented ones blue,
    right ones white. A frame marks the part with the most wrong pixels, which stands enlarged on
    the right.

    Args:
        images: Sequence of (H, W) or (H, W, C), uint8 or floats in [0, 1]; sizes may differ.
        predictions: A mask (H, W) bool for each image, or a map of floats, which is cut at 0.5.
        truths: A mask (H, W) bool for each image.
        zoom: How many times the worst part is enlarged.

    Returns:
        The figure, one row for each image, with the Dice overlap above each error map.

    Raises:
        ValueError: A prediction and its mask differ in shape, there are not as many of each, or the
            zoom is below 1.
        DataError: An image is neither uint8 nor floats in [0, 1].

    Taught in notebook 04c, section 3.
    """
    images, predictions, truths = (
        several(values, name, "arrays (H, W)")
        for name, values in dict(images=images, predictions=predictions, truths=truths).items()
    )
    equally_many(images=images, predictions=predictions, truths=truths)
    zoom = number(zoom, "zoom", 1, 1000)
    figure, axes = panels(len(images), 3)
    for line, image, prediction, truth in zip(axes, images, predictions, truths):
        prediction = probabilities(prediction, "a prediction") > 0.5
        truth = mask(truth, "a truth", "HW")
        pixels = unit_range(image)
        if pixels.ndim not in (2, 3):
            raise DataError(f"an image must be (H, W) or (H, W, C), not {pixels.shape}")
        pixels = pixels if pixels.ndim == 2 else pixels[..., 0]
        one_shape(image=pixels, prediction=prediction, truth=truth)
        overlap = dice(prediction, truth)
        painted = paint_errors(image, prediction, truth)
        rows, columns = _worst_part(prediction ^ truth, zoom)
        show(line[0], image, "image")
        show(line[1], painted, f"errors, Dice {overlap:.2f}")
        show(line[2], painted[rows, columns], f"the worst part, {zoom:g} times enlarged")
        for axis in line[:2]:
            frame(axis, rows.start, columns.start, rows.stop - rows.start)
    return errors_legend(figure)


def errors_legend(figure: Figure) -> Figure:
    """Writes below a figure what the colours of `paint_errors` mean, and returns it."""
    kinds = {"missed": MISSED, "invented": INVENTED, "right": RIGHT}
    handles = [Patch(facecolor=c, edgecolor="0.4", label=name) for name, c in kinds.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=11)
    return figure


def paint_errors(image: np.ndarray, prediction: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The errors of a mask over the image, dark and grey: missed pixels orange, invented ones blue,
    right ones white.

    Args:
        image: (H, W) or (H, W, C), uint8 or floats in [0, 1].
        prediction: (H, W) bool.
        truth: (H, W) bool.

    Returns:
        (H, W, 3) floats in [0, 1].
    """
    grey = unit_range(image)
    grey = grey.mean(2) if grey.ndim == 3 else grey
    painted = np.repeat(0.1 + 0.45 * grey[..., None], 3, 2)
    painted[truth & ~prediction] = MISSED
    painted[prediction & ~truth] = INVENTED
    painted[prediction & truth] = RIGHT
    return painted


def _worst_part(wrong: np.ndarray, zoom: float) -> tuple[slice, slice]:
    """Rows and columns of the square with the most wrong pixels."""
    side = max(8, round(min(wrong.shape) / zoom))
    density = ndimage.uniform_filter(wrong.astype(np.float32), side, mode="constant")
    centre = np.unravel_index(density.argmax(), wrong.shape)
    top, left = (
        int(np.clip(at - side // 2, 0, max(0, length - side)))
        for at, length in zip(centre, wrong.shape)
    )
    return slice(top, top + side), slice(left, left + side)
