"""How a command ends: with its result, or with one sentence and a status."""

import os
import sys
from collections.abc import Callable
from functools import wraps

import typer

PLACES = "LDR_RUNS names a folder for runs, LDR_CACHE one for prepared images, LDR_DATA your images"
TOGETHER = ("pretrain", "guided")
"""Commands of which several processes, started by torchrun, do one."""
RESUMED = (*TOGETHER, "learn", "switch")
"""Commands that train: one that was stopped goes on."""
STOPPED = "stopped; finished runs are kept and are skipped next time"
GOES_ON = "stopped; the same command goes on after the last whole epoch"
NEXT_IMAGE = "stopped; the same command goes on with the next image"


def guarded(function: Callable) -> Callable:
    """A command whose wrong arguments and unusable files end it with one sentence and status 2.
    Where some of several things failed, they are named and the status is 1.
    """

    @wraps(function)
    def command(*arguments, **options):
        from ..data.errors import DataError
        from ..runs.processes import Ended, SomeFailed

        for stream in (sys.stdout, sys.stderr):  # a name that the terminal cannot show is escaped
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="backslashreplace")
        try:
            _one_process_unless(function.__name__ in TOGETHER)
            return function(*arguments, **options)
        except (DataError, ValueError) as error:
            say_once(str(error))
            raise typer.Exit(1 if isinstance(error, SomeFailed) else 2) from error
        except BrokenPipeError:
            raise
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            say_once(f"{where}{error.strerror or error}. {PLACES}")
            raise typer.Exit(2) from error
        except (KeyboardInterrupt, Ended) as stop:
            said = {"predict": NEXT_IMAGE} | dict.fromkeys(RESUMED, GOES_ON)
            say_once(said.get(function.__name__, STOPPED))
            raise typer.Exit(getattr(stop, "code", 130)) from None

    return command


def say_once(text: str, err: bool = True) -> None:
    """Prints a text; of several processes the first that comes to it does."""
    if int(os.environ.get("WORLD_SIZE") or 1) > 1:
        from ..distributed import first_to_say

        if not first_to_say(text):
            return
    typer.echo(text, err=err)


def one_by_one(work: Callable, items: list, what: str) -> None:
    """Does a piece of work for each item and prints what it gives; one that fails stops none.

    Raises:
        SomeFailed: Some of them failed; it names them.
    """
    from ..data.errors import DataError
    from ..runs.processes import SomeFailed

    failed = {}
    for item in items:
        try:
            typer.echo(work(item))
        except DataError as error:
            failed[str(item)] = str(error)
            typer.echo(f"failed: {item}", err=True)
    if failed:
        raise SomeFailed(failed, len(items), what)


def _one_process_unless(together: bool) -> None:
    if not together and int(os.environ.get("WORLD_SIZE") or 1) > 1:
        raise ValueError(
            f"torchrun starts several processes, and only {' and '.join(TOGETHER)} work on "
            "several together; start this command without it"
        )
