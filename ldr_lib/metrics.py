"""How well label maps and similarities agree with anatomy."""

from collections.abc import Iterator

import numpy as np
import torch
from scipy.stats import rankdata
from skimage.morphology import skeletonize
from sklearn.metrics import normalized_mutual_info_score

from .data import checks
from .data.checks import array, finite, mask, one_shape, probabilities, whole


def dice(prediction: np.ndarray, truth: np.ndarray) -> float:
    """Dice overlap of two boolean masks, 2 |A and B| / (|A| + |B|).

    Args:
        prediction: bool, any shape.
        truth: bool, the same shape.

    Returns:
        Value in [0, 1]; 1 when both are empty.

    Raises:
        ValueError: The shapes differ.

    Taught in notebook 00, section 4.
    """
    prediction, truth = mask(prediction, "prediction"), mask(truth, "truth")
    one_shape(prediction=prediction, truth=truth)
    total = prediction.sum() + truth.sum()
    return float(2 * (prediction & truth).sum() / total) if total else 1.0


def mutual_information(labels: np.ndarray, anatomy: np.ndarray, inside: np.ndarray) -> float:
    """Normalised mutual information between clusters and anatomy, over the pixels of the field of
    view.

    Pixels of no structure count as one more structure, "other"; in photographs of the retina these
    are most of the pixels.

    Args:
        labels: Cluster of every pixel, integers of any shape.
        anatomy: Structure of every pixel, integers of the same shape.
        inside: Pixels that count, bool of the same shape.

    Returns:
        Value in [0, 1]: 0 when knowing the cluster says nothing about the structure.

    Taught in notebook 00, section 4.
    """
    labels, anatomy = checks.labels(labels, "labels"), checks.labels(anatomy, "anatomy")
    inside = _some(inside)
    one_shape(labels=labels, anatomy=anatomy, inside=inside)
    return float(normalized_mutual_info_score(anatomy[inside], labels[inside]))


def _some(inside: np.ndarray) -> np.ndarray:
    """A mask that holds at least one pixel."""
    inside = mask(inside, "inside")
    if not inside.any():
        raise ValueError("inside holds no pixel: there is nothing to compare")
    return inside


def best_match_dice(labels: np.ndarray, truth: np.ndarray, inside: np.ndarray) -> tuple[float, int]:
    """Dice of the one cluster that fits a structure best, over all images together.

    Args:
        labels: Cluster of every pixel, non-negative integers of any shape.
        truth: Structure mask, bool of the same shape.
        inside: Pixels that count, bool of the same shape.

    Returns:
        The Dice overlap and the cluster's number.

    Taught in notebook 00, section 4.
    """
    labels, truth, inside = checks.labels(labels, "labels"), mask(truth, "truth"), _some(inside)
    one_shape(labels=labels, truth=truth, inside=inside)
    labels, truth = labels[inside], truth[inside]
    areas = np.bincount(labels)
    shared = np.bincount(labels[truth], minlength=len(areas))
    scores = 2 * shared / np.maximum(areas + truth.sum(), 1)
    return float(scores.max()), int(scores.argmax())


