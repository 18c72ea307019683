"""What the committed cells say: the transfer table, paired gains, and where they come from."""

import numpy as np
import pandas as pd

from ..data.checks import instance, text, whole
from ..data.checks import names as names_of
from ..data.errors import DataError, one_of
from ..runs.intervals import Difference, paired_difference
from ..runs.records import committed_records
from .pretraining import NAME
from .tasks import REAL_TASKS

ORDER = (
    "random",
    "scratch",
    "autoencoder",
    "instance",
    "dense",
    "imagenet",
    "imagenet doubled",
    "embedding only, no mixup",
    "embedding only",
    "ldr",
    "no jitter",
    "guided",
)
"""Initialisations in the order of the tables; a further pretraining such as "ldr-1" follows its
method.
"""
MEASURES = ("Dice", "clDice", "HD95", "between images")
PROTOCOLS = ("frozen", "fine-tuned")
ROW = ["task", "protocol", "init", "labels"]
"""What stands in one place of the tables."""
KEYS = ["task", "protocol", "labels", "seed", "labelled"]
"""What two cells must share to be compared."""


def transfer_records(tier: str = "study") -> pd.DataFrame:
    """The committed cells, as `ldr_lib.transfer.experiment.cell` measured them: one row per cell
    and protocol.

    Args:
        tier: As in `TransferSettings.for_tier`.

    Returns:
        Columns task, init, labels (0: all), seed, "labelled" (the names of the labelled images),
        protocol, "Dice" (mean over the test images), "between images" (their standard deviation),
        "clDice" or "HD95", "images" (a Series of Dice by test image), and "looks" (number of steps
        to Dice of the images that were set aside).

    Raises:
        DataError: No cell of this tier is kept.

    Taught in notebook 05, section 5.
    """
    rows = []
    for record in committed_records(NAME, tier=tier):
        if "task" not in record["parameters"]:
            continue
        about = {key: record["parameters"][key] for key in ("task", "init", "labels", "seed")}
        about["labelled"] = ", ".join(sorted(record["metrics"]["labelled"]))
        for protocol in PROTOCOLS:
            if protocol in record["metrics"]:
                images = pd.DataFrame(record["metrics"][f"{protocol}, images"]).T
                rows.append(
                    about
                    | {"protocol": protocol}
                    | record["metrics"][protocol]
                    | {"between images": images["Dice"].std(), "images": images["Dice"]}
                    | {"looks": record["metrics"].get(f"{protocol}, looks", {})}
                )
    if not rows:
        raise DataError(
            f"no cell of tier {tier} has a record; python -m ldr_lib transfer ... measures one"
        )
    return pd.DataFrame(rows)


def by_draw(rows: pd.DataFrame, measure: str, *more: str) -> pd.DataFrame:
    """The means over runs that had the same labelled images. Such runs differ in decoder and crops
    alone, so that an interval must not count them as one draw each. Where all images are labelled
    nothing is drawn, and each run stands for itself.

    Args:
        rows: One for each run, as `transfer_records` returns them.
        measure: The column of which the mean is taken.
        more: Further columns that tell rows apart.

    Returns:
        A row for each draw: columns task, protocol, init, labels, "draw", `more`, the measure, and
        "runs" (their number).
    """
    rows = rows.assign(draw=rows["labelled"].where(rows["labels"] != 0, rows["seed"].astype(str)))
    means = rows.groupby([*ROW, "draw", *more], sort=False)[measure].agg(["mean", "count"])
    return means.rename(columns={"mean": measure, "count": "runs"}).reset_index()


def transfer_table(records: pd.DataFrame, measure: str = "Dice") -> pd.DataFrame:
    """The big table: mean ± standard deviation over draws of the labelled images, of which seeds
    that drew the same ones are one; over seeds where all images are labelled.

    Args:
        records: As `transfer_records` returns them.
        measure: One of `MEASURES`.

    Returns:
        A row for each task, protocol and initialisation, a column for each number of labels. In
        brackets are the numbers of draws and runs where they differ, or the number of runs where
        there are fewer than three.

    Raises:
        ValueError: There are no records, or the measure is unknown.

    Taught in notebook 05, section 5.
    """
    require_records(records, measure)
    return _laid_out(records.dropna(subset=[measure]), measure, 1 if measure == "HD95" else 3)


