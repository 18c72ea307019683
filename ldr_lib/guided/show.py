"""Maps of several images at once, images small enough for a figure, and the study's bars."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from skimage.transform import resize

from ..data.checks import array, equally_many, instance, mask, named, several, whole
from ..data.errors import DataError, one_of
from ..explore.colours import outline, unit_range
from ..explore.panels import WIDTH
from ..network import TwoBranchNet
from ..pretrained import GuidedNets
from .predict import map_in, opened
from .settings import METHODS

KINDS = {"guided network": "#00527a", "control": "#d55e00", "rule or reference": "#e69f00"}
"""Kinds of the study's ways, and their colours."""
CONTROLS = ("shuffled", "other structure", "representation alone", "untrained")
"""Ways that must not find a structure; what else no method guided is a rule or a reference."""


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
    return [map_in(model, opened(image)[0], structure, by) for image in images]


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


def outlined(
    images: Sequence[np.ndarray],
    masks: dict[str, Sequence[np.ndarray]],
    colours: dict[str, tuple[float, float, float]],
    side: int = 256,
) -> list[np.ndarray]:
    """Images with the contours of structures, small enough for a figure with many panels.

    Images and masks are reduced first and the contours drawn then, so that no line has gaps.

    Args:
        images: (H, W) or (H, W, C), uint8 or floats in [0, 1]; sizes may differ.
        masks: Structure to one mask (H, W) bool for each image.
        colours: Structure to the colour of its line, in [0, 1].
        side: The longer side of larger images is reduced to so many pixels.

    Returns:
        (h, w, 3) floats in [0, 1], one for each image.

    Raises:
        DataError: An image is neither uint8 nor floats in [0, 1].
        ValueError: Images, masks and colours do not fit each other.

    Taught in notebook 04a, section 5.
    """
    side, painted = whole(side, "side", 16), []
    images = several(images, "images", "images (H, W) or (H, W, C)")
    for image in images:
        image = unit_range(array(image, "an image", error=DataError))
        painted.append(resize(image, _reduced(image, side), anti_aliasing=True).clip(0, 1))
    for name, of_images in named(masks, "masks", "masks (H, W)").items():
        one_of(name, instance(colours, dict, "colours", "a dictionary"), "structure of colours")
        of_images = several(of_images, f"masks[{name!r}]", "masks (H, W)")
        equally_many(images=images, **{f"masks[{name!r}]": of_images})
        for i, one in enumerate(of_images):
            one = mask(one, f"masks[{name!r}]", "HW").astype(float)
            small = resize(one, _reduced(one, side), anti_aliasing=True) > 0.5
            painted[i] = outline(painted[i], small, colours[name])
    return painted


def _reduced(image: np.ndarray, side: int) -> tuple[int, int]:
    """Rows and columns of an image whose longer side is at most `side`."""
    share = min(1, side / max(image.shape[:2]))
    return tuple(max(1, round(share * n)) for n in image.shape[:2])


def study_bars(table: pd.DataFrame) -> Figure:
    """Mean Dice of the ways of the guided study, with their standard deviation over seeds.

    Args:
        table: As `study_table` returns it.

    Returns:
        The figure, a panel for each structure; guided networks, negative controls, and rules and
        references have a colour each.

    Raises:
        ValueError: The table is none, or holds no Dice.

    Taught in notebook 06, section 3.
    """
    instance(table, pd.DataFrame, "table", "a table, as study_table returns it")
    if "Dice" not in table or table.index.nlevels != 2 or not (table["Dice"] != "").any():
        raise ValueError("table must hold Dice by structure and way, as study_table returns it")
    dice = table.loc[table["Dice"] != "", "Dice"].str.split(" ± ", expand=True).astype(float)
    dice = dice.reindex(columns=[0, 1])  # mean, and standard deviation where there is one
    parts = {name: part.droplevel(0) for name, part in dice.groupby(level=0, sort=False)}
    rows = [parts[name] for name in parts]
    pairs = [max(map(len, rows[i : i + 2])) for i in range(0, len(rows), 2)]
    figure, axes = plt.subplots(
        len(pairs),
        2,
        figsize=(WIDTH, sum(0.2 * n + 0.9 for n in pairs) + 0.4),
        height_ratios=[n + 3 for n in pairs],
        layout="constrained",
        squeeze=False,
    )
    for axis in axes.flat[len(parts) :]:
        axis.set_axis_off()
    for axis, (structure, part) in zip(axes.flat, parts.items()):
        part = part.sort_values(0)
        colours = [KINDS[_kind(way)] for way in part.index]
        axis.barh(range(len(part)), part[0], xerr=part[1].fillna(0), color=colours)
        axis.set_yticks(range(len(part)), part.index, fontsize=9, parse_math=False)
        axis.set(title=structure, xlabel="Dice", xlim=(0, 1), ylim=(-0.7, len(part) - 0.3))
    handles = [Patch(color=colour, label=kind) for kind, colour in KINDS.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(KINDS), frameon=False)
    return figure


def _kind(way: str) -> str:
    """Which of `KINDS` a way of the study is."""
    if any(word in way for word in CONTROLS):
        return "control"
    guided = any(word in way for word in (*METHODS, "shipped"))
    return "guided network" if guided else "rule or reference"
