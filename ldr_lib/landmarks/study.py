"""How well one chosen point finds a landmark in other images, and how well anything else does."""

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from ..data.checks import instance, several
from ..data.checks import names as names_of
from ..data.checks import seed as checked_seed
from ..data.errors import one_of
from ..runs.intervals import paired_difference
from ..runs.paths import runs_folder
from ..runs.run import Run
from ..template import Kernel
from .gallery import LANDMARKS, open_gallery
from .search import KERNELS, PLACES, Searches, available_rows, errors_of

NAME = "07_one_shot_landmarks"
SEEDS = tuple(range(8))
"""Each has another support image, and with several points four more of the same eight."""
UNTRAINED = 3
"""Untrained networks that take turns."""
SUPPORTS = 5
"""Support points of the rows that have several."""
SEVERAL = f", {SUPPORTS} points"
"""End of the names of these rows."""
CHOSEN_ON = 12
"""Training images on which a kernel is chosen; four of them are the support image once."""
MEASURES = ("hit rate", "low", "high", "median error", "told apart", "right decisions")


def choose(
    landmark: str,
    data_dir: str = "",
    rows: Iterable[str] | None = None,
    kernels: Iterable[Kernel] = KERNELS,
    described: dict | None = None,
) -> pd.DataFrame:
    """Hit rates on training images, from which each row's kernel is chosen. Test images are not
    looked at.

    Args:
        landmark: A key of `LANDMARKS`.
        data_dir: Folder of the datasets.
        rows: Some of `ROWS`; None takes all that can be measured here.
        kernels: Among which to choose.
        described: As in `Searches`.

    Returns:
        A line for each row with a kernel: "width", "members", "hit rate" and "median error" of its
        best kernel, by hit rate, then by median error.

    Raises:
        ValueError: Unknown landmark or row.
        DataError: The images cannot be opened.

    Taught in notebook 07, section 3.
    """
    what = LANDMARKS[one_of(landmark, LANDMARKS, "landmark")]
    for kernel in several(kernels, "kernels", "Kernel"):
        instance(kernel, Kernel, "each of kernels", "a Kernel")
    wanted = available_rows() if rows is None else names_of(rows, "rows", "rows")
    images = open_gallery(landmark, data_dir, "train", CHOSEN_ON)
    lines = {}
    for row in wanted:
        if row in PLACES:
            continue
        searches, tried = Searches(row, images, images, what.modality, 0, described), []
        for kernel in kernels:
            errors = []
            for support in _evenly([i for i in range(len(images)) if images.is_clear(i)], 4):
                others = [j for j in range(len(images)) if j != support]
                errors.append(
                    errors_of(searches, searches.scores([support], kernel, others), others)
                )
            errors = np.stack(errors)
            tried.append((-(errors <= what.near).mean(), np.median(errors), kernel))
        hits, median, kernel = min(tried, key=lambda one: one[:2])
        lines[row] = asdict(kernel) | {"hit rate": -hits, "median error": median}
    return pd.DataFrame(lines).T


