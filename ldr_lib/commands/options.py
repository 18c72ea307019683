"""Options that several commands have."""

import os
from typing import Annotated

import typer

DataDir = Annotated[str, typer.Option(help="Folder of the datasets; default $LDR_DATA.")]
Seed = Annotated[int, typer.Option(help="Seed of everything random.")]
Tier = Annotated[
    str, typer.Option(help="How long it trains: smoke, class, full, ...; an unknown one lists all.")
]
Parameter = Annotated[
    list[str],
    typer.Option(
        "-p", metavar="NAME=VALUE", help="Sets a parameter, as -p seed=1; may be repeated."
    ),
]
DATA = os.environ.get("LDR_DATA", "")
