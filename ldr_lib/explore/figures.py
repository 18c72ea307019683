"""Figures: images, views, embeddings as colour, cluster maps, similarity to a pixel, losses."""

import math

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from sklearn.decomposition import PCA


def _show(axis, image: np.ndarray, title: str = "") -> None:
    image = np.asarray(image)
    image = image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image
    axis.imshow(image, cmap="gray" if image.ndim == 2 else None, interpolation="nearest")
    axis.set_axis_off()
    if title:
        axis.set_title(title, fontsize=9)


def _grid(rows: int, columns: int, side: float = 1.8):
    return plt.subplots(
        rows, columns, figsize=(side * columns, side * rows), squeeze=False, layout="constrained"
    )


def contact_sheet(images, titles=(), columns: int = 6) -> Figure:
    """Images side by side.

    Args:
        images: Sequence of (H, W), (H, W, 1) or (H, W, 3) arrays.
        titles: A title each, or none.
        columns: Images per row.
    """
    rows = math.ceil(len(images) / columns)
    figure, axes = _grid(rows, min(columns, len(images)))
    for axis in axes.flat:
        axis.set_axis_off()
    for i, (axis, image) in enumerate(zip(axes.flat, images)):
        _show(axis, image, titles[i] if i < len(titles) else "")
    return figure


def label_colours(
    labels: np.ndarray, n: int, inside: np.ndarray | None = None, palette: str = "husl"
) -> np.ndarray:
    """Paints label maps.

    Args:
        labels: (..., H, W) integers 0 to n - 1.
        n: Number of labels.
        inside: bool of the same shape; what lies outside becomes black.
        palette: Name of a seaborn palette.

    Returns:
        (..., H, W, 3) floats in [0, 1].
    """
    colours = np.array(sns.color_palette(palette, n))[labels]
    return colours if inside is None else colours * inside[..., None]


