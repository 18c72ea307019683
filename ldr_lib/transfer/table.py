"""What the kept cells of the transfer table say: the table itself, what a start gains over another,
label-efficiency curves.
"""

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from ..data.errors import DataError
from ..runs.records import as_markdown, committed_records
from .pretraining import NAME
from .tasks import REAL_TASKS

ORDER = (
    "random",
    "scratch",
    "autoencoder",
    "instance",
    "dense",
    "patch",
    "patch_mixup",
    "ldr",
    "ldr-1",
    "ldr-2",
    "whole",
    "simulated",
    "guided",
)
MEASURES = ("Dice", "clDice", "HD95", "between images")


def transfer_records(tier: str = "study") -> pd.DataFrame:
    """The kept cells, one row per cell and protocol.

    Args:
        tier: As in `TransferSettings.for_tier`.

    Returns:
        Columns task, init, labels (0: all), seed, protocol, "Dice" (mean over the test images),
        "between images" (their standard deviation) and "clDice" or "HD95".

    Raises:
        DataError: No cell of this tier is kept.

    Taught in notebook 05, section 5.
    """
    rows = []
    for record in committed_records(NAME, tier=tier):
        if "task" not in record["parameters"]:
            continue
        about = {key: record["parameters"][key] for key in ("task", "init", "labels", "seed")}
        for protocol in ("frozen", "fine-tuned"):
            if protocol in record["metrics"]:
                images = pd.DataFrame(record["metrics"][f"{protocol}, images"]).T
                rows.append(
                    about
                    | {"protocol": protocol}
                    | record["metrics"][protocol]
                    | {"between images": images["Dice"].std()}
                )
    if not rows:
        raise DataError(
            f"no cell of tier {tier} is kept with the project; python -m ldr_lib transfer ... measures one"
        )
    return pd.DataFrame(rows)


def transfer_table(records: pd.DataFrame, measure: str = "Dice") -> pd.DataFrame:
    """The big table: mean ± standard deviation over seeds.

    Args:
        records: As `transfer_records` returns them.
        measure: One of `MEASURES`.

    Returns:
        A row for each task, protocol and start, a column for each number of labels; fewer than
        three seeds are said in brackets.

    Taught in notebook 05, section 5.
    """
    return _laid_out(records.dropna(subset=[measure]), measure, 1 if measure == "HD95" else 3)


def gains(records: pd.DataFrame, over: str = "random", measure: str = "Dice") -> pd.DataFrame:
    """What each start gains over another one, cell by cell with the same task, protocol, labelled
    images and seed.

    Args:
        records: As `transfer_records` returns them.
        over: The other start.
        measure: One of `MEASURES`.

    Returns:
        As `transfer_table`: mean ± standard deviation of the differences over seeds.

    Taught in notebook 05, section 5.
    """
    paired = paired_gains(records, over, measure)
    return _laid_out(paired, "gain", 1 if measure == "HD95" else 3, sign="+")


def paired_gains(
    records: pd.DataFrame, over: str = "random", measure: str = "Dice"
) -> pd.DataFrame:
    """The single differences behind `gains`: the rows of all other starts, with a column "gain"."""
    keys = ["task", "protocol", "labels", "seed"]
    other = records[records["init"] == over].set_index(keys)[measure]
    rest = records[~records["init"].isin([over])].dropna(subset=[measure]).copy()
    rest["gain"] = (
        rest[measure].to_numpy() - other.reindex(pd.MultiIndex.from_frame(rest[keys])).to_numpy()
    )
    return rest.dropna(subset=["gain"])


