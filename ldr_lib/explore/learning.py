"""What a network has learned after n steps, in several ways of training: the experiment behind the
claims that similarity finds structures and that the two branches help each other.

A training is one long run, of which the network is kept after 0, 10, 30, 100, ... steps. The ways
"both" and "embedding only" are one training in their first stage; then they have the same learning
rate and the same kind of views, and differ in their losses only.
"""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from ..callbacks import STEP_FILE
from ..checkpoint import load_model, save_model
from ..data.cache import Prepared
from ..data.checks import whole
from ..data.datasets import open_dataset
from ..data.errors import one_of
from ..data.prepare import joint_fingerprint, prepare
from ..evaluation import Comparison, agreement
from ..network import TwoBranchNet
from ..pretrained import CHANNELS
from ..representation import k_means, represent
from ..runs.paths import runs_folder
from ..runs.run import Run
from ..settings import Settings
from ..tiers import BOTH_BRANCHES, GATHERED, PATCH_STAGE, TRAINING
from ..training import new_network, train
from .health import health
from .rivals import rival_features

NAME = "learning"
AT = (10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000)
"""Numbers of steps after which the network is kept and measured; so is the untrained one."""
PER_EPOCH, LONGEST = 10, 100_000
"""Steps of an epoch, after which an interrupted training goes on, and of the longest training."""
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
RAW = " raw"
"""End of the name of photographs that a network is shown in their own colours; else it sees them
locally normalised, which takes the brightness of the optic disc away.
"""
JUDGED = {
    "fundus": ("chase_db1", "drions", "simulated_fundus", "drions" + RAW),
    "chest": ("covid19_cxr_seg", "simulated_chest"),
}
AT_MOST = 20
"""Images of a dataset that are judged, evenly spaced."""

FIRST, START = 600, 60
"""Steps of the first stage, and of the start of the clustering branch; then comes the last stage.
"""
K_MEANS = ({"k_means": 1.0}, START, 5e-3)
WAYS = {
    "embedding only": ((PATCH_STAGE, FIRST, 4e-3), (PATCH_STAGE, None, 5e-4)),
    "both": ((PATCH_STAGE, FIRST, 4e-3), K_MEANS, (GATHERED, None, 5e-4)),
    "clustering only": (K_MEANS, (GATHERED, None, 5e-4)),
    "published": ((PATCH_STAGE, FIRST, 4e-3), (BOTH_BRANCHES, None, 5e-4)),
    "embedding only, no mixup": (({"patch": 1.0}, FIRST, 4e-3), ({"patch": 1.0}, None, 5e-4)),
}
JITTER = {"no jitter": 0.0, "half the jitter": 0.5, "embedding only, no jitter": 0.0}
"""Ways whose views jitter colours less than those of the class tier, and to which share."""
WAYS |= {way: WAYS["embedding only" if "only" in way else "both"] for way in JITTER}
"""Ways of training: losses, steps and learning rate of each stage, None for the rest of the steps.
"both" and "clustering only" use our second stage (`ldr_lib.prototypes`), "published" the losses and
weights of the paper. Views, batch and number of clusters are those of the class tier. "no jitter"
is "both" with views that keep their colours, "half the jitter" lies between the two, and
"embedding only, no jitter" is the first stage of "no jitter" alone.
"""


