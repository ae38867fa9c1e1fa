"""Confidence intervals: the bootstrap, and Wilson's interval for proportions.

Arrays go in, numbers come out; the same seed gives the same numbers. Only numpy is needed here. The intervals of
metrics are in `slugline.evaluation.score`, paired tests in `slugline.evaluation.comparison.paired_tests`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Interval = tuple[float, float]

#: Row numbers (b, N) and row weights (b, N) of b resamples to the values of a statistic, (b, ...).
Statistic = Callable[[Ints, Floats], Floats]

#: Confidence level of all intervals.
LEVEL = 0.95

#: 97.5% quantile of the normal distribution, for `LEVEL`.
NORMAL_QUANTILE = 1.959963984540054

#: Draws of the t distribution for one quantile.
DRAWS = 100_000

#: Largest number of resamples, and of their row numbers, in memory at once: some tens of megabytes.
RESAMPLES_AT_ONCE, ENTRIES_AT_ONCE = 50, 2_000_000


def bootstrap(strata: Ints, statistic: Statistic, *, resamples: int = 1000, seed: int = 13) -> Floats:
    """Compute a statistic on resampled rows (Efron 1979), in bounded memory.

    Rows are drawn with replacement within each stratum, so that every resample has rows of every stratum. Otherwise a
    class of three rows would be missing from every twentieth resample and pull macro averages below the estimate. The
    shares of the strata vary as weights of their rows, drawn from the Dirichlet distribution of their counts (Rubin
    1981). With fixed shares, the intervals of precision and of weighted averages would be too narrow.

    Args:
        strata: (N,) stratum of each row; for metrics its true class.
        statistic: function from row numbers (b, N) and row weights (b, N) to values (b, ...). The weights of a resample
            add up to N. Differences that are computed on the same rows and weights are paired.
        resamples: number of resamples B.
        seed: seed of the bootstrap.

    Returns:
        (B, ...), a value for each resample.
    """
    order = np.argsort(strata, kind="stable")
    _, first, counts = np.unique(strata[order], return_index=True, return_counts=True)
    # (N,): first position of the stratum of each drawn row, and its number of rows.
    starts, sizes = np.repeat(first, counts), np.repeat(counts, counts)
    rows_rng, shares_rng = np.random.default_rng([seed, 0]), np.random.default_rng([seed, 1])
    values = []
    for size in chunk_sizes(resamples, len(strata)):
        rows = order[starts + (rows_rng.random((size, len(strata))) * sizes).astype(np.int64)]
        weights = shares_rng.dirichlet(counts, size) * (len(strata) / counts)
        values.append(statistic(rows, np.repeat(weights, counts, axis=1)))
    return np.concatenate(values)


def percentile_interval(samples: Floats, estimate: float) -> Interval:
    """Return the middle 95% of bootstrap values.

    Args:
        samples: (B,) values from `bootstrap`.
        estimate: value on the rows themselves; the interval is widened to contain it.

    Returns:
        (low, high).
    """
    low, high = np.quantile(samples, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return min(float(low), estimate), max(float(high), estimate)


def reflected_interval(samples: Floats, estimate: float, *, lowest: float = 0.0) -> Interval:
    """Return the bootstrap interval of a statistic that noise can only increase, such as a sum of absolute values.

    Resampling adds noise a second time, so that bootstrap values exceed the estimate as much as the estimate exceeds
    the true value. Reflecting them at the estimate removes this bias (Davison & Hinkley 1997, section 5.2, "basic").
    In simulations, the percentile interval of a well calibrated model's calibration error never covered the truth.

    Args:
        samples: (B,) values from `bootstrap`.
        estimate: value on the rows themselves; the interval is widened to contain it.
        lowest: smallest possible value of the statistic.

    Returns:
        (low, high).
    """
    low, high = np.quantile(samples, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    low, high = 2 * estimate - float(high), 2 * estimate - float(low)
    return max(lowest, min(low, estimate)), max(high, estimate)


def wilson_interval(successes: int, trials: int) -> Interval:
    """Return the 95% score interval of a proportion (Wilson 1927; recommended by Brown, Cai & DasGupta 2001).

    Unlike the bootstrap, it is not [1, 1] if 40 of 40 predictions are correct, and it needs no resampling.

    Args:
        successes: number of correct predictions.
        trials: number of predictions, at least one.

    Returns:
        (low, high).
    """
    below, above = margins(np.array([successes / trials]), np.array([trials]))
    return successes / trials - below, successes / trials + above


def margins(shares: Floats, trials: NDArray[Any]) -> tuple[float, float]:
    """Return the distances from the mean of proportions to its 95% limits, by their Wilson intervals.

    The distances of independent proportions add in squares (the method of variance estimates recovery, Zou & Donner
    2008). With one proportion, they are those of `wilson_interval`.

    Args:
        shares: (m,) proportions.
        trials: (m,) number of rows of each proportion, above 0; may be a fraction.

    Returns:
        (below, above), both at least 0.
    """
    square = NORMAL_QUANTILE**2
    centre = shares + square / (2 * trials)
    spread = NORMAL_QUANTILE * np.sqrt(shares * (1 - shares) / trials + square / (4 * trials**2))
    # Rounding must not move the limits past 0, 1 or the share.
    low = np.clip((centre - spread) / (1 + square / trials), 0, shares)
    high = np.clip((centre + spread) / (1 + square / trials), shares, 1)
    return float(np.linalg.norm(shares - low) / len(shares)), float(np.linalg.norm(high - shares) / len(shares))


@dataclass(frozen=True)
class Spread:
    """The spread of values that differ only by chance, such as a metric over seeds.

    Args:
        deviation: standard deviation of single values.
        freedom: degrees of freedom of its estimate; 0 = unknown.
    """

    deviation: float = 0.0
    freedom: int = 0

    @classmethod
    def of(cls, groups: Iterable[Floats]) -> Spread:
        """Return the common spread of several groups of values; unknown if no group has two."""
        several = [values for values in groups if len(values) > 1]
        freedom = sum(len(values) - 1 for values in several)
        squares = sum(float(((values - values.mean()) ** 2).sum()) for values in several)
        return cls(math.sqrt(squares / freedom), freedom) if freedom else cls()

    def noise(self, count: int, *, draws: int, seed: int) -> Floats:
        """Draw errors of the mean of some values.

        Added to bootstrap samples of the mean on the same rows, they give samples for other rows and other seeds.

        Args:
            count: number of values of the mean.
            draws: number of draws B.
            seed: seed of the draws.

        Returns:
            (B,), the standard error of the mean times draws of Student's t distribution; zeros if it is unknown.
        """
        if not self.freedom:
            return np.zeros(draws)
        error = self.deviation / math.sqrt(count)
        return np.asarray(error * np.random.default_rng(seed).standard_t(self.freedom, draws))


def interval_of_mean(
    values: Floats, intervals: Sequence[Interval], spread: Spread, *, limits: Interval, seed: int = 13
) -> Interval:
    """Return the 95% interval of the mean of values that were measured on the same rows, such as a metric over seeds.

    The mean distance of the limits from their values is the uncertainty of the rows, which all values share. It and the
    uncertainty of the spread add in squares (as in `margins`).

    Args:
        values: (n,) values.
        intervals: n intervals, one of each value.
        spread: spread of the values; if it is unknown, the interval covers other rows only.
        limits: smallest and largest possible value.
        seed: seed of the draws for the spread.

    Returns:
        (low, high).
    """
    mean, ends = float(values.mean()), np.array(intervals)
    error = float(np.quantile(np.abs(spread.noise(len(values), draws=DRAWS, seed=seed)), LEVEL))
    below, above = (float(np.abs(ends[:, side] - values).mean()) for side in (0, 1))
    return max(limits[0], mean - math.hypot(below, error)), min(limits[1], mean + math.hypot(above, error))


def chunk_sizes(total: int, width: int) -> Iterator[int]:
    """Divide resamples into chunks that fit into memory.

    Args:
        total: number of resamples.
        width: number of row numbers in each resample.

    Yields:
        The number of resamples of each chunk.
    """
    size = max(1, min(RESAMPLES_AT_ONCE, ENTRIES_AT_ONCE // max(1, width)))
    for start in range(0, total, size):
        yield min(size, total - start)
