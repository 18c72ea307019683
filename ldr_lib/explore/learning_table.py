"""Tables of the long trainings: ways of training and what needs no training, by one distance."""

from collections.abc import Iterable, Iterator
from contextlib import suppress

import numpy as np
import pandas as pd

from ..data.errors import one_of
from ..pretrained import REPRESENTATIONS
from ..runs.records import committed_records
from .learning import NAME, RAW, WAYS, curves, image_values, last_common_step, rival_means

ASKED = {"fundus": ("chase_db1", "vessel"), "chest": ("covid19_cxr_seg", "lungs")}
"""Modality to the test images and their main structure."""
SHOWN = {
    "fundus": ("AP vessel", "AP vessel across", "AUC vessel", "Dice vessel"),
    "chest": ("AP lungs", "AP lungs across", "AUC lungs", "AP heart", "AUC heart", "Dice lungs"),
}
"""What the tables show of their structures, before matched IoU and NMI of all."""
OF_ORGANS = {"fundus": (), "chest": ("AUC lungs", "AUC heart")}
"""By which *both* is also compared with intensities: organs that brightness alone tells apart."""
COMPARED = ("both", "embedding only")
ALONE = ("embedding only", "clustering only")


def learning_records(modality: str) -> list[dict]:
    """The kept records of long trainings, measured on test images."""
    return committed_records(NAME, modality=modality, split="test")


def long_run_panels(
    modality: str, measured: Iterable[tuple[str, str]]
) -> dict[str, tuple[pd.DataFrame, dict[str, float]]]:
    """Curves of the long trainings on test images, beside what needs no training.

    Args:
        modality: "fundus", "chest" or "other", of which there are none.
        measured: Datasets and measures, for example ("chase_db1", "AP vessel"). A name that ends
            with " raw" stands for photographs in their own colours.

    Returns:
        A panel for `ldr_lib.explore.learning_curves` for each of them that records hold. Its title
        is the measure and the dataset, as in "AP vessel, chase_db1".

    Example:
        >>> panels = long_run_panels("fundus", [("chase_db1", "AP vessel"), ("mine", "AP vessel")])
        >>> list(panels)
        ['AP vessel, chase_db1']

    Taught in notebook 02, section 10.
    """
    records = learning_records(modality)
    panels = {}
    for dataset, column in measured:
        table = curves(records, dataset, "k-means", column)
        if len(table):
            means = rival_means(records, dataset.removesuffix(RAW))
            panels[f"{column}, {dataset}"] = table, means[column].to_dict()
    return panels


def learning_table(
    records: list[dict], modality: str, steps: int | None = None
) -> tuple[int, pd.DataFrame]:
    """What was reached after n steps.

    Args:
        records: Of `learning_study`.
        modality: "fundus" or "chest".
        steps: Their number; None takes the largest that three seeds of *both* and of *embedding
            only* have.

    Returns:
        The number of steps, 0 where there is none; and a row for each way of training and each
        rival, with mean and standard deviation over seeds.

    Taught in notebook 02, section 10.
    """
    dataset, _ = ASKED[modality]
    steps = last_common_step(records, COMPARED) if steps is None else steps
    columns = (*SHOWN[modality], "matched IoU", "NMI")
    trained = {record["parameters"]["way"] for record in records} & set(WAYS)
    rows = [way for way in WAYS if way in trained]
    rows += list(rival_means(records, dataset).index)
    found = {}
    for way in rows if steps else ():
        with suppress(ValueError):  # a way may have been trained for fewer steps
            values = {c: image_values(records, dataset, c, way, steps) for c in columns}
            found[way] = {c: _cell(v, way in WAYS) for c, v in values.items()}
    return steps, pd.DataFrame(found).T


def chosen_step(modality: str) -> int:
    """The step of *both* that was chosen on training images, and whose network comes with the
    package.

    Args:
        modality: "fundus" or "chest".

    Taught in notebook 02, section 10.
    """
    return REPRESENTATIONS[one_of(modality, ASKED, "modality")]["both"][0]


