"""A submission under grading: its program runs behind a wall, its functions can be called."""

import os
import selectors
import struct
import subprocess
import time
from collections.abc import Collection

import frames
import wall

START_SECONDS = 120
"""For starting Python behind the wall; the first request waits for it."""
LONGEST_CELLS = 8
"""Time for one submission, whatever it does, in longest times of a cell."""


class Failed(AssertionError):
    """A function of the student's raised an error, did not end or did not answer."""


class _Gone(Exception):
    """The student's program ended, did not answer in time or answered with what is no answer."""


class Student:
    """A submission's cells, run one by one, and its functions afterwards.

    A cell that ends the program or does not end itself is left out, and the others are run again in
    a new one: it costs its own marks only.

    Args:
        cells: The submission's code by name, in the order of the notebook.
        seconds: Longest time for a cell or a call.
        kind: Name of the wall, as `wall.choose` gives it.
        shown: Names of cells that are run to be looked at, for example a training and its plot:
            once they have run they are not run again.
    """

    def __init__(
        self, cells: dict[str, str], seconds: float, kind: str, shown: Collection[str] = ()
    ):
        self.cells, self.seconds, self.kind, self.shown = cells, seconds, kind, shown
        self.outputs, self.left_out = {}, set()
        self.process = self.wall = None
        self.until = time.monotonic() + START_SECONDS + LONGEST_CELLS * seconds

    def __enter__(self) -> "Student":
        self.run()
        return self

    def __exit__(self, *_) -> None:
        self.stop()

    def run(self) -> None:
        """Runs all cells that can be run, in a new program."""
        while True:
            self._start()
            for name, source in self.cells.items():
                if name in self.left_out or (name in self.shown and name in self.outputs):
                    continue
                try:
                    self.outputs[name] = _as_output(self._ask({"cell": source}))
                except _Gone as error:
                    self.left_out.add(name)
                    self.outputs[name] = {"error": str(error), "printed": "", "pictures": []}
                    self.stop()
                    break
            else:
                return

    def call(self, function: str, **request):
        """The value of a function; `Failed` where there is none."""
        if self.process is None:
            self.run()
        try:
            answer = self._ask({"function": function, **request})
        except _Gone as error:
            self.stop()
            raise Failed(f"{function}: {error}") from None
        if not isinstance(answer, dict) or answer.keys() not in ({"value"}, {"error"}):
            raise Failed(f"{function}: the program gave no answer")
        if "error" in answer:
            raise Failed(f"{function}: {answer['error']}"[:2000])
        return answer["value"]

    def _start(self) -> None:
        self.stop()
        self.wall = wall.WALLS[self.kind]()
        command, environ = self.wall.command()
        self.process = subprocess.Popen(
            command,
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.set_blocking(self.process.stdin.fileno(), False)
        self.wait = START_SECONDS

    def stop(self) -> None:
        """Ends the program and every process that it left."""
        if self.process is not None:
            self.wall.stop(self.process)
            self.process.stdin.close()
            self.process.stdout.close()
            self.wall.close()
            self.process = None

    def _ask(self, request: dict):
        until = min(time.monotonic() + self.seconds + self.wait, self.until)
        self.wait = 0
        self._write(request, until)
        try:
            text, body = frames.lengths(self._read(16, until))
            return frames.parse(self._read(text, until), self._read(body, until))
        except (ValueError, struct.error) as error:
            raise _Gone(str(error)) from None

    def _write(self, request: dict, until: float) -> None:
        rest = memoryview(frames.packed(request))
        while rest:
            self._ready(self.process.stdin, selectors.EVENT_WRITE, until)
            try:
                rest = rest[os.write(self.process.stdin.fileno(), rest[: 1 << 16]) :]
            except BlockingIOError:
                continue
            except BrokenPipeError:
                raise _Gone("the program ended itself") from None

    def _read(self, size: int, until: float) -> bytes:
        parts, missing = [], size
        while missing:
            self._ready(self.process.stdout, selectors.EVENT_READ, until)
            part = os.read(self.process.stdout.fileno(), min(missing, 1 << 20))
            if not part:
                raise _Gone("the program ended itself")
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)

    def _ready(self, stream, event: int, until: float) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(stream, event)
            if not selector.select(max(0, until - time.monotonic())):
                raise _Gone(f"it did not end within {self.seconds:.0f} seconds")


def _as_output(answer) -> dict:
    """A cell's output with nothing but texts in it, whatever the program answered."""
    if not isinstance(answer, dict):
        raise _Gone("the program gave no answer")
    error, pictures = answer.get("error"), answer.get("pictures")
    return {
        "error": None if error is None else str(error)[:2000],
        "printed": str(answer.get("printed", ""))[:20_000],
        "pictures": [one for one in pictures if isinstance(one, str)]
        if isinstance(pictures, list)
        else [],
    }


class Answer:
    """A student's function, called where it runs.

    Args:
        student: Whose it is.
        name: The function's name.
        source: Text of all the student's cells.
    """

    def __init__(self, student: Student, name: str, source: str):
        self._student, self.__name__, self.source = student, name, source

    def __call__(self, *inputs, **named):
        return self._student.call(self.__name__, inputs=list(inputs), named=named)

    def gradient(self, *inputs, **how):
        return self._student.call(self.__name__, inputs=list(inputs), named={}, gradient=how)
