"""What a network has learned after n steps, in several ways of training: the experiment behind the
claims that similarity finds structures and that the two branches help each other.

Every number of steps is a training of its own, with its learning rate brought down at its end, so
that each point of a curve is a network that one would use.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ..data.cache import Prepared
from ..data.checks import whole
from ..data.datasets import open_dataset
from ..data.errors import one_of
from ..data.prepare import joint_fingerprint, prepare
from ..device import pick_device, to_device
from ..evaluation import Comparison, agreement, k_means, represent
from ..network import TwoBranchNet
from ..pretrained import CHANNELS
from ..runs.paths import runs_folder
from ..runs.run import Run
from ..settings import Settings
from ..tiers import BOTH_BRANCHES, GATHERED, PATCH_STAGE, TRAINING
from ..training import new_network, train
from .health import health
from .rivals import rival_features

NAME = "learning"
K_MEANS_STEPS = 60
FIRST_STAGE = 600
"""Steps of stage 1 at most; fewer where a training is short."""
RATES = {"patch": 4e-3, "k_means": 5e-3, "prototype": 5e-4, "region": 4e-3}
"""Highest learning rate of a stage, by a loss that it has. Views, batch and clusters are those of
the class tier.
"""
UNLABELLED = {
    "fundus": (
        ("chase_db1", "train", ""),
        ("hrf", "all", ""),
        ("drions", "train", ""),
        ("folder", "all", "DR_10_classes"),
    ),
    "chest": (("kermany", "all", ""), ("folder", "all", "NIH_sample")),
}
"""Dataset, split and folder of the images that a network learns from."""
JUDGED = {
    "fundus": ("chase_db1", "drions", "simulated_fundus"),
    "chest": ("covid19_cxr_seg", "simulated_chest"),
}
AT_MOST = 20
"""Images of a dataset that are judged, evenly spaced."""


@dataclass(frozen=True)
class Way:
    """A way of training.

    Attributes:
        first: Losses of stage 1, empty for none.
        second: Losses of the stage after it, empty for none.
        k_means: Whether the clustering branch starts from k-means of the embeddings.
    """

    first: dict
    second: dict
    k_means: bool = False


WAYS = {
    "embedding only": Way(PATCH_STAGE, {}),
    "both": Way(PATCH_STAGE, GATHERED, k_means=True),
    "clustering only": Way({}, GATHERED, k_means=True),
    "published": Way(PATCH_STAGE, BOTH_BRANCHES),
}
"""Ways of training. "both" and "clustering only" use our second stage (`ldr_lib.prototypes`),
"published" the losses and weights of the paper; all see the same views.
"""


def settings_of(way: str, modality: str, steps: int, seed: int = 0) -> Settings:
    """The settings of a training of n steps in all.

    Args:
        way: One of `WAYS`.
        modality: "fundus" or "chest".
        steps: Of all stages together, at least 1.
        seed: Of the training.

    Raises:
        ValueError: Unknown way or modality, or no steps.

    Example:
        >>> settings_of("both", "fundus", 1000).epochs
        (40, 6, 54)
    """
    chosen, steps = WAYS[one_of(way, WAYS, "way")], whole(steps, "steps", 1, 10**7)
    one_of(modality, CHANNELS, "modality")
    per_epoch = 10 if steps % 10 == 0 else 1
    epochs = steps // per_epoch
    start = min(K_MEANS_STEPS, steps // 5) // per_epoch if chosen.k_means else 0
    first = 0
    if chosen.first:
        first = min(FIRST_STAGE, 2 * steps // 5) // per_epoch if chosen.second else epochs
    plan = [
        (chosen.first, first),
        ({"k_means": 1.0}, start),
        (chosen.second, epochs - first - start),
    ]
    stages, lengths = zip(*((losses, n) for losses, n in plan if losses and n > 0))
    plan = dict(
        tier=way,
        seed=seed,
        steps=per_epoch,
        stages=stages,
        epochs=lengths,
        learning_rate=tuple(next(RATES[name] for name in RATES if name in s) for s in stages),
    )
    return Settings(**TRAINING[modality]["class"] | plan)


def unlabelled(modality: str, data_dir: str, size: int) -> tuple[np.ndarray, str]:
    """The images that a network learns from, and their fingerprint.

    Args:
        modality: "fundus" or "chest".
        data_dir: Folder of the datasets.
        size: Side in pixels.

    Returns:
        (N, S, S, C) uint8, for photographs raw and locally normalised one after the other along
        the channels, C = 6.

    Raises:
        DataError: A dataset is missing.
    """
    parts = [
        prepare(open_dataset(name, os.path.join(data_dir, folder), split), size)
        for name, split, folder in UNLABELLED[one_of(modality, CHANNELS, "modality")]
    ]
    n = settings_of("both", modality, 1).appearances
    images = np.concatenate([part.appearances(n)[:] for part in parts])
    return images, joint_fingerprint(parts)


def judged(modality: str, data_dir: str, split: str, size: int) -> Iterator[tuple[str, Prepared]]:
    """Names of datasets and their prepared images with masks, `AT_MOST` of each."""
    for name in JUDGED[one_of(modality, CHANNELS, "modality")]:
        whole_set = prepare(open_dataset(name, data_dir, split), size)
        chosen = np.unique(np.linspace(0, len(whole_set) - 1, AT_MOST).round().astype(int))
        yield (
            name,
            Prepared(
                images=whole_set.images[chosen],
                originals=whole_set.originals[chosen],
                masks={key: value[chosen] for key, value in whole_set.masks.items()},
                names=[whole_set.names[i] for i in chosen],
                boxes=whole_set.boxes[chosen],
                skipped=[],
                fingerprint=whole_set.fingerprint,
            ),
        )


def measures(net: TwoBranchNet, held_out: Prepared, modality: str, seed: int = 0) -> Comparison:
    """The measures of a network, image by image, for both ways of clustering.

    Args:
        net: A network.
        held_out: Images with masks.
        modality: "fundus" or "chest".
        seed: Of k-means and the queries.

    Returns:
        Rows "clusters" and "k-means", see `ldr_lib.evaluation.agreement`.
    """
    inside = np.asarray(held_out.masks["field_of_view"])
    embeddings, clusters = represent(net, held_out.images)
    groups = k_means(embeddings, inside, net.n_clusters, seed)
    return Comparison(
        {
            name: agreement(embeddings, labels, held_out, modality, seed)
            for name, labels in (("clusters", clusters), ("k-means", groups))
        }
    )


def rivals_of(held_out: Prepared, modality: str, n_clusters: int, seed: int = 0) -> Comparison:
    """The same measures for what needs no training here: intensities, filters and, where it is
    installed, a network trained on ImageNet; for photographs raw and locally normalised.

    Args:
        held_out: Images with masks.
        modality: "fundus" or "chest".
        n_clusters: Of k-means.
        seed: Of k-means and the queries.
    """
    inside, rows = np.asarray(held_out.masks["field_of_view"]), {}
    shown = {"": held_out.originals}
    if modality == "fundus":
        shown = {"raw": held_out.originals, "locally normalised": held_out.images}
    for name, features in rival_features(shown):
        labels = k_means(features, inside, n_clusters, seed)
        rows[name] = agreement(features, labels, held_out, modality, seed)
    return Comparison(rows)


def study_label(
    way: str, modality: str = "fundus", steps: int = 1_000, seed: int = 0, split: str = "test"
) -> str:
    """The name of a study's record; without what follows the last "_" that of its training."""
    return "_".join([modality, way.replace(" ", "-"), f"{steps:06d}", str(seed), split])


