"""Cells on the workers of a Dask scheduler."""

from contextlib import suppress
from pathlib import Path

from ..data.errors import DataError
from .cell import Outcome, run_cell
from .processes import stop_work

QUEUED = 256
"""Cells that a scheduler is given at once."""


class Cluster:
    """A Dask scheduler whose workers see the same files. A cell whose worker is killed is run again
    on another one; the scheduler gives a cell up that has lost four workers.

    Args:
        address: Of the scheduler, as tcp://127.0.0.1:8786.

    Raises:
        DataError: No scheduler answers there, or Dask is not installed.
    """

    def __init__(self, address: str):
        try:
            from distributed import Client
        except ImportError as error:
            raise DataError('a cluster needs dask: pip install "ldr_lib[cluster]"') from error
        try:
            self.client = Client(address, timeout=20, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:
            raise DataError(f"no Dask scheduler answers at {address}") from error
        if not self.client.scheduler_info()["workers"]:
            print(f"no worker yet; start one with: dask worker {address}", flush=True)
        self.running = set()

    def run(self, notebook: str, parameters: dict, folder: Path, *limits) -> Outcome:
        """As `run_cell`, on one of the workers."""
        future = self.client.submit(run_cell, notebook, parameters, folder, *limits, pure=False)
        self.running.add(future)
        try:
            return future.result()
        except Exception as error:  # noqa: BLE001 whatever stops one cell must not stop the others
            killed = type(error).__name__ == "KilledWorker"
            why = f"the cluster gave it back ({str(error).partition(chr(10))[0]})"
            reason = "killed every worker that ran it" if killed else why
            return Outcome(reason, None, "failed")
        finally:
            self.running.discard(future)

    def end(self, mark: str) -> None:
        """Takes back what waits, and ends the processes of a mark on all workers."""
        with suppress(Exception):
            self.client.cancel(list(self.running))
            self.client.run(stop_work, mark)

    def close(self) -> None:
        """Leaves the cluster."""
        with suppress(Exception):
            self.client.close(timeout=5)
