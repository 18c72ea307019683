"""How certain is a difference? Its 95 % interval over test images and seeds."""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from ..data.checks import shown

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


def _numbers(values, name: str) -> np.ndarray:
    """Numbers as (runs, images); None becomes nan."""
    try:
        if np.asarray(values).dtype.kind in "cSUmM":
            raise TypeError("texts, dates and complex numbers are no numbers")
        return np.atleast_2d(np.asarray(values, dtype=float))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{name} must be numbers of runs and images, not {shown(values)}"
        ) from error


def paired_difference(better: np.ndarray, worse: np.ndarray, seed: int = 0) -> Difference:
    """The mean difference of paired values and its 95 % interval.

    Two intervals are computed, and the wider end counts on either side:

    - the paired bootstrap over test images: seeds and images are drawn with replacement, 4,000
      times, and the 2.5th and 97.5th percentile of the mean are taken. The same images are tested
      under every seed, so rows and columns are drawn independently;
    - Student's interval over the means of the runs.

    The second is needed because three seeds are too few for a bootstrap: where seeds differ more
    than images, its interval lies above zero whenever all three seeds do, by chance one time in
    eight. One run has the bootstrap alone, one number a run has Student's alone, and a single
    number has no interval.

    Args:
        better: (runs, images), (images,) or a number; nan where an image lacks the structure.
        worse: The same shape; values are paired.
        seed: Fixes the resampling.

    Returns:
        Mean and interval; nan for an interval that cannot be computed.

    Raises:
        ValueError: The shapes differ, or they are no numbers.

    Example:
        >>> paired_difference([0.8, 0.7, 0.9], [0.5, 0.5, 0.5]).state()
        'supported'

    Taught in notebook 06, section 2.
    """
    better, worse = _numbers(better, "better"), _numbers(worse, "worse")
    if better.shape != worse.shape:
        raise ValueError(f"paired values must have one shape, not {better.shape} and {worse.shape}")
    gaps = better - worse
    measured = ~np.isnan(gaps)
    gaps = gaps[measured.any(1)][:, measured.any(0)]  # without images that lack the structure
    runs, images = gaps.shape
    if not gaps.size:
        return Difference(np.nan, np.nan, np.nan, runs, images)
    mean = float(np.nanmean(gaps))
    intervals = []
    if runs > 1:
        intervals.append(_student(np.nanmean(gaps, axis=1)))
    if images > 1:
        intervals.append(_bootstrap(gaps, np.random.default_rng(seed)))
    if not intervals:
        return Difference(mean, np.nan, np.nan, runs, images)
    lows, highs = zip(*intervals)
    return Difference(mean, float(min(lows)), float(max(highs)), runs, images)


def _student(of_runs: np.ndarray) -> tuple[float, float]:
    """Student's 95 % interval of the mean of (runs,) values."""
    runs = len(of_runs)
    reach = stats.t.ppf(0.975, runs - 1) * of_runs.std(ddof=1) / np.sqrt(runs)
    return of_runs.mean() - reach, of_runs.mean() + reach


def _bootstrap(gaps: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    """The 95 % percentile interval of the mean of (runs, images) values, both resampled."""
    runs, images = gaps.shape
    rows = rng.integers(runs, size=(RESAMPLES, runs, 1))
    columns = rng.integers(images, size=(RESAMPLES, 1, images))
    resampled = gaps[rows, columns]  # (RESAMPLES, runs, images)
    counts = (~np.isnan(resampled)).sum((1, 2))
    means = np.nansum(resampled, axis=(1, 2))[counts > 0] / counts[counts > 0]
    low, high = np.percentile(means, [2.5, 97.5])
    return low, high
