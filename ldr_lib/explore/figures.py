"""Sheets of images: images and maps side by side, similarity to a pixel, typical pixels, views."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from sklearn.metrics import average_precision_score, roc_auc_score

from ..data import checks
from ..data.checks import (
    array,
    equally_many,
    finite,
    instance,
    named,
    one_shape,
    several,
    shown,
    whole,
)
from ..data.errors import DataError
from ..data.views import Views
from .colours import NO_STRUCTURE, structure_colours
from .panels import COSINE, colour_bar, frame, is_map, ordered, panels, pictures, ring, show
from .panels import LARGEST_PANEL as LARGEST_PANEL
from .panels import WIDTH as WIDTH
from .words import write_legend

LISTS = (list, tuple)
FOUND = "#ff4fd8"
"""Colour of a diamond where a point was found, as in the explorer."""


def contact_sheet(
    images, titles=(), columns: int = 6, scale: tuple[float, float] | None = None
) -> Figure:
    """Images and maps side by side.

    Args:
        images: Sequence of images (H, W, 1) or (H, W, 3), uint8 or floats in [0, 1]; of grey images
            (H, W) uint8 or bool; and of maps (H, W) of floats, which get a colour bar.
        titles: One title for each image, or none.
        columns: Images per row.
        scale: Lowest and highest value of all maps; None takes 0 to 1.

    Returns:
        The figure.

    Raises:
        DataError: An image is neither uint8 nor floats in [0, 1].
        ValueError: A map reaches beyond the scale, there is no image or more titles than images, or
            a value makes no sense.

    Taught in notebook 01, section 2.
    """
    images, scale = pictures(images, "images"), ordered(scale)
    columns, titles = whole(columns, "columns", 1), instance(titles, LISTS, "titles", "a list")
    if len(titles) > len(images):
        raise ValueError(f"titles must be at most {len(images)}, as the images, not {len(titles)}")
    rows = math.ceil(len(images) / columns)
    with_maps = any(map(is_map, images))
    figure, axes = panels(rows, min(columns, len(images)), with_maps)
    for i, (axis, image) in enumerate(zip(axes.flat, images)):
        show(axis, image, titles[i] if i < len(titles) else "", scale)
    if with_maps:
        colour_bar(figure, axes, scale, "value of the map")
    return figure


def representation_sheet(
    rows: dict[str, np.ndarray],
    scale: tuple[float, float] | None = None,
    label: str = "",
    columns: Sequence[str] = (),
) -> Figure:
    """One row of images or maps per entry; a column for each image.

    Args:
        rows: Row title to a sequence of images (H, W, 1) or (H, W, 3), uint8 or floats in [0, 1];
            of grey images (H, W) uint8 or bool; or of maps (H, W) of floats. All maps have one
            scale and one colour bar.
        scale: Lowest and highest value of all maps; None takes 0 to 1.
        label: What the maps show, written along the colour bar.
        columns: What each column shows, for example an epoch, written above every panel; or
            nothing.

    Returns:
        The figure. More than seven rows of four images are higher than a notebook shows them:
        make two figures of them.

    Raises:
        DataError: An image is neither uint8 nor floats in [0, 1].
        ValueError: A map reaches beyond the scale, there is no row or image, or there are titles of
            columns and not one for each.

    Taught in notebook 00, section 3.
    """
    scale, rows = ordered(scale), named(rows, "rows", "images or maps")
    instance(label, str, "label", "a text")
    lines = {title: pictures(images, f"rows[{title!r}]") for title, images in rows.items()}
    with_maps = [any(map(is_map, images)) for images in lines.values()]
    n = max(map(len, lines.values()))
    columns = instance(columns, LISTS, "columns", "a list") or n * [""]
    if len(columns) != n:
        raise ValueError(f"columns must be {n} titles, one for each column, not {len(columns)}")
    figure, axes = panels(len(lines), n, any(with_maps))
    for line, (title, images) in zip(axes, lines.items()):
        for i, (axis, image) in enumerate(zip(line, images)):
            parts = (title if i == 0 else "", columns[i])
            show(axis, image, ", ".join(filter(None, parts)), scale)
    if any(with_maps):
        colour_bar(figure, axes[with_maps], scale, label)
    return figure


def anatomy_legend(figure: Figure, structures: list[str], clusters: bool = False) -> Figure:
    """Writes below a figure which colour stands for which structure.

    Args:
        figure: A figure with images painted by `anatomy_colours` or `cluster_colours`.
        structures: Names of structures 1, 2, ...
        clusters: The figure shows clusters too, so that the greys of `cluster_colours` are named.

    Returns:
        The same figure.

    Raises:
        ValueError: There is no figure, or the structures are no list of names.

    Taught in notebook 00, section 3.
    """
    instance(figure, Figure, "figure", "a figure of matplotlib")
    for name in instance(structures, LISTS, "structures", "a list of names"):
        checks.instance(name, str, "a name of structures", "a text")
    clusters = checks.flag(clusters, "clusters")
    colours = [*structure_colours(len(structures)), NO_STRUCTURE]
    names = [*structures, "no structure"]
    if clusters:
        colours.append((0.6, 0.6, 0.6))
        names.append("other clusters (greys)")
    write_legend(
        figure,
        [Patch(color=colour) for colour in colours],
        names,
        loc="outside lower center",
        ncols=len(names),
        frameon=False,
        fontsize=11,
    )
    return figure


def similarity_maps(embeddings: np.ndarray, image: int, row: int, column: int) -> np.ndarray:
    """Cosine similarity of every pixel of every image to one pixel.

    Args:
        embeddings: (N, H, W, D) unit vectors.
        image: Number of the image in which the pixel lies.
        row: Its row.
        column: Its column.

    Returns:
        (N, H, W) in [-1, 1].

    Raises:
        ValueError: The embeddings have other dimensions, or there is no such pixel.

    Source: Chen et al. 2021, local similarity. Taught in notebook 00, section 5.
    """
    embeddings = finite(array(embeddings, "embeddings", "NHWD"), "embeddings")
    places = (("image", image), ("row", row), ("column", column))
    image, row, column = (
        whole(at, name, 0, n - 1) for (name, at), n in zip(places, embeddings.shape)
    )
    return embeddings @ embeddings[image, row, column]


def similarity_sheet(
    images: np.ndarray,
    similarity: np.ndarray,
    inside: np.ndarray,
    row: int,
    column: int,
    truth: np.ndarray | None = None,
    titles: list[str] | None = None,
) -> Figure:
    """Images above, similarity to a pixel of the first one below.

    Args:
        images: (N, H, W, C) uint8, or floats in [0, 1].
        similarity: (N, H, W) in [-1, 1] from `similarity_maps`.
        inside: (N, H, W) bool, the field of view.
        row: Row of the pixel in the first image.
        column: Its column.
        truth: (N, H, W) bool, the structure that was looked for. If it is given, the area under the
            ROC curve and the average precision of each map stand under it; average precision by
            chance is the structure's share of the field of view, which stands there too.
        titles: A title above each column, for example the epoch of a network that made its map.

    Returns:
        The figure.

    Raises:
        DataError: An image is neither uint8 nor floats in [0, 1].
        ValueError: Images, maps, masks and titles do not fit each other, or there is no such pixel.

    Taught in notebook 00, section 5.
    """
    images = pictures(images, "images")
    parts = {"similarity": similarity, "inside": inside}
    parts |= {} if truth is None else {"truth": truth}
    parts = {name: several(part, name, "arrays (H, W)") for name, part in parts.items()}
    usual = ["the chosen pixel"] + (len(images) - 1) * ["another image"]
    titles = usual if titles is None else instance(titles, LISTS, "titles", "a list of titles")
    equally_many(images=images, titles=titles, **parts)
    similarity = [array(one, "similarity", "HW") for one in parts["similarity"]]
    similarity = [finite(one, "similarity") for one in similarity]
    inside = [checks.mask(one, "inside", "HW") for one in parts["inside"]]
    if truth is not None:
        truth = [checks.mask(one, "truth", "HW") for one in parts["truth"]]
    for i, image in enumerate(images):
        others = {} if truth is None else {"truth": truth[i]}
        pixels = image if image.ndim == 2 else image[..., 0]
        one_shape(image=pixels, similarity=similarity[i], inside=inside[i], **others)
    row, column = (
        whole(at, name, 0, n - 1)
        for (name, at), n in zip((("row", row), ("column", column)), images[0].shape)
    )
    figure, axes = panels(2, len(images), colour_bar=True)
    for i in range(len(images)):
        show(axes[0, i], images[i], titles[i])
        show(axes[1, i], _within(similarity[i], inside[i]), scale=COSINE)
        if truth is not None:
            words = _ranking(similarity[i][inside[i]], truth[i][inside[i]])
            axes[1, i].text(
                0.5,
                -0.02,
                words,
                transform=axes[1, i].transAxes,
                ha="center",
                va="top",
                fontsize=11,
            )
    for line in axes:
        ring(line[0], row, column)
    colour_bar(figure, axes[1], COSINE, "cosine similarity")
    return figure


def _within(map_: np.ndarray, inside: np.ndarray) -> np.ndarray:
    return np.where(inside, map_.astype(float), np.nan)


def _ranking(scores: np.ndarray, truth: np.ndarray) -> str:
    if truth.all() or not truth.any():
        return "the structure is not there"
    auc, precision = roc_auc_score(truth, scores), average_precision_score(truth, scores)
    return f"AUC {auc:.2f}, AP {precision:.2f}\n(AP by chance {truth.mean():.2f})"


def typical_patches(
    images: np.ndarray,
    pixels: dict[int, list[tuple[int, int, int]]],
    areas: np.ndarray,
    reach: int = 12,
) -> Figure:
    """The surroundings of each cluster's most typical pixels, one row for each cluster.

    Args:
        images: (N, H, W, C) uint8, for example the locally normalised images that the network is
            given.
        pixels: Cluster to (image, row, column) of its pixels, as
            `ldr_lib.evaluation.typical_pixels` returns them; a dot marks each pixel.
        areas: (K,) share of all pixels in each cluster, for the titles.
        reach: Pixels shown on each side of the typical one.

    Returns:
        The figure.

    Raises:
        DataError: The images are neither uint8 nor floats in [0, 1].
        ValueError: There is no cluster, or a pixel or an area that is not there.

    Taught in notebook 03, section 4.
    """
    images = array(images, "images", "NHWC", DataError)
    areas, reach = finite(array(areas, "areas", "K"), "areas"), whole(reach, "reach", 0, 4096)
    for cluster, found in named(pixels, "pixels", "a list of (image, row, column)").items():
        whole(cluster, "a cluster of pixels", 0, len(areas) - 1)
        for place in several(found, f"pixels[{cluster}]", "(image, row, column)"):
            if len(place := several(place, f"pixels[{cluster}]", "(image, row, column)")) != 3:
                raise ValueError(f"pixels[{cluster}] must be (image, row, column), not {place}")
            for at, name, n in zip(place, ("image", "row", "column"), images.shape):
                whole(at, f"the {name} of a pixel", 0, n - 1)
    longest, columns = max(map(len, pixels.values())), 2
    rows = math.ceil(len(pixels) / columns)
    figure, axes = panels(rows, columns * longest)
    for at, (cluster, found) in enumerate(pixels.items()):
        block, line = divmod(at, rows)
        first = block * longest
        for axis, (i, row, column) in zip(axes[line, first : first + longest], found):
            top, left = max(0, row - reach), max(0, column - reach)
            show(axis, images[i, top : row + reach + 1, left : column + reach + 1])
            axis.plot(column - left, row - top, "o", markersize=5, color="cyan", mec="black")
        title = f"cluster {cluster}: {areas[cluster]:.0%} of the pixels"
        axes[line, first].set_title(title, fontsize=10, loc="left")
    return figure


def explorer_figure(
    scene, points, similarity: np.ndarray | None, found: list[dict] | tuple = ()
) -> Figure:
    """What an explorer shows, as a figure: images with the chosen points, similarity below them.

    Args:
        scene: A `Scene`.
        points: Its chosen `Point`s.
        similarity: (N, H, W) in [-1, 1], or None while nothing is chosen.
        found: Where the points were found in each image, as `Finder.find` returns it; empty where
            nothing was looked for. A diamond, thin where it does not count as found.

    Returns:
        The figure, four images in a row.

    Raises:
        ValueError: There is no scene, no list of points, or no place for each image.
    """
    if not hasattr(scene, "shown"):
        raise ValueError(f"scene must be a Scene, as embed_scene returns it, not {shown(scene)}")
    for point in instance(points, LISTS, "points", "a list of Point"):
        if not hasattr(point, "similar"):
            raise ValueError(f"points must be a list of Point, not {shown(point)}")
    if similarity is not None:
        similarity = array(similarity, "similarity", "NHW")
        one_shape(similarity=similarity, **{"the scene": scene.inside})
    n, kinds = len(scene.names), 1 if similarity is None else 2
    if len(found) not in (0, n):
        raise ValueError(f"found must have a place for each of {n} images, not {len(found)}")
    columns = min(n, 4)
    figure, axes = panels(kinds * math.ceil(n / columns), columns, kinds == 2)
    for i in range(n):
        block, column = divmod(i, columns)
        image_axis = axes[kinds * block, column]
        show(image_axis, scene.shown[i], scene.names[i])
        pair = [image_axis]
        if similarity is not None:
            pair.append(axes[kinds * block + 1, column])
            show(pair[1], _within(similarity[i], scene.inside[i]), scale=COSINE)
        for point in points:
            if point.image == i:
                marker, colour = ("o", "cyan") if point.similar else ("s", "orange")
                for axis in pair:
                    ring(axis, point.row, point.column, marker, colour)
        for place in found[i : i + 1]:
            for axis in pair:
                width = 2 if place["found"] else 0.5
                ring(axis, place["row"], place["column"], "D", FOUND, width)
    if similarity is not None:
        colour_bar(figure, axes, COSINE, "cosine similarity")
    return figure


def view_pairs(views, grid: int, cell: tuple[int, int], n: int) -> Figure:
    """First views above, second views below, with their patch grids and one cell marked in both.

    Args:
        views: `Views` of a batch.
        grid: Cells along each side.
        cell: Row and column of the marked cell in the first views.
        n: How many images are shown.

    Returns:
        The figure.

    Raises:
        ValueError: There are no views, no such cell, or a number makes no sense.

    Taught in notebook 01, section 6.
    """
    instance(views, Views, "views", "Views, as a ViewMaker makes them")
    grid, n = whole(grid, "grid", 1, views.first.shape[-1]), whole(n, "n", 1)
    cell = tuple(
        whole(at, "cell", 0, grid - 1) for at in several(cell, "cell", "a row and a column")
    )
    if len(cell) != 2:
        raise ValueError(f"cell must be a row and a column, not {cell}")
    n, side = min(n, len(views.first)), views.first.shape[-1]
    numbers = torch.arange(grid * grid, dtype=torch.float32, device=views.first.device)
    numbers = numbers.reshape(1, 1, grid, grid)
    numbers = numbers.expand(len(views.first), -1, -1, -1)  # (2B, 1, G, G)
    partners = views.realign(numbers)[:, 0, cell[0], cell[1]].long()  # (2B,)
    figure, axes = panels(2, n)
    for i in range(n):
        cells = cell, divmod(int(partners[i]), grid)
        for axis, view, (row, column) in zip(axes[:, i], (views.first[i], views.second[i]), cells):
            show(axis, view.permute(1, 2, 0).cpu().numpy())
            for line in np.arange(1, grid) * side / grid - 0.5:
                axis.axhline(line, color="white", linewidth=0.3)
                axis.axvline(line, color="white", linewidth=0.3)
            frame(axis, row * side / grid, column * side / grid, side / grid)
    axes[0, 0].set_title("first views", fontsize=11, loc="left")
    axes[1, 0].set_title("second views", fontsize=11, loc="left")
    return figure
