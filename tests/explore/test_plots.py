import math

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F

from ldr_lib import Settings, explore, losses


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


SETTINGS = Settings(n_clusters=8, pairs=4, grid=8, embedding_dim=32)


def test_reference_values_are_those_of_the_losses():
    known = explore.loss_references(SETTINGS)
    assert known["patch"]["collapse"] == pytest.approx(
        math.log(1023) - 1022 * math.log(1 - 1 / 1023), abs=0.01
    )
    assert known["mixup"]["collapse"] == pytest.approx(
        math.log(511) - 510 * math.log(1 - 1 / 511), abs=0.01
    )
    torch.manual_seed(3)
    z, other = F.normalize(torch.randn(2, 512, 32), dim=2)
    random, perfect = (losses.patch_discrimination(z, partner).item() for partner in (other, z))
    assert known["patch"]["random"] == pytest.approx(random, abs=0.2)
    assert known["patch"]["perfect"] == pytest.approx(perfect, abs=0.1)
    assert known["patch"]["perfect"] < known["patch"]["collapse"] < known["patch"]["random"]
    undecided = torch.full((1, 8, 4, 4), 1 / 8)
    assert known["entropy"]["undecided"] == pytest.approx(
        losses.cluster_entropy(undecided).item(), abs=1e-4
    )
    same = F.normalize(torch.ones(2, 32, 4, 4), dim=1)
    (value,) = known["region"].values()
    assert value == pytest.approx(
        losses.region_discrimination(same, undecided.expand(2, -1, -1, -1)).item(), abs=1e-4
    )


def test_reference_values_do_not_touch_the_random_numbers():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    explore.loss_references(SETTINGS)
    assert (torch.rand(3) == expected).all()


def test_loss_curves_draw_each_logged_term_with_its_reference_lines():
    log = [{"stage": 1, "epoch": i, "patch": 9.0 - i, "seconds": 1} for i in range(2)]
    later = {"stage": 2, "epoch": 0, "patch": 6.0, "region": 1.0, "entropy": 0.5}
    log.append(later | {"smallest_area": 0.1, "largest_area": 0.4, "seconds": 1})
    figure, table = explore.loss_curves(log, SETTINGS)
    assert list(table["patch"]) == [9.0, 8.0, 6.0] and "seconds" not in table
    titles = [axis.get_title() for axis in figure.axes if axis.get_title()]
    assert titles == ["patch", "region", "entropy", "cluster areas, smallest to largest"]
    references = explore.loss_references(SETTINGS)
    for axis in figure.axes[:3]:
        dashed = [line.get_ydata()[0] for line in axis.lines if line.get_linestyle() == "--"]
        low, high = axis.get_ylim()
        assert sorted(dashed) == sorted(references[axis.get_title()].values())
        assert axis.get_ylabel() and low <= min(dashed) and max(dashed) <= high
    assert figure.axes[3].lines[0].get_ydata()[0] == 1 / 8
    assert figure.get_size_inches()[0] * 100 == pytest.approx(1200)


def test_a_log_without_clusters_has_no_panel_of_areas():
    figure, _ = explore.loss_curves([{"stage": 1, "epoch": 0, "patch": 8.0}], SETTINGS)
    assert [axis.get_title() for axis in figure.axes] == ["patch"]


def test_partners_on_the_sphere_share_a_colour_and_are_linked():
    points = np.random.default_rng(0).normal(size=(8, 3))
    figure = explore.sphere_pairs({"before": points, "after": points})
    assert [axis.get_title() for axis in figure.axes] == ["before", "after"]
    for i, line in enumerate(figure.axes[0].lines):
        assert np.allclose(np.stack(line.get_data_3d()).T, points[[i, 4 + i]])
    assert len({tuple(line.get_color()) for line in figure.axes[0].lines}) == 4


