"""Figures of the transfer table: gains with intervals, gains over labels, segmentations side by
side.
"""

from numbers import Real

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from ..data.checks import as_bytes, equally_many, instance, mask, named, one_shape, several
from ..data.checks import names as names_of
from ..data.errors import one_of
from ..explore.failures import errors_legend, paint_errors
from ..explore.words import as_written, write_title
from .table import PROTOCOLS, by_draw, gain_intervals, paired_gains, require_records
from .tasks import REAL_TASKS

INITS = ("autoencoder", "instance", "dense", "imagenet", "ldr")
"""Pretrainings that are compared with a random encoder."""


def gains_forest(
    records: pd.DataFrame, inits: tuple[str, ...] = INITS, over: str = "random", labels: int = 1
) -> tuple[Figure, pd.DataFrame]:
    """Forest plot of the paired gains: a dot and its 95 % interval for each initialisation.

    Args:
        records: As `transfer_records` returns them.
        inits: Initialisations.
        over: What they are compared with.
        labels: Number of labelled images; 0 for all.

    Returns:
        The figure, a column for each task and a row for each protocol, one scale; and the numbers,
        as `gain_intervals` returns them.

    Taught in notebook 05, section 5.
    """
    table = gain_intervals(records, inits, over, labels)
    tasks = list(dict.fromkeys(table.index.get_level_values("task")))
    inits = [init for init in inits if init in table.index.get_level_values("init")]
    figure, axes = plt.subplots(
        len(PROTOCOLS),
        len(tasks),
        figsize=(12, 0.45 * len(inits) * len(PROTOCOLS) + 1.6),
        sharex=True,
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    colours = dict(zip(inits, sns.color_palette("colorblind", len(inits))))
    for line, protocol in zip(axes, PROTOCOLS):
        for axis, task in zip(line, tasks):
            axis.axvline(0, color="0.3", linewidth=1)
            for at, init in enumerate(inits):
                if (task, protocol, init) in table.index:
                    row = table.loc[(task, protocol, init)]
                    axis.plot([row["low"], row["high"]], [at, at], color=colours[init], linewidth=3)
                    axis.plot(row["gain"], at, "o", color=colours[init], markersize=8)
            axis.set_title(f"{task.split('_')[0]}, {protocol}")
            axis.grid(axis="x", alpha=0.3)
    axes[0, 0].set(yticks=range(len(inits)), yticklabels=inits, ylim=(len(inits) - 0.5, -0.5))
    figure.supxlabel(f"gain in Dice over {over}, with 95 % interval")
    return figure, table


def label_curves(records: pd.DataFrame, inits: tuple[str, ...] = INITS) -> Figure:
    """Gain over a random encoder against the number of labelled images; a bar is the standard
    deviation over draws.

    Args:
        records: As `transfer_records` returns them.
        inits: Initialisations.

    Returns:
        A figure with a column for each task and a row for each protocol, all on one scale.

    Raises:
        ValueError: There are no records, or no random encoder among them.

    Taught in notebook 05, section 5.
    """
    require_records(records)
    inits = names_of(inits, "inits", "initialisations")
    if not set(inits) - {"random"} & set(records["init"]):
        raise ValueError(f"none of {', '.join(inits)} is measured in these records")
    gains = by_draw(paired_gains(records[records["init"].isin(("random", *inits))]), "gain")
    gains = gains.sort_values("labels", key=lambda n: n.replace(0, 10**6))
    gains = gains.assign(
        labelled=gains["labels"].map(lambda n: str(n or "all")),
        structure=gains["task"].str.split("_").str[0],
    )
    order = [init for init in inits if init in set(gains["init"])]
    tasks = [task for task in REAL_TASKS if task in set(gains["task"])]
    grid = sns.relplot(
        gains,
        x="labelled",
        y="gain",
        hue="init",
        style="init",
        hue_order=order,
        style_order=order,
        row="protocol",
        row_order=PROTOCOLS,
        col="structure",
        col_order=[task.split("_")[0] for task in tasks],
        kind="line",
        errorbar="sd",
        err_style="bars",
        markers=True,
        dashes=False,
        palette="colorblind",
        height=2.6,
        aspect=min(10.8 / (2.6 * len(tasks)), 1.3),  # 12 inches with the legend
    )
    grid.refline(y=0, color="0.3", linestyle="-")
    grid.set_titles("{col_name}, {row_name}")
    grid.set_axis_labels("labelled images", "gain in Dice over random")
    grid.legend.set_title("pretraining")
    for text in grid.legend.get_texts():
        text.set(**as_written())
    return grid.figure


def segmentations(
    images: list[np.ndarray],
    truths: list[np.ndarray],
    found: dict[str, list[np.ndarray]],
    scores: dict[str, list[float]],
) -> Figure:
    """Test images with what each network found of a structure, missed and invented.

    Args:
        images: (H, W) or (H, W, 3) uint8, one for each column.
        truths: (H, W) bool.
        found: Row title to the masks.
        scores: Row title to the Dice of each image, written above it.

    Raises:
        ValueError: Images, masks and scores do not fit each other.
        DataError: An image is neither uint8 nor floats in [0, 1].

    Taught in notebook 05, section 4.
    """
    images = [as_bytes(one, "an image") for one in several(images, "images", "images")]
    truths = [mask(one, "a truth", "HW") for one in several(truths, "truths", "masks (H, W)")]
    equally_many(images=images, truths=truths)
    found = {
        title: [mask(one, "a found mask", "HW") for one in several(masks, title, "masks (H, W)")]
        for title, masks in named(found, "found", "masks (H, W)").items()
    }
    for title, masks in found.items():
        one_of(title, named(scores, "scores", "the Dice of each image"), "row of scores")
        dices = several(scores[title], f"scores[{title!r}]", "Dice, one an image")
        for one in dices:
            instance(one, Real, f"a score of {title}", "a number")
        equally_many(images=images, **{f"masks of {title}": masks, "scores": dices})
        for image, truth, one in zip(images, truths, masks):
            pixels = image if image.ndim == 2 else image[..., 0]
            one_shape(image=pixels, truth=truth, **{f"the mask of {title}": one})
    figure, axes = plt.subplots(
        len(found),
        len(images),
        figsize=(12, 12 * len(found) / len(images)),
        squeeze=False,
        layout="constrained",
    )
    for line, (title, masks) in zip(axes, found.items()):
        for i, axis in enumerate(line):
            axis.imshow(paint_errors(images[i].squeeze(), masks[i], truths[i]))
            axis.set_axis_off()
            write_title(axis, f"{title}: Dice {scores[title][i]:.2f}", fontsize=12)
    return errors_legend(figure)