def gains(records: pd.DataFrame, over: str = "random", measure: str = "Dice") -> pd.DataFrame:
    """What each initialisation gains over another one, cell by cell with the same task, protocol,
    labelled images and seed.

    Args:
        records: As `transfer_records` returns them.
        over: The other initialisation.
        measure: One of `MEASURES`.

    Returns:
        As `transfer_table`: mean ± standard deviation of the differences over draws.

    Raises:
        ValueError: There are no records, or initialisation or measure are unknown.

    Taught in notebook 05, section 5.
    """
    paired = paired_gains(records, over, measure)
    return _laid_out(paired, "gain", 1 if measure == "HD95" else 3, sign="+")


def paired_gains(
    records: pd.DataFrame, over: str = "random", measure: str = "Dice"
) -> pd.DataFrame:
    """The single differences behind `gains`: the rows of all other initialisations, with a column
    "gain".

    Raises:
        ValueError: There are no records, or initialisation or measure are unknown.
    """
    require_records(records, measure)
    one_of(over, list(records["init"].unique()), "initialisation of these records")
    other = records[records["init"] == over].set_index(KEYS)[measure]
    rest = records[~records["init"].isin([over])].dropna(subset=[measure]).copy()
    rest["gain"] = (
        rest[measure].to_numpy() - other.reindex(pd.MultiIndex.from_frame(rest[KEYS])).to_numpy()
    )
    return rest.dropna(subset=["gain"])


def paired_images(
    records: pd.DataFrame,
    task: str,
    protocol: str,
    init: str,
    over: str = "random",
    labels: int = 1,
) -> tuple[np.ndarray, np.ndarray]:
    """Dice of two initialisations on the same test images, from the same labelled subsets. Seeds
    that drew the same subset are one row, their mean; where all images are labelled nothing is
    drawn, and each seed has its row.

    Args:
        records: As `transfer_records` returns them.
        task: Name of the task.
        protocol: "frozen" or "fine-tuned".
        init: An initialisation.
        over: The other one.
        labels: Number of labelled images; 0 for all.

    Returns:
        Two arrays (draws, images).

    Raises:
        DataError: The two have no seed in common that drew the same images.
        ValueError: There are no records.

    Taught in notebook 05, section 7.
    """
    ours, theirs = _paired_runs(records, task, protocol, init, over, labels)
    return _draws(ours), _draws(theirs)


