"""Arrays to look at: embeddings, clusters and anatomy as colours, masks over images."""

import numpy as np
import pandas as pd
import seaborn as sns
from scipy import ndimage
from scipy.optimize import linear_sum_assignment
from sklearn.decomposition import PCA

from ..data import checks
from ..data.checks import array, as_unit_floats, finite, number, one_shape, several, shown, whole
from ..data.errors import DataError

NO_STRUCTURE = (0.25, 0.25, 0.25)
CYAN = (0.0, 0.9, 1.0)
ROUNDING = 1e-6
"""A component that varies by no more than this share of the largest value has no spread."""


def unit_range(image: np.ndarray) -> np.ndarray:
    """An image as floats between 0 and 1.

    Args:
        image: uint8, bool, or floats in [0, 1], any shape.

    Returns:
        Floats of the same shape.

    Raises:
        DataError: Another type, or floats that lie outside [0, 1].

    Example:
        >>> unit_range(np.array([0, 255], np.uint8))
        array([0., 1.])
    """
    image = array(image, "an image", error=DataError)
    if image.dtype == np.uint8:
        return image / 255
    if image.dtype == bool:
        return image.astype(float)
    return as_unit_floats(image, "an image")


def _as_rgb(image: np.ndarray) -> np.ndarray:
    """Any image as (H, W, 3) floats in [0, 1]."""
    image = unit_range(image)
    if image.ndim not in (2, 3) or image.ndim == 3 and image.shape[2] not in (1, 3):
        raise DataError(f"an image must be (H, W), (H, W, 1) or (H, W, 3), not {image.shape}")
    image = image[..., None] if image.ndim == 2 else image
    return np.broadcast_to(image, (*image.shape[:2], 3))


def structure_colours(n: int) -> np.ndarray:
    """The colours of structures 1 to n, (n, 3): blue, orange, green and so on, told apart by
    colour-blind eyes too. More than ten are spread over all hues instead, no two alike.
    """
    return np.array(sns.color_palette("colorblind" if n <= 10 else "husl", n)).reshape(n, 3)


def label_colours(
    labels: np.ndarray, n: int, inside: np.ndarray | None = None, palette: str = "husl"
) -> np.ndarray:
    """Paints label maps, each label in a colour of its own.

    Args:
        labels: (..., H, W) integers 0 to n - 1.
        n: Number of labels.
        inside: bool of the same shape; what lies outside becomes black.
        palette: Name of a seaborn palette.

    Returns:
        (..., H, W, 3) floats in [0, 1].

    Raises:
        ValueError: A label is not one of 0 to n - 1, the shapes differ, or the palette is unknown
            or has fewer colours.

    Taught in notebook 00b, section 6.
    """
    n = whole(n, "n", 1, 10**5)
    labels = checks.labels(labels, "labels", n)
    colours = _palette(palette, n)[labels]
    if inside is not None:
        inside = checks.mask(inside, "inside")
        one_shape(labels=labels, inside=inside)
    return colours if inside is None else colours * inside[..., None]


def _palette(name: str, n: int) -> np.ndarray:
    """n colours, (n, 3), all different."""
    try:
        colours = np.array(sns.color_palette(checks.text(name, "palette"), n)).reshape(n, 3)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f'palette must be the name of one of seaborn, for example "husl", not {shown(name)}'
        ) from error
    if len(np.unique(colours, axis=0)) < n:
        raise ValueError(
            f'the palette "{name}" has fewer than {n} colours, so that labels would look alike; '
            'take "husl"'
        )
    return colours


