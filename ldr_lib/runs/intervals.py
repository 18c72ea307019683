"""How sure is a difference? Paired bootstrap over test images and seeds."""

from dataclasses import dataclass

import numpy as np
from scipy import stats

RESAMPLES = 4000


@dataclass(frozen=True)
class Difference:
    """A paired difference with its 95 % interval.

    Attributes:
        mean: Mean of better - worse.
        low: Lower end of the interval; nan where there is only one number.
        high: Its upper end.
        runs: Number of runs (seeds).
        images: Number of test images; 1 where a run gives one number.
    """

    mean: float
    low: float
    high: float
    runs: int
    images: int

    def state(self, bound: float = 0.0) -> str:
        """ "supported" where the whole interval lies above the bound, "not supported" where it lies
        below, else "undecided".
        """
        if self.low > bound:
            return "supported"
        return "not supported" if self.high < bound else "undecided"

    def __str__(self) -> str:
        interval = "" if np.isnan(self.low) else f" [{self.low:+.3f}, {self.high:+.3f}]"
        return f"{self.mean:+.3f}{interval}"


def paired_difference(better: np.ndarray, worse: np.ndarray, seed: int = 0) -> Difference:
    """The mean difference of paired values and its 95 % interval.

    With several test images both seeds and images are drawn with replacement, 4,000 times, and the
    2.5th and 97.5th percentile of the mean are taken: the same images are tested under every seed,
    so rows and columns are drawn independently. With one number a run the interval is Student's
    over runs; with a single number there is none.

    Args:
        better: (runs, images), (images,) or a number; nan where an image lacks the structure.
        worse: The same shape; values are paired.
        seed: Fixes the draws.

    Raises:
        ValueError: The shapes differ.

    Example:
        >>> paired_difference([0.8, 0.7, 0.9], [0.5, 0.5, 0.5]).state()
        'supported'

    Taught in notebook 06, section 2.
    """
    better, worse = (np.atleast_2d(np.asarray(values, dtype=float)) for values in (better, worse))
    if better.shape != worse.shape:
        raise ValueError(f"paired values must have one shape, not {better.shape} and {worse.shape}")
    gaps = better - worse
    gaps = gaps[:, ~np.isnan(gaps).all(0)]  # images without the structure
    runs, images = gaps.shape
    if not gaps.size:
        return Difference(np.nan, np.nan, np.nan, runs, 0)
    mean = float(np.nanmean(gaps))
    if images == 1:
        values = gaps[:, 0]
        spread = values.std(ddof=1) / np.sqrt(runs) if runs > 1 else np.nan
        reach = stats.t.ppf(0.975, runs - 1) * spread if runs > 1 else np.nan
        return Difference(mean, mean - reach, mean + reach, runs, images)
    rng = np.random.default_rng(seed)
    rows = rng.integers(runs, size=(RESAMPLES, runs, 1))
    columns = rng.integers(images, size=(RESAMPLES, 1, images))
    means = np.nanmean(gaps[rows, columns], axis=(1, 2))
    low, high = np.percentile(means, [2.5, 97.5])
    return Difference(mean, float(low), float(high), runs, images)
