"""Forest plots of the ledger are small enough to be read, and show every difference once."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from ldr_lib.runs.forest import COLOURS, difference_figures
from ldr_lib.runs.ledger import COLUMNS


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


def ledger(**claims):
    """A ledger with so many claims of each notebook; sentence "a" of the abstract."""
    rows = [
        dict.fromkeys(COLUMNS, "")
        | dict(abstract="a", notebook=f"{name}_notebook", says=f"claim {i} (Dice)", metric="Dice")
        | dict(state="undecided", difference=i / 100, low=i / 100 - 0.1, high=i / 100 + 0.1)
        for name, n in claims.items()
        for i in range(n)
    ]
    index = pd.MultiIndex.from_tuples([(f"c{i}", "chase_db1") for i in range(len(rows))])
    return pd.DataFrame(rows, index, COLUMNS)


def test_a_figure_has_at_most_25_rows_and_keeps_notebooks_together():
    table = ledger(n00=60, n01=3, n02=10, n03=14)
    table.loc[("c0", "chase_db1"), "difference"] = np.nan
    drawn = list(difference_figures(table))
    assert [len(part) for _, part in drawn] == [20, 20, 22, 24]
    assert sorted(i for _, part in drawn for i in part.index) == sorted(table.index[1:])
    assert set(drawn[3][1]["notebook"]) == {"n02_notebook", "n03_notebook"}


def test_rows_are_named_by_notebook_claim_and_data_in_the_colour_of_the_state():
    table = ledger(n00=2, n01=1)
    table.iloc[1, table.columns.get_loc("state")] = "supported"
    ((figure, _),) = difference_figures(table)
    (axis,) = figure.axes
    labels = axis.get_yticklabels()
    words = [label.get_text() for label in labels]
    assert words[0] == "n00: claim 0 (Dice, chase_db1)" and words[2].startswith("n01: ")
    assert min(label.get_fontsize() for label in labels) >= 9
    bars = axis.lines[:-1:2]
    assert [bar.get_color() for bar in bars] == [
        COLOURS[state] for state in ("undecided", "supported", "undecided")
    ]
    assert list(bars[1].get_xdata()) == pytest.approx([-0.09, 0.11])
    assert figure.get_size_inches()[0] == 12


def test_labels_do_not_overlap():
    table = ledger(n00=5)
    table["says"] = "a long sentence about what one network finds better than another " * 3
    ((figure, _),) = difference_figures(table)
    figure.draw_without_rendering()
    boxes = [label.get_window_extent() for label in figure.axes[0].get_yticklabels()]
    assert all(lower.y1 <= upper.y0 for upper, lower in zip(boxes, boxes[1:]))


def test_what_is_no_ledger_is_refused():
    with pytest.raises(ValueError, match="build_ledger"):
        list(difference_figures(pd.DataFrame({"difference": [1.0]})))
    with pytest.raises(ValueError, match="rows must be"):
        list(difference_figures(ledger(n00=1), rows=0))
