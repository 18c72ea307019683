"""Curves of trainings with their reference lines, and points on the hypersphere."""

import math
import textwrap
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..data import checks
from ..data.checks import array, finite, instance, named, several, shown, whole
from ..data.errors import one_of
from ..losses import patch_discrimination
from ..settings import Settings
from .figures import LARGEST_PANEL, WIDTH
from .learning import WAYS
from .words import write_legend, write_title

UNITS = {
    "patch": "patch loss (nats)",
    "mixup": "mixup loss (nats)",
    "region": "region loss (nats)",
    "entropy": "entropy (bits)",
    "area": "area term",
    "k_means": "k-means start (nats)",
    "prototype": "prototype loss (nats)",
    "assignment": "assignment loss (nats)",
}


def patch_references(n_rows: int, embedding_dim: int) -> dict[str, float]:
    """Values of `ldr_lib.losses.patch_discrimination` that a training curve is compared with.

    Args:
        n_rows: Number of patch vectors in all, anchors and positives together.
        embedding_dim: Dimension D of the embedding space.

    Returns:
        "collapse", all vectors equal; "random", all vectors independent; "perfect", partners equal
        and everything else independent. The last two are means over ten fixed draws of random
        unit vectors; a single draw differs by about 0.1.

    Raises:
        ValueError: Fewer than four vectors, an odd number, or no dimension.

    Example:
        >>> {name: round(value, 2) for name, value in patch_references(1024, 32).items()}
        {'collapse': 7.93, 'random': 9.46, 'perfect': 0.36}
    """
    n_rows = checks.multiple(n_rows, "n_rows", 2, 10**6)
    if n_rows < 4:
        raise ValueError(f"n_rows must be at least 4, two patches in two views, not {n_rows}")
    embedding_dim = whole(embedding_dim, "embedding_dim", 1, 4096)
    generator = torch.Generator().manual_seed(0)
    values = []
    for _ in range(10):
        vectors = torch.randn(2, n_rows // 2, embedding_dim, generator=generator)
        first, second = F.normalize(vectors, dim=2)  # (n_rows / 2, D) each
        same = first[:1].expand_as(first)
        pairs = {"collapse": (same, same), "random": (first, second), "perfect": (first, first)}
        values.append({name: patch_discrimination(*pair).item() for name, pair in pairs.items()})
    return pd.DataFrame(values).mean().to_dict()


def loss_references(settings: Settings) -> dict[str, dict[str, float]]:
    """Values of each loss that a training curve is compared with.

    Args:
        settings: The training's settings. One step compares 4B G^2 patch vectors for the patch
            loss, and 2B G^2 for the mixup loss.

    Returns:
        Loss name to reference name to value: for "patch" and "mixup" see `patch_references`;
        "region" when all regions coincide, "k_means", "prototype" and "assignment" when every
        cluster is as likely as any other, ln K; "entropy" when every pixel is undecided, the binary
        entropy of 1/K in bits.

    Raises:
        ValueError: There are no settings.

    Example:
        >>> round(loss_references(Settings(n_clusters=8))["entropy"]["undecided"], 3)
        0.544
    """
    instance(settings, Settings, "settings", "Settings")
    patches, k = settings.pairs * settings.grid**2, settings.n_clusters
    share = 1 / k
    undecided = -share * math.log2(share) - (1 - share) * math.log2(1 - share) if k > 1 else 0.0
    return {
        "patch": patch_references(4 * patches, settings.embedding_dim),
        "mixup": patch_references(2 * patches, settings.embedding_dim),
        "region": {"regions coincide: ln K": math.log(k)},
        "entropy": {"undecided": undecided},
        **dict.fromkeys(("k_means", "prototype", "assignment"), {"guessing: ln K": math.log(k)}),
    }


def loss_curves(log: list[dict], settings: Settings) -> tuple[Figure, pd.DataFrame]:
    """Loss terms and cluster areas over the epochs of all stages, with reference lines.

    Args:
        log: Rows of the training log.
        settings: The training's settings, for the reference lines (see `loss_references`).

    Returns:
        The figure and the numbers that it shows, one row for each epoch.

    Raises:
        ValueError: The log is empty, or its rows are none of a training.

    Taught in notebook 02, section 7.
    """
    for row in several(log, "log", "rows of a training's log"):
        if not isinstance(row, dict) or "stage" not in row or not row.keys() & UNITS.keys():
            raise ValueError(
                f"log must be rows of a training's log, with stage and losses, not {shown(row)}"
            )
    table = pd.DataFrame(log).drop(columns="seconds", errors="ignore")
    table.index = pd.Index(range(1, len(table) + 1), name="epoch")
    terms, references = [name for name in UNITS if name in table], loss_references(settings)
    areas = "smallest_area" in table
    panels = len(terms) + areas
    columns = min(3, panels)
    rows = math.ceil(panels / columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(WIDTH, 3.2 * rows), layout="constrained", squeeze=False
    )
    for axis in axes.flat[panels:]:
        axis.set_axis_off()
    palette = sns.color_palette("colorblind")
    for axis, name in zip(axes.flat, terms):
        for number, (stage, part) in enumerate(table.groupby("stage")[name]):
            axis.plot(part.index, part, "o-", color=palette[number], label=f"stage {stage}")
        axis.set(title=name, ylabel=UNITS[name])
        if name in ("entropy", "area"):
            axis.set_ylim(0, None)
        _reference_lines(axis, references.get(name, {}))
    if table["stage"].nunique() > 1:
        axes.flat[0].legend(frameon=False)
    if areas:
        axis = axes.flat[len(terms)]
        axis.fill_between(
            table.index, table["smallest_area"], table["largest_area"], color=palette[2], alpha=0.4
        )
        axis.set(title="cluster areas, smallest to largest", ylabel="share of the pixels")
        axis.set_ylim(0, None)
        _reference_lines(axis, {"equal areas: 1/K": 1 / settings.n_clusters})
    for axis in axes.flat[:panels]:
        axis.set(xlabel="epoch", xlim=(0.5, len(table) + 0.5))
        axis.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    sns.despine(figure)
    return figure, table


def loss_panels(
    losses: pd.DataFrame, references: dict[str, dict[str, float]] | None = None
) -> Figure:
    """Losses of several trainings beside one another, each on its own scale.

    Args:
        losses: A column for each training, a row for each epoch.
        references: Training to name and value of what its loss is compared with, for example what
            guessing costs; drawn as dashed lines.

    Returns:
        The figure.

    Raises:
        ValueError: There is no table, or a reference of a training that it does not hold.

    Taught in notebook 05, section 3.
    """
    instance(losses, pd.DataFrame, "losses", "a table with a column for each training")
    if losses.empty:
        raise ValueError("losses must hold a column for each training, and is empty")
    references = {} if references is None else instance(references, dict, "references", "a dict")
    for name in references:
        one_of(name, losses.columns, "training of references")
    figure, axes = plt.subplots(
        1, losses.shape[1], figsize=(WIDTH, 3), layout="constrained", squeeze=False
    )
    for axis, name in zip(axes[0], losses):
        axis.plot(losses[name], "o-")
        axis.set(title=name, xlabel="epoch", ylabel="loss")
        axis.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        _reference_lines(axis, references.get(name, {}))
    sns.despine(figure)
    return figure


CLOSE = 0.07
"""Share of an axis below which two reference lines get one label."""


def _reference_lines(axis: Axes, references: dict[str, float]) -> None:
    """Draws dashed lines, with their names at the right; close lines share one label."""
    if not references:
        return
    low, high = axis.get_ylim()
    low, high = min(low, *references.values()), max(high, *references.values())
    close, groups = CLOSE * (high - low), []
    for name, value in sorted(references.items(), key=lambda one: one[1]):
        axis.axhline(value, color="0.45", linestyle="--", linewidth=1)
        if not groups or value - groups[-1][-1][1] > close:
            groups.append([])
        groups[-1].append((name, value))
    for group in groups:
        axis.annotate(
            "\n".join(f"{name} ({value:.3g})" for name, value in reversed(group)),
            (1, (group[0][1] + group[-1][1]) / 2),
            xycoords=("axes fraction", "data"),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
            color="0.3",
        )
    margin = 0.05 * (high - low)
    axis.set_ylim(low - margin * (low in references.values()), high + margin)


VARIANTS = {
    "no jitter": ("both", "--"),
    "half the jitter": ("both", ":"),
    "embedding only, no jitter": ("embedding only", "--"),
    "embedding only, no mixup": ("embedding only", ":"),
}
"""Ways of training that are another one but for one choice: they have its colour and their own
line.
"""
SEEDS = 3
"""A way with fewer seeds says so in its panel."""


def _name(way: str) -> str:
    """A way as figures call it: a variant after the way that it varies."""
    whole_way, _ = VARIANTS.get(way, (way, "-"))
    return way if way.startswith(whole_way) else f"{whole_way}, {way}"


def _few_seeds(table: pd.DataFrame) -> list[str]:
    """Which ways have fewer than `SEEDS` seeds at some of their steps, and how many."""
    seeds, notes = table.groupby(["way", "steps"])["seed"].nunique(), []
    for way, counts in seeds.groupby("way"):
        low, high = counts.min(), counts.max()
        if low < SEEDS:
            count = f"{low} seed{'s' if low > 1 else ''}" if low == high else f"{low}-{high} seeds"
            notes.append(f"{_name(way)}: {count}")
    return notes


def learning_curves(
    panels: dict[str, tuple[pd.DataFrame, dict[str, float]]],
    here: dict[str, dict[str, tuple[int | Sequence[int], float | Sequence[float]]]] | None = None,
    label: str = "",
) -> Figure:
    """What was learned after n steps, in several ways of training, beside what needs no training.

    Args:
        panels: Title of a panel to its table, as `ldr_lib.explore.learning.curves` returns it, and
            to the name and value of each baseline.
        here: Title of a panel to the way, and its steps and value, of runs of one's own, drawn as a
            star; several steps with their values are several stars.
        label: What all panels measure, written along the axis of the first one.

    Returns:
        A figure with a panel for each. A thick line for each way is the mean over seeds, the thin
        ones are single seeds, and a grey dashed line is a baseline. A way with fewer than three
        seeds says below its panel how many they are. Steps are spaced by their logarithm if the
        last one is more than a hundred times the first one after 0.

    Raises:
        ValueError: There is no panel, a table holds nothing, or the label is no text.

    Taught in notebook 00, section 7.
    """
    instance(label, str, "label", "a text")
    here = {} if here is None else instance(here, dict, "here", "a dictionary")
    for title, runs in here.items():
        instance(runs, dict, f"here[{title!r}]", "a dictionary of a way to steps and value")
    for title, panel in named(panels, "panels", "a table and its baselines").items():
        pair = instance(panel, (tuple, list), f"panels[{title!r}]", "a table and its baselines")
        if [type(one) for one in pair] != [pd.DataFrame, dict]:
            raise ValueError(f"panels[{title!r}] must be a table and a dictionary of its baselines")
    for title, (table, _) in panels.items():
        if not len(table):
            raise ValueError(f"the panel {title!r} has no record to draw")
    figure, axes = plt.subplots(
        1, len(panels), figsize=(WIDTH, 4.5), layout="constrained", squeeze=False
    )
    tables = [table for table, _ in panels.values()]
    others = {way for table in tables for way in table["way"]} - WAYS.keys()
    ways = [way for way in (*WAYS, *sorted(others)) if way not in VARIANTS]
    colours = dict(zip(ways, sns.color_palette("colorblind", len(ways))))  # the same in all figures
    colours |= {way: colours[whole] for way, (whole, _) in VARIANTS.items()}
    steps = pd.concat(tables)["steps"]
    far = steps.max() > 100 * steps[steps > 0].min()
    drawn = {}
    for axis, (title, (table, baselines)) in zip(axes[0], panels.items()):
        for way, rows in table.groupby("way", sort=True):
            look = dict(linestyle=VARIANTS.get(way, ("", "-"))[1], color=colours[way])
            seeds = rows.pivot_table("value", "steps", "seed")
            if seeds.shape[1] > 1:
                for seed in seeds:
                    axis.plot(seeds[seed].dropna(), linewidth=0.7, alpha=0.6, **look)
            mean = seeds.mean(axis=1)
            (drawn[way],) = axis.plot(
                mean, marker="o", markersize=5, linewidth=2.4, label=_name(way), **look
            )
            if way in here.get(title, {}):
                mine = here[title][way]
                axis.plot(*mine, "*", color=colours[way], markeredgecolor="black", markersize=16)
        if far:
            axis.set_xscale("symlog", linthresh=10)
        axis.set(title=title, xlabel="steps")
        axis.set_xlim(0, table["steps"].max() * (1.3 if far else 1.05))
        if notes := _few_seeds(table):
            axis.annotate(
                textwrap.fill("; ".join(notes), 130 // len(panels)),
                (0.5, 0),
                xycoords="axes fraction",
                xytext=(0, -34),
                textcoords="offset points",
                ha="center",
                va="top",
                fontsize=8,
                color="0.3",
            )
        _reference_lines(axis, baselines)
    axes[0, 0].set_ylabel(label)
    lines = [drawn[way] for way in colours if way in drawn]  # each way once, below all panels
    figure.legend(
        handles=lines,
        loc="outside lower center",
        ncols=math.ceil(len(lines) / math.ceil(len(lines) / 5)),
        frameon=False,
        handlelength=3,
    )
    sns.despine(figure)
    return figure


RARE = 0.05
"""Share of the points below which those of one label are drawn larger."""


def sphere_map(points: np.ndarray, colourings: dict[str, tuple[np.ndarray, list[str]]]) -> Figure:
    """A map of pixels in the plane, coloured in several ways.

    Args:
        points: (P, 2).
        colourings: Title to (P,) integer labels and the names of labels 0, 1, ... Up to 16 names
            stand in a legend. Of up to five names the first one is grey; rare ones lie above the
            others, and their points are four times as large.

    Returns:
        The figure.

    Raises:
        ValueError: Points and labels do not fit each other.

    Taught in notebook 03, section 2.
    """
    points = finite(array(points, "points", "PX"), "points")
    if points.shape[1] != 2:
        raise ValueError(f"points must be (P, 2), not {points.shape}")
    coloured = {}
    for title, pair in named(colourings, "colourings", "labels and their names").items():
        what = f"colourings[{title!r}]"
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise ValueError(f"{what} must be labels (P,) and their names, not {shown(pair)}")
        names = several(pair[1], f"the names of {what}", "texts")
        labels = checks.labels(pair[0], what, len(names), "P")
        if len(labels) != len(points):
            raise ValueError(f"{what} must be labels of {len(points)} points, not {len(labels)}")
        coloured[title] = labels, names
    side = min(WIDTH / len(coloured), LARGEST_PANEL)
    figure, axes = plt.subplots(
        1, len(coloured), figsize=(WIDTH, side + 1), layout="constrained", squeeze=False
    )
    for axis, (title, (labels, names)) in zip(axes[0], coloured.items()):
        few = len(names) <= 5
        palette = (
            [(0.75, 0.75, 0.75), *sns.color_palette("colorblind", 9)]
            if few
            else sns.color_palette("husl", len(names))
        )
        shares = [(labels == number).mean() for number in range(len(names))]
        dots = [
            axis.scatter(
                *points[labels == number].T,
                s=16 if few and share < RARE else 4,
                color=palette[number],
                linewidths=0,
                zorder=2 - share if few else 1,
            )
            for number, share in enumerate(shares)
        ]
        axis.set(xticks=[], yticks=[])
        write_title(axis, title, fontsize=11)
        if len(names) <= 16:
            legend = write_legend(
                axis,
                dots,
                names,
                fontsize=9,
                loc="upper center",
                bbox_to_anchor=(0.5, 0),
                ncols=4,
                frameon=False,
                handletextpad=0.1,
                columnspacing=0.8,
            )
            for dot in legend.legend_handles:
                dot.set_sizes([64])
    return figure


BEHIND = 0.2
"""Opacity and size of the farthest points of a sphere; the nearest ones have 1."""


def _nearness(points: np.ndarray, axis: Axes) -> np.ndarray:
    """From `BEHIND`, at the back of the sphere as it is looked at, to 1 in front, (P,)."""
    up, around = np.deg2rad([axis.elev, axis.azim])
    eye = np.array([np.cos(up) * np.cos(around), np.cos(up) * np.sin(around), np.sin(up)])
    return BEHIND + (1 - BEHIND) * ((points @ eye).clip(-1, 1) + 1) / 2


def sphere_pairs(states: dict[str, np.ndarray]) -> Figure:
    """Pairs of points on the unit sphere in three dimensions; partners have one colour and are
    linked by a line. What lies behind is smaller and fades.

    Args:
        states: Title to (2N, 3) unit vectors; rows i and N + i are partners.

    Returns:
        The figure.

    Raises:
        ValueError: A state is not (2N, 3).

    Taught in notebook 02, section 1.
    """
    drawn = {}
    for title, points in named(states, "states", "points (2N, 3)").items():
        found = finite(array(points, f"states[{title!r}]", "PX"), f"states[{title!r}]")
        if found.shape[1] != 3 or len(found) % 2 or not len(found):
            raise ValueError(f"states[{title!r}] must be (2N, 3), not {found.shape}")
        drawn[title] = found
    figure = plt.figure(figsize=(WIDTH, min(WIDTH / len(drawn), 6)), layout="constrained")
    longitude, latitude = np.mgrid[0 : 2 * np.pi : 25j, 0 : np.pi : 13j]
    sphere = (
        np.cos(longitude) * np.sin(latitude),
        np.sin(longitude) * np.sin(latitude),
        np.cos(latitude),
    )
    for position, (title, points) in enumerate(drawn.items(), start=1):
        axis = figure.add_subplot(1, len(drawn), position, projection="3d")
        axis.plot_wireframe(*sphere, color="0.85", linewidth=0.4)
        n = len(points) // 2
        colours = plt.get_cmap("tab20")(np.arange(n) % 20)
        near = _nearness(points, axis)
        for colour, *pair in zip(colours, points[:n], points[n:], near[:n], near[n:]):
            axis.plot(*np.stack(pair[:2]).T, color=colour, linewidth=1.8, alpha=np.mean(pair[2:]))
        faded = np.tile(colours, (2, 1))
        faded[:, 3] = near
        axis.scatter(*points.T, c=faded, s=70 * near, depthshade=False, linewidths=0)
        axis.set(aspect="equal", xlim=(-0.75, 0.75), ylim=(-0.75, 0.75), zlim=(-0.75, 0.75))
        write_title(axis, title, fontsize=12)
        axis.set_axis_off()
    return figure
