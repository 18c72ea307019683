"""How well similarity to one pixel finds the other pixels of its structure, by one distance for all
features: cosine, of features brought to mean 0 and deviation 1 inside the field of view.
"""

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from .data import checks
from .data.checks import array, finite, mask, one_shape, whole

RANKED = 4_000
"""Pixels of an image that are ranked at most."""


def moments(features: np.ndarray, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of every feature over the pixels inside.

    Args:
        features: (N, H, W, D).
        inside: (N, H, W) bool.

    Returns:
        Mean and deviation, both (D,) float64; the deviation is at least 1e-6.

    Raises:
        ValueError: The shapes do not fit, a feature is not finite, or no pixel is inside.

    Taught in notebook 00, section 5.
    """
    features, inside = _fitting(features, inside)
    count, total, squares = 0, 0.0, 0.0
    for image, within in zip(features, inside):  # image by image: features can be large
        pixels = finite(image[within].astype(np.float64), "features")  # (P, D)
        count, total = count + len(pixels), total + pixels.sum(0)
        squares = squares + (pixels**2).sum(0)
    mean = total / count
    return mean, np.sqrt(np.maximum(squares / count - mean**2, 1e-12))


def standardised(features: np.ndarray, mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """Features of mean 0 and deviation 1, scaled to unit length: their product is the cosine.

    Args:
        features: (..., D).
        mean: (D,), as `moments` returns it.
        deviation: (D,).

    Returns:
        (..., D) float32 unit vectors.

    Raises:
        ValueError: The three do not fit each other.

    Taught in notebook 00, section 5.
    """
    features, mean, deviation = (
        array(values, name)
        for name, values in dict(features=features, mean=mean, deviation=deviation).items()
    )
    if not features.ndim or not features.shape[-1:] == mean.shape == deviation.shape:
        raise ValueError(
            "features (..., D) must have a mean and a deviation (D,), not "
            f"{features.shape}, {mean.shape} and {deviation.shape}"
        )
    scaled = _scaled(features, mean, deviation)
    return scaled / np.maximum(np.linalg.norm(scaled, axis=-1, keepdims=True), 1e-12)


def _scaled(features: np.ndarray, mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    return ((features - mean) / deviation).astype(np.float32)


def _similarity(pixels: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """Similarity (P, Q) of pixels (P, D) to queries (Q, D): cosines of unit vectors, or differences
    of single values below 0.
    """
    if pixels.shape[1] == 1:
        return -np.abs(pixels - queries.T)
    return pixels @ queries.T


def _fitting(features: np.ndarray, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    features, inside = array(features, "features", "NHWD"), mask(inside, "inside", "NHW")
    one_shape(inside=inside, **{"the pixels of features": features[..., 0]})
    if not inside.any():
        raise ValueError("inside holds no pixel")
    return features, inside


def retrieval(
    features: np.ndarray,
    truth: np.ndarray,
    inside: np.ndarray,
    queries: int = 16,
    seed: int = 0,
) -> pd.DataFrame:
    """How well similarity to one pixel of a structure finds that structure, image by image.

    Pixels of the structure are the queries. The other pixels of an image are ranked by the cosine
    between them and a query, of features brought to mean 0 and deviation 1 over all pixels inside.
    Networks, intensities and filters are compared in this one way. A single feature, the brightness
    of an X-ray, has no direction: it is ranked by difference.

    Args:
        features: (N, H, W, D).
        truth: (N, H, W) bool, the structure.
        inside: (N, H, W) bool, pixels that count.
        queries: Query pixels for each image.
        seed: Fixes which pixels are queries and which are ranked, 4,000 of an image at most.

    Returns:
        A row for each image, means over queries; nan where an image lacks the structure or its
        complement. "AUC" is the area under the ROC curve, 0.5 by chance; "AP" is average precision,
        whose chance is the structure's share of the pixels, so that a rare structure which is found
        together with much else scores low. The queries are of the same image. In "AUC across" and
        "AP across" they are of other images, nan where no other image has the structure.

    Raises:
        ValueError: The shapes do not fit, a feature is not finite, or an argument makes no sense.

    Source: Chen et al. 2021, similarity of local regions; average precision and the common distance
    are ours. Taught in notebook 00, section 4.
    """
    features, inside = _fitting(features, inside)
    truth, queries = mask(truth, "truth", "NHW"), whole(queries, "queries", 1, 10**6)
    one_shape(truth=truth, inside=inside)
    scale, rng = moments(features, inside), np.random.default_rng(checks.seed(seed))
    vectors = features.reshape(len(features), -1, features.shape[-1])  # (N, H * W, D)
    pixels = [np.flatnonzero(within) for within in inside]
    structure = [np.flatnonzero(within & there) for within, there in zip(inside, truth)]
    having = [i for i, found in enumerate(structure) if 0 < len(found) < len(pixels[i])]
    asked = {i: rng.choice(structure[i], min(queries, len(structure[i]))) for i in having}
    bring = _scaled if features.shape[-1] == 1 else standardised
    chosen = {i: bring(vectors[i][asked[i]], *scale) for i in having}  # (Q, D) each
    rows = np.full((len(features), 4), np.nan)
    for i in having:
        others = np.setdiff1d(pixels[i], asked[i])
        ranked = rng.choice(others, min(RANKED, len(others)), replace=False)  # (P,)
        belongs = truth[i].ravel()[ranked]
        if not belongs.any() or belongs.all():
            continue
        there = bring(vectors[i][ranked], *scale)  # (P, D)
        rows[i, :2] = _scores(_similarity(there, chosen[i]), belongs)
        elsewhere = [chosen[j] for j in having if j != i]
        if elsewhere:
            drawn = rng.permutation(np.concatenate(elsewhere))[:queries]
            rows[i, 2:] = _scores(_similarity(there, drawn), belongs)
    return pd.DataFrame(rows, columns=["AUC", "AP", "AUC across", "AP across"])


def _scores(similarity: np.ndarray, belongs: np.ndarray) -> tuple[float, float]:
    """Area under the ROC curve and average precision, means over queries.

    Args:
        similarity: (P, Q) of P pixels to Q queries.
        belongs: (P,) bool.
    """
    n, others = belongs.sum(), (~belongs).sum()
    rank_sums = rankdata(similarity, axis=0)[belongs].sum(0)  # (Q,)
    area = (rank_sums - n * (n + 1) / 2) / (n * others)
    marked = rankdata(-similarity, "max", axis=0)[belongs]  # (n, Q): pixels at least as similar
    correct = rankdata(-similarity[belongs], "max", axis=0)  # ... of them, in the structure
    return float(area.mean()), float((correct / marked).mean())
