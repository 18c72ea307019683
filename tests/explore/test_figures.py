import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb

from ldr_lib import DataError, ViewMaker, explore


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


def pixels_of(figure):
    """Width of a figure in pixels of a notebook."""
    return figure.get_size_inches()[0] * 100


def test_similarity_maps_are_cosines(unit):
    v = unit(2, 5, 6, 7).permute(0, 2, 3, 1).numpy()
    maps = explore.similarity_maps(v, 1, 2, 3)
    assert maps[1, 2, 3] == pytest.approx(1) and maps[0, 4, 5] == pytest.approx(
        float(v[0, 4, 5] @ v[1, 2, 3])
    )


def test_sheets_show_every_image_and_are_1200_pixels_wide():
    images = [np.full((8, 8, 3), i / 7) for i in range(7)]
    figure = explore.contact_sheet(images, ["a", "b"], columns=3)
    assert sum(bool(axis.images) for axis in figure.axes) == 7
    assert figure.axes[1].get_title("left") == "b" and pixels_of(figure) == pytest.approx(1200)
    figure = explore.representation_sheet(
        {"image": np.zeros((4, 8, 8, 1)), "clusters": np.zeros((4, 8, 8, 3))}
    )
    assert sum(len(axis.images) for axis in figure.axes) == 8
    assert len(figure.axes) == 8 and pixels_of(figure) == pytest.approx(1200)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_sheets_of_few_images_are_as_wide_as_others(n):
    figure = explore.representation_sheet({"image": np.zeros((n, 8, 8, 1))})
    assert pixels_of(figure) == pytest.approx(1200)
    assert figure.get_size_inches()[1] < 5


def test_columns_of_a_sheet_have_titles():
    rows = {"disc": np.zeros((2, 8, 8)), "fovea": np.zeros((2, 8, 8))}
    figure = explore.representation_sheet(rows, columns=["epoch 1", "epoch 9"])
    titles = [axis.get_title("left") for axis in figure.axes[:4]]
    assert titles == ["disc, epoch 1", "epoch 9", "fovea, epoch 1", "epoch 9"]
    with pytest.raises(ValueError, match="2 titles, one for each column, not 1"):
        explore.representation_sheet(rows, columns=["epoch 1"])


def test_an_image_larger_than_its_panel_is_not_thinned():
    figure = explore.contact_sheet([np.zeros((n, n), np.uint8) for n in 3 * (100, 390)])
    small, large = (axis.images[0].get_interpolation() for axis in figure.axes[:2])
    assert small == "nearest" and large != "nearest"


def scales(figure):
    return {image.get_clim() for axis in figure.axes for image in axis.images}


def test_all_maps_of_a_figure_have_one_fixed_scale_and_one_colour_bar():
    rng = np.random.default_rng(0)
    maps = [0.2 * rng.random((8, 8)), 0.9 * rng.random((8, 8))]
    rows = {"image": np.zeros((2, 8, 8, 3)), "a": maps, "b": maps[::-1]}
    figure = explore.representation_sheet(rows, label="probability")
    assert scales(figure) == {(0, 1)} and len(figure.axes) == 6 + 1
    assert figure.axes[-1].get_ylabel() == "probability"
    assert figure.axes[-1].get_ylim() == (0, 1)
    figure = explore.representation_sheet({"a": [m - 0.5 for m in maps]}, scale=(-0.5, 0.5))
    assert scales(figure) == {(-0.5, 0.5)}
    figure = explore.contact_sheet([np.zeros((8, 8), np.uint8), maps[0]])
    assert scales(figure) == {(0, 1)} and len(figure.axes) == 2 + 1
    assert len(explore.contact_sheet([np.zeros((8, 8), bool)]).axes) == 1


def test_a_map_that_its_scale_would_cut_and_an_image_that_is_none_are_refused():
    with pytest.raises(ValueError, match=r"give scale=\(low, high\)"):
        explore.representation_sheet({"map": [np.full((8, 8), 1.5)]})
    with pytest.raises(DataError, match="divide"):
        explore.contact_sheet([np.full((8, 8, 3), 100.0)])


