"""How well label maps and similarities agree with anatomy."""

import numpy as np
import torch
from skimage.morphology import skeletonize
from sklearn.metrics import normalized_mutual_info_score, roc_auc_score


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
    if prediction.shape != truth.shape:
        raise ValueError(f"masks of one shape are needed, not {prediction.shape} and {truth.shape}")
    total = prediction.sum() + truth.sum()
    return float(2 * (prediction & truth).sum() / total) if total else 1.0


def mutual_information(labels: np.ndarray, anatomy: np.ndarray, inside: np.ndarray) -> float:
    """Normalised mutual information between clusters and anatomy, over the pixels of the field of view.

    Args:
        labels: Cluster of every pixel, integers of any shape.
        anatomy: Structure of every pixel, integers of the same shape.
        inside: Pixels that count, bool of the same shape.

    Returns:
        Value in [0, 1]: 0 when knowing the cluster says nothing about the structure.

    Taught in notebook 00, section 4.
    """
    return float(normalized_mutual_info_score(anatomy[inside], labels[inside]))


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
    labels, truth = labels[inside], truth[inside]
    areas = np.bincount(labels)
    shared = np.bincount(labels[truth], minlength=len(areas))
    scores = 2 * shared / np.maximum(areas + truth.sum(), 1)
    return float(scores.max()), int(scores.argmax())


def retrieval_auc(
    features: np.ndarray, truth: np.ndarray, inside: np.ndarray, queries: int = 50, seed: int = 0
) -> float:
    """How well similarity to one pixel of a structure ranks that structure's pixels above all others.

    Each query is one pixel of the structure; the pixels of all images are ranked by their nearness to it, and the area
    under the ROC curve is averaged over queries: 0.5 is chance, 1 perfect.

    Args:
        features: (N, H, W, D); compared by Euclidean distance, which on the unit sphere ranks as cosine similarity.
        truth: (N, H, W) bool.
        inside: (N, H, W) bool, pixels that count.
        queries: Number of query pixels.
        seed: Fixes which pixels are drawn; at most 20,000 are ranked.

    Returns:
        Mean area under the curve; nan if the structure or its complement is absent.

    Source: Chen et al. 2021, local similarity. Taught in notebook 00, section 5.
    """
    rng = np.random.default_rng(seed)
    of_structure, all_pixels = np.flatnonzero(truth & inside), np.flatnonzero(inside)
    ranked = rng.choice(all_pixels, min(20_000, len(all_pixels)), replace=False)
    is_structure = truth.ravel()[ranked]
    if not len(of_structure) or is_structure.all() or not is_structure.any():
        return float("nan")
    flat = features.reshape(-1, features.shape[-1])
    chosen = flat[rng.choice(of_structure, queries)].astype(np.float32)
    others = flat[ranked].astype(np.float32)
    nearness = 2 * others @ chosen.T - (others**2).sum(1, keepdims=True)
    return float(np.mean([roc_auc_score(is_structure, nearness[:, i]) for i in range(queries)]))


def centreline_dice(prediction: np.ndarray, truth: np.ndarray) -> float:
    """clDice: do the centre lines of each of two masks of thin structures lie within the other mask?

    The harmonic mean of the share of the prediction's skeleton inside the truth and the share of the truth's skeleton
    inside the prediction. Broken vessels cost more, and wrong calibres less, than in Dice.

    Args:
        prediction: (H, W) bool.
        truth: (H, W) bool.

    Returns:
        Value in [0, 1]; 1 when both are empty.

    Raises:
        ValueError: The shapes differ.

    Source: Shit et al., CVPR 2021. Taught in notebook 04, section 5.
    """
    if prediction.shape != truth.shape:
        raise ValueError(f"masks of one shape are needed, not {prediction.shape} and {truth.shape}")
    if not prediction.any() and not truth.any():
        return 1.0
    lines, true_lines = skeletonize(prediction), skeletonize(truth)
    precision = truth[lines].mean() if lines.any() else 0.0
    recall = prediction[true_lines].mean() if true_lines.any() else 0.0
    return float(2 * precision * recall / (precision + recall)) if precision + recall else 0.0


def centre(map_: np.ndarray) -> tuple[float, float] | None:
    """Row and column of the centre of mass of what is above one half; None where nothing is."""
    rows, columns = np.nonzero(map_ > 0.5)
    return (float(rows.mean()), float(columns.mean())) if len(rows) else None


def hausdorff95(prediction: np.ndarray, truth: np.ndarray) -> float:
    """95th percentile of the distances between the borders of two masks, in pixels, the larger of both directions.

    Args:
        prediction: (H, W) bool.
        truth: (H, W) bool.

    Returns:
        Pixels; 0 when both are empty, the image's diagonal when one is.

    Source: as in MONAI. Taught in notebook 05, section 3.
    """
    from monai.metrics import compute_hausdorff_distance

    if not prediction.any() or not truth.any():
        return 0.0 if prediction.any() == truth.any() else float(np.hypot(*truth.shape))
    masks = (torch.from_numpy(mask)[None, None].float() for mask in (prediction, truth))
    return float(compute_hausdorff_distance(*masks, include_background=True, percentile=95))
