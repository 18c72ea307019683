"""Checks, quizzes and photographs of the course."""

from collections.abc import Callable
from pathlib import Path

import torch
from matplotlib.figure import Figure

from ldr_lib import losses, teaching

from .inputs import D, mask

TASK = next(iter(teaching.stored_values()))


def example_of(shape, **options) -> torch.Tensor:
    return teaching.example(*shape, **options)


def gradient_of(function, inputs, **options) -> torch.Tensor:
    return teaching.gradient(function, *inputs, **options)


def checked_value(task: str, tolerance: float) -> None:
    teaching.check_value(task, teaching.stored_values()[TASK]["value"], tolerance)


def line_of(power: int) -> Figure:
    figure = Figure()
    figure.subplots().plot([0, power])
    return figure


def shown_source(function) -> None:
    teaching.show_source(function)


def calls(folder: Path) -> dict[str, tuple[Callable, dict]]:
    rows = torch.nn.functional.normalize(torch.rand(6, D), dim=1)
    return {
        "show_source": (shown_source, dict(function=losses.cluster_area)),
        "leaderboard": (teaching.leaderboard, dict(course=folder / "course")),
        "teaching.check": (teaching.check, dict(what="x", got=1.0, expected=1.0)),
        "teaching.example": (example_of, dict(shape=(2, 3), turn=1.7, unit=True)),
        "teaching.gradient": (
            gradient_of,
            dict(function=torch.square, inputs=[rows], of=0, at=(0, 0)),
        ),
        "check_value": (checked_value, dict(task=TASK, tolerance=1e-3)),
        "hard_photographs": (teaching.hard_photographs, dict(seeds=[1], size=32)),
        "own_work": (teaching.own_work, dict(function=mask)),
        "Quiz": (teaching.Quiz, dict(notebook="00")),
        "Sliders": (teaching.Sliders, dict(draw=line_of, start={"power": 2}, power=[1, 2])),
    }
