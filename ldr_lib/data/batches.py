"""Random batches of prepared images, read from memory or from a memory-mapped cache."""

import math
import mmap
import multiprocessing

import numpy as np
import torch

from .appearances import Appearances
from .checks import flag, instance, training_images, whole
from .share import WHOLE, Share


class _EpochBatches(torch.utils.data.Sampler):
    """A share of the index lists of an epoch of `steps` batches; no image is repeated before all
    were used.
    """

    def __init__(self, n_images: int, batch: int, steps: int, share: Share):
        self.n_images, self.batch, self.steps, self.share = n_images, batch, steps, share

    def __len__(self):
        return self.steps

    def __iter__(self):
        needed = self.batch * self.steps
        order = torch.cat(
            [torch.randperm(self.n_images) for _ in range(math.ceil(needed / self.n_images))]
        )
        batches = order[:needed].reshape(self.steps, self.batch)
        yield from self.share.take(batches.T, parts=2).T.tolist()  # images b and B + b are mixed


def _place_in_file(array: np.ndarray) -> dict | None:
    """Arguments with which `np.memmap` opens the same bytes again; None for an array that is not a
    plain piece of a mapped file.
    """
    owner = array
    while isinstance(owner, np.ndarray) and not isinstance(owner, np.memmap):
        owner = owner.base
    if not isinstance(owner, np.memmap) or owner._mmap is None or owner.mode not in ("r", "r+"):
        return None
    if owner.filename is None or not array.flags.c_contiguous:
        return None
    start = owner.offset - owner.offset % mmap.ALLOCATIONGRANULARITY  # of the map in the file
    first_byte = np.frombuffer(owner._mmap, np.uint8).ctypes.data
    offset = start + array.ctypes.data - first_byte
    return {
        "filename": owner.filename,
        "dtype": array.dtype,
        "mode": "r",
        "offset": offset,
        "shape": array.shape,
    }


class _Rows(torch.utils.data.Dataset):
    """Reads whole batches of rows from (memory-mapped) arrays of images, one after the other along
    their channels. Reading processes that do not share memory are sent the place of a memory-mapped
    array, not its pixels.
    """

    def __init__(self, *arrays: np.ndarray):
        self.arrays = arrays

    def __getstate__(self) -> list:
        return [_place_in_file(array) or array for array in self.arrays]

    def __setstate__(self, state: list):
        self.arrays = [np.memmap(**one) if isinstance(one, dict) else one for one in state]

    def __len__(self):
        return len(self.arrays[0])

    def __getitems__(self, rows: list[int]) -> torch.Tensor:
        parts = [np.stack([array[row] for row in rows]) for array in self.arrays]
        return torch.from_numpy(np.concatenate(parts, -1) if len(parts) > 1 else parts[0])


def _as_tuple(batch: torch.Tensor) -> tuple[torch.Tensor]:
    return (batch,)


def require_main_guard() -> None:
    """Explains why a script must not start a training while a reading process imports it.

    Raises:
        RuntimeError: This process has been started by a script that lacks the guard.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise RuntimeError(
            "this script starts processes that read images, and each of them begins by importing "
            "the script, which would train again. Put the lines that train under\n"
            '    if __name__ == "__main__":\n'
            "at the end of the script"
        )


def image_batches(
    images: np.ndarray,
    pairs: int,
    steps: int,
    workers: int = 0,
    pin: bool = False,
    share: Share = WHOLE,
):
    """A loader of random batches of images. Torch's seed fixes their order.

    Args:
        images: As in `training_images`.
        pairs: B; each batch holds 2B images.
        steps: Batches per epoch.
        workers: Number of processes that read ahead; 0 reads in the main process.
        pin: Whether batches lie in page-locked memory, which a GPU copies faster.
        share: Which part of every batch is loaded. With the same seed the shares of all processes
            are together the batch of one process.

    Returns:
        A loader of (2B, H, W, C) uint8 tensors, or of the share's rows of them.

    Raises:
        ValueError: B pairs cannot be shared equally, or a number is out of range.
        RuntimeError: A script without main guard starts reading processes.
        DataError: As in `training_images`.
    """
    require_main_guard()
    images = training_images(images)
    pairs, steps = whole(pairs, "pairs", 1, 10**6), whole(steps, "steps", 1, 10**6)
    workers, pin = whole(workers, "workers", 0, 1024), flag(pin, "pin")
    instance(share, Share, "share", "a Share")
    share.equal(pairs, "pairs")
    return torch.utils.data.DataLoader(
        _Rows(*(images.arrays if isinstance(images, Appearances) else (images,))),
        batch_sampler=_EpochBatches(len(images), 2 * pairs, steps, share),
        collate_fn=_as_tuple,
        generator=torch.Generator(),
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=pin,
    )