def anatomy_colours(labels: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Paints anatomy: dark grey for no structure, then blue, orange, green; black outside the field
    of view.

    Args:
        labels: (..., H, W) integers, 0 for no structure, as `ldr_lib.evaluation.anatomy_of` gives
            them.
        inside: bool of the same shape, the field of view.

    Returns:
        (..., H, W, 3) floats in [0, 1].

    Raises:
        ValueError: The labels are no whole numbers of at least 0, or the shapes differ.

    Taught in notebook 00, section 3.
    """
    labels, inside = checks.labels(labels, "labels", 10**5), checks.mask(inside, "inside")
    one_shape(labels=labels, inside=inside)
    palette = np.vstack([NO_STRUCTURE, structure_colours(max(1, int(labels.max())))])
    return palette[labels] * inside[..., None]


def match_clusters(
    labels: np.ndarray, anatomy: np.ndarray, n_clusters: int, inside: np.ndarray
) -> pd.DataFrame:
    """Gives each structure a cluster of its own, so that the sum of the Dice overlaps is largest.

    Args:
        labels: (N, H, W) cluster of every pixel, 0 to n_clusters - 1.
        anatomy: (N, H, W) structure of every pixel, 0 for none.
        n_clusters: Number K of clusters.
        inside: (N, H, W) bool, pixels that count.

    Returns:
        A row for each structure, with the columns "structure" (its number), "cluster" and "Dice".
        Structures without a pixel have no row.

    Raises:
        ValueError: A cluster is not one of 0 to K - 1, or the shapes differ.

    Source: the Hungarian method (Kuhn 1955). Taught in notebook 03, section 4.
    """
    n_clusters = whole(n_clusters, "n_clusters", 1, 10**5)
    labels = checks.labels(labels, "labels", n_clusters, "NHW")
    anatomy, inside = checks.labels(anatomy, "anatomy", dims="NHW"), checks.mask(inside, "inside")
    one_shape(labels=labels, anatomy=anatomy, inside=inside)
    present = [int(number) for number in np.unique(anatomy[inside]) if number > 0]
    clusters = np.eye(n_clusters, dtype=bool)[labels[inside]]  # (P, K)
    structures = anatomy[inside][:, None] == np.array(present, int)  # (P, S)
    shared = structures.T.astype(np.float32) @ clusters.astype(np.float32)  # (S, K)
    total = structures.sum(0)[:, None] + clusters.sum(0)  # (S, K)
    overlap = 2 * shared / np.maximum(total, 1)
    rows, columns = linear_sum_assignment(-overlap)
    return pd.DataFrame(
        {
            "structure": [present[row] for row in rows],
            "cluster": columns.astype(int),
            "Dice": overlap[rows, columns],
        }
    )


def cluster_colours(
    labels: np.ndarray, anatomy: np.ndarray | None, n_clusters: int, inside: np.ndarray
) -> np.ndarray:
    """Paints clusters in the colours of the anatomy that they match.

    Each structure gives its colour (see `anatomy_colours`) to the cluster that `match_clusters`
    assigns to it. All other clusters become shades of grey.

    Args:
        labels: (N, H, W) cluster of every pixel, 0 to n_clusters - 1.
        anatomy: (N, H, W) structure of every pixel, 0 for none; None, or no structure at all, gives
            every cluster a colour of its own instead.
        n_clusters: Number K of clusters.
        inside: (N, H, W) bool, the field of view; what lies outside becomes black.

    Returns:
        (N, H, W, 3) floats in [0, 1].

    Raises:
        ValueError: A cluster is not one of 0 to K - 1, or the shapes differ.

    Taught in notebook 00, section 3.
    """
    inside = checks.mask(inside, "inside", "NHW")
    if anatomy is not None:
        anatomy = checks.labels(anatomy, "anatomy", dims="NHW")
        one_shape(anatomy=anatomy, inside=inside)
    if anatomy is None or not anatomy[inside].any():
        return label_colours(labels, n_clusters, inside)
    matched = match_clusters(labels, anatomy, n_clusters, inside)
    palette = np.repeat(np.linspace(0.35, 0.85, n_clusters)[:, None], 3, 1)
    anatomical = structure_colours(int(anatomy.max()))
    palette[matched["cluster"]] = anatomical[matched["structure"] - 1]
    return palette[labels] * inside[..., None]


def embedding_colours(embeddings: np.ndarray, inside: np.ndarray, seed: int = 0) -> np.ndarray:
    """Embeddings as colour: the first three principal components over all images as red, green and
    blue.

    Args:
        embeddings: (N, H, W, D).
        inside: (N, H, W) bool; only these pixels shape the components, the others become black.
        seed: Fixes which 20,000 pixels the components are fitted to.

    Returns:
        (N, H, W, 3) floats in [0, 1]; equal colours mean similar embeddings across images. A
        component in which all pixels are alike is 0.5 everywhere.

    Raises:
        ValueError: The shapes differ, or there are fewer than three dimensions or pixels.

    Taught in notebook 00, section 3.
    """
    embeddings = array(embeddings, "embeddings", "NHWD")
    inside = checks.mask(inside, "inside", "NHW")
    one_shape(inside=inside, **{"the pixels of embeddings": embeddings[..., 0]})
    pixels = finite(embeddings[inside], "embeddings")
    if min(pixels.shape) < 3:
        raise ValueError(
            "three colours need at least three pixels of three dimensions, not "
            f"{len(pixels)} pixels of {embeddings.shape[-1]}"
        )
    chosen = np.random.default_rng(checks.seed(seed)).choice(
        len(pixels), min(len(pixels), 20_000), replace=False
    )
    pca = PCA(3).fit(pixels[chosen])
    low, high = np.percentile(pca.transform(pixels[chosen]), [2, 98], axis=0)
    values, spread = pca.transform(pixels) - low, high - low
    varies = spread > ROUNDING * np.abs(pixels).max()
    shares = np.divide(values, spread, out=np.full(values.shape, 0.5), where=varies)
    colours = np.zeros((*inside.shape, 3))
    colours[inside] = shares.clip(0, 1)
    return colours


def _with_mask(image: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """An image as (H, W, 3) floats and a mask of its size."""
    shown, mask = _as_rgb(image), checks.mask(mask, "mask", "HW")
    one_shape(mask=mask, **{"the pixels of the image": shown[..., 0]})
    return shown, mask


def _colour(colour: tuple[float, float, float]) -> np.ndarray:
    """Red, green and blue in [0, 1]."""
    shares = [number(one, "colour", 0, 1) for one in several(colour, "colour", "shares in [0, 1]")]
    if len(shares) != 3:
        raise ValueError(f"colour must be red, green and blue in [0, 1], not {colour}")
    return np.array(shares)


def overlay(
    image: np.ndarray, mask: np.ndarray, colour: tuple[float, float, float] = CYAN
) -> np.ndarray:
    """An image with a mask painted over it.

    Args:
        image: (H, W) or (H, W, C), uint8 or floats in [0, 1].
        mask: (H, W) bool.
        colour: Of the mask, in [0, 1].

    Returns:
        (H, W, 3) floats in [0, 1].

    Raises:
        DataError: The image is neither uint8 nor floats in [0, 1].
        ValueError: The mask has another shape, or the colour is none.

    Taught in notebook 01, section 2.
    """
    shown, mask = _with_mask(image, mask)
    colour = _colour(colour)
    return np.where(mask[..., None], 0.3 * shown + 0.7 * colour, shown)


def outline(
    image: np.ndarray,
    mask: np.ndarray,
    colour: tuple[float, float, float] = CYAN,
    width: int | None = None,
) -> np.ndarray:
    """An image with the contour of a mask, so that what the mask covers stays visible.

    The line lies just outside the mask.

    Args:
        image: (H, W) or (H, W, C), uint8 or floats in [0, 1].
        mask: (H, W) bool.
        colour: Of the line, in [0, 1].
        width: Of the line in pixels; None takes one pixel for each 300 pixels of the image's longer
            side.

    Returns:
        (H, W, 3) floats in [0, 1].

    Raises:
        DataError: The image is neither uint8 nor floats in [0, 1].
        ValueError: The mask has another shape, the colour is none, or the width not positive.

    Taught in notebook 01, section 2.
    """
    shown, mask = _with_mask(image, mask)
    default = max(1, round(max(mask.shape) / 300))
    width = default if width is None else whole(width, "width", 1, 10**4)
    around = ndimage.generate_binary_structure(2, 2)
    line = ndimage.binary_dilation(mask, around, iterations=width) & ~mask
    return np.where(line[..., None], _colour(colour), shown)