def measure(
    landmark: str,
    chosen: pd.DataFrame,
    data_dir: str = "",
    rows: Iterable[str] | None = None,
    seeds: Iterable[int] = SEEDS,
    described: dict | None = None,
) -> dict[str, pd.DataFrame]:
    """What every row finds in the test images, given one point in one training image.

    Args:
        landmark: A key of `LANDMARKS`.
        chosen: Kernels, as `choose` returns them.
        data_dir: Folder of the datasets.
        rows: Some of `ROWS`, or such with `SEVERAL` behind; None takes all that can be measured
            here.
        seeds: Each has a support image of its own.
        described: As in `Searches`.

    Returns:
        "table": a line for each row with "hit rate", its 95 % interval "low" and "high", "median
        error", "told apart" (area under the ROC curve of the score between images and the same
        images without the landmark) and "right decisions" (share of both that the bound of
        `ldr_lib.template.bounds` decides correctly). "errors, <row>": a line
        for each seed, a column for each test image.

    Raises:
        ValueError: Unknown landmark or row.
        DataError: The images cannot be opened.

    Taught in notebook 07, section 3.
    """
    what = LANDMARKS[one_of(landmark, LANDMARKS, "landmark")]
    seeds = [checked_seed(seed) for seed in several(seeds, "seeds", "seeds")]
    wanted = rows_with_several() if rows is None else names_of(rows, "rows", "rows")
    instance(chosen, pd.DataFrame, "chosen", "a table, as choose returns it")
    bases = {row.removesuffix(SEVERAL) for row in wanted} - set(PLACES)
    if missing := sorted(bases - set(chosen.index)) or {"width", "members"} - set(chosen):
        raise ValueError(f"chosen holds no {', '.join(missing)}; choose makes such a table")
    support, tests = (open_gallery(landmark, data_dir, split) for split in ("train", "test"))
    numbers = list(range(len(tests)))
    lines, found = {}, {}
    drawn = _drawn([i for i in range(len(support)) if support.is_clear(i)], len(seeds))
    for row in wanted:
        base, points = row.removesuffix(SEVERAL), SUPPORTS if row.endswith(SEVERAL) else 1
        searches = None
        errors, present, absent, decided = [], [], [], []
        for number, seed in enumerate(seeds):
            few = [drawn[(number + k) % len(drawn)] for k in range(points)]
            weights = seed % UNTRAINED if base == "untrained network" else 0
            if searches is None or weights != searches.seed:
                searches = Searches(base, support, tests, what.modality, weights, described)
            if base in PLACES:
                errors.append(errors_of(searches, None, numbers))
                continue
            kernel = kernel_of(chosen, base)
            scores = searches.scores(few, kernel, numbers, seed)
            errors.append(errors_of(searches, scores, numbers))
            here = [best[2] for best in scores.best()]
            gone = scores.without(tests, numbers, 2 * what.near)
            present += here
            absent += gone
            decided += [score >= scores.bound for score in here]
            decided += [score < scores.bound for score in gone]
        errors = np.stack(errors)
        hits = (errors <= what.near).astype(float)
        interval = paired_difference(hits, np.zeros_like(hits))
        lines[row] = dict(
            zip(
                MEASURES,
                (
                    interval.mean,
                    max(0.0, interval.low),
                    min(1.0, interval.high),
                    float(np.median(errors)),
                    _told_apart(present, absent),
                    float(np.mean(decided)) if decided else np.nan,
                ),
            )
        )
        found[f"errors, {row}"] = pd.DataFrame(errors, index=seeds, columns=tests.names)
    return {"table": pd.DataFrame(lines).T} | found


def _drawn(numbers: list[int], n: int) -> list[int]:
    """At most n of the numbers at random."""
    return [int(i) for i in np.random.default_rng(0).permutation(numbers)[:n]]


def _evenly(numbers: list[int], n: int) -> list[int]:
    """At most n of the numbers, evenly from all."""
    return [numbers[i] for i in np.linspace(0, len(numbers) - 1, min(n, len(numbers))).astype(int)]


def rows_with_several() -> list[str]:
    """The rows that can be measured here, those that search with one and with several points."""
    searching = [row for row in available_rows() if row not in PLACES]
    return [*searching, *PLACES, *(row + SEVERAL for row in searching)]


def _told_apart(present: list[float], absent: list[float]) -> float:
    """Area under the ROC curve of scores with the landmark against scores without it."""
    if not present:
        return np.nan
    truth = np.repeat([1, 0], (len(present), len(absent)))
    return float(roc_auc_score(truth, [*present, *absent]))


def kernel_of(chosen: pd.DataFrame, row: str) -> Kernel:
    """The kernel that was chosen for a row."""
    one = chosen.loc[row]
    return Kernel(float(one["width"]), int(one["members"]))


def study(landmarks: Iterable[str] = tuple(LANDMARKS), data_dir: str = "") -> list[Path]:
    """Chooses kernels on training images, measures once on test images, keeps a record for each
    landmark with the project.

    Args:
        landmarks: Keys of `LANDMARKS`.
        data_dir: Folder of the datasets.

    Returns:
        Paths of the records.

    Raises:
        ValueError: Unknown landmark.
        DataError: The images cannot be opened, or the record not written.

    Taught in notebook 07, section 4.
    """
    names = [
        one_of(name, LANDMARKS, "landmark") for name in several(landmarks, "landmarks", "landmarks")
    ]
    kept, described = [], {}
    for name in names:
        folder = runs_folder() / "records" / NAME / name
        run = Run(NAME, {"landmark": name, "seeds": list(SEEDS), "seed": 0}, str(folder))
        run.data(
            train=open_gallery(name, data_dir, "train", 1).fingerprint,
            test=open_gallery(name, data_dir, "test", 1).fingerprint,
        )
        chosen = choose(name, data_dir, described=described)
        results = measure(name, chosen, data_dir, described=described)
        what = LANDMARKS[name]
        run.metrics(unit=what.unit, near=what.near, chosen=chosen, **results)
        kept.append(run.keep(name))
    return kept