def test_the_legend_names_structures_in_their_colours():
    labels, inside = np.array([[[0, 1], [2, 0]]]), np.ones((1, 2, 2), bool)
    painted = explore.anatomy_colours(labels, inside)
    figure = explore.anatomy_legend(explore.contact_sheet(painted), ["disc", "vessel"])
    handles = figure.legends[0].get_patches()
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["disc", "vessel", "no structure"]
    shown = [to_rgb(patch.get_facecolor()) for patch in handles]
    assert np.allclose(shown, [painted[0, 0, 1], painted[0, 1, 0], painted[0, 0, 0]])


def test_a_similarity_sheet_marks_the_pixel_and_measures_each_map():
    rng, inside = np.random.default_rng(0), np.ones((2, 8, 8), bool)
    inside[:, 0] = False
    truth = rng.random((2, 8, 8)) < 0.5
    similarity = np.stack([truth[0] - 0.5, 0.5 - truth[1]])
    similarity[:, 0] = 1
    images = rng.random((2, 8, 8, 3))
    figure = explore.similarity_sheet(images, similarity, inside, 3, 4, truth)
    assert tuple(np.ravel(figure.axes[0].lines[0].get_data())) == (4, 3)
    words = [axis.texts[0].get_text() for axis in figure.axes[2:4]]
    assert "AUC 1.00" in words[0] and "AP 1.00" in words[0]
    assert "AUC 0.00" in words[1] and f"chance {truth[1, 1:].mean():.2f}" in words[1]
    assert scales(figure) == {(0, 1), (-1, 1)}
    figure = explore.similarity_sheet(images, similarity, inside, 3, 4, titles=["a", "b"])
    assert figure.axes[1].get_title("left") == "b" and not figure.axes[2].texts


def test_typical_patches_mark_their_pixel():
    image = np.zeros((1, 40, 40, 1), np.uint8)
    image[0, 20, 25] = 255
    found = {3: [(0, 20, 25)], 1: [(0, 2, 25)]}
    figure = explore.typical_patches(image, found, np.array([0, 0.25, 0, 0.75]), reach=5)
    axis = figure.axes[0]
    (column,), (row,) = axis.lines[0].get_data()
    assert axis.images[0].get_array()[row, column] == 1 and axis.get_title("left") == (
        "cluster 3: 75% of the pixels"
    )


def test_failure_maps_colour_each_kind_of_pixel_and_enlarge_the_worst_part():
    image = np.full((30, 30, 3), 100, np.uint8)
    truth, prediction = np.zeros((2, 30, 30), bool)
    truth[4:8, 4:8] = prediction[6:8, 4:8] = True
    prediction[20:26, 20:26] = True
    figure = explore.failure_maps([image], [prediction.astype(float)], [truth])
    painted = np.asarray(figure.axes[1].images[0].get_array())
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    colour = {
        name: to_rgb(patch.get_facecolor())
        for name, patch in zip(names, figure.legends[0].get_patches())
    }
    for name, where in {
        "missed": truth & ~prediction,
        "invented": prediction & ~truth,
        "right": truth & prediction,
    }.items():
        assert (np.isclose(painted, colour[name]).all(2) == where).all()
    grey = painted[~truth & ~prediction]
    assert np.ptp(grey, axis=1).max() == 0
    left, top = (value + 0.5 for value in figure.axes[1].patches[0].get_xy())
    side = figure.axes[1].patches[0].get_width()
    assert left <= 20 and top <= 20 and left + side >= 26 and top + side >= 26 and side == 10
    assert figure.axes[2].images[0].get_array().shape == (10, 10, 3)
    assert "Dice 0.27" in figure.axes[1].get_title("left")


def test_the_marked_cells_show_the_same_part_of_the_image():
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
