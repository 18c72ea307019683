"""Differences of the ledger with their intervals, in figures that can be read."""

import math
from collections.abc import Iterator
from textwrap import fill

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator

from ..data.checks import whole
from .ledger import STATES, TOO_FEW, require_ledger
from .notebooks import WIDTH

COLOURS = dict(zip(STATES, ("#00527a", "#d55e00", "0.45", "0.75")))
"""Of the states that have an interval."""


def difference_figures(
    table: pd.DataFrame, rows: int = 25
) -> Iterator[tuple[Figure, pd.DataFrame]]:
    """Forest plots of the ledger: the difference of each claim with its 95 % interval.

    Args:
        table: As `build_ledger` returns it, or some of its rows; those without a difference are
            left out.
        rows: A figure has at most so many rows.

    Yields:
        A figure, and the rows of the table that it shows. Each figure is of one sentence of the
        abstract, its rows by notebook; a notebook is split only where it has more rows than one
        figure.

    Raises:
        ValueError: The table is no ledger, or rows is no whole number above 0.

    Taught in notebook 06, section 3.
    """
    require_ledger(table)
    rows = whole(rows, "rows", 1)
    ran = table[table["difference"].notna()]
    for words, group in ran.groupby("abstract", sort=False):
        together = []
        for _, part in group.groupby("notebook"):
            figures = math.ceil(len(part) / rows)
            size = math.ceil(len(part) / figures)
            for first in range(0, len(part), size):
                piece = part.iloc[first : first + size]
                if together and sum(map(len, together)) + len(piece) > rows:
                    yield _drawn(together, words)
                    together = []
                together.append(piece)
        yield _drawn(together, words)


def _drawn(parts: list[pd.DataFrame], words: str) -> tuple[Figure, pd.DataFrame]:
    shown = pd.concat(parts)
    return _forest(shown, words), shown


def _forest(part: pd.DataFrame, title: str) -> Figure:
    """Rows of the ledger below one another, their sentences at the left."""
    names = []
    for (_, data), row in part.iterrows():
        says = row["says"].removesuffix(f" ({row['metric']})")
        number = row["notebook"].partition("_")[0]
        names.append(fill(f"{number}: {says} ({row['metric']}, {data})", 90))
    lines = [1 + name.count("\n") for name in names]
    height = 0.18 * sum(lines) + 0.1 * len(part) + 1.6
    figure, axis = plt.subplots(figsize=(WIDTH / 100, height), layout="constrained")
    at = [sum(lines[:i]) + 0.55 * i + lines[i] / 2 for i in range(len(part))]
    for place, (_, row) in zip(at, part.iterrows()):
        colour = COLOURS[row["state"]]
        axis.plot([row["low"], row["high"]], [place, place], color=colour, linewidth=2.5)
        axis.plot(row["difference"], place, "o", color=colour, markerfacecolor=_face(row["state"]))
    axis.yaxis.set_major_locator(FixedLocator(at))
    axis.set_yticks(at, names, fontsize=9, parse_math=False)
    axis.set_ylim(at[-1] + lines[-1] / 2 + 0.5, -0.5)
    axis.axvline(0, color="0.3", linewidth=1)
    axis.set_xlabel("difference, with 95 % interval")
    figure.suptitle(fill(title, 140), fontsize=11, parse_math=False)
    marks = [
        plt.Line2D([], [], color=colour, marker="o", markerfacecolor=_face(state), label=state)
        for state, colour in COLOURS.items()
    ]
    figure.legend(handles=marks, fontsize=9, loc="outside lower right", ncols=4, frameon=False)
    return figure


def _face(state: str) -> str:
    """Dots that decide nothing for want of runs are hollow."""
    return "white" if state == TOO_FEW else COLOURS[state]