def test_points_at_the_back_of_the_sphere_fade():
    up, around = np.deg2rad([30, -60])  # from where matplotlib looks
    front = np.array([np.cos(up) * np.cos(around), np.cos(up) * np.sin(around), np.sin(up)])
    aside = np.array([-np.sin(around), np.cos(around), 0])
    figure = explore.sphere_pairs({"": np.stack([front, aside, -front, -aside])})
    figure.draw_without_rendering()  # matplotlib sorts the points, the farthest one first
    dots = figure.axes[0].collections[-1]
    assert dots.get_facecolors()[:, 3] == pytest.approx([0.2, 0.6, 0.6, 1])
    assert dots.get_sizes() == pytest.approx([14, 42, 42, 70])


def test_rare_structures_lie_above_the_others_and_are_larger():
    labels = np.repeat([0, 1, 2], [3, 95, 2])
    groups = {"few": (labels, ["disc", "vessel", "fovea"]), "many": (labels, [""] * 20)}
    few, many = explore.sphere_map(np.zeros((100, 2)), groups).axes
    disc, vessel, fovea = few.collections
    assert [dots.get_sizes()[0] for dots in few.collections] == [16, 4, 16]
    assert vessel.zorder < disc.zorder < fovea.zorder
    assert {dots.get_sizes()[0] for dots in many.collections} == {4}


def test_a_map_of_pixels_names_its_colours():
    points, labels = np.zeros((6, 2)), np.arange(6) % 3
    groups = {"few": (labels, ["other", "disc", "vessel"]), "many": (labels, [""] * 20)}
    figure = explore.sphere_map(points, groups)
    few, many = (axis.get_legend() for axis in figure.axes)
    assert [text.get_text() for text in few.get_texts()] == ["other", "disc", "vessel"]
    assert many is None


@pytest.mark.parametrize("kind", [torch.tensor, np.ndarray.tolist])
def test_points_and_labels_may_be_tensors_and_lists(kind):
    points, labels = np.eye(4, 3), np.arange(4) % 2
    (axis,) = explore.sphere_pairs({"": kind(points)}).axes
    assert len(axis.lines) == 2
    (axis,) = explore.sphere_map(kind(points[:, :2]), {"": (kind(labels), ["a", "b"])}).axes
    assert [len(dots.get_offsets()) for dots in axis.collections] == [2, 2]


def test_the_diagram_names_both_branches_and_all_losses():
    figure = explore.network_diagram()
    words = " ".join(text.get_text() for text in figure.axes[0].texts)
    for name in ("embedding branch", "clustering branch", "L_{pd}", "L_{mix}", "L_{ld}", "L_{ent}"):
        assert name in words
    assert figure.get_size_inches()[0] * 100 == pytest.approx(1200)


def table_of(*ways, steps=(0, 10), seeds=(0, 1, 2)):
    """Values n / 1000 + seed / 10 of ways of training."""
    return pd.DataFrame(
        [
            {"way": way, "steps": n, "seed": seed, "value": n / 1000 + seed / 10}
            for way in ways
            for n in steps
            for seed in seeds
        ]
    )


def test_learning_curves_draw_the_mean_of_seeds_each_seed_baselines_and_ones_own_run():
    table = table_of("both", "embedding only", steps=(0, 100, 1000), seeds=(0, 1))
    panels = {"AP vessel": (table, {"filter bank": 0.34})}
    figure = explore.learning_curves(panels, {"AP vessel": {"both": (600, 0.3)}}, "AP")
    (axis,) = figure.axes
    first, second, both, dot, *_, alone, baseline = axis.lines
    assert both.get_label() == "both" and alone.get_label() == "embedding only"
    assert both.get_ydata() == pytest.approx([0.05, 0.15, 1.05])
    assert first.get_ydata() == pytest.approx([0, 0.1, 1])
    assert second.get_ydata() == pytest.approx([0.1, 0.2, 1.1])
    assert first.get_linewidth() < both.get_linewidth() and not axis.collections
    assert (dot.get_xdata()[0], dot.get_ydata()[0]) == (600, 0.3)
    assert baseline.get_linestyle() == "--" and baseline.get_ydata()[0] == 0.34
    assert axis.get_ylabel() == "AP"
    with pytest.raises(ValueError, match="has no record to draw"):
        explore.learning_curves({"AP vessel": (table[:0], {})})
    with pytest.raises(ValueError, match="label must be a text"):
        explore.learning_curves(panels, label=1)


