"""The student's side of grading: runs cells and functions that it is asked for, behind the wall.

Requests come as frames on standard input and answers leave on standard output; what the student's
program itself prints goes nowhere else than into the answer. Everything here may be tampered with
by the student's program: it knows no test, no expected value and no mark.
"""

import base64
import os

import frames


def main() -> None:
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    shell = notebook_shell()
    while True:
        try:
            request = frames.receive(requests)
        except EOFError:
            return
        answer = run(shell, request["cell"]) if "cell" in request else call(shell, **request)
        try:
            frames.send(answers, answer)
        except (TypeError, ValueError, RuntimeError) as error:
            frames.send(answers, {"error": f"{type(error).__name__}: {error}"})


def notebook_shell():
    """IPython as a notebook has it, with figures as pictures and no history file."""
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
    config = Config()
    config.HistoryManager.enabled = False
    shell = InteractiveShell.instance(config=config)
    shell.run_cell("%matplotlib inline", silent=True)
    shell.showtraceback = shell.showsyntaxerror = _say_nothing
    return shell


def _say_nothing(*_, **__) -> None:
    """Errors are answered, not printed."""


def run(shell, source: str) -> dict:
    """Runs a cell: its error, what it printed, and its pictures."""
    from IPython.utils.capture import capture_output

    with capture_output() as caught:
        result = shell.run_cell(source, store_history=False)
    error = result.error_before_exec or result.error_in_exec
    return {
        "error": _said(error) if error else None,
        "printed": caught.stdout[:20_000],
        "pictures": [picture for picture in map(_picture, caught.outputs) if picture][:10],
    }


def _picture(output) -> str | None:
    picture = (output.data or {}).get("image/png")
    return base64.b64encode(picture).decode() if isinstance(picture, bytes) else picture


def call(shell, function: str, inputs: list, named: dict, gradient: dict | None = None) -> dict:
    """Calls a function of the student's, or takes its gradient; a "value" or an "error"."""
    from IPython.utils.capture import capture_output

    try:
        answer = shell.user_ns[function]
        with capture_output():
            if gradient is None:
                value = answer(*inputs, **named)
            else:
                from ldr_lib.teaching import gradient as gradient_of

                value = gradient_of(answer, *inputs, **gradient)
    except BaseException as error:  # noqa: BLE001 a student's function may fail in any way
        return {"error": _said(error)}
    return {"value": value}


def _said(error: BaseException) -> str:
    if isinstance(error, KeyError) and len(error.args) == 1:
        return f"KeyError: {error.args[0]} is not defined"
    try:
        return f"{type(error).__name__}: {error}"[:2000]
    except Exception:  # noqa: BLE001 its text is the student's program too
        return type(error).__name__


if __name__ == "__main__":
    main()
