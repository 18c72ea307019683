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
_VESSELS, _DISC = (
    tuple(f"{measure} {name}" for measure in ("AP", "AUC", "Dice")) for name in ("vessel", "disc")
)
_ORGANS = ("AP lungs", "AUC lungs", "Dice lungs", "AP heart", "AUC heart", "Dice heart")
SHOWN = {
    "chase_db1": (*_VESSELS, "AP vessel across"),
    "drions": _DISC,
    "drions" + RAW: _DISC,
    "simulated_fundus": ("AP vessel", "Dice vessel", "AP disc", "Dice disc", "AP fovea"),
    "covid19_cxr_seg": (*_ORGANS, "AP lungs across"),
    "simulated_chest": _ORGANS,
}
"""What the tables show of the structures of a dataset, before `OF_ALL` and `BESIDE`."""
OF_ALL = ("matched IoU", "NMI", "NMI of structures")
BESIDE = {"largest area": "means", "decided pixels": "health"}
"""Signs of the clustering branch, without which no measure of clusters can be judged, and the part
of a record that holds them.
"""
OF_ORGANS = {"fundus": (), "chest": ("AUC lungs", "AUC heart")}
"""By which *both* is also compared with intensities: organs that brightness alone tells apart."""
COMPARED = ("both", "embedding only")
ALONE = ("embedding only", "clustering only")
ELSEWHERE = {"fundus": ("simulated_fundus", "NMI of structures"), "chest": None}
"""A further comparison of *both* with *embedding only*: photographs with several structures are
simulated ones.
"""


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
        table = _curve(records, dataset, column)
        if len(table):
            means = rival_means(records, dataset.removesuffix(RAW))
            baselines = means[column].to_dict() if column in means else {}
            panels[f"{column}, {dataset}"] = table, baselines
    return panels


def _curve(records: list[dict], dataset: str, column: str) -> pd.DataFrame:
    """As `curves`, with k-means and of the records that hold the measure."""
    held = [
        record
        for record in records
        if column in record["metrics"].get(f"{dataset} means", {}).get("k-means", {})
    ]
    return curves(held, dataset, "k-means", column)


UNTRAINED = "untrained"


def learning_table(
    records: list[dict], modality: str, steps: int | None = None, dataset: str | None = None
) -> tuple[int, pd.DataFrame]:
    """What was reached after n steps.

    Args:
        records: Of `learning_study`.
        modality: "fundus" or "chest".
        steps: Their number; None takes the largest that three seeds of *both* and of *embedding
            only* have.
        dataset: One of `SHOWN`; None takes that of `ASKED`.

    Returns:
        The number of steps, 0 where there is none; and a row for the untrained network, for each
        way of training and each rival, with mean and standard deviation over seeds. A network
        counts in each measure with the better of its two ways of clustering; `BESIDE` is said of
        its clustering branch. A measure that no image has is left out.

    Taught in notebook 02, section 10.
    """
    dataset = ASKED[modality][0] if dataset is None else dataset
    steps = last_common_step(records, COMPARED) if steps is None else steps
    trained = {record["parameters"]["way"] for record in records} & set(WAYS)
    rows = {UNTRAINED: (COMPARED[0], 0)}
    rows |= {way: (way, steps) for way in WAYS if way in trained}
    rows |= {name: (name, 0) for name in rival_means(records, dataset.removesuffix(RAW)).index}
    found = {}
    for name, (way, after) in rows.items() if steps else ():
        where = dataset if way in WAYS else dataset.removesuffix(RAW)
        cells = {}
        for column in (*SHOWN[dataset], *OF_ALL):
            with suppress(ValueError):  # a way may have been trained for fewer steps
                values = image_values(records, where, column, way, after)
                cells[column] = _cell(values, way in WAYS)
        if cells:
            found[name] = cells | _beside(records, where, way, after)
    return steps, pd.DataFrame(found).T.fillna("")


