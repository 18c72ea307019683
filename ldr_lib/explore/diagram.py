"""The diagram of the two-branch network."""

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from .figures import WIDTH

DATA, SHARED, EMBED, CLUSTER, LOSS = "#e8e8e8", "#cfe2f3", "#fde3c8", "#d5ead0", "#ffffff"


def network_diagram() -> Figure:
    """The two-branch network with its views, its two branches and the losses that train them.

    Returns:
        The figure.

    Source: Chen et al. 2021, figure of the network, drawn anew. Taught in notebook 02, section 2.
    """
    figure, axis = plt.subplots(figsize=(WIDTH, 5.2), layout="constrained")
    axis.set(xlim=(0, 12), ylim=(0.3, 5.3))
    axis.set_axis_off()
    boxes = {
        "first": (0.1, 4.1, 1.75, 0.7, "first view", DATA),
        "second": (0.1, 2.8, 1.75, 0.7, "second view,\nflipped and turned", DATA),
        "mixed": (0.1, 1.5, 1.75, 0.7, "mixed image\n$\\lambda A + (1-\\lambda) B$", DATA),
        "network": (2.5, 1.5, 1.75, 3.3, "", SHARED),
        "embedding": (5.0, 3.55, 1.9, 1.25, "", EMBED),
        "clustering": (5.0, 1.5, 1.9, 1.25, "", CLUSTER),
        "patches": (
            7.6,
            3.65,
            1.75,
            1.05,
            "patch vectors\n$z_r$: mean of $v$\nin a grid cell",
            EMBED,
        ),
        "regions": (
            7.6,
            1.5,
            1.75,
            1.25,
            "region vectors\n$r_{nk}$: mean of $v$\nunder $a_k$",
            CLUSTER,
        ),
        "L_pd": (10.05, 4.3, 1.85, 0.6, "$L_{pd}$ patch\ndiscrimination", LOSS),
        "L_mix": (10.05, 3.45, 1.85, 0.6, "$L_{mix}$ hypersphere\nmixup", LOSS),
        "L_ld": (10.05, 1.85, 1.85, 0.6, "$L_{ld}$ region\ndiscrimination", LOSS),
        "L_ent": (10.05, 0.45, 1.85, 0.6, "$L_{ent}$ entropy,\narea term", LOSS),
    }
    for left, bottom, width, height, text, colour in boxes.values():
        axis.add_patch(
            FancyBboxPatch(
                (left, bottom),
                width,
                height,
                boxstyle="round,pad=0,rounding_size=0.08",
                facecolor=colour,
                edgecolor="0.35",
            )
        )
        axis.text(
            left + width / 2, bottom + height / 2, text, ha="center", va="center", fontsize=10
        )
    _write_words(axis)
    for view in ("first", "second", "mixed"):
        y = boxes[view][1] + 0.35
        _arrow(axis, (1.85, y), (2.5, y))
    _arrow(axis, (4.25, 4.17), (5.0, 4.17))
    _arrow(axis, (4.25, 2.12), (5.0, 2.12))
    _arrow(axis, (6.9, 4.17), (7.6, 4.17))
    _arrow(axis, (6.9, 2.12), (7.6, 2.12))
    _arrow(axis, (6.45, 3.55), (7.6, 2.6))
    _arrow(axis, (9.35, 4.35), (10.05, 4.6))
    _arrow(axis, (9.35, 4.0), (10.05, 3.75))
    _arrow(axis, (9.35, 2.12), (10.05, 2.15))
    axis.plot([5.95, 5.95], [1.5, 0.75], color="0.25", linewidth=1.3)
    _arrow(axis, (5.95, 0.75), (10.05, 0.75))
    return figure


def _write_words(axis: Axes) -> None:
    """Writes what stands in the large boxes and between the rows of the diagram."""
    axis.text(3.375, 4.1, "encoder\n(small VGG-16)", ha="center", va="center", fontsize=11)
    axis.text(
        3.375,
        3.15,
        "16, 32, 64, 128, 128\nchannels at\n1/1 to 1/16",
        ha="center",
        va="center",
        fontsize=9,
    )
    axis.text(
        3.375,
        2.15,
        "decoder (U-Net):\na shared map of\n32 channels",
        ha="center",
        va="center",
        fontsize=10,
    )
    axis.text(5.95, 4.52, "embedding branch", ha="center", va="center", fontsize=11)
    axis.text(
        5.95,
        4.02,
        "$v(p)$: a unit vector\nfor every pixel",
        ha="center",
        va="center",
        fontsize=10,
    )
    axis.text(5.95, 2.47, "clustering branch", ha="center", va="center", fontsize=11)
    axis.text(
        5.95,
        1.95,
        "$a_k(p)$: shares in\nK clusters, sum 1",
        ha="center",
        va="center",
        fontsize=10,
    )
    axis.text(10.975, 5.07, "stage 1", ha="center", fontsize=11, color="0.3")
    axis.text(10.975, 2.65, "joins in stage 2", ha="center", fontsize=11, color="0.3")
    axis.text(
        0.1,
        1.25,
        "A and B are two source images",
        va="top",
        fontsize=9,
        color="0.3",
    )


def _arrow(axis: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    style = dict(arrowstyle="-|>", color="0.25", linewidth=1.3, shrinkA=0, shrinkB=0)
    axis.annotate("", end, start, arrowprops=style)
