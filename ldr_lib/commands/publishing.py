"""What others get: the explorer's page, weights, scores of the course."""

from pathlib import Path
from typing import Annotated

import typer

from .options import DATA, DataDir


def page(
    out: Annotated[Path, typer.Argument(help="The HTML file that is written.")],
    snapshots: Annotated[
        Path | None,
        typer.Option(
            help="Folder of a training with snapshots at several steps: the page gets a slider "
            "over them. Default: the network that comes with the kit."
        ),
    ] = None,
    modality: Annotated[
        str, typer.Option(help="fundus, chest or other; default: what the snapshots take.")
    ] = "",
    dataset: Annotated[
        str, typer.Option(help="Images that are shown; default: real ones that come with the kit.")
    ] = "",
    data_dir: DataDir = DATA,
    split: Annotated[str, typer.Option(help="Part of the dataset.")] = "test",
    images: Annotated[int, typer.Option(min=1, help="Number of images.")] = 4,
    side: Annotated[
        int | None,
        typer.Option(
            help="Pixels along a side; default: as many as keep embeddings and clusters below 6 MB."
        ),
    ] = None,
) -> None:
    """Write the explorer of notebook 03 as a page that needs no kernel.

    Example: python -m ldr_lib page learning.html --snapshots runs/my_training
    """
    from ..explore.network_page import network_page

    typer.echo(network_page(out, snapshots, modality, dataset, data_dir, split, images, side))


def ship(
    what: Annotated[
        str, typer.Argument(help="encoders, representations, vessel, disc, chest, or figure.")
    ],
    data_dir: DataDir = DATA,
) -> None:
    """Put trained weights and their cards into the package, or draw what they find (figure)."""
    from .. import tensor_files
    from ..data.errors import one_of
    from ..explore.shipping import ship as ship_representations
    from ..guided.shipping import SHIPPED_RUNS, real_figure
    from ..guided.shipping import ship as ship_guided
    from ..pretrained import WEIGHTS
    from ..transfer.pretraining import ship as ship_encoders

    one_of(what, ("encoders", "representations", "figure", *SHIPPED_RUNS), "thing to ship")
    if what == "encoders":
        typer.echo(ship_encoders())
    elif what == "representations":
        typer.echo(ship_representations())
    elif what == "figure":
        typer.echo(real_figure(data_dir))
    else:
        typer.echo(ship_guided(what))
    tensor_files.list_sums(WEIGHTS)


def leaderboard(
    course: Annotated[Path, typer.Argument(help="Folder of the course, after autograding.")],
) -> None:
    """Print the scores of the graded project, best student first."""
    from ..teaching import leaderboard as scores

    typer.echo(scores(course).to_string())
