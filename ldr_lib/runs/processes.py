"""Processes that belong together: found by a mark in their environment, ended together, and one
process for each piece of work.
"""

import os
import signal
import threading
import traceback
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress

import psutil
from joblib.externals.loky import ProcessPoolExecutor

from ..data.errors import DataError

MARK = "LDR_MARK"
"""Environment variable that all processes of one piece of work inherit."""
KILLED = "its process was killed, as happens when the memory is full"


class SomeFailed(DataError):
    """Some of several pieces of work failed. The message names them and says why; the others are
    kept.

    Args:
        failed: Name of each, and why.
        n: How many there were.
        what: They are, in a word.
    """

    def __init__(self, failed: dict[str, str], n: int, what: str):
        lines = "".join(f"\n- {name}: {why}" for name, why in failed.items())
        kept = ", what the others gave is kept" if len(failed) < n else ""
        super().__init__(f"{len(failed)} of {n} {what} failed{kept}:{lines}")


class Ended(SystemExit):
    """The program was asked to end. The code is that of a process that the signal ended."""


def new_mark() -> str:
    """A mark that no other work has; it begins with that of the process itself, if it has one."""
    return f"{os.environ.get(MARK, '')}{uuid.uuid4().hex[:12]};"


def end_processes(mark: str) -> None:
    """Ends all processes of this machine whose mark begins with the given one, without a chance to
    object. What they had written whole stays.
    """
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.environ().get(MARK, "").startswith(mark):
                process.kill()


_stopped: set[str] = set()


def stop_work(mark: str) -> None:
    """As `end_processes`, and what this process still starts under the mark is to end itself."""
    _stopped.add(mark)
    end_processes(mark)


def is_stopped(mark: str) -> bool:
    """Whether this process was told to stop the work of a mark."""
    return any(mark.startswith(stopped) for stopped in _stopped)


@contextmanager
def time_limit(minutes: float | None, mark: str) -> Iterator[threading.Event]:
    """Ends the processes of a mark when the time is over.

    Args:
        minutes: From the start of the block; None waits for ever.
        mark: As `new_mark` makes it.

    Yields:
        An event that is set when the time is over.
    """
    done, over = threading.Event(), threading.Event()

    def watch():
        if not done.wait(min(60 * minutes, threading.TIMEOUT_MAX)):
            over.set()
            end_processes(mark)
            while not done.wait(0.5):  # what starts late
                end_processes(mark)

    if minutes is not None:
        threading.Thread(target=watch, daemon=True).start()
    try:
        yield over
    finally:
        done.set()


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Turns SIGTERM and the end of the terminal into the exception `Ended`, so that what was
    started is ended too. Signals that are ignored, as under nohup, stay ignored.
    """
    numbers = [getattr(signal, name, None) for name in ("SIGTERM", "SIGHUP")]
    here = threading.current_thread() is threading.main_thread()
    taken = [n for n in numbers if n and here and signal.getsignal(n) == signal.SIG_DFL]

    def end(number, frame):
        raise Ended(128 + number)

    for number in taken:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


def all_ended(futures: Iterable[Future], end: Callable[[], None]) -> None:
    """Cancels work and ends what runs, until nothing does."""
    for future in futures:
        future.cancel()
    while any(not future.done() for future in futures):
        end()
        threading.Event().wait(0.2)


def in_own_processes(function: Callable, items: list, jobs: int) -> Iterator[tuple]:
    """Applies a function to items, each in a process of its own: one that is killed costs its item
    only, and all end with the work.

    Args:
        function: Of one item; with its item it is pickled.
        items: What it is applied to.
        jobs: Processes at once.

    Yields:
        Item, result, and "" or why there is none; in the order in which they end. What no message
        explains to a user is printed with its traceback.

    Example:
        >>> list(in_own_processes(abs, [-1], jobs=1))
        [(-1, 1, '')]
    """
    running = set()

    def one(item):
        executor = ProcessPoolExecutor(1)
        running.add(executor)
        try:
            return executor.submit(function, item).result(), ""
        except BrokenProcessPool:
            return None, KILLED
        except (DataError, ValueError) as error:
            return None, str(error)
        except Exception as error:  # noqa: BLE001 one failure must not stop the others
            traceback.print_exception(error)
            return None, f"{type(error).__name__}: {error}"
        finally:
            running.discard(executor)
            executor.shutdown(kill_workers=True)

    def end():
        for executor in list(running):
            executor.shutdown(wait=False, kill_workers=True)

    with ended_by_signals(), ThreadPoolExecutor(max(1, min(jobs, len(items)))) as pool:
        futures = {pool.submit(one, item): item for item in items}
        try:
            for future in as_completed(futures):
                yield futures[future], *future.result()
        except BaseException:
            all_ended(futures, end)
            raise