def test_a_way_with_few_seeds_says_so_and_one_with_three_does_not():
    few = table_of("embedding only", seeds=(0, 1))
    fewer = pd.concat([few, table_of("both", seeds=(0,)), table_of("both", steps=(0,), seeds=(1,))])
    panels = {"few": (fewer, {}), "three": (table_of("both"), {})}
    notes = [
        [text.get_text() for text in axis.texts] for axis in explore.learning_curves(panels).axes
    ]
    assert notes == [["both: 1-2 seeds; embedding only: 2 seeds"], []]


def test_variants_are_named_after_the_way_that_they_vary():
    table = table_of("both", "no jitter", "half the jitter", "embedding only, no jitter")
    figure = explore.learning_curves({"AP": (table, {})})
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    names = ["both", "both, no jitter", "both, half the jitter", "embedding only, no jitter"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == names
    assert [lines[name].get_linestyle() for name in names] == ["-", "--", ":", "--"]
    assert len({lines[name].get_color() for name in names}) == 2


def test_steps_are_spaced_by_logarithm_only_where_they_reach_far():
    def scale(*steps):
        panels = {"AP": (table_of("both", steps=steps), {})}
        return explore.learning_curves(panels).axes[0].get_xscale()

    assert scale(0, 10, 10_000) == "symlog" and scale(0, 500, 5000) == "linear"


def test_losses_stand_beside_what_guessing_costs():
    losses_of = pd.DataFrame({"dense": [2.0, 1.0], "autoencoder": [0.2, 0.1]}, index=[1, 2])
    dense, other = explore.plots.loss_panels(losses_of, {"dense": {"guessing": 2.5}}).axes
    _, line = dense.lines
    assert line.get_linestyle() == "--" and line.get_ydata()[0] == 2.5 < dense.get_ylim()[1]
    assert dense.texts[0].get_text() == "guessing (2.5)"
    assert len(other.lines) == 1 and not other.texts
    with pytest.raises(ValueError, match="unknown"):
        explore.plots.loss_panels(losses_of, {"unknown": {"guessing": 1}})
    with pytest.raises(ValueError, match="empty"):
        explore.plots.loss_panels(pd.DataFrame())


def test_names_of_reference_lines_do_not_overlap():
    rows = table_of("both")
    rows["value"] = rows["steps"] / 10
    lines = {"filter bank": 0.31, "intensities": 0.3, "ImageNet": 0.29, "untrained": 0.1}
    figure = explore.learning_curves({"AP": (rows, lines)})
    figure.draw_without_rendering()
    words = [text for text in figure.axes[0].texts if text.get_text()]
    assert [text.get_text() for text in words] == [
        "untrained (0.1)",
        "filter bank (0.31)\nintensities (0.3)\nImageNet (0.29)",
    ]
    lower, upper = (text.get_window_extent() for text in words)
    assert lower.y1 < upper.y0 and upper.y1 <= figure.bbox.y1 and upper.x1 <= figure.bbox.x1


def test_a_way_of_training_has_one_colour_in_all_figures():
    def colours(*ways):
        rows = [{"way": way, "steps": n, "seed": 0, "value": n} for way in ways for n in (0, 10)]
        (axis,) = explore.learning_curves({"AP": (pd.DataFrame(rows), {})}).axes
        return {line.get_label(): line.get_color() for line in axis.lines}

    few, many = colours("both", "embedding only"), colours("both", "clustering only", "mine")
    assert few["both"] == many["both"] and len({*few.values(), *many.values()}) == 4