def learning_study(
    way: str,
    modality: str = "fundus",
    steps: int = 1_000,
    seed: int = 0,
    data_dir: str = "",
    split: str = "test",
) -> Path:
    """Trains a network for n steps on the unlabelled images, measures it and keeps its record with
    the project. A run that was interrupted goes on from its last epoch.

    Args:
        way: One of `WAYS`, or "rivals" for what needs no training.
        modality: "fundus" or "chest".
        steps: Of all stages together; 0 is the untrained network.
        seed: Of everything random.
        data_dir: Folder of the datasets.
        split: Of the datasets with masks on which it is measured: "train" while something is being
            chosen, "test" once.

    Returns:
        Path of the record.

    Raises:
        ValueError: Unknown way or modality.
        DataError: Images are missing, or an interrupted run had others.
    """
    one_of(way, [*WAYS, "rivals"], "way")
    steps = whole(steps, "steps", 0, 10**7)
    parameters = dict(way=way, modality=modality, steps=steps, seed=seed, split=split)
    label = study_label(**parameters)
    trained = runs_folder() / NAME / label.rpartition("_")[0]
    run = Run(NAME, parameters, str(runs_folder() / "records" / NAME / label))
    net, settings = None, settings_of("both", modality, max(steps, 1), seed)
    size = settings.image_size
    if way != "rivals":
        images, fingerprint = unlabelled(modality, data_dir, size)
        run.data(train=fingerprint)
        if steps == 0:
            net = to_device(new_network(images, settings, None), pick_device("auto"))
        else:
            settings = settings_of(way, modality, steps, seed)
            net, log = train(images, settings, trained, data=fingerprint, resume=True)
            run.metrics(last_epoch={name: round(v, 4) for name, v in log[-1].items()})
    for name, held_out in judged(modality, data_dir, split, size):
        if net is None:
            found = rivals_of(held_out, modality, settings.n_clusters, seed)
        else:
            found = measures(net, held_out, modality, seed)
            signs = health(net, held_out.images, settings, seed)
            run.metrics(**{f"{name} health": signs.round(4).to_dict()})
        run.metrics(**{f"{name} means": found.table.round(4)})
        for row, table in found.images.items():
            similarity = [c for c in table if c.startswith(("AUC", "AP"))]
            left_out = ["clusters", *(similarity if row == "k-means" else [])]  # as of "clusters"
            run.metrics(**{f"{name} {row}, images": table.drop(columns=left_out)})
    return run.keep(label)


def curves(records: list[dict], dataset: str, row: str, column: str) -> pd.DataFrame:
    """A measure over steps, by way of training and seed.

    Args:
        records: Of `learning_study`.
        dataset: One of those judged.
        row: "clusters" or "k-means".
        column: As in `ldr_lib.evaluation.agreement`.

    Returns:
        Columns "way", "steps", "seed" and "value", mean over images.
    """
    rows = [
        {key: record["parameters"][key] for key in ("way", "steps", "seed")}
        | {"value": record["metrics"][f"{dataset} means"][row][column]}
        for record in records
        if row in record["metrics"].get(f"{dataset} means", {})
    ]
    return pd.DataFrame(rows, columns=["way", "steps", "seed", "value"])
