"""Random batches of prepared images, read from memory or from a memory-mapped cache."""

import math

import numpy as np
import torch

from .errors import DataError
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


class _Rows(torch.utils.data.Dataset):
    """Reads whole batches of rows from a (memory-mapped) array of images."""

    def __init__(self, images: np.ndarray):
        self.images = images

    def __len__(self):
        return len(self.images)

    def __getitems__(self, rows: list[int]) -> torch.Tensor:
        return torch.from_numpy(np.stack([self.images[row] for row in rows]))


def _as_tuple(batch: torch.Tensor) -> tuple[torch.Tensor]:
    return (batch,)


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
        images: (N, H, W, C) uint8, in memory or memory-mapped.
        pairs: B; each batch holds 2B images.
        steps: Batches per epoch.
        workers: Number of processes that read ahead; 0 reads in the main process.
        pin: Whether batches lie in page-locked memory, which a GPU copies faster.
        share: Which part of every batch is loaded. With the same seed the shares of all processes
            are together the batch of one process.

    Returns:
        A loader of (2B, H, W, C) uint8 tensors, or of the share's rows of them.

    Raises:
        ValueError: B pairs cannot be shared equally.
        DataError: Fewer than two images, or an array of another shape or type.
    """
    if (
        getattr(images, "ndim", 0) != 4
        or images.dtype != np.uint8
        or images.shape[1] != images.shape[2]
    ):
        raise DataError(
            f"training takes square uint8 images (N, S, S, C), not {images.dtype} {images.shape}"
        )
    if len(images) < 2:
        raise DataError(
            f"training compares images with each other and needs at least 2, not {len(images)}"
        )
    share.equal(pairs, "pairs")
    return torch.utils.data.DataLoader(
        _Rows(images),
        batch_sampler=_EpochBatches(len(images), 2 * pairs, steps, share),
        collate_fn=_as_tuple,
        generator=torch.Generator(),
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=pin,
    )
