"""Outcomes of predictions with any number of labels for each text: true and predicted labels, and scores of all labels.

A resample is a weight for each row, so that statistics that are sums over rows are matrix products.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slugline.core.predictions import Predictions
from slugline.evaluation.outcomes.class_counts import ClassCounts, ClassMetric, f1, micro
from slugline.evaluation.outcomes.statistics import (
    CALIBRATION_BINS,
    Bools,
    Floats,
    Ints,
    bin_of,
    binary_negative_log_likelihood,
    grouped,
    ratio,
)


@dataclass(frozen=True)
class RowStatistics:
    """Statistics of single rows; those of a resample are their weighted sums.

    Args:
        hits: (N, K), 1 for labels that are predicted and true.
        predicted: (N, K), 1 for predicted labels.
        labels: (N, K), 1 for true labels.
        losses: (N,), mean negative log-likelihood of the labels, before calibration.
        calibrated_losses: (N,), the same after calibration.
        calibration_gaps: (N, bins), sum of probability minus truth over the labels of each bin, divided by K.
        ranking_losses: (N,), share of the pairs of a label and another in the wrong order of scores.
    """

    hits: Floats
    predicted: Floats
    labels: Floats
    losses: Floats
    calibrated_losses: Floats
    calibration_gaps: Floats
    ranking_losses: Floats

    @classmethod
    def of(cls, predictions: Predictions) -> RowStatistics:
        """Return the statistics of N predictions."""
        targets, predicted = predictions.targets.astype(np.bool_), predictions.predicted.astype(np.bool_)
        gaps = (predictions.probabilities - targets) / targets.shape[1]
        return cls(
            hits=(targets & predicted).astype(np.float64),
            predicted=predicted.astype(np.float64),
            labels=targets.astype(np.float64),
            losses=binary_negative_log_likelihood(predictions.logits, targets),
            calibrated_losses=binary_negative_log_likelihood(predictions.calibrated_logits, targets),
            calibration_gaps=grouped(bin_of(predictions.probabilities), CALIBRATION_BINS, gaps),
            ranking_losses=_ranking_losses(targets, predictions.logits),
        )


@dataclass(frozen=True)
class MultiLabelOutcomes:
    """The labels, predicted labels and scores of each of N rows, and one weight for each row.

    Args:
        targets: (N, K), True for the labels of a row.
        predicted: (N, K), True for its predicted labels.
        logits: (N, K), log-odds before calibration.
        of_rows: statistics of single rows.
        row_weights: (..., N), how often each row counts; leading axes hold resamples.
        size: sum of the weights of a resample.
    """

    targets: Bools
    predicted: Bools
    logits: NDArray[np.float32]
    of_rows: RowStatistics
    row_weights: Floats
    size: int

    @classmethod
    def of(cls, predictions: Predictions) -> MultiLabelOutcomes:
        """Return the outcomes of N predictions; each row counts once."""
        targets, predicted = predictions.targets.astype(np.bool_), predictions.predicted.astype(np.bool_)
        return cls(
            targets=targets,
            predicted=predicted,
            logits=predictions.logits,
            of_rows=RowStatistics.of(predictions),
            row_weights=np.ones(len(predictions)),
            size=len(predictions),
        )

    def take(self, rows: Ints, weights: Floats | None = None) -> MultiLabelOutcomes:
        """Select rows (..., M) with weights (..., M), for one resample or for many."""
        row_weights = np.asarray(grouped(rows, self.n_rows, weights), dtype=np.float64)
        return replace(self, row_weights=row_weights, size=rows.shape[-1])

    @property
    def n_rows(self) -> int:
        """N."""
        return len(self.targets)

    @cached_property
    def strata(self) -> Ints:
        """(N,), the rarest label of each row; K for rows without a label. So every resample has rows of every label."""
        rarity = np.where(self.targets, self.targets.sum(axis=0), self.n_rows + 1)
        rarest = np.where(self.targets.any(axis=1), rarity.argmin(axis=1), self.targets.shape[1])
        return np.asarray(rarest, dtype=np.int64)

    @property
    def correct(self) -> Bools:
        """(N,), True where the predicted labels are the labels of the row."""
        return np.asarray((self.targets == self.predicted).all(axis=1))

    @property
    def accuracy(self) -> Floats:
        """(...), share of the rows whose labels are all predicted, and no others (subset accuracy)."""
        return self._mean(self.correct)

    @cached_property
    def class_counts(self) -> ClassCounts:
        """Counts (..., K) of each label."""
        rows, weights = self.of_rows, self.row_weights
        return ClassCounts(weights @ rows.hits, weights @ rows.predicted, weights @ rows.labels)

    @property
    def calibrated_loss(self) -> Floats:
        """(...), mean loss of the labels after calibration."""
        return self._mean(self.of_rows.calibrated_losses)

    @property
    def loss(self) -> Floats:
        """(...), mean over rows and labels of the negative log-likelihood."""
        return self._mean(self.of_rows.losses)

    @property
    def calibration_error(self) -> Floats:
        """(...), expected calibration error of the probabilities of all labels."""
        return np.asarray(np.abs(self.row_weights @ self.of_rows.calibration_gaps).sum(axis=-1) / self.size)

    @property
    def confusions(self) -> Ints:
        """(K, K), rows that miss the label of the matrix row and wrongly get the label of the matrix column."""
        missed, wrong = self.targets & ~self.predicted, self.predicted & ~self.targets
        return np.asarray(missed.astype(np.int64).T @ wrong.astype(np.int64))

    @property
    def main_share(self) -> tuple[Floats, Floats]:
        """F1 of all labels together (1,), and its number of trials (1,)."""
        counts = self.class_counts
        return np.array([micro(f1, counts)]), np.array([f1.trials(counts).sum()])

    @property
    def hamming_loss(self) -> Floats:
        """(...), share of wrong decisions among the decisions about every row and label."""
        return self._mean((self.targets != self.predicted).mean(axis=1))

    def sample_mean(self, metric: ClassMetric) -> Floats:
        """Return the mean (...) over rows of a metric of the labels of one row; 0 for a row without trials."""
        rows = self.of_rows
        counts = ClassCounts(rows.hits.sum(axis=1), rows.predicted.sum(axis=1), rows.labels.sum(axis=1))
        return self._mean(metric(counts))

    @property
    def ranking_loss(self) -> Floats:
        """(...), share of the pairs of a label and another of the same row that are in the wrong order of scores.

        Equal scores are in the wrong order; rows with all or no labels count as 0 (Tsoumakas et al. 2010, and
        scikit-learn).
        """
        return self._mean(self.of_rows.ranking_losses)

    @cached_property
    def mean_average_precision(self) -> Floats:
        """(...), mean over the labels that occur of the area under the steps of precision over recall."""
        values = np.zeros(self.row_weights.shape[:-1])
        occurring = np.zeros(self.row_weights.shape[:-1])
        for label in np.flatnonzero(self.targets.any(axis=0)):
            precision, has_rows = _average_precision(self.targets[:, label], self.logits[:, label], self.row_weights)
            values, occurring = values + precision, occurring + has_rows
        return ratio(values, occurring)

    def _mean(self, values: NDArray[Any]) -> Floats:
        """(...), mean over the rows of (N,) values."""
        return np.asarray(self.row_weights @ values.astype(np.float64) / self.size)


def _ranking_losses(targets: Bools, scores: NDArray[np.float32]) -> Floats:
    """(N,), share of the pairs of a label and a non-label in the wrong order; equal scores are wrong."""
    wrong = np.zeros(len(targets))
    for row, (is_label, own) in enumerate(zip(targets, scores, strict=True)):
        others = np.sort(own[~is_label])
        wrong[row] = (len(others) - np.searchsorted(others, own[is_label], side="left")).sum()
    labels = targets.sum(axis=1)
    return ratio(wrong, labels * (targets.shape[1] - labels))


def _average_precision(is_label: Bools, scores: NDArray[np.float32], row_weights: Floats) -> tuple[Floats, Floats]:
    """Average precision (...) of one label, and 1 where it has rows of any weight, else 0."""
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))  # rows of one score are one step
    weights = row_weights[..., order]
    hits = np.cumsum(weights * is_label[order], axis=-1)[..., ends]
    predicted = np.cumsum(weights, axis=-1)[..., ends]
    steps = np.diff(hits, axis=-1, prepend=0.0)
    support = hits[..., -1]
    return ratio((steps * ratio(hits, predicted)).sum(axis=-1), support), np.asarray(support > 0, dtype=np.float64)
