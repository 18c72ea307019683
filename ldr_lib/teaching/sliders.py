"""Figures with sliders: what is drawn follows them; without a kernel a still picture is shown."""

import base64
import html
import inspect
import io
from collections.abc import Callable

import ipywidgets as widgets
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from ..data.checks import instance, shown
from ..data.errors import one_of


class Sliders(widgets.VBox):
    """A figure that is drawn again when a slider is moved or a button is pressed.

    Each picture is drawn when it is first asked for, and kept. Without a running kernel a still
    picture is shown.

    Args:
        draw: Takes one value of each name in `choices`, by name, and returns a figure. The first
            line of its docstring and the chosen values describe the picture to those who do not
            see it.
        start: Name to the value that is shown first; the first value where a name is missing.
        still: Takes nothing and returns the figure that is shown without a kernel, for example one
            with several choices side by side, described by the first line of its docstring. None
            takes the picture of the first choice.
        choices: Name to the list of its values. Numbers become a slider, texts become buttons.

    Raises:
        ValueError: A name has no values, a start is not among the values, or `draw` or `still`
            returned no figure.

    Example:
        >>> def draw(power):
        ...     figure, axis = plt.subplots()
        ...     axis.plot([x**power for x in range(5)])
        ...     return figure
        >>> Sliders(draw, power=[1, 2, 3]).values
        {'power': 1}

    Taught in notebook 00b, section 4.
    """

    def __init__(
        self,
        draw: Callable[..., Figure],
        start: dict | None = None,
        still: Callable[[], Figure] | None = None,
        **choices,
    ):
        if not choices:
            raise ValueError("Sliders needs at least one name with its values, as in share=[0, 1]")
        if not callable(draw):
            raise ValueError(f"draw must be a function that returns a figure, not {shown(draw)}")
        if still is not None and not callable(still):
            raise ValueError(f"still must be a function that returns a figure, not {shown(still)}")
        start = {} if start is None else instance(start, dict, "start", "a dictionary")
        for name in start:
            one_of(name, choices, "slider")
        self.draw, self.still, self.kept, self.inputs = draw, still, {}, {}
        for name, values in choices.items():
            values = list(instance(values, (list, tuple, range), name, "a list of values"))
            if not values:
                raise ValueError(f"{name} must hold at least one value, and is empty")
            first = start.get(name, values[0])
            if first not in values:
                raise ValueError(f"start of {name} must be one of its values, not {shown(first)}")
            self.inputs[name] = _input(name, values, first)
            self.inputs[name].observe(lambda _: self.show(), "value")
        self.image = widgets.HTML()
        super().__init__([*self.inputs.values(), self.image])
        self.add_class("ldr-sliders")
        self.show()

    @property
    def values(self) -> dict:
        """Name to the value that is chosen now."""
        return {name: control.value for name, control in self.inputs.items()}

    @property
    def picture(self) -> bytes:
        """The picture of the values that are chosen now, a PNG file."""
        chosen = tuple(self.values.values())
        if chosen not in self.kept:
            self.kept[chosen] = _png(self.draw(**self.values))
        return self.kept[chosen]

    @property
    def words(self) -> str:
        """What the picture shows, in words."""
        what = _described(self.draw)
        chosen = ", ".join(f"{name} {value}" for name, value in self.values.items())
        return f"{what} at {chosen}".lstrip()

    def show(self) -> None:
        """Shows the picture of the values that are chosen now."""
        data = base64.b64encode(self.picture).decode("ascii")
        self.image.value = (
            f'<img src="data:image/png;base64,{data}" alt="{html.escape(self.words)}" '
            'style="max-width: 100%">'
        )

    def _repr_mimebundle_(self, **kwargs):
        data = super()._repr_mimebundle_(**kwargs)
        if self.still is None:
            return data | {"image/png": self.picture, "text/plain": self.words}
        return data | {"image/png": _png(self.still()), "text/plain": _described(self.still)}


def _described(draw: Callable) -> str:
    """The first line of a function's docstring."""
    told = inspect.isroutine(draw) and inspect.getdoc(draw) or ""
    return told.partition("\n")[0].rstrip(".")


def _input(name: str, values: list, first) -> widgets.Widget:
    label = name.replace("_", " ")
    style = {"description_width": "initial"}
    if isinstance(values[0], str):
        return widgets.ToggleButtons(options=values, value=first, description=label, style=style)
    layout = widgets.Layout(width="30em")
    return widgets.SelectionSlider(
        options=values, value=first, description=label, style=style, layout=layout
    )


def _png(figure: Figure) -> bytes:
    if not isinstance(figure, Figure):
        raise ValueError(f"draw must return a figure, not {shown(figure)}")
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=100)
    plt.close(figure)
    return file.getvalue()