def _paired_runs(
    records: pd.DataFrame, task: str, protocol: str, init: str, over: str, labels: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What `paired_images` averages: a row for each seed, by its draw, and a column for each test
    image.
    """
    require_records(records)
    for name, given in (("task", task), ("protocol", protocol), ("init", init), ("over", over)):
        text(given, name)
    labels = whole(labels, "labels")
    cell = records.query("task == @task and protocol == @protocol and labels == @labels")
    cell = cell.set_index(["seed", "labelled"])
    ours, theirs = (cell.loc[cell["init"] == name, "images"] for name in (init, over))
    runs = ours.index.intersection(theirs.index).sort_values()
    if runs.empty:
        raise DataError(f"no cell of {task}, {protocol}, has both {init} and {over}")
    draws = runs.get_level_values("labelled" if labels else "seed")
    images = ours.loc[runs[0]].index
    first, second = (
        pd.DataFrame([side.loc[run][images].to_numpy() for run in runs], draws, images)
        for side in (ours, theirs)
    )
    return first, second


def _draws(runs: pd.DataFrame) -> np.ndarray:
    """(draws, images) means over the runs of each draw."""
    return runs.groupby(level=0, sort=False).mean().to_numpy()


def gain_intervals(
    records: pd.DataFrame, inits: tuple[str, ...], over: str = "random", labels: int = 1
) -> pd.DataFrame:
    """Paired gains with their 95 % intervals over labelled subsets and test images.

    Args:
        records: As `transfer_records` returns them.
        inits: Initialisations.
        over: What they are compared with.
        labels: Number of labelled images; 0 for all.

    Returns:
        A row for each task, protocol and initialisation that was measured: "gain", "low", "high",
            "state", "draws" (of labelled images, the runs of the interval), "seeds", "images".

    Raises:
        ValueError: There are no records, or none of these initialisations and numbers of labels.

    Taught in notebook 05, section 5.
    """
    require_records(records)
    measured, counts = list(records["init"].unique()), [int(n) for n in records["labels"].unique()]
    one_of(over, measured, "initialisation of these records")
    one_of(whole(labels, "labels"), counts, "number of labels of these records")
    inits, rows = names_of(inits, "inits", "initialisations"), {}
    if not set(inits) & set(measured):
        raise ValueError(f"none of {', '.join(inits)} is measured in these records")
    for task in REAL_TASKS:
        for protocol in PROTOCOLS:
            for init in inits:
                try:
                    ours, theirs = _paired_runs(records, task, protocol, init, over, labels)
                except DataError:
                    continue
                gain = paired_difference(_draws(ours), _draws(theirs))
                rows[task, protocol, init] = _row(gain, len(ours))
    return pd.DataFrame(rows).T.rename_axis(["task", "protocol", "init"])


def require_records(records: pd.DataFrame, measure: str = "Dice") -> None:
    """Makes sure that something is a table of cells with a measure.

    Args:
        records: As `transfer_records` returns them.
        measure: One of `MEASURES`.

    Raises:
        ValueError: It is none.
    """
    instance(records, pd.DataFrame, "records", "a table, as transfer_records returns it")
    missing = {*KEYS, "init", "images"} - set(records.columns)
    if missing or not len(records):
        raise ValueError(
            "records must be a table as transfer_records returns it, this one has "
            f"{len(records)} rows and lacks {', '.join(sorted(missing)) or 'nothing'}"
        )
    one_of(measure, [name for name in MEASURES if name in records], "measure")


def _row(gain: Difference, seeds: int) -> dict:
    return {
        "gain": gain.mean,
        "low": gain.low,
        "high": gain.high,
        "state": gain.state(),
        "draws": gain.runs,
        "seeds": seeds,
        "images": gain.images,
    }


def _rank(name: str) -> tuple[int, int, str]:
    """Sorts tasks, protocols and initialisations; a further pretraining follows its method, one of
    fewer steps comes before one of more.
    """
    known = (*REAL_TASKS, *PROTOCOLS, *ORDER)
    before, _, steps = name.rpartition(" after ")
    method = name if name in known else (before or name).partition("-")[0]
    number = int(steps) if before and steps.isdecimal() else 0
    return (known.index(method) if method in known else len(known)), number, name


def _laid_out(rows: pd.DataFrame, measure: str, digits: int, sign: str = "") -> pd.DataFrame:
    def words(draws: pd.DataFrame) -> str:
        values, runs = draws[measure], draws["runs"].sum()
        spread = f" ± {values.std():.{digits}f}" if len(values) > 1 else ""
        return f"{values.mean():{sign}.{digits}f}{spread}{_counted(len(values), runs)}"

    draws = by_draw(rows, measure).groupby(ROW)[[measure, "runs"]]
    shown = draws.apply(words).unstack("labels")
    shown = shown.sort_index(key=lambda level: level.map(_rank))
    shown = shown[sorted(shown.columns, key=lambda n: n or np.inf)]
    return shown.rename(columns=lambda n: f"{n or 'all'} label{'' if n == 1 else 's'}").fillna("")


def _counted(draws: int, runs: int) -> str:
    """The numbers of draws and runs in brackets, where a table has to say them."""
    if draws < runs:
        return f" ({draws} draw{'' if draws == 1 else 's'}, {runs} runs)"
    return "" if runs >= 3 else f" ({runs})"
