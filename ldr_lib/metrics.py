"""How well label maps agree with anatomy."""

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from skimage.morphology import skeletonize
from sklearn.metrics import normalized_mutual_info_score

from .data import checks
from .data.checks import mask, one_shape, probabilities


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


def structure_information(labels: np.ndarray, anatomy: np.ndarray, inside: np.ndarray) -> float:
    """`mutual_information` over the pixels of structures alone: do clusters tell one structure from
    another? What most of a photograph shows, no structure, plays no part.

    Args:
        labels: Cluster of every pixel, integers of any shape.
        anatomy: Structure of every pixel, integers of the same shape, 0 where there is none.
        inside: Pixels that count, bool of the same shape.

    Returns:
        Value in [0, 1]; nan where fewer than two structures are there.

    Ours. Taught in notebook 00, section 4.
    """
    labels, anatomy = checks.labels(labels, "labels"), checks.labels(anatomy, "anatomy")
    inside = _some(inside)
    one_shape(labels=labels, anatomy=anatomy, inside=inside)
    of_structures = inside & (anatomy > 0)
    if len(np.unique(anatomy[of_structures])) < 2:
        return float("nan")
    return mutual_information(labels, anatomy, of_structures)


def matched_iou(labels: np.ndarray, anatomy: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Overlap of structures and clusters when every structure, and what is none, has a cluster of
    its own.

    The one-to-one match is the one of the largest mean overlap over all images together
    (Hungarian method). Pixels of no structure take a cluster too, but do not count in the mean.

    Args:
        labels: (N, H, W) cluster of every pixel.
        anatomy: (N, H, W) structure of every pixel, 0 where there is none.
        inside: (N, H, W) bool, pixels that count.

    Returns:
        (N,) intersection over union in each image, the mean over the structures that it has, in
        [0, 1]; 0 for a structure that is left without a cluster, nan where an image has none.

    Ours, as usual for segmentation without labels. Taught in notebook 00, section 4.
    """
    labels, anatomy = checks.labels(labels, "labels"), checks.labels(anatomy, "anatomy")
    inside = mask(inside, "inside", "NHW")
    _some(inside)
    one_shape(labels=labels, anatomy=anatomy, inside=inside)
    shape = (anatomy[inside].max() + 1, labels[inside].max() + 1)  # structures, clusters
    shared = np.stack(
        [
            np.bincount(a[i] * shape[1] + k[i], minlength=shape[0] * shape[1]).reshape(shape)
            for k, a, i in zip(labels, anatomy, inside)
        ]
    )  # (N, structures, clusters) pixels in common
    structures, clusters = linear_sum_assignment(_overlap(shared.sum(0)), maximize=True)
    found = np.zeros(shared.shape[:2])
    found[:, structures] = _overlap(shared)[:, structures, clusters]
    there = shared.sum(2) > 0  # (N, structures)
    found, there = found[:, 1:], there[:, 1:]
    counts = there.sum(1)
    return np.where(counts > 0, (found * there).sum(1) / np.maximum(counts, 1), np.nan)


def _overlap(shared: np.ndarray) -> np.ndarray:
    """Intersection over union of all pairs, from the pixels in common (..., S, K)."""
    union = shared.sum(-1, keepdims=True) + shared.sum(-2, keepdims=True) - shared
    return shared / np.maximum(union, 1)


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

    Source: Shit et al., CVPR 2021. Taught in notebook 04c, section 2.
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
