"""Writing files whole or not at all, work in processes, and a line that shows progress."""

import errno
import os
import re
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from joblib.externals.loky import ProcessPoolExecutor
from safetensors import SafetensorError
from tqdm import tqdm

from .errors import DataError
from .locks import remove, temporary_beside


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Gives a temporary name next to `path`. What is written there is renamed to `path` only if no
    error occurred, after it has reached the disk.

    Args:
        path: The file or folder that appears whole or not at all. Missing parent folders are made.

    Yields:
        The temporary name.

    Raises:
        DataError: The disk is full or the folder cannot be written. An older file stays as it was.
    """
    path = Path(path)
    try:
        if not path.name:
            raise IsADirectoryError(errno.EISDIR, "a folder of this name is there", str(path))
        path.parent.mkdir(parents=True, exist_ok=True)
        if _is_pipe_or_device(path):  # as root it would be replaced
            raise FileExistsError(errno.EEXIST, "a pipe or a device of this name is there")
        with temporary_beside(path) as temporary:
            yield temporary
            _flush(temporary)
            if temporary.is_dir():
                _replace_folder(temporary, path)
            elif path.is_dir():
                raise IsADirectoryError(errno.EISDIR, "a folder of this name is there", str(path))
            else:
                os.replace(temporary, path)
            _sync(path.parent)
    except (OSError, SafetensorError) as error:
        raise not_written(path, error) from error


ADVICE = {
    errno.EACCES: "You may not write there",
    errno.EPERM: "You may not write there",
    errno.EROFS: "You may not write there",
    errno.ENOENT: "Nothing can be made there",
    errno.EEXIST: "Rename or move what is there",
    errno.EISDIR: "Rename or move what is there",
    errno.ENOTDIR: "Rename or move what is there",
    errno.ENAMETOOLONG: "Choose a shorter name",
}
"""What helps against an error, by its number."""
ANOTHER = (
    "choose another folder (LDR_CACHE for prepared images, LDR_RUNS or out_dir for runs); "
    "nothing half-written was kept."
)


def not_written(path: Path, error: Exception) -> DataError:
    """The DataError for a file or folder that could not be written, with cause and advice."""
    in_words = re.search(r"\(os error (\d+)\)", str(error))  # of libraries written in Rust
    number = getattr(error, "errno", None) or (int(in_words[1]) if in_words else None)
    cause = getattr(error, "strerror", None) or error
    other = getattr(error, "filename", None)
    about = f" ({other})" if other and not Path(str(other)).name.endswith(".part") else ""
    advice = ADVICE.get(number, "Free some space")
    return DataError(f"could not write {path}: {cause}{about}. {advice}, or {ANOTHER}")


def _is_pipe_or_device(path: Path) -> bool:
    with suppress(OSError):
        mode = path.stat().st_mode  # one look: others may move it at any time
        return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))
    return False


def _flush(written: Path) -> None:
    """Waits until a file, or a folder with all that it holds, has reached the disk."""
    for path in sorted(written.rglob("*")) if written.is_dir() else []:
        _sync(path)
    _sync(written)


def _sync(path: Path) -> None:
    if os.name == "nt" and path.is_dir():
        return  # Windows does not open folders
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
            raise  # the others say that this file system cannot do it
    finally:
        os.close(descriptor)


def _replace_folder(temporary: Path, path: Path) -> None:
    """Puts a folder where there may be one already. The old one is moved away first, since a
    folder cannot be renamed to another that is not empty.
    """
    with suppress(FileNotFoundError):
        if not stat.S_ISDIR(path.stat().st_mode):  # one look: others may move it at any time
            raise NotADirectoryError(errno.ENOTDIR, "a file of this name is there", str(path))
    with temporary_beside(path) as old:
        while True:
            with suppress(FileNotFoundError):
                os.replace(path, old)
            try:
                os.replace(temporary, path)
                return
            except OSError as error:
                if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                    remove(old)  # another process has put its folder there in between
                    continue
                with suppress(OSError):
                    os.replace(old, path)
                raise


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
