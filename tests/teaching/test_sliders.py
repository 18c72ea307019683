"""Figures with sliders draw what is asked for, once, and leave a still picture behind."""

import matplotlib.pyplot as plt
import pytest

from ldr_lib.teaching import Sliders


@pytest.fixture
def draw():
    def plot(power, colour="red"):
        plot.calls.append((power, colour))
        figure, axis = plt.subplots(figsize=(2, 1))
        axis.plot([x**power for x in range(5)], color=colour)
        return figure

    plot.calls = []
    return plot


def test_a_moved_slider_draws_another_picture_and_keeps_it(draw):
    sliders = Sliders(draw, power=[1, 2, 3])
    first = sliders.image.value
    sliders.inputs["power"].value = 3
    assert sliders.image.value != first and sliders.values == {"power": 3}
    sliders.inputs["power"].value = 1
    assert sliders.image.value == first and draw.calls == [(1, "red"), (3, "red")]


def test_texts_become_buttons_and_numbers_a_slider(draw):
    sliders = Sliders(draw, start={"power": 2}, power=range(4), colour=["red", "blue"])
    assert sliders.values == {"power": 2, "colour": "red"}
    assert type(sliders.inputs["power"]).__name__ == "SelectionSlider"
    assert type(sliders.inputs["colour"]).__name__ == "ToggleButtons"
    sliders.inputs["colour"].value = "blue"
    assert draw.calls[-1] == (2, "blue")


def test_without_a_kernel_there_is_a_still_picture(draw):
    data = Sliders(draw, power=[1, 2])._repr_mimebundle_()
    assert (
        type(data["image/png"]) is bytes
        and data["image/png"][1:4] == b"PNG"
        and data["text/plain"] == "at power 1"
    )


def test_the_still_picture_may_show_several_choices(draw):
    def three():
        """Three powers."""
        return plt.figure(figsize=(3, 1))

    sliders = Sliders(draw, still=three, power=[1, 2])
    data = sliders._repr_mimebundle_()
    assert data["text/plain"] == "Three powers" and data["image/png"] != sliders.picture
    assert not plt.get_fignums()
    with pytest.raises(ValueError, match="still must be a function"):
        Sliders(draw, still=1, power=[1])


def test_the_picture_is_described_to_those_who_do_not_see_it(draw):
    draw.__doc__ = 'A curve of "powers".'
    sliders = Sliders(draw, power=[1, 2])
    assert 'alt="A curve of &quot;powers&quot; at power 1"' in sliders.image.value
    sliders.inputs["power"].value = 2
    assert 'powers&quot; at power 2"' in sliders.image.value
    assert sliders._repr_mimebundle_()["text/plain"] == 'A curve of "powers" at power 2'


def test_figures_are_closed(draw):
    before = plt.get_fignums()
    Sliders(draw, power=[1, 2]).inputs["power"].value = 2
    assert plt.get_fignums() == before


@pytest.mark.parametrize(
    "given, said",
    [
        ({}, "at least one name"),
        (dict(power=[]), "power must hold at least one value"),
        (dict(power="abc"), "power must be a list of values"),
        (dict(power=[1], start={"power": 5}), "start of power must be one of its values, not 5"),
        (dict(power=[1], start={"share": 5}), "share"),
    ],
)
def test_choices_that_make_no_sense_are_named(draw, given, said):
    with pytest.raises(ValueError, match=said):
        Sliders(draw, **given)


def test_what_is_drawn_must_be_a_figure():
    with pytest.raises(ValueError, match="draw must return a figure, not"):
        Sliders(lambda power: power, power=[1])
