"""How sure one may be: intervals, paired tests, corrections for many tests, temperature. Arrays in, numbers out.

Nothing here knows of metrics, files or models; `slugline.evaluation` brings arrays and metrics together. Everything
repeats exactly for the same seed. Only numpy is needed here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Interval = tuple[float, float]

#: Row numbers of many resamples, (b, N), to the values of a statistic, (b, ...).
Statistic = Callable[[Ints], Floats]

#: Confidence level of all intervals; one that a reader need not look up.
LEVEL = 0.95

#: 97.5% quantile of the normal distribution, for `LEVEL`.
NORMAL_QUANTILE = 1.959963984540054


#: Resamples that are held together, and entries of their row numbers: some tens of megabytes in all.
RESAMPLES_AT_ONCE, ENTRIES_AT_ONCE = 50, 2_000_000


def bootstrap(strata: Ints, statistic: Statistic, *, resamples: int = 1000, seed: int = 13) -> Floats:
    """Values of a statistic over resampled rows (Efron 1979), in bounded memory.

    Rows are drawn with replacement within each stratum. With the true class as stratum every class keeps its rows: a
    class of three rows would otherwise be missing from every twentieth sample, count there as an F1 of 0, and pull
    macro averages below the estimate that they are to surround. Splits are stratified by class in the first place.

    Args:
        strata: (N,), the stratum of each row.
        statistic: row numbers (b, N) to values (b, ...); differences are paired when all parts see the same rows.
        resamples: B.
        seed: of the draws.

    Returns:
        (B, ...), a value for each resample.
    """
    order = np.argsort(strata, kind="stable")
    _, first, counts = np.unique(strata[order], return_index=True, return_counts=True)
    # (N,): where the stratum of each drawn row begins, and how many rows it has.
    starts, sizes = np.repeat(first, counts), np.repeat(counts, counts)
    rng = np.random.default_rng(seed)
    values = [
        statistic(order[starts + (rng.random((size, len(strata))) * sizes).astype(np.int64)])
        for size in _chunks(resamples, len(strata))
    ]
    return np.concatenate(values)


def permutation_test(difference: Statistic, n_rows: int, *, permutations: int = 1000, seed: int = 13) -> float:
    """Two-sided p-value of a paired difference: what if, row by row, a coin had said which system is which?

    Also called approximate randomisation (Noreen 1989; Yeh 2000). Unlike a test on counts it serves any metric.

    Args:
        difference: row numbers (b, 2N) to differences (b,). Rows 0 to N - 1 are the first system's, N to 2N - 1 the
            second's answers to the same rows; the first half of what is passed plays the first system.
        n_rows: N.
        permutations: number of random exchanges; the least possible p-value is 1 / (permutations + 1).
        seed: of the coins.

    Returns:
        The p-value. The observed order counts as one of the exchanges, so that it is never 0.
    """
    rows = np.arange(n_rows)
    observed = float(difference(np.arange(2 * n_rows)[None])[0])
    rng = np.random.default_rng(seed)
    as_extreme = 0
    for size in _chunks(permutations, 2 * n_rows):
        exchanged = rng.random((size, n_rows)) < 0.5
        first, second = rows + n_rows * exchanged, rows + n_rows * ~exchanged
        values = difference(np.concatenate([first, second], axis=1))
        # Sums in another order differ in their last digits: those are ties.
        as_extreme += int((np.abs(values) >= abs(observed) - 1e-12).sum())
    return (as_extreme + 1) / (permutations + 1)


def percentile_interval(samples: Floats, estimate: float) -> Interval:
    """The middle 95% of bootstrap values.

    Args:
        samples: (B,), as `bootstrap` gives them.
        estimate: value on the rows themselves; the interval is widened to hold it.

    Returns:
        (low, high).
    """
    low, high = np.quantile(samples, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return min(float(low), estimate), max(float(high), estimate)


def reflected_interval(samples: Floats, estimate: float, *, lowest: float = 0.0) -> Interval:
    """The bootstrap interval for a statistic that noise can only push up, such as a sum of absolute values.

    Resampling adds noise once more, so that the values lie as far above the estimate as the estimate lies above the
    truth; reflecting them at the estimate takes that out (Davison & Hinkley 1997, section 5.2, "basic"). For the
    calibration error of a well calibrated model the percentile interval never covered the truth in simulation.

    Args:
        samples: (B,), as `bootstrap` gives them.
        estimate: value on the rows themselves; the interval is widened to hold it.
        lowest: that the statistic can be.

    Returns:
        (low, high).
    """
    low, high = np.quantile(samples, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    low, high = 2 * estimate - float(high), 2 * estimate - float(low)
    return max(lowest, min(low, estimate)), max(high, estimate)


def wilson_interval(successes: int, trials: int) -> Interval:
    """95% score interval of a proportion (Wilson 1927; recommended by Brown, Cai & DasGupta 2001).

    Needs no resampling, and stays honest where the bootstrap does not: 40 right out of 40 is not [1, 1].

    Args:
        successes: number of right answers.
        trials: number of answers, at least one.

    Returns:
        (low, high).
    """
    share, square = successes / trials, NORMAL_QUANTILE**2
    centre = share + square / (2 * trials)
    spread = NORMAL_QUANTILE * math.sqrt(share * (1 - share) / trials + square / (4 * trials**2))
    low, high = (centre - spread) / (1 + square / trials), (centre + spread) / (1 + square / trials)
    # Rounding must not push the ends past the estimate when it is 0 or 1.
    return max(0.0, min(low, share)), min(1.0, max(high, share))


def mcnemar(correct_a: NDArray[np.bool_], correct_b: NDArray[np.bool_]) -> float:
    """Exact two-sided McNemar test: are two systems right equally often on the same rows?

    Only rows count on which one is right and the other wrong; if neither is better, each of these is a fair coin
    (McNemar 1947, in the exact binomial form).

    Args:
        correct_a: (N,), where the first system is right.
        correct_b: (N,), where the second is.

    Returns:
        The p-value.
    """
    only_a, only_b = int((correct_a & ~correct_b).sum()), int((correct_b & ~correct_a).sum())
    flips, fewer = only_a + only_b, min(only_a, only_b)
    # Logarithms: binomial coefficients of thousands do not fit into a float.
    all_orders = math.lgamma(flips + 1) - flips * math.log(2)
    tail = math.fsum(
        math.exp(all_orders - math.lgamma(heads + 1) - math.lgamma(flips - heads + 1)) for heads in range(fewer + 1)
    )
    return min(1.0, 2 * tail)


def holm(p_values: list[float]) -> list[float]:
    """P-values corrected for being several (Holm 1979): all may be compared with 0.05 at once.

    Args:
        p_values: of m tests, in any order.

    Returns:
        m adjusted p-values, in the same order.
    """
    adjusted, highest = list(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        highest = max(highest, (len(p_values) - rank) * p_values[index])
        adjusted[index] = min(1.0, highest)
    return adjusted


def _chunks(total: int, width: int) -> Iterator[int]:
    """Cut ``total`` resamples of ``width`` row numbers into sizes that fit into memory together."""
    size = max(1, min(RESAMPLES_AT_ONCE, ENTRIES_AT_ONCE // max(1, width)))
    for start in range(0, total, size):
        yield min(size, total - start)
