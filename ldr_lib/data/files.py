"""Writing files whole or not at all, work in processes, and a line that shows progress."""

import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from joblib.externals.loky import ProcessPoolExecutor
from tqdm import tqdm

from .errors import DataError


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Gives a temporary name next to `path`. What is written there is renamed to `path` only if no
    error occurred.

    Args:
        path: The file or folder that appears whole or not at all. Missing parent folders are made.

    Yields:
        The temporary name.

    Raises:
        DataError: The disk is full or the folder cannot be written. An older file stays as it was.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        if path.is_dir():
            shutil.rmtree(path)
        os.replace(temporary, path)
    except OSError as error:
        raise DataError(
            f"could not write {path}: {error.strerror or error}. Free some space or choose another "
            "folder; nothing half-written was kept."
        ) from error
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            with suppress(OSError):
                temporary.unlink()


class Progress:
    """One line that shows the progress of long work: a bar on a terminal, a line that rewrites
    itself in a notebook.

    Args:
        label: Name of the work.
        total: Number of steps.
    """

    def __init__(self, label: str, total: int):
        self.label, self.total, self.done = label, total, 0
        self.line = self.bar = None
        ipython = sys.modules.get("IPython")
        if ipython and hasattr(ipython.get_ipython(), "kernel"):
            from IPython.display import display

            self.line = display({"text/plain": label}, raw=True, display_id=True)
        else:
            self.bar = tqdm(total=total, desc=label, leave=False, disable=not sys.stderr.isatty())

    def step(self, note: str = "") -> None:
        """Counts one step and shows a note after the count."""
        self.done += 1
        if self.bar:
            self.bar.set_postfix_str(note)
            self.bar.update()
        elif self.done % max(1, self.total // 50) == 0:
            self._show(f"{self.label}: {100 * self.done // self.total} % {note}")

    def close(self, summary: str = "") -> None:
        """Replaces the bar by a last line, the summary."""
        if self.bar is not None:
            self.bar.close()
        self._show(f"{self.label}: {summary or 'done'}")

    def _show(self, text: str) -> None:
        if self.line is not None:
            self.line.update({"text/plain": text}, raw=True)


def progress(items: Iterable, label: str, total: int) -> Iterator:
    """Yields the items while a `Progress` line counts them."""
    line = Progress(label, total)
    for item in items:
        yield item
        line.step()
    line.close(f"{total} done")


def in_processes(function: Callable, items: Iterable, jobs: int) -> Iterator:
    """Applies a function to items in processes that end with the work. Idle ones would print
    tracebacks when a notebook's kernel is stopped.

    Args:
        function: Of one item; with its item it is pickled.
        items: What it is applied to.
        jobs: Processes at once.

    Yields:
        The results, in the order of the items.

    Example:
        >>> list(in_processes(abs, [-1, 2], jobs=1))
        [1, 2]
    """
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(function, items)