def settings_of(way: str, modality: str, seed: int = 0) -> Settings:
    """The settings of a training of `LONGEST` steps; `train(..., until=n)` takes the first n.

    Args:
        way: One of `WAYS`.
        modality: "fundus" or "chest".
        seed: Of the training.

    Raises:
        ValueError: Unknown way or modality.

    Example:
        >>> settings_of("both", "fundus").epochs
        (60, 6, 9934)
    """
    stages, steps, rates = zip(*WAYS[one_of(way, WAYS, "way")])
    *first, _ = (n and n // PER_EPOCH for n in steps)
    plan = dict(
        tier=way,
        seed=seed,
        steps=PER_EPOCH,
        stages=stages,
        epochs=(*first, LONGEST // PER_EPOCH - sum(first)),
        learning_rate=rates,
        schedule="flat",
    )
    settings = Settings(**TRAINING[one_of(modality, CHANNELS, "modality")]["class"] | plan)
    if way not in JITTER:
        return settings
    colour = {"colour": JITTER[way] * settings.view_maker.colour}
    return replace(settings, views=settings.views | colour)


def unlabelled(modality: str, data_dir: str, size: int) -> tuple[np.ndarray, str]:
    """The images that a network learns from, and their fingerprint.

    Args:
        modality: "fundus" or "chest".
        data_dir: Folder of the datasets.
        size: Side in pixels.

    Returns:
        (N, S, S, C) uint8, what the class tier's views are made of: of photographs raw and locally
        normalised colours and the field of view, C = 7, of X-rays grey and the field of view.

    Raises:
        DataError: A dataset is missing.
    """
    parts = [
        prepare(open_dataset(name, os.path.join(data_dir, folder), split), size)
        for name, split, folder in UNLABELLED[one_of(modality, CHANNELS, "modality")]
    ]
    maker = settings_of("both", modality).view_maker
    images = [part.appearances(maker.appearances, maker.field_of_view)[:] for part in parts]
    return np.concatenate(images), joint_fingerprint(parts)


def judged(modality: str, data_dir: str, split: str, size: int) -> Iterator[tuple[str, Prepared]]:
    """Names of datasets and their prepared images with masks, `AT_MOST` of each."""
    for name in JUDGED[one_of(modality, CHANNELS, "modality")]:
        whole_set = prepare(open_dataset(name.removesuffix(RAW), data_dir, split), size)
        shown = whole_set.originals if name.endswith(RAW) else whole_set.images
        chosen = np.unique(np.linspace(0, len(whole_set) - 1, AT_MOST).round().astype(int))
        yield (
            name,
            Prepared(
                images=shown[chosen],
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


def rivals_of(held_out: Prepared, modality: str, seed: int = 0) -> Comparison:
    """The same measures for what needs no training here: intensities, filters and, where it is
    installed, a network trained on ImageNet; for photographs raw and locally normalised.

    Args:
        held_out: Images with masks.
        modality: "fundus" or "chest".
        seed: Of k-means and the queries.
    """
    n_clusters = settings_of("both", modality).n_clusters
    inside, rows = np.asarray(held_out.masks["field_of_view"]), {}
    shown = {"": held_out.originals}
    if modality == "fundus":
        shown = {"raw": held_out.originals, "locally normalised": held_out.images}
    for name, features in rival_features(shown):
        labels = k_means(features, inside, n_clusters, seed)
        rows[name] = agreement(features, labels, held_out, modality, seed)
    return Comparison(rows)


def study_label(
    way: str, modality: str = "fundus", steps: int = 10_000, seed: int = 0, split: str = "test"
) -> str:
    """The name of the record of a network after n steps."""
    return "_".join([modality, way.replace(" ", "-"), f"{steps:06d}", str(seed), split])


def training_folder(way: str, modality: str, seed: int) -> Path:
    """Where a training leaves its networks."""
    return runs_folder() / NAME / f"{modality}_{way.replace(' ', '-')}_{seed}"


def networks_after(
    way: str, modality: str, steps: int, seed: int, images: np.ndarray, fingerprint: str
) -> Iterator[tuple[int, TwoBranchNet]]:
    """Trains a network and yields it as it was after 0, 10, 30, 100, ... steps. A training that
    was interrupted, or had fewer steps, goes on from its last epoch.

    Args:
        way: One of `WAYS`.
        modality: "fundus" or "chest".
        steps: Of all stages together, at most `LONGEST`; 0 is the untrained network.
        seed: Of the training.
        images: As `unlabelled` returns them.
        fingerprint: Of the images.

    Yields:
        Number of steps, and the network.

    Raises:
        DataError: An interrupted run had other images.
    """
    settings = settings_of(way, modality, seed)
    folder = training_folder(way, modality, seed)
    options = dict(data=fingerprint, resume=True, snapshots=[0, *AT])
    if steps:
        train(images, settings, folder, until=steps, **options)
    else:
        save_model(new_network(images, settings, None), folder / STEP_FILE.format(0))
    for n in (0, *AT):
        if n <= steps:
            yield n, load_model(folder / STEP_FILE.format(n))


def learning_study(
    way: str,
    modality: str = "fundus",
    steps: int = 10_000,
    seed: int = 0,
    data_dir: str = "",
    split: str = "test",
) -> Path:
    """Trains a network on the unlabelled images, measures it after 0, 10, 30, 100, ... steps and
    keeps a record of each with the project.

    Args:
        way: One of `WAYS`, or "rivals" for what needs no training.
        modality: "fundus" or "chest".
        steps: Of all stages together, at most `LONGEST`; 0 is the untrained network.
        seed: Of everything random.
        data_dir: Folder of the datasets.
        split: Of the datasets with masks on which it is measured: "train" while something is being
            chosen, "test" once.

    Returns:
        Path of the last record.

    Raises:
        ValueError: Unknown way or modality.
        DataError: Images are missing, or an interrupted run had others.
    """
    one_of(way, [*WAYS, "rivals"], "way")
    steps = whole(steps, "steps", 0, LONGEST)
    size = settings_of("both", modality).image_size
    sets = list(judged(modality, data_dir, split, size))
    parameters = dict(way=way, modality=modality, seed=seed, split=split)
    if way == "rivals":
        shown = [(name, one) for name, one in sets if not name.endswith(RAW)]  # has both inputs
        found = {name: rivals_of(one, modality, seed=seed) for name, one in shown}
        return _keep(parameters | dict(steps=0), found, {}, {})
    images, fingerprint = unlabelled(modality, data_dir, size)
    settings = settings_of(way, modality, seed)
    for n, net in networks_after(way, modality, steps, seed, images, fingerprint):
        found = {name: measures(net, one, modality, seed) for name, one in sets}
        signs = {name: health(net, one.images, settings, seed) for name, one in sets}
        path = _keep(parameters | dict(steps=n), found, signs, dict(train=fingerprint))
    return path


def _keep(
    parameters: dict, found: dict[str, Comparison], signs: dict[str, pd.Series], data: dict
) -> Path:
    """The record of what was measured on each dataset."""
    label = study_label(**parameters)
    run = Run(NAME, parameters, str(runs_folder() / "records" / NAME / label))
    run.data(**data)
    for name, comparison in found.items():
        run.metrics(**{f"{name} means": comparison.table.round(4)})
        for row, table in comparison.images.items():
            similarity = [c for c in table if c.startswith(("AUC", "AP"))]
            left_out = ["clusters", *(similarity if row == "k-means" else [])]  # as of "clusters"
            run.metrics(**{f"{name} {row}, images": table.drop(columns=left_out)})
    for name, one in signs.items():
        run.metrics(**{f"{name} health": one.round(4).to_dict()})
    return run.keep(label)


def curves(records: list[dict], dataset: str, row: str, column: str) -> pd.DataFrame:
    """A measure over steps, by way of training and seed, as `learning_study` kept it.

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


RIVALS = ("intensities", "filter bank", "ImageNet")
"""What needs no training; each was made of one or two inputs."""


def rival_means(records: list[dict], dataset: str) -> pd.DataFrame:
    """What needs no training: means over images, of the better input in each measure.

    Args:
        records: Of `learning_study`, one of them of the way "rivals".
        dataset: One of those judged.

    Returns:
        A row for each of `RIVALS`, with the columns of `ldr_lib.evaluation.agreement`; empty where
        no record holds it.

    Taught in notebook 02, section 10.
    """
    rivals = [record for record in records if record["parameters"]["way"] == "rivals"]
    found = [record["metrics"].get(f"{dataset} means", {}) for record in rivals]
    rows = pd.DataFrame(found[0] if found else {}).T
    ends = {name: [row for row in rows.index if row.endswith(name)] for name in RIVALS}
    return pd.DataFrame({name: rows.loc[kind].max() for name, kind in ends.items() if kind}).T


def last_common_step(records: list[dict], ways: Sequence[str], seeds: int = 3) -> int:
    """The largest number of steps after which networks of all these ways were measured.

    Args:
        records: Of `learning_study`.
        ways: Of `WAYS`.
        seeds: How many networks of each way there must be.

    Returns:
        The number of steps; 0 where no other is common to all.
    """
    found = Counter((r["parameters"]["way"], r["parameters"]["steps"]) for r in records)
    common = [n for n in (0, *AT) if all(found[way, n] >= seeds for way in ways)]
    return max(common, default=0)


def image_values(
    records: list[dict], dataset: str, column: str, way: str, steps: int
) -> np.ndarray:
    """A measure after n steps, image by image, of the better of a network's two ways of clustering.

    Args:
        records: Of `learning_study`.
        dataset: One of those judged.
        column: As in `ldr_lib.evaluation.agreement`.
        way: One of `WAYS`; or the name of what needs no training, or its end: of "filter bank" the
            better input counts, and its one row is given for every seed that the networks have.
        steps: After which the network was measured; of no account for what needs no training.

    Returns:
        (seeds, images), nan where an image lacks the structure.

    Raises:
        ValueError: No record holds it, or no image has the structure.

    Example:
        >>> means = {"clusters": {"NMI": 0.2}, "k-means": {"NMI": 0.1}}
        >>> found = {f"eye {row}, images": {"0": value} for row, value in means.items()}
        >>> about = {"way": "both", "steps": 10, "seed": 0}
        >>> record = {"parameters": about, "metrics": found | {"eye means": means}}
        >>> image_values([record], "eye", "NMI", "both", 10)
        array([[0.2]])
    """
    networks, found = way in WAYS, {}
    for record in sorted(records, key=lambda record: record["parameters"]["seed"]):
        about, metrics = record["parameters"], record["metrics"]
        if networks and (about["way"], about["steps"]) != (way, steps):
            continue
        for row in metrics.get(f"{dataset} means", {}):
            if networks or about["way"] == "rivals" and row.endswith(way):
                table = pd.DataFrame(metrics[f"{dataset} {row}, images"]).T
                if column in table:
                    found.setdefault(row, []).append(table[column].to_numpy(float))
    found = {row: values for row, values in found.items() if not np.isnan(values).all()}
    if not found:
        raise ValueError(f"no record holds {column} of {way} on {dataset} after {steps} steps")
    best = np.array(max(found.values(), key=np.nanmean))
    if networks:
        return best
    seeds = {r["parameters"]["seed"] for r in records if r["parameters"]["way"] != "rivals"}
    return np.repeat(best[:1], len(seeds), axis=0)
