"""Confidence intervals: the bootstrap, and Wilson's interval for proportions.

Arrays go in, numbers come out; the same seed gives the same numbers. Only numpy is needed here. The intervals of
metrics are in `slugline.evaluation.score`, paired tests in `slugline.evaluation.paired_tests`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Interval = tuple[float, float]

#: Row numbers of b resamples, (b, N), to the values of a statistic, (b, ...).
Statistic = Callable[[Ints], Floats]

#: Confidence level of all intervals.
LEVEL = 0.95

#: 97.5% quantile of the normal distribution, for `LEVEL`.
NORMAL_QUANTILE = 1.959963984540054

#: Largest number of resamples, and of their row numbers, in memory at once: some tens of megabytes.
RESAMPLES_AT_ONCE, ENTRIES_AT_ONCE = 50, 2_000_000


def bootstrap(strata: Ints, statistic: Statistic, *, resamples: int = 1000, seed: int = 13) -> Floats:
    """Compute a statistic on resampled rows (Efron 1979), in bounded memory.

    Rows are drawn with replacement within each stratum. If the strata are the true classes, every resample has as many
    rows of each class as the data. Otherwise a class of three rows would be missing from every twentieth resample, have
    an F1 of 0 there, and pull macro averages below the estimate. The splits are stratified by class, too.

    Args:
        strata: (N,), the stratum of each row.
        statistic: function from row numbers (b, N) to values (b, ...); differences computed on these rows are paired.
        resamples: number of resamples B.
        seed: seed of the bootstrap.

    Returns:
        (B, ...), a value for each resample.
    """
    order = np.argsort(strata, kind="stable")
    _, first, counts = np.unique(strata[order], return_index=True, return_counts=True)
    # (N,): first position of the stratum of each drawn row, and its number of rows.
    starts, sizes = np.repeat(first, counts), np.repeat(counts, counts)
    rng = np.random.default_rng(seed)
    values = [
        statistic(order[starts + (rng.random((size, len(strata))) * sizes).astype(np.int64)])
        for size in chunk_sizes(resamples, len(strata))
    ]
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
    share, square = successes / trials, NORMAL_QUANTILE**2
    centre = share + square / (2 * trials)
    spread = NORMAL_QUANTILE * math.sqrt(share * (1 - share) / trials + square / (4 * trials**2))
    low, high = (centre - spread) / (1 + square / trials), (centre + spread) / (1 + square / trials)
    # Rounding must not move the ends past an estimate of 0 or 1.
    return max(0.0, min(low, share)), min(1.0, max(high, share))


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
