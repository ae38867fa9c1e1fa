"""`ClassCounts`: what precision, recall and F1 of each class are made of, and the averages over classes.

Arrays may have leading axes, one entry for each resample. Only numpy is needed here. 0/0 counts as 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from slugline.evaluation.outcomes.statistics import Counts, Floats, Ints, grouped, ratio


@dataclass(frozen=True)
class ClassCounts:
    """Numbers of rows of each class, or sums of their weights.

    Args:
        hits: (..., K), rows of the class that are predicted as it.
        predicted: (..., K), rows that are predicted as the class.
        support: (..., K), rows of the class.
    """

    hits: Counts
    predicted: Counts
    support: Counts

    @classmethod
    def of(cls, confusion: Counts) -> ClassCounts:
        """Return the counts of confusion matrices (..., K, K) with true classes in rows."""
        hits = np.diagonal(confusion, axis1=-2, axis2=-1)
        return cls(hits, predicted=confusion.sum(axis=-2), support=confusion.sum(axis=-1))


def confusion_matrix(targets: Ints, predicted: Ints, n_classes: int) -> Ints:
    """Return the confusion matrix.

    Args:
        targets: (N,), true classes below K.
        predicted: (N,), predicted classes below K.
        n_classes: number of classes K.

    Returns:
        (K, K), true classes in rows, predicted classes in columns.
    """
    cells = targets.astype(np.int64) * n_classes + predicted
    return np.asarray(grouped(cells, n_classes**2).reshape(n_classes, n_classes))


@dataclass(frozen=True)
class ClassMetric:
    """A metric of each class: its hits as a share of its ``trials``.

    Args:
        trials: function from counts to numbers of rows (..., K).
    """

    trials: Callable[[ClassCounts], Counts]

    def __call__(self, counts: ClassCounts) -> Floats:
        """Return the value of each class (..., K); 0 for a class without trials."""
        return ratio(counts.hits, self.trials(counts))


precision = ClassMetric(lambda counts: counts.predicted)
recall = ClassMetric(lambda counts: counts.support)
f1 = ClassMetric(lambda counts: (counts.predicted + counts.support) / 2)


def macro(by_class: ClassMetric, counts: ClassCounts) -> Floats:
    """Return the unweighted mean (...) of a metric over the classes that occur in truth or predictions."""
    occurs = counts.predicted + counts.support > 0
    return ratio((by_class(counts) * occurs).sum(axis=-1), occurs.sum(axis=-1))


def weighted(by_class: ClassMetric, counts: ClassCounts) -> Floats:
    """Return the mean (...) of a metric over classes, weighted by their number of rows."""
    return ratio((by_class(counts) * counts.support).sum(axis=-1), counts.support.sum(axis=-1))


def micro(by_class: ClassMetric, counts: ClassCounts) -> Floats:
    """Return a metric (...) of the hits and trials of all classes together."""
    return ratio(counts.hits.sum(axis=-1), by_class.trials(counts).sum(axis=-1))


def accuracy(confusion: Counts) -> Floats:
    """Return the accuracy (...) of confusion matrices (..., K, K)."""
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    return ratio(hits.sum(axis=-1), confusion.sum(axis=(-2, -1)))
