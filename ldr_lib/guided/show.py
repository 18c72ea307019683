"""Maps of several images at once, and images small enough for a figure."""

from collections.abc import Sequence

import numpy as np

from ..data.checks import array, named, several, whole
from ..network import TwoBranchNet
from ..pretrained import GuidedNets
from .predict import predict_structure


def predict_images(
    model: TwoBranchNet | GuidedNets, images: Sequence[np.ndarray], structure: str, by: str = ""
) -> list[np.ndarray]:
    """The structure's map in each image, at the image's own size.

    Args:
        model: A guided network, or several.
        images: Photographs (H, W, 3) or X-rays (H, W), uint8 or floats in [0, 1]; sizes may differ.
        structure: As in `predict_structure`.
        by: As in `predict_structure`.

    Returns:
        One map (H, W) in [0, 1] for each image.

    Raises:
        ValueError: No images, or as in `predict_structure`.
        DataError: As in `predict_structure`.

    Taught in notebook 04a, section 2.
    """
    images = several(images, "images", "images (H, W, 3) or (H, W)")
    return [predict_structure(model, image, structure, by) for image in images]


def thumbnails(
    rows: dict[str, Sequence[np.ndarray]], n: int | None = None, side: int = 256
) -> dict[str, list[np.ndarray]]:
    """Every k-th pixel of images and maps, for figures with many panels.

    Args:
        rows: Row title to arrays (H, W) or (H, W, C).
        n: Number of images of each row that are kept; None keeps all.
        side: A larger array is thinned until its longer side is below twice this.

    Returns:
        The same rows.

    Raises:
        ValueError: No rows, or a value that makes no sense.

    Example:
        >>> [map_.shape for map_ in thumbnails({"maps": [np.zeros((600, 800))]})["maps"]]
        [(200, 267)]

    Taught in notebook 04a, section 2.
    """
    side, small = whole(side, "side", 1), {}
    for title, images in named(rows, "rows", "images (H, W) or (H, W, C)").items():
        images = several(images, f"rows[{title!r}]", "images (H, W) or (H, W, C)")
        images = images[: len(images) if n is None else whole(n, "n", 1)]
        images = [array(image, f"an image of rows[{title!r}]") for image in images]
        if flat := [image.shape for image in images if image.ndim < 2]:
            raise ValueError(
                f"an image of rows[{title!r}] must be (H, W) or (H, W, C), not {flat[0]}"
            )
        steps = [max(1, max(image.shape[:2]) // side) for image in images]
        small[title] = [image[::k, ::k] for image, k in zip(images, steps)]
    return small