def _beside(records: list[dict], dataset: str, way: str, steps: int) -> dict[str, str]:
    """Signs of the clustering branch of a way after some steps, mean over seeds."""
    of_way = [
        record["metrics"]
        for record in records
        if (record["parameters"]["way"], record["parameters"]["steps"]) == (way, steps)
    ]
    found = {}
    for sign, part in BESIDE.items():
        tables = [metrics.get(f"{dataset} {part}", {}) for metrics in of_way]
        values = [table.get("clusters", table).get(sign, np.nan) for table in tables]
        if values and not np.isnan(values).all():
            found[sign] = f"{np.nanmean(values):.2f}"
    return found


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
    curve = _curve(records, dataset, column).query("way == @way")
    if not len(curve):
        raise ValueError(f"no record holds {column} of {way} on {dataset}")
    return int(curve.groupby("steps")["value"].mean().idxmax())


def comparisons(records: list[dict], modality: str) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """What decides whether the branches help each other: *both* against each branch alone and
    against what needs no training, on test images.

    *both* is taken at the step that was chosen on training images, and at the last one. Its
    strongest opponents are the branches alone, each at the step at which similarity finds most with
    it on the very test images.

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
    columns = (precision, f"{precision} across", *OF_ALL)
    pairs = []
    for alone in ALONE:
        last = last_common_step(records, ("both", alone))
        if last < chosen:
            continue
        best = best_step(records, dataset, precision, alone)
        pairs += [(column, "chosen", chosen, "", alone, chosen) for column in columns]
        hardest = columns if alone in COMPARED else (precision,)
        pairs += [(c, "chosen", chosen, " at its best step", alone, best) for c in hardest]
        pairs += [(column, "last", last, "", alone, last) for column in columns]
    pairs = [(dataset, *pair) for pair in pairs]
    if pairs:
        if elsewhere := ELSEWHERE[modality]:
            pairs += [(*elsewhere, "chosen", chosen, "", COMPARED[1], chosen)]
            pairs += [(*elsewhere, "last", last, "", COMPARED[1], last)]
        rivals = ("filter bank", "ImageNet")
        pairs += [(dataset, precision, "chosen", chosen, "", rival, 0) for rival in rivals]
        organs = OF_ORGANS[modality]
        pairs += [(dataset, organ, "chosen", chosen, "", "intensities", 0) for organ in organs]
    for images, column, which, ours, added, other, theirs in pairs:
        with suppress(ValueError):  # not measured, or one structure alone, told from no other
            better = image_values(records, images, column, "both", ours)
            worse = image_values(records, images, column, other, theirs)
            claim = f"{column}, {which} step: both better than {other}{added}"
            yield f"long runs, {images}, {claim}", better, worse


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


QUICK, QUICK_AP = "00_quickstart", "average precision for vessel better than untrained"
"""Notebook with short runs on CHASE_DB1, and the claim that holds their AP image by image."""
NOTICED = (0, 1, 2)
"""Seeds of these runs with which we noticed that they lead the filter bank. A claim that was found
in a table must be tested on other runs than those of the table.
"""


def short_runs(records: list[dict]) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """The short training of notebook 00 on the 20 training photographs of CHASE_DB1 against what
    needs no training, with fresh seeds.

    Args:
        records: Of `learning_study`, of photographs; they hold what needs no training.

    Yields:
        A claim, and two arrays (seeds, images) of which it says that the first is better; nothing
        where fewer than three fresh seeds are kept.

    Taught in notebook 02, section 10.
    """
    runs = committed_records(QUICK, dataset="chase_db1", tier="class")
    fresh = [run["claims"][QUICK_AP]["better"] for run in runs if run["seed"] not in NOTICED]
    if len(fresh) < 3:
        return
    for other in ("filter bank", "ImageNet"):
        theirs = image_values(records, "chase_db1", "AP vessel", other, 0)
        claim = f"short runs, chase_db1, AP vessel: better than {other}"
        yield claim, np.array(fresh), np.repeat(theirs[:1], len(fresh), axis=0)


def _cell(values: np.ndarray, trained: bool) -> str:
    """Mean over images and seeds, with the standard deviation over seeds where there are some."""
    by_seed = np.nanmean(values, axis=1)
    spread = f" ± {by_seed.std(ddof=1):.3f}" if trained and len(by_seed) > 1 else ""
    return f"{by_seed.mean():.3f}{spread}"
