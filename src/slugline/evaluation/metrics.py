"""Metrics of a classification: `METRICS` by name, and `summary`, all metrics of one split as in ``metrics.json``.

Averages are those of scikit-learn with ``zero_division=0``: they run over the classes that occur among the true or the
predicted classes, and 0/0 counts as 0. Only numpy is needed here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from slugline.core.errors import RecipeError, nearest
from slugline.core.predictions import Predictions
from slugline.evaluation.outcomes import (
    ClassMetric,
    Floats,
    Outcomes,
    accuracy,
    expected_calibration_error,
    f1,
    macro,
    precision,
    recall,
    weighted,
)


@dataclass(frozen=True)
class Metric:
    """One metric, and how to compare and report it.

    Args:
        name: key in ``metrics.json``.
        title: name in sentences.
        of: function from outcomes (..., N) to values (...).
        greater_is_better: True if greater values are better.
        limits: smallest and largest possible value.
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
    limits: tuple[float, float] = (0.0, 1.0)
    interval: Literal["share", "percentile", "reflected", "wilson"] = "share"
    paired_test: Literal["permutation", "mcnemar"] = "permutation"
    unit: Literal["points", ""] = "points"
    by_class: ClassMetric | None = None

    def is_better(self, value: float, other: float) -> bool:
        """True if ``value`` is better than ``other``."""
        return value > other if self.greater_is_better else value < other

    def text(self, value: float) -> str:
        """Return a value as it is shown: ``93.8%`` for shares, ``0.2153`` for other numbers."""
        return f"{value:.1%}" if self.unit else f"{value:.4f}"

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
        Metric(
            "loss",
            "loss",
            lambda outcomes: outcomes.loss,
            greater_is_better=False,
            limits=(0.0, math.inf),
            interval="percentile",
            unit="",
        ),
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
