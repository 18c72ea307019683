"""Names that a user has chosen are drawn as they are, in every figure that takes names."""

import warnings

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest

from ldr_lib import explore
from ldr_lib.explore import panels, plots, words
from ldr_lib.explore.scene import Scene

ODD = [
    "$a",
    "$a$b$",
    r"$\frac{$",
    "5_x^2 $n$",
    "_hidden",
    "a\\b",
    "100 % #1 & {x} ~",
    "<b>&amp;",
    "左眼",
    "eye\tone",
    "caf\udce9",
    "x" * 300,
    "",
    "\u202eabc",
    "👁",
]
SMALL = np.zeros((2, 8, 8, 3), np.uint8)
MAPS = np.zeros((2, 8, 8))
INSIDE = np.ones((2, 8, 8), bool)


def of_scene(names):
    scene = Scene(list(names), SMALL, INSIDE, np.zeros((2, 8, 8, 4), np.float32), None, 0)
    return explore.explorer_figure(scene, [], MAPS)


FIGURES = {
    "contact_sheet": lambda names: explore.contact_sheet(SMALL, names),
    "representation_sheet": lambda names: explore.representation_sheet({n: MAPS for n in names}),
    "colour bar": lambda names: explore.representation_sheet({"a": MAPS}, label=names[0]),
    "anatomy_legend": lambda names: explore.anatomy_legend(explore.contact_sheet(SMALL), names),
    "similarity_sheet": lambda names: explore.similarity_sheet(
        SMALL, MAPS, INSIDE, 1, 1, titles=names
    ),
    "explorer_figure": of_scene,
    "sphere_map": lambda names: explore.sphere_map(
        np.zeros((4, 2)), {names[0]: (np.array([0, 1, 0, 1]), names)}
    ),
    "sphere_pairs": lambda names: explore.sphere_pairs({n: np.eye(4, 3) for n in names}),
}


def texts_of(figure):
    """All texts of a figure that are drawn."""
    return [text for text in figure.findobj(matplotlib.text.Text) if text.get_text()]


@pytest.mark.parametrize("draw", FIGURES.values(), ids=FIGURES)
def test_odd_names_are_drawn_letter_by_letter(draw):
    with matplotlib.rc_context({"text.usetex": True}):
        for name in ODD:
            figure = draw([name, "other"])
            shown = words.shown_name(name), words.shown_name(name, 32)
            found = [text for text in texts_of(figure) if text.get_text() in shown]
            assert found or not name, name
            assert not any(text.get_parse_math() or text.get_usetex() for text in found), name
            plt.close(figure)


@pytest.mark.parametrize("draw", FIGURES.values(), ids=FIGURES)
def test_odd_names_can_be_drawn_without_a_warning(draw):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw([r"$\frac{$ 左眼", "_" + 300 * "x" + "\udce9"]).canvas.draw()
    plt.close("all")


def test_names_that_differ_look_different():
    shown = [words.shown_name(name) for name in [*ODD, "右眼", "eye one", "x" * 299 + "y", "$b"]]
    assert len(set(shown)) == len(shown)
    assert all(len(name) <= 80 for name in map(words.shown_name, ("a" * 81, "a" * 500)))


def test_an_installed_font_with_the_letters_is_used(monkeypatch):
    words._installed.cache_clear()
    assert words.shown_name("ℳ") == "ℳ"  # in matplotlib's own font
    monkeypatch.setattr(words, "EAST_ASIAN", ("STIXGeneral", "absent"))
    words._installed.cache_clear()
    assert words.as_written()["fontfamily"][-1] == "STIXGeneral"
    words._installed.cache_clear()


def test_figures_and_plots_share_one_way_to_write_names():
    assert panels.write_title is plots.write_title is words.write_title