def _laid_out(rows: pd.DataFrame, measure: str, digits: int, sign: str = "") -> pd.DataFrame:
    def words(values: pd.Series) -> str:
        few = "" if len(values) >= 3 else f" ({len(values)})"
        spread = f" ± {values.std():.{digits}f}" if len(values) > 1 else ""
        return f"{values.mean():{sign}.{digits}f}{spread}{few}"

    shown = (
        rows.groupby(["task", "protocol", "init", "labels"])[measure].agg(words).unstack("labels")
    )
    rank = {name: i for i, name in enumerate((*REAL_TASKS, "frozen", "fine-tuned", *ORDER))}
    shown = shown.sort_index(key=lambda level: level.map(lambda name: rank.get(name, len(rank))))
    shown = shown[sorted(shown.columns, key=lambda n: n or np.inf)]
    return shown.rename(columns=lambda n: f"{n or 'all'} label{'' if n == 1 else 's'}").fillna("")


def transfer_markdown(
    records: pd.DataFrame, starts: tuple[str, ...] = ("random", "instance", "ldr")
) -> str:
    """Mean Dice of some starts and their gain over the random one, as the README shows them."""
    shown = records[records["init"].isin(starts)]
    table, gain = transfer_table(shown), gains(shown)
    beside = gain.reindex(index=table.index, columns=table.columns, fill_value="").fillna("")
    body = [
        [
            *row,
            *(
                f"{value} ({more})" if more else value
                for value, more in zip(table.loc[row], beside.loc[row])
            ),
        ]
        for row in table.index
    ]
    return as_markdown(["task", "protocol", "start", *table.columns], body)


def label_curves(
    records: pd.DataFrame,
    starts: tuple[str, ...] = ("random", "scratch", "autoencoder", "instance", "dense", "ldr"),
) -> Figure:
    """Dice against the number of labelled images, one line for each start with the spread over
    seeds.

    Args:
        records: As `transfer_records` returns them.
        starts: Which to show.

    Returns:
        A figure with a column for each task and a row for each protocol.

    Taught in notebook 05, section 5.
    """
    shown = records[records["init"].isin(starts)].sort_values(
        "labels", key=lambda n: n.replace(0, 10**6)
    )
    shown = shown.assign(
        labelled=shown["labels"].map(lambda n: str(n or "all")),
        structure=shown["task"].str.split("_").str[0],
    )
    grid = sns.relplot(
        shown,
        x="labelled",
        y="Dice",
        hue="init",
        style="init",
        hue_order=starts,
        style_order=starts,
        row="protocol",
        col="structure",
        kind="line",
        errorbar="sd",
        markers=True,
        dashes=False,
        palette="colorblind",
        height=2.3,
        aspect=1.05,
        facet_kws={"sharey": "col"},
    )
    grid.set_titles("{col_name}, {row_name}").set_xlabels("labelled images")
    grid.legend.set_title("start")
    return grid.figure


def initialisations_side_by_side(
    records: pd.DataFrame,
    labels: int = 1,
    starts: tuple[str, ...] = ("random", "autoencoder", "instance", "dense", "ldr"),
) -> Figure:
    """Dice of each start at one number of labelled images: a dot for each seed, a bar from lowest
    to highest.

    Args:
        records: As `transfer_records` returns them.
        labels: Number of labelled images; 0 for all.
        starts: Which to show.

    Returns:
        A figure with a column for each task and a row for each protocol.

    Taught in notebook 05, section 5.
    """
    shown = records[records["init"].isin(starts) & (records["labels"] == labels)]
    shown = shown.assign(structure=shown["task"].str.split("_").str[0])
    grid = sns.catplot(
        shown,
        x="Dice",
        y="init",
        hue="init",
        order=starts,
        hue_order=starts,
        row="protocol",
        col="structure",
        row_order=("frozen", "fine-tuned"),
        kind="strip",
        jitter=False,
        palette="colorblind",
        legend=False,
        height=1.9,
        aspect=1.15,
        sharex="col",
    )
    for (row, column), of_panel in shown.groupby(["protocol", "structure"]):
        axis = grid.axes[grid.row_names.index(row), grid.col_names.index(column)]
        axis.grid(axis="x", alpha=0.4)
        for at, start in enumerate(starts):
            of_start = of_panel[of_panel["init"] == start]["Dice"]
            axis.hlines(at, of_start.min(), of_start.max(), color="0.4", lw=1)
    return grid.set_titles("{col_name}, {row_name}").set_ylabels("").figure
