import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from ldr_lib import ViewMaker, explore


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


def test_equal_embeddings_get_equal_colours_across_images_and_the_outside_is_black():
    rng = np.random.default_rng(0)
    kinds = rng.integers(0, 3, (2, 16, 16))
    inside = rng.random((2, 16, 16)) < 0.8
    colours = explore.embedding_colours(rng.normal(size=(3, 8))[kinds], inside)
    assert (colours[~inside] == 0).all() and colours.min() >= 0 and colours.max() <= 1
    assert all(np.ptp(colours[inside & (kinds == k)], axis=0).max() < 1e-6 for k in range(3))
    means = [colours[inside & (kinds == k)].mean(0) for k in range(3)]
    assert min(np.abs(means[i] - means[j]).max() for i in range(3) for j in range(i)) > 0.2


def test_similarity_maps_are_cosines(unit):
    v = unit(2, 5, 6, 7).permute(0, 2, 3, 1).numpy()
    maps = explore.similarity_maps(v, 1, 2, 3)
    assert maps[1, 2, 3] == pytest.approx(1) and maps[0, 4, 5] == pytest.approx(
        float(v[0, 4, 5] @ v[1, 2, 3])
    )


def test_label_colours_differ_and_overlay_touches_the_mask_only():
    labels = np.arange(8).reshape(1, 2, 4)
    assert len(np.unique(explore.label_colours(labels, 8).reshape(-1, 3), axis=0)) == 8
    image, mask = np.full((4, 4), 100, np.uint8), np.eye(4, dtype=bool)
    painted = explore.overlay(image, mask)
    assert np.allclose(painted[~mask], 100 / 255) and not np.isclose(painted[mask], 100 / 255).any()


def test_contact_sheet_and_representation_sheet_show_every_picture():
    pictures = [np.full((8, 8, 3), i / 7) for i in range(7)]
    figure = explore.contact_sheet(pictures, ["a", "b"], columns=3)
    assert sum(bool(axis.images) for axis in figure.axes) == 7 and figure.axes[1].get_title() == "b"
    figure = explore.representation_sheet(
        {"image": np.zeros((3, 8, 8, 1)), "clusters": np.zeros((3, 8, 8, 3))}
    )
    assert sum(len(axis.images) for axis in figure.axes) == 6


def test_loss_curves_draw_each_term_that_was_logged():
    rows = [{"stage": 1, "epoch": i, "patch": 9.0 - i, "seconds": 1} for i in range(2)]
    rows += [
        {
            "stage": 2,
            "epoch": 0,
            "patch": 6.0,
            "region": 1.0,
            "smallest_area": 0.1,
            "largest_area": 0.4,
            "seconds": 1,
        }
    ]
    figure, table = explore.loss_curves(rows)
    assert [axis.get_title() for axis in figure.axes][:2] == ["patch", "region"]
    assert list(table["patch"]) == [9.0, 8.0, 6.0] and "seconds" not in table


def test_the_marked_cells_show_the_same_place():
    torch.manual_seed(0)
    ramp = (torch.arange(64) + 0.5) / 64
    rows, columns = torch.meshgrid(ramp, ramp, indexing="ij")
    images = torch.stack([rows, columns, torch.zeros_like(rows)]).expand(4, -1, -1, -1)
    views = ViewMaker(32, (0.4, 0.5), wobble=0, colour=0, grey=0)(images)
    figure = explore.view_pairs(views, grid=8, cell=(2, 5), n=4)
    for i in range(4):
        means = []
        for axis, view in ((figure.axes[i], views.first[i]), (figure.axes[4 + i], views.second[i])):
            left, top = (int(round(value + 0.5)) for value in axis.patches[0].get_xy())
            means.append(view[:, top : top + 4, left : left + 4].mean((1, 2)))
        torch.testing.assert_close(means[0], means[1], atol=1e-5, rtol=0)


def test_sheets_of_similarity_and_sphere_are_drawn():
    inside, rng = np.ones((2, 8, 8), bool), np.random.default_rng(0)
    figure = explore.similarity_sheet(rng.random((2, 8, 8, 3)), rng.random((2, 8, 8)), inside, 3, 4)
    assert tuple(np.ravel(figure.axes[0].lines[0].get_data())) == (4, 3)
    points = rng.normal(size=(8, 3))
    figure = explore.sphere_pairs({"before": points, "after": points})
    colours = figure.axes[0].collections[-1].get_array()
    assert (colours[:4] == colours[4:]).all() and [axis.get_title() for axis in figure.axes] == [
        "before",
        "after",
    ]