def anatomy_colours(labels: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Paints anatomy: dark grey for no structure, then blue, orange, green; black outside the field
    of view.
    """
    colours = np.array([(0.25, 0.25, 0.25), *sns.color_palette("colorblind", 9)])[labels]
    return colours * inside[..., None]


def embedding_colours(embeddings: np.ndarray, inside: np.ndarray, seed: int = 0) -> np.ndarray:
    """Embeddings as colour: the first three principal components over all images as red, green and
    blue.

    Args:
        embeddings: (N, H, W, D).
        inside: (N, H, W) bool; only these pixels shape the components, the others become black.
        seed: Fixes which 20,000 pixels the components are fitted to.

    Returns:
        (N, H, W, 3) floats in [0, 1]; equal colours mean similar embeddings across images.

    Taught in notebook 00, section 3.
    """
    pixels = embeddings[inside]
    chosen = np.random.default_rng(seed).choice(
        len(pixels), min(len(pixels), 20_000), replace=False
    )
    pca = PCA(3).fit(pixels[chosen])
    low, high = np.percentile(pca.transform(pixels[chosen]), [2, 98], axis=0)
    colours = np.zeros((*inside.shape, 3))
    colours[inside] = ((pca.transform(pixels) - low) / (high - low)).clip(0, 1)
    return colours


def representation_sheet(rows: dict[str, np.ndarray]) -> Figure:
    """One row of pictures per entry, images in columns.

    Args:
        rows: Row title to (N, H, W), (N, H, W, 1) or (N, H, W, 3).

    Taught in notebook 00, section 3.
    """
    n = len(next(iter(rows.values())))
    figure, axes = _grid(len(rows), n)
    for line, (title, pictures) in zip(axes, rows.items()):
        for i, (axis, picture) in enumerate(zip(line, pictures)):
            _show(axis, picture, title if i == 0 else "")
    return figure


def similarity_maps(embeddings: np.ndarray, image: int, row: int, column: int) -> np.ndarray:
    """Cosine similarity of every pixel of every image to one pixel.

    Args:
        embeddings: (N, H, W, D) unit vectors.
        image: Which image the pixel lies in.
        row: Its row.
        column: Its column.

    Returns:
        (N, H, W) in [-1, 1].

    Source: Chen et al. 2021, local similarity. Taught in notebook 00, section 5.
    """
    return embeddings @ embeddings[image, row, column]


def similarity_sheet(
    images: np.ndarray, similarity: np.ndarray, inside: np.ndarray, row: int, column: int
) -> Figure:
    """Images above, similarity to a pixel of the first one below.

    Args:
        images: (N, H, W, C).
        similarity: (N, H, W) from `similarity_maps`.
        inside: (N, H, W) bool.
        row: Row of the pixel in the first image.
        column: Its column.
    """
    figure, axes = _grid(2, len(images), side=2.2)
    low, high = np.percentile(similarity[inside], [2, 99.5])
    for i in range(len(images)):
        _show(axes[0, i], images[i], "the chosen pixel" if i == 0 else "another image")
        shown = axes[1, i].imshow(
            np.where(inside[i], similarity[i], np.nan), cmap="cividis", vmin=low, vmax=high
        )
        axes[1, i].set_axis_off()
    for line in axes:
        line[0].plot(
            column,
            row,
            "o",
            markersize=9,
            markerfacecolor="none",
            markeredgecolor="cyan",
            markeredgewidth=2,
        )
    figure.colorbar(shown, ax=axes[1], shrink=0.8, label="cosine similarity")
    return figure


def sphere_map(points: np.ndarray, colourings: dict[str, tuple[np.ndarray, list[str]]]) -> Figure:
    """A map of pixels in the plane, coloured in several ways.

    Args:
        points: (P, 2).
        colourings: Title to (P,) integer labels and the names of labels 0, 1, ...; more than five
            names get no legend.

    Taught in notebook 03, section 2.
    """
    figure, axes = plt.subplots(
        1,
        len(colourings),
        figsize=(3.6 * len(colourings), 3.6),
        layout="constrained",
        squeeze=False,
    )
    for axis, (title, (labels, names)) in zip(axes[0], colourings.items()):
        palette = (
            [(0.75, 0.75, 0.75), *sns.color_palette("colorblind", 9)]
            if len(names) <= 5
            else sns.color_palette("husl", len(names))
        )
        for number, name in enumerate(names):
            axis.scatter(
                *points[labels == number].T,
                s=3,
                color=palette[number],
                label=name,
                linewidths=0,
                zorder=1 + number * (len(names) <= 5),
            )
        axis.set(title=title, xticks=[], yticks=[])
        if len(names) <= 5:
            axis.legend(markerscale=4, fontsize=8, loc="lower left")
    return figure


def typical_patches(
    images: np.ndarray,
    places: dict[int, list[tuple[int, int, int]]],
    areas: np.ndarray,
    reach: int = 12,
) -> Figure:
    """The surroundings of each cluster's most typical places, a row of pictures for each cluster.

    Args:
        images: (N, H, W, C) uint8.
        places: As `typical_pixels` returns them.
        areas: (K,) share of the pixels in each cluster, for the titles.
        reach: Pixels shown to each side of a place.

    Taught in notebook 03, section 4.
    """
    longest, columns = max(map(len, places.values())), 2
    rows = math.ceil(len(places) / columns)
    figure, axes = _grid(rows, columns * longest, side=0.95)
    for axis in axes.flat:
        axis.set_axis_off()
    for number, (cluster, found) in enumerate(places.items()):
        line = axes[number % rows, (number // rows) * longest :]
        for axis, (i, row, column) in zip(line, found):
            _show(axis, images[i, row - reach : row + reach, column - reach : column + reach])
        line[0].set_title(f"cluster {cluster}: {areas[cluster]:.0%}", fontsize=9, loc="left")
    return figure


def explorer_figure(scene, points, similarity: np.ndarray | None) -> Figure:
    """What an explorer shows, as a figure: images with the chosen points above, similarity below.

    Args:
        scene: A `Scene`.
        points: Its chosen `Point`s.
        similarity: (N, H, W) in [-1, 1], or None while nothing is chosen.
    """
    figure, axes = _grid(2 if similarity is not None else 1, len(scene.names))
    for i, axis in enumerate(axes[0]):
        _show(axis, scene.shown[i], scene.names[i])
    if similarity is not None:
        low, high = np.percentile(similarity[scene.inside], [2, 99.5])
        for axis, map_, inside in zip(axes[1], similarity, scene.inside):
            shown = axis.imshow(np.where(inside, map_, np.nan), cmap="cividis", vmin=low, vmax=high)
            axis.set_axis_off()
        figure.colorbar(shown, ax=axes[1], shrink=0.8, label="cosine similarity")
    for point in points:
        marker, colour = ("o", "cyan") if point.alike else ("s", "orange")
        for axis in axes[:, point.image]:
            axis.plot(
                point.column,
                point.row,
                marker,
                markersize=9,
                markerfacecolor="none",
                markeredgecolor=colour,
                markeredgewidth=2,
            )
    return figure


def loss_curves(rows: list[dict]) -> tuple[Figure, pd.DataFrame]:
    """Loss terms and cluster areas over the epochs of all stages.

    Args:
        rows: Rows of the training log.

    Returns:
        The figure and the drawn numbers.
    """
    table = pd.DataFrame(rows).drop(columns="seconds", errors="ignore")
    table.index = pd.Index(range(1, len(table) + 1), name="epoch")
    terms = [name for name in ("patch", "mixup", "region", "entropy", "area") if name in table]
    figure, axes = plt.subplots(
        1, len(terms) + 1, figsize=(2.4 * (len(terms) + 1), 2.2), layout="constrained"
    )
    for axis, name in zip(axes, terms):
        sns.lineplot(
            x=table.index,
            y=table[name],
            hue=table["stage"],
            palette="colorblind",
            marker="o",
            ax=axis,
            legend=False,
        )
        axis.set(title=name, xlabel="epoch", ylabel="")
        axis.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    if "smallest_area" in table:
        axes[-1].fill_between(table.index, table["smallest_area"], table["largest_area"], alpha=0.4)
        axes[-1].set(title="cluster areas, smallest to largest", xlabel="epoch", ylim=(0, None))
        axes[-1].title.set_fontsize(9)
        axes[-1].xaxis.set_major_locator(MaxNLocator(4, integer=True))
    else:
        axes[-1].set_axis_off()
    sns.despine(figure)
    return figure, table


def sphere_pairs(states: dict[str, np.ndarray]) -> Figure:
    """Pairs of points on the unit sphere in three dimensions, partners in one colour.

    Args:
        states: Title to (2N, 3) unit vectors; rows i and N + i are partners.

    Taught in notebook 02, section 1.
    """
    figure = plt.figure(figsize=(2.8 * len(states), 2.8), layout="constrained")
    for place, (title, points) in enumerate(states.items(), start=1):
        axis = figure.add_subplot(1, len(states), place, projection="3d")
        longitude, latitude = np.mgrid[0 : 2 * np.pi : 25j, 0 : np.pi : 13j]
        sphere = (
            np.cos(longitude) * np.sin(latitude),
            np.sin(longitude) * np.sin(latitude),
            np.cos(latitude),
        )
        axis.plot_wireframe(*sphere, color="0.85", linewidth=0.4)
        axis.scatter(
            *points.T,
            c=np.tile(np.arange(len(points) // 2), 2),
            cmap="tab20",
            s=28,
            depthshade=False,
        )
        axis.set(title=title, aspect="equal")
        axis.set_axis_off()
    return figure


def overlay(
    image: np.ndarray, mask: np.ndarray, colour: tuple[float, float, float] = (0.0, 0.9, 1.0)
) -> np.ndarray:
    """An image with a mask painted over it.

    Args:
        image: (H, W) or (H, W, C) uint8.
        mask: (H, W) bool.
        colour: Of the mask, in [0, 1].

    Returns:
        (H, W, 3) floats in [0, 1].

    Taught in notebook 01, section 2.
    """
    shown = np.repeat(image[..., None], 3, 2) if image.ndim == 2 else image
    return np.where(mask[..., None], 0.3 * shown / 255 + 0.7 * np.array(colour), shown / 255)


def view_pairs(views, grid: int, cell: tuple[int, int], n: int) -> Figure:
    """First views above, second views below, with their patch grids and one cell marked in both.

    Args:
        views: `Views` of a batch.
        grid: Cells along each side.
        cell: Row and column of the marked cell in the first views.
        n: How many images are shown.

    Taught in notebook 01, section 6.
    """
    n, side = min(n, len(views.first)), views.first.shape[-1]
    numbers = (
        torch.arange(grid * grid, dtype=torch.float32)
        .reshape(1, 1, grid, grid)
        .expand(len(views.first), -1, -1, -1)
    )
    back = views.realign(numbers)[:, 0, cell[0], cell[1]].long()
    figure, axes = _grid(2, n)
    for i in range(n):
        places = cell, divmod(int(back[i]), grid)
        for axis, view, (row, column) in zip(axes[:, i], (views.first[i], views.second[i]), places):
            _show(axis, view.permute(1, 2, 0).numpy())
            for line in np.arange(1, grid) * side / grid - 0.5:
                axis.axhline(line, color="white", linewidth=0.3)
                axis.axvline(line, color="white", linewidth=0.3)
            corner = (column * side / grid - 0.5, row * side / grid - 0.5)
            axis.add_patch(
                plt.Rectangle(
                    corner, side / grid, side / grid, fill=False, edgecolor="cyan", linewidth=2
                )
            )
    axes[0, 0].set_title("first views", fontsize=9)
    axes[1, 0].set_title("second views", fontsize=9)
    return figure
