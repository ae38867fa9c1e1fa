"""Metrics of a classification: `METRICS` by name, and `summary`, all metrics of one split as in ``metrics.json``.

`Predictions` are first turned into `Outcomes`: three arrays with one entry for each row. Outcomes may have leading
axes, one entry for each resample, so that the same code scores one sample and a thousand bootstrap samples. Only numpy
is needed here.

Averages are those of scikit-learn with ``zero_division=0``: they run over the classes that occur among the true or the
predicted classes, and 0/0 counts as 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from slugline.core.errors import DataError, RecipeError, nearest
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


@dataclass(frozen=True)
class Metric:
    """One metric, and how to compare and report it.

    Args:
        name: key in ``metrics.json``.
        title: name in sentences.
        of: function from outcomes (..., N) to values (...).
        greater_is_better: True if greater values are better.
        interval: kind of confidence interval: ``wilson`` for proportions of rows; ``reflected`` for statistics that
            noise can only increase; ``percentile`` of the bootstrap; ``share``, a percentile interval that is widened
            if it is too narrow, for averages of shares.
        paired_test: name of the test of the difference between two runs on the same rows.
        unit: ``points`` for shares, which are shown in percentage points; empty for other numbers.
        by_class: the metric of each class, for unweighted means over classes.
    """

    name: str
    title: str
    of: Callable[[Outcomes], Floats]
    greater_is_better: bool = True
    interval: Literal["share", "percentile", "reflected", "wilson"] = "share"
    paired_test: Literal["permutation", "mcnemar"] = "permutation"
    unit: Literal["points", ""] = "points"
    by_class: ClassMetric | None = None

    def is_better(self, value: float, other: float) -> bool:
        """True if ``value`` is better than ``other``."""
        return value > other if self.greater_is_better else value < other

    def value(self, predictions: Predictions) -> float:
        """Return the value for predictions.

        Args:
            predictions: N rows with one label each.

        Returns:
            The value.

        Raises:
            DataError: there are no rows, or the predictions are multi-label.
        """
        return float(self.of(Outcomes.of(predictions)))


def _macro(name: str, title: str, by_class: ClassMetric) -> Metric:
    return Metric(
        f"{name}_macro",
        f"macro {title}",
        lambda outcomes: macro(by_class(outcomes.confusion), outcomes.confusion),
        by_class=by_class,
    )


def _weighted(by_class: ClassMetric) -> Callable[[Outcomes], Floats]:
    return lambda outcomes: weighted(by_class(outcomes.confusion), outcomes.confusion)


#: Every metric that is a single number, by name.
METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            "accuracy",
            "accuracy",
            lambda outcomes: accuracy(outcomes.confusion),
            interval="wilson",
            paired_test="mcnemar",
        ),
        _macro("precision", "precision", precision),
        _macro("recall", "recall", recall),
        _macro("f1", "F1", f1),
        Metric("precision_weighted", "weighted precision", _weighted(precision)),
        # Recall weighted by support equals accuracy, so that Wilson's interval applies.
        Metric("recall_weighted", "weighted recall", _weighted(recall), interval="wilson"),
        Metric("f1_weighted", "weighted F1", _weighted(f1)),
        Metric("loss", "loss", lambda outcomes: outcomes.loss, greater_is_better=False, interval="percentile", unit=""),
        Metric(
            "ece",
            "calibration error",
            lambda outcomes: outcomes.calibration_error,
            greater_is_better=False,
            interval="reflected",
        ),
    )
}


def metric(name: str) -> Metric:
    """Return the metric of this name.

    Args:
        name: one of `METRICS`.

    Returns:
        The metric.

    Raises:
        RecipeError: the name is unknown.
    """
    if name not in METRICS:
        raise RecipeError(
            f"there is no metric {name!r}.{nearest(name, list(METRICS))}", hint=f"Metrics: {', '.join(METRICS)}."
        )
    return METRICS[name]


def summary(predictions: Predictions) -> dict[str, Any]:
    """Return all metrics of one split, as in ``metrics.json`` but without confidence intervals.

    Args:
        predictions: N rows with one label each.

    Returns:
        Plain values for JSON: every metric of `METRICS`, ``ece_uncalibrated``, ``support`` (N), ``per_class`` by name,
        ``confusion_matrix`` with true classes in rows.

    Raises:
        DataError: there are no rows, or the predictions are multi-label.
    """
    outcomes = Outcomes.of(predictions)
    uncalibrated = replace(predictions, calibration=None)
    confusion = outcomes.confusion
    return {
        **{name: float(metric.of(outcomes)) for name, metric in METRICS.items()},
        "ece_uncalibrated": float(expected_calibration_error(uncalibrated.confidence, outcomes.correct)),
        "support": len(predictions),
        "per_class": {
            name: {"precision": float(p), "recall": float(r), "f1": float(f), "support": int(support)}
            for name, p, r, f, support in zip(
                predictions.labels.names,
                precision(confusion),
                recall(confusion),
                f1(confusion),
                confusion.sum(axis=1),
                strict=True,
            )
        },
        "confusion_matrix": confusion.tolist(),
    }


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
