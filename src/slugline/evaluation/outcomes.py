"""`Outcomes`: predictions as arrays with one entry for each row, and statistics of them.

Outcomes may have leading axes, one entry for each resample, so that the same code scores one sample and a thousand
bootstrap samples. Only numpy is needed here. 0/0 counts as 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slugline.core.errors import DataError
from slugline.core.predictions import Predictions

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
#: Numbers of rows, or sums of their weights.
Counts = NDArray[Any]

#: Bins of equal width for the expected calibration error (Guo et al. 2017, section 2).
CALIBRATION_BINS = 15


@dataclass(frozen=True)
class Outcomes:
    """The outcome of each row: confusion cell, loss, confidence and weight. Leading axes hold resamples.

    Args:
        cells: (..., N) int64, index into the flattened confusion matrix: ``target * K + predicted``.
        losses: (..., N), negative log-likelihood of the true class, before calibration.
        confidence: (..., N), probability of the predicted class, calibrated.
        n_classes: number of classes K.
        weights: (..., N) weights of the rows, of sum N; None = each row counts once.
    """

    cells: Ints
    losses: Floats
    confidence: Floats
    n_classes: int
    weights: Floats | None = None

    @classmethod
    def of(cls, predictions: Predictions) -> Outcomes:
        """Return the outcomes of predictions.

        Args:
            predictions: N rows with one label each.

        Returns:
            Arrays of shape (N,).

        Raises:
            DataError: there are no rows, or the predictions are multi-label.
        """
        if predictions.labels.kind == "multi":
            raise DataError(
                f"the {predictions.split} predictions are multi-label; this version scores one label a text.",
                hint="Choose a data set in which each text has one label.",
            )
        if not len(predictions):
            raise DataError(f"the {predictions.split} split has no rows to score.")
        width = len(predictions.labels)
        return cls(
            cells=predictions.targets.astype(np.int64) * width + predictions.predicted,
            losses=negative_log_likelihood(predictions.logits, predictions.targets.astype(np.int64)),
            confidence=predictions.confidence,
            n_classes=width,
        )

    def take(self, rows: Ints, weights: Floats | None = None) -> Outcomes:
        """Select rows, for one resample or for many.

        Args:
            rows: (..., M), row numbers below N.
            weights: (..., M), of sum M; None = each row counts once.

        Returns:
            Arrays of shape (..., M).
        """
        return replace(
            self,
            cells=self.cells[rows],
            losses=self.losses[rows],
            confidence=self.confidence[rows],
            weights=weights,
        )

    def followed_by(self, other: Outcomes) -> Outcomes:
        """Concatenate with other outcomes along the last axis."""
        return replace(
            self,
            cells=np.concatenate([self.cells, other.cells], axis=-1),
            losses=np.concatenate([self.losses, other.losses], axis=-1),
            confidence=np.concatenate([self.confidence, other.confidence], axis=-1),
        )

    @property
    def n_rows(self) -> int:
        """N."""
        return int(self.cells.shape[-1])

    @property
    def targets(self) -> Ints:
        """(..., N), the true classes."""
        return self.cells // self.n_classes

    @property
    def correct(self) -> NDArray[np.bool_]:
        """(..., N), True where the predicted class is the true class."""
        # Diagonal cells are multiples of K + 1.
        return np.asarray(self.cells % (self.n_classes + 1) == 0)

    @cached_property
    def confusion(self) -> Counts:
        """(..., K, K), counts or sums of weights; true classes in rows, predicted classes in columns."""
        width, cells = self.n_classes, self.cells
        return np.asarray(_grouped(cells, width**2, self.weights).reshape(*cells.shape[:-1], width, width))

    @property
    def loss(self) -> Floats:
        """(...), mean loss."""
        return np.asarray(np.average(self.losses, axis=-1, weights=self.weights))

    @property
    def calibration_error(self) -> Floats:
        """(...), expected calibration error."""
        return expected_calibration_error(self.confidence, self.correct, weights=self.weights)


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
    return np.asarray(_grouped(cells, n_classes**2).reshape(n_classes, n_classes))


def accuracy(confusion: Counts) -> Floats:
    """Accuracy: (..., K, K) to (...)."""
    return _ratio(_hits(confusion).sum(axis=-1), confusion.sum(axis=(-2, -1)))


@dataclass(frozen=True)
class ClassMetric:
    """A metric of each class: its correct rows as a share of its ``trials``; (..., K, K) to (..., K).

    Args:
        trials: function from a confusion matrix (..., K, K) to numbers of rows (..., K).
    """

    trials: Callable[[Counts], Counts]

    def __call__(self, confusion: Counts) -> Floats:
        """Return the value of each class; 0 for a class without trials."""
        return _ratio(_hits(confusion), self.trials(confusion))


precision = ClassMetric(lambda confusion: confusion.sum(axis=-2))
recall = ClassMetric(lambda confusion: confusion.sum(axis=-1))
f1 = ClassMetric(lambda confusion: (confusion.sum(axis=-2) + confusion.sum(axis=-1)) / 2)


def macro(per_class: Floats, confusion: Counts) -> Floats:
    """Unweighted mean over the classes that occur in truth or predictions.

    Args:
        per_class: (..., K).
        confusion: (..., K, K).

    Returns:
        (...).
    """
    occurs = confusion.sum(axis=-2) + confusion.sum(axis=-1) > 0
    return _ratio((per_class * occurs).sum(axis=-1), occurs.sum(axis=-1))


def weighted(per_class: Floats, confusion: Counts) -> Floats:
    """Mean over classes, weighted by their number of rows.

    Args:
        per_class: (..., K).
        confusion: (..., K, K); its row sums are the weights.

    Returns:
        (...).
    """
    support = confusion.sum(axis=-1)
    return _ratio((per_class * support).sum(axis=-1), support.sum(axis=-1))


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


def expected_calibration_error(
    confidence: Floats,
    correct: NDArray[np.bool_],
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
    index = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    # Number of rows times the difference of means equals the difference of sums.
    gaps = _grouped(index, bins, (confidence - correct) * (1 if weights is None else weights))
    return np.asarray(np.abs(gaps).sum(axis=-1) / confidence.shape[-1])


def _hits(confusion: Counts) -> Counts:
    return np.diagonal(confusion, axis1=-2, axis2=-1)


def _ratio(numerator: NDArray[Any], denominator: NDArray[Any]) -> Floats:
    """Quotient; 0/0 is 0."""
    return np.asarray(numerator / np.where(denominator == 0, 1, denominator), dtype=np.float64)


def _grouped(index: Ints, width: int, weights: Floats | None = None) -> Any:
    """`numpy.bincount` along the last axis: (..., N) indices below ``width`` to (..., width) counts or sums."""
    leading = index.shape[:-1]
    n_groups = int(np.prod(leading, dtype=np.int64))
    offsets = np.arange(n_groups, dtype=np.int64).reshape(*leading, 1) * width
    flat = None if weights is None else weights.ravel()
    return np.bincount((index + offsets).ravel(), weights=flat, minlength=n_groups * width).reshape(*leading, width)
