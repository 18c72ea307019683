"""One-shot localisation: a point that was chosen in one image is found in all others."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from os import PathLike

import numpy as np
import pandas as pd
from PIL import Image

from .data.checks import array, as_bytes, flag, instance, number, several, shown
from .data.errors import DataError
from .data.prepare import Prepared
from .distinctive import MANY, share_alike
from .network import TwoBranchNet, require_embedding
from .representation import represent
from .template import (
    Kernel,
    best_place,
    blurred,
    bounds,
    describe_cells,
    score_map,
    template,
)

Features = Callable[[np.ndarray], np.ndarray]
"""Images (N, H, W, C) uint8 to features (N, H, W, D)."""
TRY = "try"
"""Value of `mirrored`: search an image as it is and mirrored, and take the better of the two."""


@dataclass(frozen=True)
class Localised:
    """Where a point was found.

    Attributes:
        table: A row for each image: "row" and "column" of the best place in pixels, "score" (cosine
            similarity to the template, at most 1), "found" (whether the score is at least `least`),
            "mirrored" (whether the image was searched mirrored) and "scale".
        maps: (N, H, W) float32, the score of every pixel, -1 outside the field of view. Along its
            rim scores of both sides are mixed, because they are interpolated between cells.
        least: Score from which the point counts as found.
        elsewhere: Highest score of another place in a support image.
        alike: Share of the other places in the support images that look like the chosen point, from
            0 to 1.

    Taught in notebook 07, section 1.
    """

    table: pd.DataFrame
    maps: np.ndarray
    least: float
    elsewhere: float
    alike: float

    @property
    def points(self) -> np.ndarray:
        """(N, 2) row and column in every image, whether it was found there or not."""
        return self.table[["row", "column"]].to_numpy(float)

    @property
    def distinctive(self) -> bool:
        """Whether few other places in the support images look like the chosen one."""
        return self.alike < MANY

    def __str__(self) -> str:
        lines = [
            f"{name}: row {one.row:.0f}, column {one.column:.0f}, score {one.score:.2f}"
            if one.found
            else f"{name}: not in this image (score {one.score:.2f}, {self.least:.2f} needed)"
            for name, one in self.table.iterrows()
        ]
        if not self.distinctive:
            lines.insert(0, _nothing_distinctive(self.alike))
        return "\n".join(lines)


def _nothing_distinctive(alike: float) -> str:
    return (
        f"nothing is distinctive at this point: {100 * alike:.1f} % of the other places in the "
        "support image look the same. Choose a point at a structure, or a larger kernel"
    )


@dataclass(frozen=True)
class _Images:
    """Images of one size with their fields of view and names."""

    pixels: np.ndarray
    inside: np.ndarray
    names: list[str]


def localise(
    net: TwoBranchNet,
    support_image: Prepared | np.ndarray | list[np.ndarray],
    point: tuple[float, float] | list[tuple[float, float]],
    images: Prepared | np.ndarray | list[np.ndarray],
    kernel: Kernel = Kernel(),  # noqa: B008
    mirrored: bool | str | list[bool] = False,
    scales: tuple[float, ...] = (1.0,),
    least: float | None = None,
) -> Localised:
    """Finds in other images the place that was chosen in one.

    The point is described by the centre-weighted mean of the embeddings around it. Every place of
    every image is compared with that by the cosine, and the most similar one is taken.

    Args:
        net: A trained network.
        support_image: The image in which the point was chosen, (H, W, C) uint8 or floats in [0, 1]
            as the network takes it; or several of one size, also as `prepare` returns them.
        point: Row and column of the chosen pixel; for several support images one for each. Several
            points in one support image are averaged.
        images: The images to search, of the support image's size.
        kernel: The surroundings that count.
        mirrored: Whether an image is a mirror image of the support image, as a left eye is of a
            right one: for all images, or one value for each. "try" searches both ways and takes the
            better score.
        scales: Factors by which the images are resized before they are searched, for structures
            that are larger or smaller there; the best score counts.
        least: Score from which the point counts as found. None takes the middle between the highest
            score that a place away from the point has in the support image, which is known to be
            another place, and the score of the point itself.

    Returns:
        The best place in every image, its score, and whether it counts as found.

    Raises:
        DataError: No images, images of several sizes or with other channels than the network takes,
            or a point outside the image or the field of view, or on a flat area.
        ValueError: The network embeds no pixels, or a value makes no sense.

    Example:
        >>> eyes = prepare(open_dataset("simulated_fundus", split="test"), 256)  # doctest: +SKIP
        >>> print(localise(net, eyes.images[0], (128, 60), eyes.images[1:]))  # doctest: +SKIP

    Source: Chen et al. 2021, extension (arXiv 2108.09440). Taught in notebook 07, section 1.
    """
    require_embedding(net)
    support = _images(support_image, "support_image", net.in_channels)
    searched = _images(images, "images", net.in_channels)

    def embeddings(x: np.ndarray) -> np.ndarray:
        found = represent(net, x)[0]
        if not np.isfinite(found).all():
            raise DataError(
                "the network gives values that are not finite: its weights are damaged. Load it "
                "again, or train it anew"
            )
        return found

    found = _find(embeddings, support, point, searched, kernel, mirrored, scales, least)
    if not found.distinctive:
        warnings.warn(_nothing_distinctive(found.alike), stacklevel=2)
    return found


def _find(
    features: Features,
    support: _Images,
    point,
    searched: _Images,
    kernel: Kernel,
    mirrored,
    scales,
    least: float | None,
) -> Localised:
    """`localise` with any features."""
    instance(kernel, Kernel, "kernel", "a Kernel")
    points = _points(point, support)
    if support.pixels.shape[1:] != searched.pixels.shape[1:]:
        raise DataError(
            f"the images must have the support image's size {support.pixels.shape[1:]}, not "
            f"{searched.pixels.shape[1:]}: bring them to one size first, for example with prepare"
        )
    flips = _flips(mirrored, len(searched.pixels))
    scales = [number(one, "scales", 0.25, 4) for one in several(scales, "scales", "factors")]
    least = None if least is None else number(least, "least", -1, 1)
    side = max(support.inside.shape[1:])
    pixels = kernel.width * side
    described = [
        blurred(describe_cells(features(image[None])[0], inside), pixels)
        for image, inside in zip(support.pixels, support.inside)
    ]
    described = described * len(points) if len(described) == 1 else described
    wanted = template(described, points, kernel)
    cells = side / described[0].cell
    maps = [score_map(one, wanted, kernel, cells) for one in described]
    elsewhere, bound = bounds(maps, points, kernel.reach * side, described[0].cell)
    alike = share_alike(maps, points, kernel.reach * side, described[0].cell)
    rows, maps = [], []
    for image, inside, ways in zip(searched.pixels, searched.inside, flips):
        tried = [
            _search(features, image, inside, flip, scale, wanted, kernel, pixels, described[0].cell)
            for flip in ways
            for scale in scales
        ]
        best, map_ = max(tried, key=lambda one: one[0]["score"])
        rows.append(best)
        maps.append(map_)
    table = pd.DataFrame(rows, index=searched.names)
    bound = bound if least is None else least
    table.insert(3, "found", table["score"] >= bound)
    return Localised(table, np.stack(maps), bound, elsewhere, alike)


def _search(features, image, inside, flip, scale, wanted, kernel, pixels, cell):
    """One image searched in one way: the best place as a row of the table, and the map."""
    height, width = inside.shape
    image, inside = (x[:, ::-1] if flip else x for x in (image, inside))
    if scale != 1:
        image, inside = _resized(image, inside, scale)
    described = describe_cells(features(np.ascontiguousarray(image)[None])[0], inside, cell)
    found = blurred(described, pixels)
    scores = score_map(found, wanted, kernel, pixels / kernel.width / cell)
    row, column, score = best_place(scores, found.cell)
    row, column = (
        (at + 0.5) * of / now - 0.5
        for at, of, now in zip((row, column), (height, width), inside.shape)
    )
    whole_map = np.asarray(
        Image.fromarray(scores).resize((width, height), Image.Resampling.BILINEAR)
    )
    if flip:
        column, whole_map = width - 1 - column, whole_map[:, ::-1]
    place = {"row": row, "column": column, "score": score, "mirrored": flip, "scale": scale}
    return place, np.ascontiguousarray(whole_map)


def _resized(image: np.ndarray, inside: np.ndarray, scale: float):
    """An image and its field of view at another size, a multiple of 16 pixels."""
    height, width = (max(32, round(scale * n / 16) * 16) for n in inside.shape)
    channels = [
        np.asarray(Image.fromarray(channel).resize((width, height), Image.Resampling.BILINEAR))
        for channel in np.moveaxis(np.ascontiguousarray(image), -1, 0)
    ]
    mask = Image.fromarray(np.ascontiguousarray(inside))
    return np.stack(channels, -1), np.asarray(
        mask.resize((width, height), Image.Resampling.NEAREST)
    )


def _images(images, name: str, channels: int) -> _Images:
    """Images as bytes, (N, H, W, C), with their fields of view."""
    if isinstance(images, Prepared):
        pixels, inside = np.asarray(images.images), np.asarray(images.masks["field_of_view"])
        names = list(images.names)
    else:
        given = images
        if isinstance(given, np.ndarray | Image.Image) or hasattr(given, "detach"):
            given = array(given, name, error=DataError)
            is_grey = given.ndim == 2
            given = [given[..., None] if is_grey else given] if given.ndim < 4 else list(given)
        if isinstance(given, str | bytes | dict) or not hasattr(given, "__len__"):
            raise _not_images(name, images)
        if len(given) == 0:
            raise DataError(f"{name} holds no image: give at least one")
        for one in given:
            if isinstance(one, str | PathLike):
                raise _not_images(name, one)
        given = [array(one, f"each of {name}", error=DataError) for one in given]
        given = [one[..., None] if one.ndim == 2 else one for one in given]
        if any(one.ndim != 3 for one in given):
            raise DataError(f"{name} must be arrays (H, W, C), not {given[0].shape}")
        sizes = sorted({f"{one.shape[1]} x {one.shape[0]}" for one in given})
        if len(sizes) > 1:
            raise DataError(
                f"{name} are of {len(sizes)} sizes ({', '.join(sizes)}): bring them to one size "
                "first, for example with prepare"
            )
        if len({one.shape for one in given}) == 1:
            pixels = as_bytes(np.stack(given), name)
        else:
            raise DataError(f"{name} must all have one number of channels")
        inside, names = pixels.any(-1), [f"image {i}" for i in range(1, len(pixels) + 1)]
    if not len(pixels):
        raise DataError(f"{name} holds no image: give at least one")
    if pixels.shape[-1] != channels:
        raise DataError(_other_channels(name, pixels.shape, channels))
    if any(n % 16 or n < 32 for n in pixels.shape[1:3]):
        raise DataError(
            f"{name} must have sides of a multiple of 16 pixels, at least 32, not "
            f"{pixels.shape[2]} x {pixels.shape[1]}: prepare makes such images"
        )
    black = [names[i] for i in range(len(inside)) if not inside[i].any()]
    if black:
        raise DataError(f"{black[0]} of {name} is black: there is no field of view to look at")
    return _Images(pixels, inside, names)


def _not_images(name: str, given) -> DataError:
    """The error for what is no array; a file is read first."""
    words = f"{name} must be Prepared or arrays (H, W, C), not {shown(given)}"
    if isinstance(given, str | PathLike):
        words += ": read a file with read_image, a folder with open_dataset and prepare"
    return DataError(words)


def _other_channels(name: str, shape: tuple[int, ...], channels: int) -> str:
    """What to say of images (N, H, W, C) whose channels are not those of the network."""
    kinds = {1: "grey images (X-rays)", 3: "colour images (photographs)"}
    taken, given = (kinds.get(n, f"images of {n} channels") for n in (channels, shape[-1]))
    words = f"this network takes {taken}, and {name} are {given}"
    last = ": channels come last, (H, W, C)" if shape[1] == channels else ""
    return words + last


def _points(point, support: _Images) -> list[tuple[float, float]]:
    """The chosen points, which lie in their images, in the field of view and at something."""
    found = array(point, "point")
    if found.ndim == 1:
        found = found[None]
    if found.ndim != 2 or found.shape[1] != 2 or not len(found):
        raise ValueError(f"point must be a row and a column, or several such, not {shown(point)}")
    n, (height, width) = len(support.pixels), support.inside.shape[1:]
    if n > 1 and len(found) != n:
        raise ValueError(
            f"point must hold one row and column for each of {n} support images, not {len(found)}"
        )
    points = []
    for i, (row, column) in enumerate(found.tolist()):
        name = support.names[i if n > 1 else 0]
        if not (0 <= row <= height - 1 and 0 <= column <= width - 1):
            raise DataError(
                f"there is no pixel at row {row:g}, column {column:g} of {name}, which has "
                f"{height} rows and {width} columns: choose a pixel inside it, its row first"
            )
        at = round(row), round(column)
        inside = support.inside[i if n > 1 else 0]
        if not inside[at]:
            raise DataError(
                f"row {row:g}, column {column:g} of {name} lies outside the field of view: choose "
                "a pixel inside it"
            )
        reach = max(2, max(height, width) // 32)
        near = tuple(slice(max(0, x - reach), x + reach + 1) for x in at)
        around = support.pixels[i if n > 1 else 0][near][inside[near]]
        if not np.ptp(around, axis=0).any():
            raise DataError(
                f"nothing is distinctive at row {row:g}, column {column:g} of {name}: all pixels "
                "around it have the same value. Choose a point at a structure"
            )
        points.append((row, column))
    return points


def _flips(mirrored, n: int) -> list[tuple[bool, ...]]:
    """For each image the ways in which it is searched: as it is (False), mirrored (True)."""
    if isinstance(mirrored, str):
        if mirrored != TRY:
            raise ValueError(f'mirrored must be True, False, "{TRY}" or a list, not "{mirrored}"')
        return [(False, True)] * n
    if isinstance(mirrored, bool | np.bool_):
        return [(bool(mirrored),)] * n
    declared = [flag(one, "mirrored") for one in several(mirrored, "mirrored", "True and False")]
    if len(declared) != n:
        raise ValueError(
            f"mirrored must hold one value for each of {n} images, not {len(declared)}"
        )
    return [(one,) for one in declared]
