"""Statistics of a split: text lengths and class imbalance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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


def imbalance(counts: Mapping[str, int]) -> float:
    """Return the rows of the largest class per row of the smallest that has rows; 1 = balanced."""
    present = [count for count in counts.values() if count]
    return max(present) / min(present) if present else 1.0
