"""Locks between processes and threads, and what processes that were killed have left behind."""

import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from .names import safe_text

OURS = re.compile(r"\..+\.\d+-[0-9a-f]{16}\.part")
"""Names of temporary files; each has a lock beside it, which its process holds."""
EARLIER = re.compile(r"\..+\.\d+\.part")
"""Those of revisions that had no locks."""
UNFINISHED = ".unfinished"
"""Ending of folders that a later process goes on with."""
ABANDONED = 24 * 3600
"""Seconds after which one of these counts as left behind."""
_looked_through: set[Path] = set()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Waits until no other process or thread makes this file or folder, and keeps others waiting.

    A process that ends, in whatever way, gives its lock back.

    Args:
        path: The file or folder; its lock lies in `.locks` beside it.

    Raises:
        OSError: The lock cannot be made there.
    """
    folder = path.parent / ".locks"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f"{path.name}.lock", mode=0o666):  # other users may wait for it, too
        yield


@contextmanager
def temporary_beside(path: Path) -> Iterator[Path]:
    """A free temporary name beside a path. No other process takes or removes it; whatever has this
    name in the end is removed.

    Args:
        path: The file or folder that is being made; its parent exists.

    Yields:
        The temporary name.

    Raises:
        OSError: Nothing can be written there.
    """
    remove_leftovers(path.parent)
    unique = f"{os.getpid()}-{secrets.token_hex(8)}"
    part = path.with_name(f".{safe_text(path.name)[-60:]}.{unique}.part")
    _lock_of(part).touch()  # fails where nothing can be made; a lock would wait for ever
    lock = FileLock(_lock_of(part))
    lock.acquire()
    try:
        yield part
    finally:
        remove(part)
        lock.release()
        with suppress(OSError):
            _lock_of(part).unlink()


def unfinished_folder(folder: Path) -> Path:
    """Where the content of a folder grows until it is whole; removed after a day without change."""
    return folder.with_name(f".{folder.name}{UNFINISHED}")


def remove_leftovers(folder: Path) -> None:
    """Removes temporary files and folders of processes that are gone; once for each folder and
    process.

    Args:
        folder: Where to look; it need not exist.
    """
    if folder in _looked_through:
        return
    _looked_through.add(folder)
    with suppress(OSError):
        for name in os.listdir(folder):
            if OURS.fullmatch(name.removesuffix(".lock")):
                _remove_unless_held(folder / name.removesuffix(".lock"))
            elif EARLIER.fullmatch(name) or name.endswith(UNFINISHED):
                _remove_if_old(folder / name)


def remove(path: Path) -> None:
    """Removes a file or folder as far as that is possible."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def _lock_of(part: Path) -> Path:
    return part.with_name(f"{part.name}.lock")


def _remove_unless_held(part: Path) -> None:
    with suppress(Timeout, OSError), FileLock(_lock_of(part), timeout=0):
        remove(part)
        _lock_of(part).unlink()


def _remove_if_old(part: Path) -> None:
    with suppress(OSError):
        if part.lstat().st_mtime < time.time() - ABANDONED:
            remove(part)
