"""What the cells of a study of own images say: a row for each image, and means with intervals."""

import numpy as np
import pandas as pd

from ..runs.intervals import paired_difference

KEYS = ["start", "labels", "protocol"]
"""What stands in one row of the summary."""
OVER = "random"
"""The start with which others are compared, where it was measured."""


def results(cells: list[dict]) -> pd.DataFrame:
    """One row for each start, number of labels, protocol, seed and image.

    Args:
        cells: As `own_study` keeps them.

    Returns:
        Columns "start", "labels" ("all" or a number), "protocol", "seed", "fold", "labelled" (names
        of the labelled images; "all"), "image" and the measures, "Dice" and "clDice" or "HD95"
        (pixels).
    """
    rows = [
        {
            "start": cell["start"],
            "labels": cell["labels"] or "all",
            "protocol": protocol,
            "seed": cell["seed"],
            "fold": cell["fold"],
            "labelled": ", ".join(sorted(cell["labelled"])) if cell["labels"] else "all",
            "image": image,
            **measures,
        }
        for cell in cells
        for protocol, images in cell["scores"].items()
        for image, measures in images.items()
    ]
    return pd.DataFrame(rows)


def summary(images: pd.DataFrame) -> pd.DataFrame:
    """Means over images, with standard deviation and 95 % interval.

    Args:
        images: As `results` returns it.

    Returns:
        A row for each start, number of labels and protocol: "images", "seeds", "draws", and for
        each measure its mean, "sd" (between images, over draws of the mean) and "low" and "high"
        (the interval over images and draws of `paired_difference`); where a random start was
        measured, what the start gains over it in Dice, image by image, with the same interval.
        Seeds that drew the same labelled images in every fold are one draw, their mean; where all
        images are labelled nothing is drawn, and each seed counts.
    """
    measures = [name for name in images.columns[images.columns.get_loc("image") + 1 :]]
    groups = {key: group for key, group in images.groupby(KEYS, sort=False)}
    rows = []
    for key, group in groups.items():
        row = dict(zip(KEYS, key))
        for measure in measures:
            values = _by_draw(group, measure)
            if measure == "Dice":
                row |= {"images": values.shape[1], "seeds": group["seed"].nunique()}
                row |= {"draws": len(values)}
            mean = paired_difference(values, np.zeros_like(values))
            between = pd.Series(np.nanmean(values, 0)).std()
            row |= {measure: mean.mean, f"{measure} sd": between}
            row |= {f"{measure} low": mean.low, f"{measure} high": mean.high}
        row |= _gain(group, groups.get((OVER, *key[1:]))) if key[0] != OVER else {}
        rows.append(row)
    return pd.DataFrame(rows)


def _by_draw(group: pd.DataFrame, measure: str) -> np.ndarray:
    """(draws, images) values of a measure, means over the seeds of each draw."""
    by_seed = group.pivot(index="seed", columns="image", values=measure)
    if (group["labels"] != "all").all():
        folds = group.pivot_table("labelled", "seed", "fold", "first")
        by_seed = by_seed.groupby([folds[fold] for fold in folds], sort=False, dropna=False).mean()
    return by_seed.to_numpy(float)


def _gain(group: pd.DataFrame, other: pd.DataFrame | None) -> dict[str, float]:
    """What a start gains over another one, on the draws and images of both."""
    if other is None:
        return {}
    shared = ["labels", "seed", "fold", "labelled", "image"]
    both = group.merge(other, on=shared, suffixes=("", " of other"))
    if both.empty:
        return {}
    gain = paired_difference(_by_draw(both, "Dice"), _by_draw(both, "Dice of other"))
    return {f"over {OVER}": gain.mean, "over low": gain.low, "over high": gain.high}


def shown(table: pd.DataFrame) -> str:
    """A summary for the terminal: one line for each row, intervals in brackets.

    Args:
        table: As `summary` returns it.
    """
    lines = table[[*KEYS, "images", "seeds", "draws"]].copy()
    for name in table.columns:
        if f"{name} sd" in table.columns:
            digits = 1 if name == "HD95" else 3
            lines[name] = [
                f"{row[name]:.{digits}f} ± {row[f'{name} sd']:.{digits}f} "
                f"[{row[f'{name} low']:.{digits}f}, {row[f'{name} high']:.{digits}f}]"
                for _, row in table.iterrows()
            ]
    if f"over {OVER}" in table:
        lines[f"Dice over {OVER}"] = [
            "" if np.isnan(mean) else f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]"
            for mean, low, high in table[[f"over {OVER}", "over low", "over high"]].to_numpy()
        ]
    return lines.to_string(index=False)
