"""The commands of `python -m ldr_lib`, grouped by what a user comes for."""

import typer

from .guard import guarded
from .measuring import baselines, benchmark, benchmark_input, confidence, localise, shipped
from .notebooks import compare, confirm, execute, records, summary, sweep, tables
from .own_images import check, predict, transfer
from .publishing import leaderboard, page, ship
from .training import guided, learn, pretrain, switch

COMMANDS = (
    *(execute, sweep, compare, summary, learn, pretrain, guided, confidence, transfer, predict),
    *(records, confirm, switch, baselines, shipped, page, localise, ship, tables, benchmark, check),
    *(benchmark_input, leaderboard),
)
"""In the order in which --help lists them."""

app = typer.Typer(
    help="Notebooks, sweeps, trainings and tables of the kit. Every command has its own --help.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for function in COMMANDS:
    app.command()(guarded(function))
