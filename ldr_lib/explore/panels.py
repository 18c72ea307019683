"""Panels of a figure: images and maps in one scale, colour bars, marks.

All figures are 12 inches wide, 1,200 pixels at the resolution of a notebook. Maps, which are
two-dimensional arrays of floats, are never stretched to their own range: every figure has one
scale, and a colour bar shows it.
"""

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from ..data.checks import array, number, several
from ..data.errors import DataError
from .colours import unit_range
from .words import as_written, shown_name, write_title

WIDTH = 12.0
"""Width of a figure in inches."""
LARGEST_PANEL = 4.0
COSINE = (-1.0, 1.0)
"""The scale of all similarity maps."""
_MAPS = matplotlib.colormaps["cividis"].with_extremes(bad="black")


def panels(rows: int, columns: int, colour_bar: bool = False) -> tuple[Figure, np.ndarray]:
    """A figure of empty panels, with room for titles and for a colour bar.

    Args:
        rows: Number of rows.
        columns: Number of columns.
        colour_bar: Leave room on the right.

    Returns:
        The figure, and its axes (rows, columns).
    """
    room = 1.2 if colour_bar else 0.0
    side = min((WIDTH - room) / columns, LARGEST_PANEL)
    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=(WIDTH, (side + 0.25) * rows),
        squeeze=False,
        layout="constrained",
    )
    for axis in axes.flat:
        axis.set_axis_off()
    return figure, axes


def ordered(scale: tuple[float, float] | None) -> tuple[float, float]:
    """Lowest and highest value of maps; None takes 0 to 1.

    Raises:
        ValueError: They are no two ordered numbers.
    """
    if scale is None:
        return 0.0, 1.0
    ends = [number(end, "scale") for end in several(scale, "scale", "lowest and highest value")]
    if len(ends) != 2 or ends[0] >= ends[1]:
        raise ValueError(f"scale must be the lowest and the highest value of a map, not {scale}")
    return ends[0], ends[1]


def pictures(images, name: str) -> list[np.ndarray]:
    """Images or maps as arrays.

    Args:
        images: Sequence of images (H, W) or (H, W, C), or of maps (H, W).
        name: Of the argument.

    Raises:
        DataError: An item is no image.
        ValueError: There is none.
    """
    found = several(images, name, "images or maps")
    found = [array(image, f"{name}[{i}]", error=DataError) for i, image in enumerate(found)]
    if flat := [image.shape for image in found if image.ndim < 2]:
        raise DataError(f"{name} must be images (H, W) or (H, W, C), not {flat[0]}")
    return found


def is_map(image: np.ndarray) -> bool:
    """Whether an array is drawn as a map, in colours of a scale: (H, W) of floats."""
    return image.ndim == 2 and np.issubdtype(image.dtype, np.floating)


def show(axis: Axes, image: np.ndarray, title: str = "", scale=(0.0, 1.0)) -> None:
    """Draws an image as it is, or a map in the colours of a fixed scale.

    Args:
        axis: Where it is drawn.
        image: Image (H, W, 1) or (H, W, 3), uint8 or floats in [0, 1]; grey image (H, W) uint8 or
            bool; or map (H, W) of floats, nan is black.
        title: Written above it.
        scale: Lowest and highest value of the map's colours.

    Raises:
        DataError: The image is neither uint8 nor floats in [0, 1].
        ValueError: The map reaches beyond the scale.
    """
    image, scale = array(image, "an image", error=DataError), ordered(scale)
    is_colour = image.ndim == 3 and image.shape[2] in (1, 3)
    if not image.size or image.ndim != 2 and not is_colour:
        raise DataError(f"an image must be (H, W), (H, W, 1) or (H, W, 3), not {image.shape}")
    smooth = "nearest" if max(image.shape[:2]) <= axis.get_window_extent().width else "antialiased"
    if is_map(image):
        low, high = np.nanmin(image), np.nanmax(image)
        slack = 0.01 * (scale[1] - scale[0])
        if low < scale[0] - slack or high > scale[1] + slack:
            raise ValueError(
                f"the map reaches from {low:.3g} to {high:.3g} and the scale from {scale[0]:g} to "
                f"{scale[1]:g}: give scale=(low, high) that holds for all maps of the figure"
            )
        axis.imshow(image, cmap=_MAPS, vmin=scale[0], vmax=scale[1], interpolation=smooth)
    else:
        shown = unit_range(image)
        shown = shown[..., 0] if shown.ndim == 3 and shown.shape[2] == 1 else shown
        axis.imshow(shown, cmap="gray", vmin=0, vmax=1, interpolation=smooth)
    axis.set_axis_off()
    if title:
        write_title(axis, title, fontsize=11, loc="left")


def colour_bar(figure: Figure, axes, scale: tuple[float, float], label: str) -> None:
    """Draws the scale of a figure's maps beside them.

    Args:
        figure: The figure.
        axes: Those that show the maps.
        scale: Lowest and highest value.
        label: What the maps show.
    """
    axes = np.atleast_2d(axes)
    shown = ScalarMappable(Normalize(*scale), _MAPS)
    bar = figure.colorbar(shown, ax=list(axes.flat), shrink=0.8, aspect=20 * len(axes))
    bar.set_label(shown_name(label), **as_written())


def ring(
    axis: Axes,
    row: float,
    column: float,
    marker: str = "o",
    colour: str = "cyan",
    width: float = 2,
) -> None:
    """Marks a pixel without covering it.

    Args:
        axis: Where the image is drawn.
        row: Of the pixel.
        column: Of the pixel.
        marker: Its form, as in matplotlib.
        colour: Of its rim.
        width: Of its rim, in points.
    """
    axis.plot(
        column,
        row,
        marker,
        markersize=10,
        markerfacecolor="none",
        markeredgecolor=colour,
        markeredgewidth=width,
    )


def frame(axis: Axes, top: float, left: float, side: float) -> None:
    """Draws the frame of a square of pixels."""
    corner = (left - 0.5, top - 0.5)
    axis.add_patch(plt.Rectangle(corner, side, side, fill=False, edgecolor="cyan", linewidth=2))