def _ranked_pixels(
    features: np.ndarray, truth: np.ndarray, inside: np.ndarray, queries: int, seed: int
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Similarity of pixels to query pixels, for every image that has the structure and something
    else.

    Yields:
        Number of the image; similarity (P, Q) of P of its pixels to the Q queries, which ranks as
        Euclidean nearness; whether each of the P pixels belongs to the structure (P,).
    """
    features = array(features, "features", "NHWD")
    truth, inside = mask(truth, "truth", "NHW"), mask(inside, "inside", "NHW")
    one_shape(truth=truth, inside=inside, **{"the pixels of features": features[..., 0]})
    whole(queries, "queries", 1, 10**6)
    rng = np.random.default_rng(checks.seed(seed))
    of_structure = np.flatnonzero(truth & inside)
    if not len(of_structure):
        return
    pixels = features.reshape(-1, features.shape[-1])  # (N * H * W, D)
    chosen = pixels[rng.choice(of_structure, queries)].astype(np.float32)  # (Q, D)
    finite(chosen, "features")
    for i in range(len(features)):
        ranked = np.flatnonzero(inside[i])
        ranked = rng.choice(ranked, min(2_000, len(ranked)), replace=False)  # (P,)
        positive = truth[i].ravel()[ranked]
        if positive.any() and not positive.all():
            others = features[i].reshape(-1, features.shape[-1])[ranked]
            others = finite(others.astype(np.float32), "features")  # (P, D)
            yield i, 2 * others @ chosen.T - (others**2).sum(1, keepdims=True), positive


def retrieval_auc(
    features: np.ndarray, truth: np.ndarray, inside: np.ndarray, queries: int = 50, seed: int = 0
) -> np.ndarray:
    """How well similarity to one pixel of a structure ranks that structure's pixels above all
    others, image by image.

    Each query is one pixel of the structure, taken at random from all images; the pixels of every
    image are ranked by their nearness to it. The area under the ROC curve is averaged over
    queries: 0.5 is chance, 1 perfect.

    Args:
        features: (N, H, W, D); compared by Euclidean distance, which on the unit sphere ranks as
            cosine similarity.
        truth: (N, H, W) bool.
        inside: (N, H, W) bool, pixels that count.
        queries: Number of query pixels.
        seed: Fixes which pixels are taken; at most 2,000 of each image are ranked.

    Returns:
        (N,) mean area under the curve; nan where an image lacks the structure or its complement.

    Source: Chen et al. 2021, local similarity. Taught in notebook 00, section 4.
    """
    features = array(features, "features", "NHWD")
    scores = np.full(len(features), np.nan)
    for i, similarity, positive in _ranked_pixels(features, truth, inside, queries, seed):
        n_positive, n_negative = positive.sum(), (~positive).sum()
        rank_sums = rankdata(similarity, axis=0)[positive].sum(0)  # (Q,)
        wins = rank_sums - n_positive * (n_positive + 1) / 2
        scores[i] = (wins / (n_positive * n_negative)).mean()
    return scores


def average_precision(
    features: np.ndarray, truth: np.ndarray, inside: np.ndarray, queries: int = 50, seed: int = 0
) -> np.ndarray:
    """How pure the most similar pixels are, image by image, for the queries of `retrieval_auc`.

    A threshold on similarity marks some pixels; precision is the share of them that belongs to the
    structure. Average precision is the mean over the structure's pixels, each taken as the
    threshold in turn. Chance is the structure's share of the pixels, not 0.5, so a rare structure
    that is found together with much else scores low although its area under the ROC curve is high.

    Args:
        features: (N, H, W, D); compared by Euclidean distance.
        truth: (N, H, W) bool.
        inside: (N, H, W) bool, pixels that count.
        queries: Number of query pixels.
        seed: Fixes which pixels are taken; at most 2,000 of each image are ranked.

    Returns:
        (N,) mean over queries, in (0, 1]; nan where an image lacks the structure or its complement.

    Ours, beside the paper's local similarity. Taught in notebook 00, section 4.
    """
    features = array(features, "features", "NHWD")
    scores = np.full(len(features), np.nan)
    for i, similarity, positive in _ranked_pixels(features, truth, inside, queries, seed):
        marked = rankdata(-similarity, "max", axis=0)[positive]  # (positives, Q): at least as near
        correct = rankdata(-similarity[positive], "max", axis=0)  # of these, in the structure
        scores[i] = (correct / marked).mean()
    return scores


def centreline_dice(prediction: np.ndarray, truth: np.ndarray) -> float:
    """clDice: do the centre lines of each of two masks of thin structures lie within the other
    mask?

    The harmonic mean of the share of the prediction's skeleton inside the truth and the share of
    the truth's skeleton inside the prediction. Broken vessels cost more, and wrong calibres less,
    than in Dice.

    Args:
        prediction: (H, W) bool.
        truth: (H, W) bool.

    Returns:
        Value in [0, 1]; 1 when both are empty.

    Raises:
        ValueError: The shapes differ.

    Source: Shit et al., CVPR 2021. Taught in notebook 04, section 5.
    """
    prediction, truth = _two_masks(prediction, truth)
    if not prediction.any() and not truth.any():
        return 1.0
    lines, true_lines = skeletonize(prediction), skeletonize(truth)
    precision = truth[lines].mean() if lines.any() else 0.0
    recall = prediction[true_lines].mean() if true_lines.any() else 0.0
    return float(2 * precision * recall / (precision + recall)) if precision + recall else 0.0


def _two_masks(prediction: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    prediction, truth = mask(prediction, "prediction", "HW"), mask(truth, "truth", "HW")
    one_shape(prediction=prediction, truth=truth)
    return prediction, truth


def centre(map_: np.ndarray) -> tuple[float, float] | None:
    """Row and column of the centre of mass of what is above one half; None where nothing is.

    Args:
        map_: (H, W) in [0, 1], or bool.

    Raises:
        ValueError: The map has another shape or other values.
    """
    rows, columns = np.nonzero(probabilities(map_, "map_") > 0.5)
    return (float(rows.mean()), float(columns.mean())) if len(rows) else None


def hausdorff95(prediction: np.ndarray, truth: np.ndarray) -> float:
    """95th percentile of the distances between the borders of two masks, in pixels, the larger of
    both directions.

    Args:
        prediction: (H, W) bool.
        truth: (H, W) bool.

    Returns:
        Pixels; 0 when both are empty, the image's diagonal when one is.

    Raises:
        ValueError: The shapes differ, or they are no masks.

    Source: as in MONAI. Taught in notebook 05, section 3.
    """
    from monai.metrics import compute_hausdorff_distance

    prediction, truth = _two_masks(prediction, truth)
    if not prediction.any() or not truth.any():
        return 0.0 if prediction.any() == truth.any() else float(np.hypot(*truth.shape))
    masks = (torch.from_numpy(mask)[None, None].float() for mask in (prediction, truth))
    return float(compute_hausdorff_distance(*masks, include_background=True, percentile=95))
