"""Measurements outside the notebooks."""

from typing import Annotated

import typer

from .guard import one_by_one
from .options import DATA, DataDir


def confidence(
    fit: Annotated[
        bool, typer.Option(help="First take the statistics from training images again.")
    ] = False,
    data_dir: DataDir = DATA,
) -> None:
    """Measure which wrong images the confidence of `predict` refuses, and which right ones."""
    from ..guided import confidence_study

    if fit:
        typer.echo(confidence_study.fit(data_dir))
    typer.echo(confidence_study.measure(data_dir))


def baselines(data_dir: DataDir = DATA) -> None:
    """Measure filters, thresholds and mean masks on the test images of notebook 04c."""
    from ..guided.baselines import baselines as measure

    typer.echo(measure(data_dir))


def shipped(data_dir: DataDir = DATA) -> None:
    """Measure the guided networks that come with the package on the test images of notebook 04c."""
    from ..guided.shipped_study import measure

    typer.echo(measure(data_dir))


def localise(
    landmark: Annotated[
        list[str] | None,
        typer.Argument(help="Landmarks, as fovea_simulated; default: all of notebook 07."),
    ] = None,
    data_dir: DataDir = DATA,
) -> None:
    """Measure how well one chosen point finds a landmark in other images, beside what else could
    find it, and keep the records (notebook 07). The status is 1 where one could not be measured.

    Example: python -m ldr_lib localise fovea_simulated disc_drions
    """
    from ..data.errors import one_of
    from ..landmarks import LANDMARKS
    from ..landmarks.study import study

    names = [one_of(name, LANDMARKS, "landmark") for name in landmark or LANDMARKS]
    one_by_one(lambda name: study([name], data_dir)[0], names, "landmarks")


def benchmark(
    device: Annotated[
        str, typer.Option(help="cpu, cuda, ...; default: a GPU where there is one.")
    ] = "auto",
    steps: Annotated[
        int, typer.Option(min=1, help="Timed steps each, after two untimed ones.")
    ] = 5,
) -> None:
    """Time one training step of the kit against the same step written literally."""
    from ..benchmark import measure

    typer.echo(measure(device, steps))


def benchmark_input(
    n: Annotated[int, typer.Option(help="Number of small files.")] = 100_000,
    folder: Annotated[
        str, typer.Option(help="Keeps files and cache; default: a temporary folder.")
    ] = "",
    size: Annotated[int, typer.Option(help="Side of the prepared images in pixels.")] = 64,
    workers: Annotated[int, typer.Option(min=1, help="Most processes that read ahead.")] = 4,
) -> None:
    """Time the way from many small files to training batches."""
    from ..benchmark_input import measure_input

    typer.echo(measure_input(n, folder, size, workers))
