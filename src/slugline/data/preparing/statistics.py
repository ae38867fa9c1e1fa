"""Statistics of a split: text lengths and class imbalance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

QUANTILES = (0, 5, 25, 50, 75, 95, 99, 100)


def length_quantiles(texts: Sequence[str]) -> dict[str, dict[str, float]]:
    """Return mean and quantiles of the text lengths.

    Args:
        texts: (N,) cleaned texts.

    Returns:
        For ``characters`` and ``words``: the mean, and `QUANTILES` in percent as ``"p50"``; empty if N is 0.
    """
    if not texts:
        return {}
    counts = {"characters": [len(text) for text in texts], "words": [len(text.split()) for text in texts]}
    return {
        unit: {"mean": round(float(np.mean(values)), 1)}
        | {
            f"p{q}": round(float(value), 1)
            for q, value in zip(QUANTILES, np.percentile(values, QUANTILES), strict=True)
        }
        for unit, values in counts.items()
    }


def imbalance(labels: Sequence[str]) -> float:
    """Return the rows of the largest class per row of the smallest; 1 = balanced."""
    counts = Counter(labels).values()
    return max(counts) / min(counts) if counts else 1.0
