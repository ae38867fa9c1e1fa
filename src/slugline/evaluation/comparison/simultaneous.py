"""Intervals and p-values of several differences at once, from one set of bootstrap samples.

The interval of each difference is its estimate, plus and minus a multiple of its standard error. The multiple is the
same for all: the 95% quantile of the largest deviation of a resample, in standard errors. So the intervals contain all
true differences together with a probability of about 95% (Westfall & Young 1993; Romano & Wolf 2005). The p-value of a
difference is the share of resamples whose largest deviation reaches it. Both come from one distribution: an interval
excludes 0 exactly if its p-value is below 5%.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slugline.evaluation.intervals import LEVEL, Floats, Interval


@dataclass(frozen=True)
class Simultaneous:
    """Inference on M differences.

    Args:
        intervals: 95% intervals, which hold together.
        p_values: p-values, corrected for the number of differences; at least 1 / (B + 1).
    """

    intervals: tuple[Interval, ...]
    p_values: tuple[float, ...]


def simultaneous(estimates: Floats, deviations: Floats, errors: Floats) -> Simultaneous:
    """Return simultaneous intervals and the p-values that agree with them.

    Args:
        estimates: (M,) differences.
        deviations: (B, M) deviations of the differences of B resamples from their means.
        errors: (M,) standard errors; 0 = the difference is certain, and its p-value is 1 if it is 0.

    Returns:
        Intervals and p-values.
    """
    n_samples = len(deviations)
    is_certain = errors == 0
    scale = np.where(is_certain, 1.0, errors)
    largest = np.sort(np.where(is_certain, 0.0, np.abs(deviations) / scale).max(axis=1, initial=0.0))
    # A p-value is below 1 - LEVEL if at most this many resamples reach the difference.
    n_extreme = math.ceil(round((1 - LEVEL) * (n_samples + 1), 9)) - 2
    critical = float(largest[n_samples - 1 - max(0, n_extreme)])
    reached = n_samples - np.searchsorted(largest, np.abs(estimates) / scale, side="left")
    p_values = np.where(is_certain, np.where(estimates == 0, 1.0, 0.0), (reached + 1) / (n_samples + 1))
    return Simultaneous(
        tuple((float(low), float(high)) for low, high in _around(estimates, critical * errors)),
        tuple(float(p_value) for p_value in p_values),
    )


def _around(centres: Floats, widths: Floats) -> NDArray[np.float64]:
    return np.stack([centres - widths, centres + widths], axis=-1)
