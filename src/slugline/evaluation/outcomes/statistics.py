"""Statistics of arrays with one entry for each row: log-likelihood, calibration error, sums of groups.

Arrays may have leading axes, one entry for each resample. Only numpy is needed here. 0/0 counts as 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
#: Numbers of rows, or sums of their weights.
Counts = NDArray[Any]

#: Bins of equal width for the expected calibration error (Guo et al. 2017, section 2).
CALIBRATION_BINS = 15


def negative_log_likelihood(logits: NDArray[np.floating[Any]], targets: Ints) -> Floats:
    """Return the negative log-likelihood of each row, in double precision and without overflow.

    Args:
        logits: (N, K) logits, up to a constant per row.
        targets: (N,), true classes.

    Returns:
        (N,), minus the natural logarithm of the probability of the true class.
    """
    shifted = logits.astype(np.float64)
    shifted -= shifted.max(axis=1, keepdims=True)
    return np.asarray(np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(targets)), targets])


def binary_negative_log_likelihood(logits: NDArray[np.floating[Any]], targets: Bools) -> Floats:
    """Return the mean negative log-likelihood of the labels of each row, in double precision and without overflow.

    Args:
        logits: (N, K) log-odds.
        targets: (N, K), True for the labels of a row.

    Returns:
        (N,), the mean over the K labels of minus the natural logarithm of the probability of what is true.
    """
    scores = logits.astype(np.float64)
    return np.asarray(np.logaddexp(0.0, np.where(targets, -scores, scores)).mean(axis=1))


def expected_calibration_error(
    confidence: Floats,
    correct: Bools,
    *,
    bins: int = CALIBRATION_BINS,
    weights: Floats | None = None,
) -> Floats:
    """Return the expected calibration error (Guo et al. 2017, eq. 3).

    Args:
        confidence: (..., N), probability of the predicted class.
        correct: (..., N), True where the predicted class is the true class.
        bins: number of bins of equal width over [0, 1], closed on the right.
        weights: (..., N) weights of the rows, of sum N; None = each row counts once.

    Returns:
        (...), the mean of ``|accuracy - confidence|`` over bins, weighted by their number of rows.
    """
    # Number of rows times the difference of means equals the difference of sums.
    gaps = grouped(bin_of(confidence, bins), bins, (confidence - correct) * (1 if weights is None else weights))
    return np.asarray(np.abs(gaps).sum(axis=-1) / confidence.shape[-1])


def bin_of(confidence: Floats, bins: int = CALIBRATION_BINS) -> Ints:
    """Return the bin of each probability, for ``bins`` bins of equal width that are closed on the right."""
    return np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)


def ratio(numerator: NDArray[Any], denominator: NDArray[Any]) -> Floats:
    """Return the quotient; 0/0 is 0."""
    return np.asarray(numerator / np.where(denominator == 0, 1, denominator), dtype=np.float64)


def grouped(index: Ints, width: int, weights: Floats | None = None) -> Any:
    """Count or sum along the last axis, as `numpy.bincount` does for one axis.

    Args:
        index: (..., N) groups below ``width``.
        width: number of groups.
        weights: (..., N); None = each entry counts once.

    Returns:
        (..., width) counts or sums.
    """
    leading = index.shape[:-1]
    n_groups = int(np.prod(leading, dtype=np.int64))
    offsets = np.arange(n_groups, dtype=np.int64).reshape(*leading, 1) * width
    flat = None if weights is None else weights.ravel()
    return np.bincount((index + offsets).ravel(), weights=flat, minlength=n_groups * width).reshape(*leading, width)
