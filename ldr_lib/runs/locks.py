"""Who works on what: locks that end with their process and name their holder."""

import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from ..data.errors import DataError
from ..data.files import atomic_write
from .processes import end_processes


class Taken(Exception):
    """Another process works on it; the message says which."""


def writable(folder: Path) -> Path:
    """Makes a folder for runs.

    Raises:
        DataError: It cannot be made or written; the message says where runs could go instead.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
        reason = "it may only be read"
    except OSError as error:
        reason = error.strerror or error
    raise DataError(
        f"nothing can be written to {folder}: {reason}. Set LDR_RUNS to a folder of your own for "
        "all runs, or out_dir for this one"
    )


@contextmanager
def claimed(folder: Path, mark: str = "") -> Iterator[None]:
    """Holds the right to write a folder. It ends with the block or with the process.

    Args:
        folder: Need not exist.
        mark: Of the processes that will write it. Where an earlier holder was killed, those of its
            mark are ended first.

    Raises:
        Taken: Another process or thread holds it.
        DataError: The place cannot be written.
    """
    locks = writable(folder.parent / ".locks")
    lock, about = FileLock(locks / f"{folder.name}.lock"), locks / f"{folder.name}.json"
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise Taken(_holder(about)) from None
    except OSError as error:
        raise DataError(f"{lock.lock_file} cannot be locked ({error.strerror or error})") from error
    try:
        _end_left_over(about)
        with atomic_write(about) as temporary:
            temporary.write_text(
                json.dumps(
                    {
                        "process": os.getpid(),
                        "machine": platform.node(),
                        "since": time.strftime("%Y-%m-%d %H:%M:%S"),
                        "mark": mark,
                    }
                ),
                encoding="utf-8",
            )
        yield
    finally:
        with suppress(OSError):
            about.unlink()
        lock.release()


def _read(about: Path) -> dict:
    try:
        return dict(json.loads(about.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def _holder(about: Path) -> str:
    holder = _read(about)
    if "process" not in holder:
        return "another process"
    return f"process {holder['process']} on {holder.get('machine')} since {holder.get('since')}"


def _end_left_over(about: Path) -> None:
    left = _read(about)
    if left.get("mark") and left.get("machine") == platform.node():
        end_processes(left["mark"])
