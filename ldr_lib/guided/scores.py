"""Scores of probability maps, with and without a threshold."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score

from ..data.checks import (
    array,
    equally_many,
    finite,
    mask,
    one_shape,
    probabilities,
    several,
    whole,
)
from ..metrics import dice


def dice_by_image(masks: Sequence[np.ndarray], truths: Sequence[np.ndarray]) -> np.ndarray:
    """Dice of each predicted mask with its true mask.

    Args:
        masks: N arrays (H, W) bool; sizes may differ from image to image.
        truths: N arrays (H, W) bool of the same sizes.

    Returns:
        (N,) values in [0, 1].

    Raises:
        ValueError: No masks, not as many of both, or two of different shapes.

    Example:
        >>> dice_by_image([np.eye(2) > 0], [np.ones((2, 2)) > 0]).round(3).tolist()
        [0.667]

    Taught in notebook 04a, section 5.
    """
    masks, truths = several(masks, "masks", "masks (H, W)"), several(truths, "truths", "masks")
    equally_many(masks=masks, truths=truths)
    return np.array([dice(one, truth) for one, truth in zip(masks, truths)])


def _maps_and_truths(maps, truths) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Maps in [0, 1] and the true masks, which fit each other."""
    maps, truths = several(maps, "maps", "maps (H, W)"), several(truths, "truths", "masks (H, W)")
    equally_many(maps=maps, truths=truths)
    maps = [probabilities(map_, f"maps[{i}]") for i, map_ in enumerate(maps)]
    truths = [mask(truth, f"truths[{i}]", "HW") for i, truth in enumerate(truths)]
    for i, (map_, truth) in enumerate(zip(maps, truths)):
        one_shape(**{f"maps[{i}]": map_, f"truths[{i}]": truth})
    return maps, truths


def best_threshold(
    maps: Sequence[np.ndarray], truths: Sequence[np.ndarray], thresholds: np.ndarray
) -> float:
    """The one threshold for all images with the highest mean Dice. It is an oracle: it needs the
    true masks of the test images.

    Args:
        maps: N arrays (H, W) of floats.
        truths: N arrays (H, W) bool.
        thresholds: Candidates; a pixel counts as structure above the threshold.

    Returns:
        One of the candidates, the first of equal ones.

    Raises:
        ValueError: Maps and masks do not fit each other, or there is no candidate.

    Taught in notebook 04a, section 5.
    """
    maps, truths = _maps_and_truths(maps, truths)
    thresholds = finite(array(thresholds, "thresholds", "T"), "thresholds")
    if not len(thresholds):
        raise ValueError("thresholds must hold at least one candidate")
    total = np.zeros(len(thresholds))
    for map_, truth in zip(maps, truths):
        everywhere, in_truth = np.sort(map_, axis=None), np.sort(map_[truth])
        n_found = everywhere.size - np.searchsorted(everywhere, thresholds, "right")
        n_right = in_truth.size - np.searchsorted(in_truth, thresholds, "right")
        overlap = 2 * n_right / np.maximum(n_found + in_truth.size, 1)  # (thresholds,)
        total += np.where(n_found + in_truth.size > 0, overlap, 1.0)  # both empty: Dice 1
    return float(thresholds[total.argmax()])


def threshold_free_scores(
    maps: Sequence[np.ndarray], truths: Sequence[np.ndarray], n_thresholds: int = 200
) -> pd.DataFrame:
    """How well probability maps mark a structure, whatever their scale.

    A map may rank the structure's pixels above all others and still stay below one half
    everywhere. Its Dice at the threshold 0.5 is 0 then, and says nothing about the ranking.

    Args:
        maps: N arrays (H, W) in [0, 1].
        truths: N arrays (H, W) bool.
        n_thresholds: Number of quantiles of all maps that are tried as thresholds of the oracle.

    Returns:
        One row for each image. "Dice at 0.5"; "oracle Dice" at the one threshold that is best for
        all these images, which nobody knows without their masks; "average precision", the area
        under precision over recall: 1 is perfect, and a map without information gets the share of
        the structure's pixels. The latter is nan where the structure is absent.

    Raises:
        ValueError: Maps and masks do not fit each other, or a value makes no sense.

    Example:
        >>> truth = np.arange(10).reshape(2, 5) > 7
        >>> threshold_free_scores([truth * 0.2 + 0.1], [truth]).round(2).values.tolist()
        [[0.0, 1.0, 1.0]]

    Taught in notebook 04a, section 6.
    """
    maps, truths = _maps_and_truths(maps, truths)
    n_thresholds = whole(n_thresholds, "n_thresholds", 1, 10**6)
    # Dense among the highest values, because a structure may cover one pixel in two hundred.
    levels = 1 - np.geomspace(1e-4, 1, n_thresholds)
    pooled = np.concatenate([np.asarray(map_).ravel() for map_ in maps])
    candidates = np.append(np.unique(np.quantile(pooled, levels)), 0.5)
    oracle = best_threshold(maps, truths, candidates)
    precision = [
        average_precision_score(truth.ravel(), map_.ravel()) if truth.any() else np.nan
        for map_, truth in zip(maps, truths)
    ]
    return pd.DataFrame(
        {
            "Dice at 0.5": dice_by_image([map_ > 0.5 for map_ in maps], truths),
            "oracle Dice": dice_by_image([map_ > oracle for map_ in maps], truths),
            "average precision": precision,
        }
    )