def best_step(records: list[dict], dataset: str, column: str, way: str = "embedding only") -> int:
    """The number of steps after which a way of training finds a structure best, in the mean over
    seeds.

    Args:
        records: Of `learning_study`. Of training images they choose a step; of test images they
            give the strongest opponent.
        dataset: One of those judged.
        column: As in `ldr_lib.evaluation.agreement`.
        way: One of `ldr_lib.explore.learning.WAYS`.

    Raises:
        ValueError: No record holds it.
    """
    curve = curves(records, dataset, "k-means", column).query("way == @way")
    if not len(curve):
        raise ValueError(f"no record holds {column} of {way} on {dataset}")
    return int(curve.groupby("steps")["value"].mean().idxmax())


def comparisons(records: list[dict], modality: str) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """What decides whether the branches help each other: *both* against each branch alone and
    against what needs no training, on test images.

    *both* is taken at the step that was chosen on training images, and at the last one. Its
    strongest opponents are the branches alone, each at the step that is best for it on the very
    test images.

    Args:
        records: Of `learning_study`.
        modality: "fundus" or "chest".

    Yields:
        A claim, and two arrays (seeds, images) of which it says that the first is better. A way of
        training is left out where three seeds of it and of *both* were not measured at the chosen
        step.

    Taught in notebook 02, section 10.
    """
    dataset, main = ASKED[modality]
    precision, chosen = f"AP {main}", chosen_step(modality)
    columns = (precision, f"{precision} across", "matched IoU", "NMI")
    pairs = []
    for alone in ALONE:
        last = last_common_step(records, ("both", alone))
        if last < chosen:
            continue
        best = best_step(records, dataset, precision, alone)
        pairs += [(column, "chosen", chosen, "", alone, chosen) for column in columns]
        pairs += [(precision, "chosen", chosen, " at its best step", alone, best)]
        pairs += [(column, "last", last, "", alone, last) for column in columns]
    if pairs:
        rivals = ("filter bank", "ImageNet")
        pairs += [(precision, "chosen", chosen, "", rival, 0) for rival in rivals]
        organs = OF_ORGANS[modality]
        pairs += [(column, "chosen", chosen, "", "intensities", 0) for column in organs]
    for column, which, ours, added, other, theirs in pairs:
        with suppress(ValueError):  # a rival may not have been measured
            better = image_values(records, dataset, column, "both", ours)
            worse = image_values(records, dataset, column, other, theirs)
            claim = f"{column}, {which} step: both better than {other}{added}"
            yield f"long runs, {dataset}, {claim}", better, worse


OPPONENTS = ("both", "intensities", "filter bank", "ImageNet")
WITHOUT_JITTER = (
    ("chase_db1", "chase_db1", "AP vessel", ("embedding only, no jitter", *OPPONENTS)),
    ("drions", "drions raw", "AP disc", OPPONENTS[1:]),  # *both* was not shown raw discs thrice
    ("drions", "drions raw", "AUC disc", ("intensities",)),
)
"""Photographs, the name under which networks without colour jitter were shown them, the measure,
and the opponents. The disc is found best in the first stage, which the two ways without jitter
share.
"""


def without_jitter(records: list[dict]) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """What views that keep their colours change: *no jitter* against other ways of training and
    what needs no training, on test photographs, each at the step that training images chose for
    the measure; against the embedding branch alone also after as many steps.

    Args:
        records: Of `learning_study`, of photographs.

    Yields:
        A claim, and two arrays (seeds, images) of which it says that the first is better.

    Taught in notebook 02, section 10.
    """
    trained = committed_records(NAME, modality="fundus", split="train")
    for dataset, shown, column, others in WITHOUT_JITTER:
        for other in others:
            with suppress(ValueError):  # not measured
                ours = best_step(trained, shown, column, "no jitter")
                better = image_values(records, shown, column, "no jitter", ours)
                where, steps = dataset, {"": 0}
                if other in WAYS:
                    where, steps = shown, {"": best_step(trained, shown, column, other)}
                if other.startswith("embedding only"):
                    steps[" after as many steps"] = ours
                for added, theirs in steps.items():
                    worse = image_values(records, where, column, other, theirs)
                    claim = f"{column}: no jitter better than {other}{added}"
                    yield f"long runs, {dataset}, {claim}", better, worse


def _cell(values: np.ndarray, trained: bool) -> str:
    """Mean over images and seeds, with the standard deviation over seeds where there are some."""
    by_seed = np.nanmean(values, axis=1)
    spread = f" ± {by_seed.std(ddof=1):.3f}" if trained and len(by_seed) > 1 else ""
    return f"{by_seed.mean():.3f}{spread}"
