"""Which rows of a batch belong to which process."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Share:
    """One process's equal share of a batch that several processes work on together.

    Attributes:
        number: Which process, from 0.
        of: Number of processes.

    Example:
        >>> Share(1, of=2).take(torch.arange(8)).tolist()
        [4, 5, 6, 7]
        >>> Share(1, of=2).take(torch.arange(8), parts=2).tolist()  # pairs stay together
        [2, 3, 6, 7]
    """

    number: int = 0
    of: int = 1

    def take(self, rows: torch.Tensor, parts: int = 1) -> torch.Tensor:
        """The share's rows of a whole batch.

        Args:
            rows: (n, ...) of the whole batch.
            parts: Number of equal parts of which the batch consists, for example 2 where row i and
                row n/2 + i make a pair; the share of each is taken.

        Returns:
            (n / of, ...), the rows themselves where there is one process.
        """
        if self.of == 1:
            return rows
        each = len(rows) // parts // self.of
        split = rows.unflatten(0, (parts, self.of, each))
        return split[:, self.number].flatten(0, 1)

    def equal(self, n: int, what: str) -> int:
        """The size of a share.

        Args:
            n: Size of the whole batch.
            what: Name of that number, for the message.

        Returns:
            n / of.

        Raises:
            ValueError: The processes cannot have equal shares.

        Example:
            >>> Share(0, of=2).equal(5, "pairs")
            Traceback (most recent call last):
            ValueError: pairs = 5 is the batch of all processes together, and 2 processes cannot \
share it equally; choose a multiple of 2, or another number of processes
        """
        if n % self.of:
            raise ValueError(
                f"{what} = {n} is the batch of all processes together, and {self.of} processes "
                f"cannot share it equally; choose a multiple of {self.of}, or another number of "
                "processes"
            )
        return n // self.of


WHOLE = Share()
"""The whole batch, for one process."""
