"""Templates of a point's surroundings, and how much every place of an image looks like one.

Shapes in comments: H x W pixels, h x w cells of a few pixels, D dimensions, M members of a kernel.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from .data.checks import number, whole
from .similarity import moments, standardised

CELLS = 64
"""Cells along an image's longer side at least, where it has as many pixels."""


@dataclass(frozen=True)
class Kernel:
    """Which surroundings of a point describe it.

    One Gaussian around the point, or a square of them around it, each the centre-weighted mean of
    the features under it. Neighbours in the square lie two widths apart and weigh less the farther
    they are from the point: exp(-d^2 / 2) at a distance of d times two widths.

    Attributes:
        width: Standard deviation of a Gaussian as a share of the image's longer side; 1/32 is 8
            pixels of 256.
        members: Gaussians along each side of the square, odd: 1 is the mean around the point alone,
            3 keeps the layout of what lies around it.

    Raises:
        ValueError: A value makes no sense.

    Taught in notebook 07, section 2.
    """

    width: float = 1 / 32
    members: int = 1

    def __post_init__(self):
        number(self.width, "width", 0, 0.25, above=True)
        if whole(self.members, "members", 1, 9) % 2 == 0:
            raise ValueError(f"members must be an odd number, not {self.members}")

    def offsets(self, side: float) -> np.ndarray:
        """(M, 2) distances of the members from the point in rows and columns, for a longer side of
        so many pixels or cells.
        """
        steps = 2 * self.width * side * (np.arange(self.members) - self.members // 2)
        return np.stack(np.meshgrid(steps, steps, indexing="ij"), -1).reshape(-1, 2)

    @property
    def weights(self) -> np.ndarray:
        """(M,) weights of the members; they sum to 1."""
        distance = self.offsets(1) / (2 * self.width)
        weights = np.exp(-(distance**2).sum(1) / 2)
        return weights / weights.sum()

    @property
    def reach(self) -> float:
        """How far from the point it looks, as a share of the longer side."""
        return 2 * (self.members + 1) * self.width


@dataclass(frozen=True)
class Described:
    """An image described cell by cell.

    Attributes:
        vectors: (h, w, D) float32, a vector for each cell.
        inside: (h, w) bool.
        cell: Side of a cell in pixels.
    """

    vectors: np.ndarray
    inside: np.ndarray
    cell: int


def describe_cells(features: np.ndarray, inside: np.ndarray, cell: int | None = None) -> Described:
    """Features, standardised inside the field of view, as means over cells.

    Each feature gets mean 0 and standard deviation 1 over the field of view of its own image, each
    pixel's vector then length 1. So all kinds of features are compared by the same cosine.

    Args:
        features: (H, W, D), or of a grid that is coarser by a whole factor.
        inside: (H, W) bool, the field of view.
        cell: Side of a cell in pixels; None takes the one of which 64 to 128 fit along the longer
            side.

    Returns:
        The mean vector of each cell; shorter than 1 where the pixels of a cell differ.

    Taught in notebook 07, section 2.
    """
    if cell is None:
        cell = 2 ** max(0, int(np.log2(max(inside.shape) / CELLS)))
    features = np.asarray(features, dtype=np.float32)
    step = len(inside) // len(features)
    known, covered = (
        _means(inside[..., None].astype(np.float32), side)[..., 0] > 0.5 for side in (step, cell)
    )
    vectors = standardised(features, *moments(features[None], known[None]))
    return Described(_means(vectors * known[..., None], max(1, cell // step)), covered, cell)


def blurred(image: Described, width: float) -> Described:
    """Unit vectors of the centre-weighted mean around every cell.

    Args:
        image: As `describe_cells` returns it.
        width: Standard deviation of the Gaussian weights in pixels.

    Taught in notebook 07, section 2.
    """
    vectors = ndimage.gaussian_filter(
        image.vectors, width / image.cell, mode="constant", truncate=3, axes=(0, 1)
    )
    vectors /= np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-6)
    vectors *= image.inside[..., None]
    return Described(vectors.astype(np.float32), image.inside, image.cell)


def _means(values: np.ndarray, side: int) -> np.ndarray:
    """Means over squares of pixels, (H, W, D) to (H / side, W / side, D)."""
    h, w = values.shape[0] // side, values.shape[1] // side
    return values.reshape(h, side, w, side, -1).mean((1, 3))


def template(
    images: Sequence[Described], points: Sequence[tuple[float, float]], kernel: Kernel
) -> np.ndarray:
    """What is looked for: the vectors of the kernel's members, averaged over the support points.

    Args:
        images: The support images, blurred by the kernel's width.
        points: Row and column of the chosen pixel in each of them.
        kernel: Which surroundings count.

    Returns:
        (M, D) vectors of length 1; 0 where a member lies outside the field of view.

    Taught in notebook 07, section 2.
    """
    found = []
    for image, point in zip(images, points):
        at = np.asarray(point) / image.cell - 0.5 + 0.5 / image.cell
        places = at + kernel.offsets(max(image.inside.shape))  # (M, 2)
        found.append(_vectors_at(image.vectors, places))
    mean = np.mean(found, 0)  # (M, D)
    return mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-6)


def _vectors_at(vectors: np.ndarray, places: np.ndarray) -> np.ndarray:
    """The vectors of the nearest cells, (M, D); 0 outside the image."""
    rows, columns = np.rint(places).astype(int).T
    h, w = vectors.shape[:2]
    there = (rows >= 0) & (rows < h) & (columns >= 0) & (columns < w)
    return vectors[rows.clip(0, h - 1), columns.clip(0, w - 1)] * there[:, None]


def score_map(image: Described, wanted: np.ndarray, kernel: Kernel, side: float) -> np.ndarray:
    """How much every cell's surroundings look like the template.

    Args:
        image: The image that is searched, blurred by the kernel's width.
        wanted: (M, D) from `template`.
        kernel: Which surroundings count.
        side: Longer side of the support images in cells.

    Returns:
        (h, w) cosine in [-1, 1]: the scalar products of all members, weighted. Members that lie
        outside the field of view count as 0, here or in the template alone; -1 outside.

    Taught in notebook 07, section 2.
    """
    h, w, _ = image.vectors.shape
    products = np.tensordot(image.vectors, wanted, (2, 1))  # (h, w, M)
    total, there, own = np.zeros((h, w)), np.zeros((h, w)), 0.0
    for member, (weight, offset) in enumerate(zip(kernel.weights, kernel.offsets(side))):
        down, right = np.rint(offset).astype(int)
        target = slice(max(0, -down), h - max(0, down)), slice(max(0, -right), w - max(0, right))
        source = slice(max(0, down), h + min(0, down)), slice(max(0, right), w + min(0, right))
        if not wanted[member].any() or h <= abs(down) or w <= abs(right):
            continue
        total[target] += weight * products[source][..., member]
        there[target] += weight * image.inside[source]
        own += weight
    cosine = total / np.sqrt(np.maximum(there * own, 1e-6))
    return np.where(image.inside, cosine.clip(-1, 1), -1).astype(np.float32)


def best_place(scores: np.ndarray, cell: int) -> tuple[float, float, float]:
    """Row and column in pixels of the highest score, between cells by a parabola, and the score."""
    top = np.unravel_index(scores.argmax(), scores.shape)
    place = []
    for axis, at in enumerate(top):
        line = scores[:, top[1]] if axis == 0 else scores[top[0]]
        shift = 0.0
        if 0 < at < len(line) - 1 and min(line[at - 1], line[at + 1]) > -1:
            before, here, after = line[at - 1 : at + 2].astype(float)
            bend = before - 2 * here + after
            shift = 0.5 * (before - after) / bend if bend < 0 else 0.0
        place.append(float((at + shift + 0.5) * cell - 0.5))
    return place[0], place[1], float(scores[top])


BETWEEN = 0.5
"""Where the bound of a finding lies between another place of the support image, 0, and the point
itself, 1.
"""
COMMON = 0.95
"""From this share of the chosen point's own score on, another place looks like the point
(`ldr_lib.distinctive`).
"""


def bounds(
    maps: Sequence[np.ndarray], points: Sequence[tuple[float, float]], reach: float, cell: int
) -> tuple[float, float]:
    """What the support images themselves say about scores.

    Args:
        maps: Score maps (h, w) of the support images.
        points: The chosen pixel in each of them.
        reach: How far the kernel looks, in pixels; nearer to the point is no other place.
        cell: Side of a cell in pixels.

    Returns:
        The highest score of another place in a support image, -1 where the kernel reaches
        everywhere; and the score from which a point counts as found, in the middle between that and
        the lowest score of a chosen point.

    Taught in notebook 07, section 5.
    """
    others, own = [-1.0], []
    for map_, point in zip(maps, points):
        rows, columns = np.indices(map_.shape) * cell + (cell - 1) / 2
        far = np.hypot(rows - point[0], columns - point[1]) > reach
        others.append(float(map_[far].max(initial=-1)))
        own.append(float(map_[~far].max()))
    elsewhere = max(others)
    return elsewhere, elsewhere + BETWEEN * max(0.0, min(own) - elsewhere)
