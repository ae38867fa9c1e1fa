"""McNemar's test of two runs on the same rows, and Holm's correction of p-values for several tests."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


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
