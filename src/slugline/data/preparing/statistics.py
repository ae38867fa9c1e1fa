"""Statistics of a split: text lengths and class imbalance."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping

import numpy as np

QUANTILES = (0, 5, 25, 50, 75, 95, 99, 100)


def length_quantiles(texts: Iterable[str]) -> dict[str, dict[str, float]]:
    """Return mean and quantiles of the text lengths.

    Args:
        texts: (N,) cleaned texts.

    Returns:
        For ``characters`` and ``words``: the mean, and `QUANTILES` in percent as ``"p50"``; empty if N is 0.
    """
    characters, words = array("q"), array("q")
    for text in texts:
        characters.append(len(text))
        words.append(len(text.split()))
    if not characters:
        return {}
    counts = {"characters": np.frombuffer(characters, np.int64), "words": np.frombuffer(words, np.int64)}
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
