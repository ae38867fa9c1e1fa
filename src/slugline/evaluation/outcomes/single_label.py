"""Outcomes of predictions with one label for each text: cells of the confusion matrix."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from slugline.core.labels import LabelSet
from slugline.core.predictions import Predictions
from slugline.evaluation.outcomes.class_counts import ClassCounts, accuracy
from slugline.evaluation.outcomes.statistics import (
    Bools,
    Counts,
    Floats,
    Ints,
    expected_calibration_error,
    grouped,
    negative_log_likelihood,
)


@dataclass(frozen=True)
class SingleLabelOutcomes:
    """The outcome of each row: confusion cell, loss, confidence and weight. Leading axes hold resamples.

    Args:
        cells: (..., N) int64, index into the flattened confusion matrix: ``target * K + predicted``.
        losses: (..., N), negative log-likelihood of the true class, before calibration.
        calibrated_losses: (..., N), the same after calibration.
        confidence: (..., N), probability of the predicted class, calibrated.
        labels: the K classes.
        weights: (..., N) weights of the rows, of sum N; None = each row counts once.
    """

    cells: Ints
    losses: Floats
    calibrated_losses: Floats
    confidence: Floats
    labels: LabelSet
    weights: Floats | None = None

    @classmethod
    def of(cls, predictions: Predictions) -> SingleLabelOutcomes:
        """Return the outcomes of N predictions; arrays of shape (N,)."""
        width, targets = len(predictions.labels), predictions.targets.astype(np.int64)
        return cls(
            cells=targets * width + predictions.predicted,
            losses=negative_log_likelihood(predictions.logits, targets),
            calibrated_losses=negative_log_likelihood(predictions.calibrated_logits, targets),
            confidence=predictions.confidence,
            labels=predictions.labels,
        )

    def take(self, rows: Ints, weights: Floats | None = None) -> SingleLabelOutcomes:
        """Select rows (..., M) with weights (..., M), for one resample or for many."""
        return replace(
            self,
            cells=self.cells[rows],
            losses=self.losses[rows],
            calibrated_losses=self.calibrated_losses[rows],
            confidence=self.confidence[rows],
            weights=weights,
        )

    @property
    def n_classes(self) -> int:
        """K."""
        return len(self.labels)

    @property
    def n_rows(self) -> int:
        """N."""
        return int(self.cells.shape[-1])

    @property
    def strata(self) -> Ints:
        """(..., N), the true classes."""
        return self.cells // self.n_classes

    @property
    def correct(self) -> Bools:
        """(..., N), True where the predicted class is the true class."""
        # Diagonal cells are multiples of K + 1.
        return np.asarray(self.cells % (self.n_classes + 1) == 0)

    @cached_property
    def confusion(self) -> Counts:
        """(..., K, K), counts or sums of weights; true classes in rows, predicted classes in columns."""
        width, cells = self.n_classes, self.cells
        return np.asarray(grouped(cells, width**2, self.weights).reshape(*cells.shape[:-1], width, width))

    @property
    def accuracy(self) -> Floats:
        """(...), share of the correct rows."""
        return accuracy(self.confusion)

    @cached_property
    def class_counts(self) -> ClassCounts:
        """Counts (..., K) of each class."""
        return ClassCounts.of(self.confusion)

    @property
    def confusions(self) -> Ints:
        """(K, K), the confusion matrix with zeros on its diagonal."""
        return np.asarray(self.confusion * (1 - np.eye(self.n_classes, dtype=np.int64)))

    @property
    def main_share(self) -> tuple[Floats, Floats]:
        """Share of the correct rows (1,), and the number of rows (1,)."""
        return self.correct.mean(keepdims=True), np.array([float(self.n_rows)])

    @property
    def loss(self) -> Floats:
        """(...), mean loss."""
        return np.asarray(np.average(self.losses, axis=-1, weights=self.weights))

    @property
    def calibrated_loss(self) -> Floats:
        """(...), mean loss after calibration."""
        return np.asarray(np.average(self.calibrated_losses, axis=-1, weights=self.weights))

    @property
    def calibration_error(self) -> Floats:
        """(...), expected calibration error."""
        return expected_calibration_error(self.confidence, self.correct, weights=self.weights)
