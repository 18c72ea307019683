"""A figure of a chosen point and where it was found."""

import math

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..data.checks import array, equally_many, instance, named, several, shown
from ..data.errors import one_of
from ..explore.panels import colour_bar, panels, pictures, show
from ..localisation import Localised
from .study import MEASURES
from .table import WORDS


def found_points(
    support_image: np.ndarray,
    point: tuple[float, float],
    images: list[np.ndarray],
    found: Localised,
    truth: list[np.ndarray] | None = None,
    titles: list[str] = (),
) -> Figure:
    """The chosen point on the left; beside it where it was found, and below that the scores.

    Args:
        support_image: (H, W, C) uint8, as it is shown.
        point: Row and column of the chosen pixel.
        images: The searched images, as they are shown.
        found: As `localise` returns it.
        truth: For each image the (k, 2) rows and columns of the landmark; drawn as white crosses.
        titles: Above each searched image; default: the score.

    Returns:
        The figure: a cyan circle where the point was chosen, an orange diamond where it was found,
        a red one where the score says that it is not there.

    Raises:
        ValueError: Images, results and truth do not fit each other.

    Taught in notebook 07, section 1.
    """
    instance(found, Localised, "found", "a Localised, as localise returns it")
    (support_image,) = pictures([support_image], "support_image")
    images, point = pictures(images, "images"), array(point, "point")
    if point.shape != (2,):
        raise ValueError(f"point must be a row and a column, not {shown(point)}")
    instance(titles, (list, tuple), "titles", "a list")
    truth = [np.empty((0, 2))] * len(images) if truth is None else several(truth, "truth", "places")
    truth = [array(places, "each of truth", "kX") for places in truth]
    equally_many(images=images, truth=truth, results=found.maps)
    figure, axes = panels(2, len(images) + 1, colour_bar=True)
    show(axes[0, 0], support_image, "chosen here")
    axes[0, 0].plot(point[1], point[0], "o", ms=11, mfc="none", mec="cyan", mew=2)
    for i, ((_, one), image) in enumerate(zip(found.table.iterrows(), images)):
        words = f"score {one.score:.2f}" + ("" if one.found else ", not here")
        show(axes[0, i + 1], image, titles[i] if i < len(titles) else words)
        show(axes[1, i + 1], found.maps[i].clip(0, 1))
        for axis in axes[:, i + 1]:
            if len(truth[i]):
                axis.plot(truth[i][:, 1], truth[i][:, 0], "x", ms=7, color="white", mew=1.5)
            axis.plot(
                one.column,
                one.row,
                "D",
                ms=11,
                mfc="none",
                mec="orange" if one.found else "red",
                mew=2,
            )
    colour_bar(figure, axes[1, 1:], (0.0, 1.0), "score")
    return figure


def hit_bars(tables: dict) -> Figure:
    """Hit rates of all rows, with their 95 % intervals, a panel for each landmark.

    Args:
        tables: Landmark, or any other title, to a table as `measured` returns it. The title of a
            landmark is what `WORDS` says of it.

    Returns:
        The figure.

    Raises:
        ValueError: There is no table, or one without hit rates.

    Taught in notebook 07, section 4.
    """
    columns = min(3, len(named(tables, "tables", "a table")))
    for title, table in tables.items():
        instance(table, pd.DataFrame, f"tables[{title!r}]", "a table, as measured returns it")
        for name in MEASURES[:3]:
            one_of(name, table.columns, f"column of tables[{title!r}]")
    rows = math.ceil(len(tables) / columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(12, 2.9 * rows), squeeze=False, layout="constrained"
    )
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, (title, table) in zip(axes.flat, tables.items()):
        hits, low, high = (table[name].to_numpy(float) for name in MEASURES[:3])
        places = np.arange(len(table))[::-1]
        colours = ["tab:blue" if name.startswith("this kit") else "0.6" for name in table.index]
        axis.set_axis_on()
        axis.barh(places, hits, color=colours)
        axis.errorbar(hits, places, xerr=[hits - low, high - hits], fmt="none", ecolor="black")
        axis.set_yticks(places, table.index, fontsize=9)
        axis.set_xlim(0, 1)
        words = WORDS.get(title, title).replace(", ", "\n", 1)  # the data in a line of their own
        axis.set_title(words, fontsize=10, loc="left")
        axis.set_xlabel("hit rate", fontsize=9)
    return figure
