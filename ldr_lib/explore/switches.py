"""What the choices behind *both* are worth: the same training with one of them changed, measured on
images of the training splits, where choosing is allowed.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd

from ..callbacks import STEP_FILE
from ..checkpoint import load_model
from ..data.errors import one_of
from ..data.names import safe_name
from ..pretrained import CHANNELS
from ..runs.paths import runs_folder
from ..runs.records import committed_records
from ..runs.run import Run
from ..settings import Settings
from ..tiers import BOTH_BRANCHES, GATHERED, PATCH_STAGE, SHORT_BOTH_BRANCHES
from ..training import train
from .learning import NAME as LONG
from .learning import (
    PER_EPOCH,
    WAYS,
    judged,
    measures,
    settings_of,
    training_folder,
    unlabelled,
)
from .learning_table import ASKED

NAME = "switches"
STEPS = 1_000
"""Of a training with a switch."""
_FIRST, _START, _LAST = (stage for stage, _, _ in WAYS["both"])


def _views(plan: Settings, **changes) -> dict:
    return {"views": plan.views | changes}


def _begun_after(plan: Settings, steps: int) -> dict:
    first, start, last = plan.epochs
    longer = steps // PER_EPOCH - first
    return {"epochs": (first + longer, start, last - longer)}


NOTHING = "nothing"
"""The control: *both* as it is, trained where the switches are."""
SWITCHES: dict[str, Callable[[Settings], dict]] = {
    NOTHING: lambda plan: {},
    "K = 8": lambda plan: {"n_clusters": 8},
    "K = 32": lambda plan: {"n_clusters": 32},
    "D = 16": lambda plan: {"embedding_dim": 16},
    "D = 64": lambda plan: {"embedding_dim": 64},
    "cells twice as wide": lambda plan: {"grid": plan.grid // 2},
    "crops to the whole image": lambda plan: {"crop_scale": (plan.crop_scale[0], 1.0)},
    "half the jitter": lambda plan: _views(plan, colour=plan.view_maker.colour / 2),
    "one appearance": lambda plan: _views(plan, appearances=1),
    "outside counts": lambda plan: _views(plan, field_of_view=False),
    "second stage after 300": lambda plan: _begun_after(plan, 300),
    "second stage after 900": lambda plan: _begun_after(plan, 900),
    "a fifth of the pull": lambda plan: {"stages": (_FIRST, _START, GATHERED | {"prototype": 0.2})},
    "assignment alone": lambda plan: {"stages": (_FIRST, _START, {"assignment": 1.0})},
    "patches go on": lambda plan: {"stages": (_FIRST, _START, PATCH_STAGE | _LAST)},
    "no start from k-means": lambda plan: {
        "stages": (_FIRST, _LAST, _LAST),
        "learning_rate": (4e-3, 5e-4, 5e-4),
    },
    "fast second stage": lambda plan: {"learning_rate": (*plan.learning_rate[:2], 4e-3)},
    "the paper's second stage": lambda plan: {"stages": (_FIRST, _START, BOTH_BRANCHES)},
    "equal areas": lambda plan: {"stages": (_FIRST, _START, SHORT_BOTH_BRANCHES)},
}
"""Name of a switch to the attributes of `Settings` that it changes in those of *both*."""


def switched(switch: str, modality: str, seed: int = 0) -> Settings:
    """The settings of *both* with one choice changed.

    Args:
        switch: One of `SWITCHES`.
        modality: "fundus" or "chest".
        seed: Of the training.

    Raises:
        ValueError: Unknown switch or modality, or it changes nothing there.

    Example:
        >>> switched("cells twice as wide", "fundus").grid, switched("K = 8", "chest").n_clusters
        (8, 8)
    """
    plan = settings_of("both", modality, seed)
    changed = replace(plan, **SWITCHES[one_of(switch, SWITCHES, "switch")](plan))
    if switch != NOTHING and (
        changed == plan or changed.view_maker == plan.view_maker and changed.views != plan.views
    ):
        raise ValueError(f'the switch "{switch}" changes nothing for {modality}')
    return replace(changed, tier=switch)


def switch_study(switch: str, modality: str, seed: int, data_dir: str) -> Path:
    """Trains *both* with one choice changed and keeps what similarity and clusters then show of
    images of the training splits. A training that was interrupted goes on.

    Args:
        switch: One of `SWITCHES`.
        modality: "fundus" or "chest".
        seed: Of the training.
        data_dir: Folder of the datasets.

    Returns:
        Path of the record.

    Raises:
        ValueError: Unknown switch or modality.
        DataError: Images are missing.
    """
    settings = switched(switch, modality, seed)
    images, fingerprint = unlabelled(modality, data_dir, settings.image_size)
    maker, full = settings.view_maker, settings_of("both", modality).view_maker
    if full.field_of_view and not maker.field_of_view:
        images = images[..., :-1]
    if maker.appearances < full.appearances:
        images = images[..., CHANNELS[modality] :]  # without the raw intensities
    folder = training_folder(switch, modality, seed)
    options = dict(data=fingerprint, resume=True, snapshots=[STEPS])
    train(images, settings, folder, until=STEPS, **options)
    net = load_model(folder / STEP_FILE.format(STEPS))
    run = Run(
        NAME,
        dict(switch=switch, modality=modality, steps=STEPS, seed=seed),
        str(runs_folder() / "records" / NAME / label(switch, modality, seed)),
    )
    run.data(train=fingerprint)
    for name, one in judged(modality, data_dir, "train", settings.image_size):
        table = measures(net, one, modality, seed).table
        run.metrics(**{f"{name} means": table.round(4)})
    return run.keep(label(switch, modality, seed))


def label(switch: str, modality: str = "fundus", seed: int = 0) -> str:
    """The name of a record of `switch_study`."""
    return safe_name(f"{modality}_{switch}_{seed}")


def switch_table(modality: str) -> pd.DataFrame:
    """What each choice is worth, on images of the training splits after `STEPS` steps.

    Args:
        modality: "fundus" or "chest".

    Returns:
        A row for *both* and for each switch that was measured, with mean and standard deviation
        over seeds where there are several, and their number.

    Taught in notebook 02, section 10.
    """
    dataset, main = ASKED[modality]
    columns = (f"AP {main}", f"AP {main} across", f"Dice {main}", "matched IoU", "NMI")
    whole = committed_records(LONG, modality=modality, split="train", steps=STEPS)
    changed = committed_records(NAME, modality=modality)
    found = {}
    for record in (*whole, *changed):
        about = record["parameters"]
        means = pd.DataFrame(record["metrics"][f"{dataset} means"]).T
        best = means[list(columns)].astype(float).max()  # the better of two ways of clustering
        found.setdefault(about.get("way") or about["switch"], []).append(best)
    rows = {way: found[way] for way in ("both", "no jitter", *SWITCHES) if way in found}
    return pd.DataFrame({way: _words(pd.DataFrame(seeds)) for way, seeds in rows.items()}).T


def _words(seeds: pd.DataFrame) -> pd.Series:
    """Mean over seeds, with the standard deviation where there are several, and their number."""
    several = len(seeds) > 1
    words = {
        column: f"{values.mean():.3f}" + (f" ± {values.std():.3f}" if several else "")
        for column, values in seeds.items()
    }
    return pd.Series(words | {"seeds": str(len(seeds))})
