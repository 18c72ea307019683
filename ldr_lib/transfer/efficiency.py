"""How fast an initialisation learns to segment, and how many labels it needs."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ..data.checks import names as names_of
from ..data.checks import number, whole
from ..data.errors import one_of
from ..explore.words import as_written
from .figures import INITS
from .table import PROTOCOLS, ROW, by_draw, require_records


def after_steps(records: pd.DataFrame, labels: int = 4) -> pd.DataFrame:
    """Dice of the set-aside images in the course of the trainings, which have ended at different
    steps. After its end a training counts with its best look, because that network is kept.

    Args:
        records: As `transfer_records` returns them, of a tier that looks at set-aside images.
        labels: Number of labelled images; 0 for all.

    Returns:
        Columns "task", "protocol", "init", "labels", "draw" (as in `by_draw`), "steps" (of the
        stage), "Dice" (mean over the runs of a draw) and "runs".

    Raises:
        ValueError: No training with so many labels looked at set-aside images.

    Taught in notebook 05, section 5.
    """
    require_records(records)
    cells = records[records["labels"] == whole(labels, "labels")]
    looked = cells[cells["looks"].map(bool)] if "looks" in cells else cells[:0]
    if not len(looked):
        raise ValueError(f"no training with {labels or 'all'} labels looked at set-aside images")
    steps = sorted({int(step) for looks in looked["looks"] for step in looks})
    rows = []
    for _, one in looked.iterrows():
        seen = pd.Series({int(step): dice for step, dice in one["looks"].items()}).sort_index()
        values = seen.reindex(steps).fillna(seen.max())
        about = {key: one[key] for key in (*ROW, "seed", "labelled")}
        rows += [about | {"steps": step, "Dice": dice} for step, dice in values.items()]
    return by_draw(pd.DataFrame(rows), "Dice", "steps")


def step_curves(
    records: pd.DataFrame, inits: tuple[str, ...] = ("random", *INITS), labels: int = 4
) -> Figure:
    """Dice of the set-aside images against the number of steps, mean and spread over draws.

    Args:
        records: As `transfer_records` returns them, of a tier that looks at set-aside images.
        inits: Initialisations.
        labels: Number of labelled images; 0 for all.

    Returns:
        A figure with a column for each task and a row for each protocol, all on one scale.

    Raises:
        ValueError: No training with so many labels looked at set-aside images, or none of these
            initialisations is measured.

    Taught in notebook 05, section 5.
    """
    table, inits = after_steps(records, labels), names_of(inits, "inits", "initialisations")
    order = [init for init in inits if init in set(table["init"])]
    if not order:
        raise ValueError(f"none of {', '.join(inits)} is measured in these records")
    colours = dict(zip(order, sns.color_palette("colorblind", len(order))))
    table, tasks = table[table["init"].isin(order)], list(dict.fromkeys(table["task"]))
    figure, axes = plt.subplots(
        len(PROTOCOLS),
        len(tasks),
        figsize=(12, 5),
        sharex=True,
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for line, protocol in zip(axes, PROTOCOLS):
        for axis, task in zip(line, tasks):
            part = table[table["task"].eq(task) & table["protocol"].eq(protocol)]
            if len(part):
                sns.lineplot(
                    part,
                    x="steps",
                    y="Dice",
                    hue="init",
                    palette=colours,
                    errorbar="sd",
                    err_kws={"alpha": 0.12},
                    legend=False,
                    ax=axis,
                )
            axis.set(title=f"{task.split('_')[0]}, {protocol}", xlabel="", ylim=(0, 1))
            axis.grid(alpha=0.3)
    lines = [Line2D([], [], color=colour, label=init) for init, colour in colours.items()]
    legend = figure.legend(handles=lines, loc="outside right center", title="initialisation")
    for text in legend.get_texts():
        text.set(**as_written())
    figure.supxlabel("steps of the stage")
    return figure


def labels_to_reach(
    records: pd.DataFrame, share: float = 0.95, over: str = "random"
) -> pd.DataFrame:
    """The fewest labelled images, of the numbers that were measured, with which an initialisation
    reaches a share of what another one reaches with all of them.

    Args:
        records: As `transfer_records` returns them.
        share: Of the mean Dice of the other one with all labels, in (0, 1].
        over: The other initialisation.

    Returns:
        A row for each task and protocol: "Dice to reach", and a column for each initialisation
            with the number of labels, "all", or "not reached"; empty where it was not measured.

    Raises:
        ValueError: The other one was not measured with all labels, or the share is none.

    Taught in notebook 05, section 5.
    """
    require_records(records)
    share = number(share, "share", 0, 1)
    whole_set = records[records["labels"] == 0]
    one_of(over, list(whole_set["init"].unique()), "initialisation measured with all labels")
    means = by_draw(records, "Dice").groupby(ROW)["Dice"].mean()
    rows = {}
    for (task, protocol, init), dice in means.groupby(level=[0, 1, 2]):
        target = means.get((task, protocol, over, 0), np.nan) * share
        if np.isnan(target):
            continue
        enough = [n for *_, n in dice.index[dice >= target]]
        fewest = min(enough, key=lambda n: n or np.inf, default=None)
        said = "not reached" if fewest is None else str(fewest or "all")
        rows.setdefault((task, protocol), {"Dice to reach": round(target, 3)})[init] = said
    table = pd.DataFrame(rows).T.rename_axis(["task", "protocol"])
    return table.fillna("")
