"""How well guided networks find their structures in real test images."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from ..callbacks import STEP_FILE
from ..checkpoint import load_model
from ..data.datasets import open_dataset
from ..data.errors import one_of
from ..data.simulate import Sample, fundus
from ..metrics import centre, centreline_dice
from ..network import TwoBranchNet
from ..pretrained import GuidedNets
from ..structures import Guide, Structure
from .predict import predict_structure
from .scores import dice_by_image, threshold_free_scores

TESTED = {
    "vessel": ("chase_db1", "vessel"),
    "disc": ("drions", "disc"),
    "lungs": ("covid19_cxr_seg", "lungs"),
    "heart": ("covid19_cxr_seg", "heart"),
}
"""Structure to the dataset and mask that it is tested on."""


def scores_for_record(
    net: TwoBranchNet, structure: str, data_dir: str, readings: tuple[str, ...]
) -> dict:
    """Scores of a structure on the test images.

    Args:
        net: A guided network.
        structure: One of its guide's.
        data_dir: Folder of the datasets.
        readings: Some of `READINGS`.

    Returns:
        For each reading "<structure> by <reading>", means over images, and "<structure> by
        <reading>, images", the table image by image. For the fovea, which no real dataset here
        marks, "fovea": its localisation in simulated images.
    """
    if structure == "fovea":
        found = fovea_localisation(net)
        return {
            "fovea": {
                "within half a disc diameter": float(found["within half a disc diameter"].mean()),
                "median distance": float(found["distance"].median()),
            }
        }
    scores = {}
    for by in readings:
        table = score_structure(net, structure, data_dir, by)
        scores[f"{structure} by {by}"] = table.mean().round(4).to_dict()
        scores[f"{structure} by {by}, images"] = table
    return scores


def score_structure(
    net: TwoBranchNet | GuidedNets,
    structure: str,
    data_dir: str,
    by: str = "cluster",
    split: str = "test",
) -> pd.DataFrame:
    """How well a structure's maps agree with its masks, image by image, at the images' own size.

    Args:
        net: One or several guided networks.
        structure: One of `TESTED`.
        data_dir: Folder of the datasets.
        by: As in `structure_maps`.
        split: Of the dataset.

    Returns:
        One row per image with "Dice" and for vessels "clDice", both at the fixed threshold 0.5;
        "oracle Dice" and "average precision" as in `threshold_free_scores`.
    """
    name, mask = TESTED[one_of(structure, TESTED, "tested structure")]
    samples = samples_of(name, data_dir, split)
    maps = [predict_structure(net, sample.image, structure, by) for sample in samples]
    truths = [sample.masks[mask] for sample in samples]
    table = overlap([map_ > 0.5 for map_ in maps], truths, structure)
    free = threshold_free_scores(maps, truths)[["oracle Dice", "average precision"]]
    table[free.columns] = free
    return table.set_index(pd.Index([sample.name for sample in samples]))


def overlap(found: list[np.ndarray], truths: list[np.ndarray], structure: str) -> pd.DataFrame:
    """Overlap of masks (H, W) bool with the true ones: a row per image with "Dice", and for vessels
    "clDice".
    """
    table = pd.DataFrame({"Dice": dice_by_image(found, truths)})
    if structure == "vessel":
        table["clDice"] = [centreline_dice(mask, truth) for mask, truth in zip(found, truths)]
    return table


def fovea_localisation(net: TwoBranchNet | None, n: int = 50) -> pd.DataFrame:
    """Distance of the predicted centre of the fovea from the true one, in simulated images.

    Args:
        net: A network guided to the fovea; None takes the middle of the image as the prediction.
        n: Number of images; those whose fovea lies beyond the rim are left out.

    Returns:
        One row per image: "distance" in disc diameters (infinite where nothing was found) and
        "within half a disc diameter", 0 or 1.
    """
    rows, seed = {}, 2_000_000
    while len(rows) < n:
        sample = fundus(384, seed, lesions=False)
        seed += 1
        disc_area = sample.masks["disc"].sum()
        if sample.masks["fovea"].sum() < 0.15 * disc_area:
            continue
        found = (191.5, 191.5)
        if net is not None:
            found = centre(predict_structure(net, sample.image, "fovea"))
        distance = np.inf
        if found is not None:
            gap = np.subtract(found, centre(sample.masks["fovea"]))
            distance = np.hypot(*gap) / (2 * np.sqrt(disc_area / np.pi))
        rows[sample.name] = {
            "distance": distance,
            "within half a disc diameter": float(distance <= 0.5),
        }
    return pd.DataFrame(rows).T


def samples_of(name: str, data_dir: str, split: str = "test") -> list[Sample]:
    """All samples of a dataset's split."""
    dataset = open_dataset(name, data_dir, split)
    return [dataset[i] for i in range(len(dataset))]


def best_cluster(
    net: TwoBranchNet, structure: Structure, data_dir: str
) -> tuple[int, pd.DataFrame]:
    """The one cluster that matches a structure best in the test images, which nobody knows without
    their masks.

    Args:
        net: A network, guided or not; it is not changed.
        structure: What is looked for, and at which sizes.
        data_dir: Folder of the datasets.

    Returns:
        The cluster's number, and its table as `score_structure` returns it.
    """
    earlier, modality = net.guide, "chest" if net.in_channels == 1 else "fundus"
    tables = {}
    try:
        for number in range(net.n_clusters):
            net.guide = Guide(modality, (replace(structure, clusters=(number,), by="cluster"),))
            tables[number] = score_structure(net, structure.name, data_dir)
    finally:
        net.guide = earlier
    best = max(tables, key=lambda number: tables[number]["average precision"].mean())
    return best, tables[best]


def learning_curve(
    folder: Path, steps: Sequence[int], structure: str, data_dir: str
) -> dict[str, float]:
    """Average precision of a structure's maps after some steps of a training, on training images.

    Args:
        folder: Of the training, which has kept the networks.
        steps: After which they were kept.
        structure: One of `TESTED`.
        data_dir: Folder of the datasets.

    Returns:
        Number of steps to the mean over a few images.
    """
    name, mask = TESTED[one_of(structure, TESTED, "tested structure")]
    samples = samples_of(name, data_dir, "train")[::4]
    truths = [sample.masks[mask] for sample in samples]
    found = {}
    for step in steps:
        net = load_model(folder / STEP_FILE.format(step), "cpu")
        maps = [predict_structure(net, sample.image, structure, "cluster") for sample in samples]
        scores = threshold_free_scores(maps, truths)["average precision"]
        found[str(step)] = round(float(scores.mean()), 4)
    return found
