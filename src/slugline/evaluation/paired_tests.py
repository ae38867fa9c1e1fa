"""Paired tests of two runs on the same rows, and the correction of p-values for several tests.

Arrays go in, p-values come out; the same seed gives the same numbers. Only numpy is needed here.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from slugline.evaluation.intervals import Floats, Ints, chunk_sizes


def mcnemar(correct_a: NDArray[np.bool_], correct_b: NDArray[np.bool_]) -> float:
    """Return the p-value of the exact two-sided McNemar test (McNemar 1947, in the exact binomial form).

    The null hypothesis is that two runs are correct equally often on the same rows. The test uses only rows on which
    exactly one run is correct. Under the null hypothesis, either run is the correct one with probability 1/2.

    Args:
        correct_a: (N,), True where the first run is correct.
        correct_b: (N,), True where the second run is correct.

    Returns:
        The p-value.
    """
    only_a, only_b = int((correct_a & ~correct_b).sum()), int((correct_b & ~correct_a).sum())
    flips, fewer = only_a + only_b, min(only_a, only_b)
    # Logarithms, because binomial coefficients of thousands overflow a float.
    log_scale = math.lgamma(flips + 1) - flips * math.log(2)
    tail = math.fsum(
        math.exp(log_scale - math.lgamma(heads + 1) - math.lgamma(flips - heads + 1)) for heads in range(fewer + 1)
    )
    return min(1.0, 2 * tail)


def permutation_test(
    difference: Callable[[Ints], Floats], n_rows: int, *, permutations: int = 1000, seed: int = 13
) -> float:
    """Return the two-sided p-value of a paired difference, by exchanging the two runs at random on each row.

    Also called approximate randomisation (Noreen 1989; Yeh 2000). It works for any metric.

    Args:
        difference: function from row numbers (b, 2N) to differences (b,). Rows 0 to N - 1 are predictions of the first
            run, N to 2N - 1 those of the second run on the same rows. The first N columns are scored as the first run.
        n_rows: number of rows N.
        permutations: number of random exchanges; the smallest possible p-value is 1 / (permutations + 1).
        seed: seed of the exchanges.

    Returns:
        The p-value. The observed order counts as one of the exchanges, so that it is never 0.
    """
    rows = np.arange(n_rows)
    observed = float(difference(np.arange(2 * n_rows)[None])[0])
    rng = np.random.default_rng(seed)
    as_extreme = 0
    for size in chunk_sizes(permutations, 2 * n_rows):
        is_exchanged = rng.random((size, n_rows)) < 0.5
        first, second = rows + n_rows * is_exchanged, rows + n_rows * ~is_exchanged
        values = difference(np.concatenate([first, second], axis=1))
        # Values that differ only by the rounding of sums in another order are ties.
        as_extreme += int((np.abs(values) >= abs(observed) - 1e-12).sum())
    return (as_extreme + 1) / (permutations + 1)


def sign_p_value(samples: Floats) -> float:
    """Return the two-sided p-value of a difference from samples of its distribution, such as bootstrap samples.

    Args:
        samples: (B,) samples of the difference.

    Returns:
        Twice the share of samples on the rarer side of 0, at least 2 / (B + 1).
    """
    rarer = min(int((samples <= 0).sum()), int((samples >= 0).sum()))
    return min(1.0, 2 * (rarer + 1) / (len(samples) + 1))


def holm(p_values: list[float]) -> list[float]:
    """Correct p-values for the number of tests (Holm 1979), so that all may be compared with the same level.

    Args:
        p_values: p-values of m tests, in any order.

    Returns:
        m adjusted p-values, in the same order.
    """
    adjusted, highest = list(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        highest = max(highest, (len(p_values) - rank) * p_values[index])
        adjusted[index] = min(1.0, highest)
    return adjusted
