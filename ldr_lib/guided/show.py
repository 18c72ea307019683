"""Maps of several images at once, and images small enough for a figure."""

from collections.abc import Sequence

import numpy as np

from ..network import TwoBranchNet
from ..pretrained import GuidedNets
from .predict import predict_structure


def predict_images(
    model: TwoBranchNet | GuidedNets, images: Sequence[np.ndarray], structure: str, by: str = ""
) -> list[np.ndarray]:
    """The structure's map in each image, at the image's own size.

    Args:
        model: A guided network, or several.
        images: uint8 photographs (H, W, 3) or X-rays (H, W); sizes may differ.
        structure: As in `predict_structure`.
        by: As in `predict_structure`.

    Returns:
        One map (H, W) in [0, 1] for each image.

    Taught in notebook 04, section 2.
    """
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

    Example:
        >>> [map_.shape for map_ in thumbnails({"maps": [np.zeros((600, 800))]})["maps"]]
        [(200, 267)]

    Taught in notebook 04, section 2.
    """
    small = {}
    for title, images in rows.items():
        steps = [max(1, max(image.shape[:2]) // side) for image in images[:n]]
        small[title] = [image[::k, ::k] for image, k in zip(images, steps)]
    return small
