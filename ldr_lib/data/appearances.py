"""Several appearances of the same images, read as one array."""

import numpy as np


class Appearances:
    """Arrays of the same images, one after the other along the channels; each is read where it
    lies, in memory or memory-mapped.

    Args:
        arrays: (N, S, S, C) each, of one type, for example raw and locally normalised photographs,
            and their field of view with C = 1.

    Attributes:
        arrays: These arrays.
        shape: (N, S, S, all channels).
        dtype: Of all of them.
        ndim: 4.

    Example:
        >>> Appearances(np.zeros((2, 8, 8, 3)), np.ones((2, 8, 8, 3)))[1].shape
        (8, 8, 6)
    """

    def __init__(self, *arrays: np.ndarray):
        first = arrays[0]
        for one in arrays:
            if one.shape[:-1] != first.shape[:-1] or one.dtype != first.dtype:
                raise ValueError(
                    f"appearances must be of one size and type, not {first.dtype} {first.shape} "
                    f"and {one.dtype} {one.shape}"
                )
        self.arrays, self.dtype, self.ndim = arrays, first.dtype, first.ndim
        self.shape = (*first.shape[:-1], sum(one.shape[-1] for one in arrays))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index) -> np.ndarray:
        return np.concatenate([one[index] for one in self.arrays], -1)
