"""Metrics of a classification: `METRICS`, `metrics_of` a label set, and `summary` of one split, as in ``metrics.json``.

Averages are those of scikit-learn with ``zero_division=0``: they run over the classes that occur among the true or the
predicted classes, and 0/0 counts as 0. Only numpy is needed here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

from slugline.core.errors import RecipeError, nearest
from slugline.core.labels import Kind, LabelSet
from slugline.core.predictions import Predictions
from slugline.evaluation.outcomes.class_counts import (
    ClassCounts,
    ClassMetric,
    accuracy,
    f1,
    macro,
    micro,
    precision,
    recall,
    weighted,
)
from slugline.evaluation.outcomes.multi_label import MultiLabelOutcomes
from slugline.evaluation.outcomes.outcomes import Outcomes, outcomes_of
from slugline.evaluation.outcomes.single_label import SingleLabelOutcomes
from slugline.evaluation.outcomes.statistics import Counts, Floats
from slugline.evaluation.outcomes.tree import Grouping, hierarchical_f1

#: A metric of each class and the counts of all classes to one number.
Average = Callable[[ClassMetric, ClassCounts], Floats]

#: Kinds of label sets with one label a text, with any number of labels, and all kinds.
ONE_LABEL: frozenset[Kind] = frozenset({"single", "hierarchical"})
ANY_LABELS: frozenset[Kind] = frozenset({"multi"})
ALL_KINDS = ONE_LABEL | ANY_LABELS


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
        unit: ``points`` for shares, which are shown in percentage points; empty for other numbers.
        by_class: the metric of each class, for unweighted means over classes.
        weighs_classes_alike: True for unweighted means over classes, whose error a class of few rows dominates.
        decisions: function from outcomes to the number of decisions whose share the metric is, which limits its
            precision; None = that of `Outcomes.main_share`.
        kinds: kinds of label sets that have the metric.
    """

    name: str
    title: str
    of: Callable[[Any], Floats]
    greater_is_better: bool = True
    limits: tuple[float, float] = (0.0, 1.0)
    interval: Literal["share", "percentile", "reflected", "wilson"] = "share"
    unit: Literal["points", ""] = "points"
    by_class: ClassMetric | None = None
    weighs_classes_alike: bool = False
    decisions: Callable[[Any], float] | None = None
    kinds: frozenset[Kind] = ONE_LABEL

    def is_better(self, value: float, other: float) -> bool:
        """True if ``value`` is better than ``other``."""
        return value > other if self.greater_is_better else value < other

    def text(self, value: float) -> str:
        """Return a value as it is shown: ``93.8%`` for shares, ``0.2153`` for other numbers."""
        return f"{value:.1%}" if self.unit else f"{value:.4f}"

    def value(self, predictions: Predictions) -> float:
        """Return the value for predictions.

        Args:
            predictions: N rows of a label set that has this metric.

        Returns:
            The value.

        Raises:
            DataError: there are no rows.
        """
        return float(self.of(outcomes_of(predictions)))


def _average(name: str, title: str, by_class: ClassMetric, average: Average) -> Metric:
    return Metric(name, title, lambda outcomes: average(by_class, outcomes.class_counts), kinds=ALL_KINDS)


def _of_texts(name: str, title: str, by_class: ClassMetric) -> Metric:
    def value(outcomes: MultiLabelOutcomes) -> Floats:
        return outcomes.sample_mean(by_class)

    return Metric(f"{name}_samples", f"{title} averaged over texts", value, decisions=_n_rows, kinds=ANY_LABELS)


def _n_rows(outcomes: Outcomes) -> float:
    return float(outcomes.n_rows)


def _n_decisions(outcomes: MultiLabelOutcomes) -> float:
    return float(outcomes.targets.size)


#: Name, title and function of the metrics of single classes.
CLASS_METRICS = (("precision", "precision", precision), ("recall", "recall", recall), ("f1", "F1", f1))

#: The share of texts whose labels are all predicted, and no others.
_ACCURACY = Metric(
    "accuracy",
    "accuracy",
    lambda outcomes: outcomes.accuracy,
    interval="wilson",
    kinds=ALL_KINDS,
)
_MACRO = [
    replace(_average(f"{name}_macro", f"macro {title}", each, macro), by_class=each, weighs_classes_alike=True)
    for name, title, each in CLASS_METRICS
]
_MICRO = [_average(f"{name}_micro", f"micro {title}", each, micro) for name, title, each in CLASS_METRICS]
_WEIGHTED = [_average(f"{name}_weighted", f"weighted {title}", each, weighted) for name, title, each in CLASS_METRICS]
_OF_PROBABILITIES = (
    Metric(
        "loss",
        "loss",
        lambda outcomes: outcomes.loss,
        greater_is_better=False,
        limits=(0.0, math.inf),
        interval="percentile",
        unit="",
        kinds=ALL_KINDS,
    ),
    Metric(
        "loss_calibrated",
        "loss after calibration",
        lambda outcomes: outcomes.calibrated_loss,
        greater_is_better=False,
        limits=(0.0, math.inf),
        interval="percentile",
        unit="",
        kinds=ALL_KINDS,
    ),
    Metric(
        "ece",
        "calibration error",
        lambda outcomes: outcomes.calibration_error,
        greater_is_better=False,
        interval="reflected",
        kinds=ALL_KINDS,
    ),
)

#: Every metric that is a single number and names no level, by name. A metric is added here.
METRICS: dict[str, Metric] = {
    each.name: each
    for each in (
        _ACCURACY,
        *(replace(each, kinds=ANY_LABELS) for each in _MICRO),
        *_MACRO,
        *(replace(each, interval="wilson") if each.name == "recall_weighted" else each for each in _WEIGHTED),
        *(_of_texts(*each) for each in CLASS_METRICS),
        Metric(
            "mean_average_precision",
            "mean average precision",
            lambda outcomes: outcomes.mean_average_precision,
            weighs_classes_alike=True,
            kinds=ANY_LABELS,
        ),
        Metric(
            "hamming_loss",
            "Hamming loss",
            lambda outcomes: outcomes.hamming_loss,
            greater_is_better=False,
            decisions=_n_decisions,
            kinds=ANY_LABELS,
        ),
        Metric(
            "ranking_loss",
            "ranking loss",
            lambda outcomes: outcomes.ranking_loss,
            greater_is_better=False,
            decisions=_n_decisions,
            kinds=ANY_LABELS,
        ),
        Metric(
            "hierarchical_f1",
            "hierarchical F1",
            lambda outcomes: hierarchical_f1(outcomes.confusion, outcomes.labels),
            decisions=_n_rows,
            kinds=frozenset({"hierarchical"}),
        ),
        *_OF_PROBABILITIES,
    )
}

#: Metrics that are another one in some kinds of label sets: recall weighted by support equals the accuracy, whose
#: interval is Wilson's, only where each text has one label.
VARIANTS: dict[Kind, dict[str, Metric]] = {
    "multi": {"recall_weighted": replace(METRICS["recall_weighted"], interval="share")}
}

#: Metrics of each level above the leaves: beginning of the name, beginning of the title, and a function of confusion.
#: The predicted class of a level is that on the path of the predicted leaf.
LEVEL_METRICS: tuple[tuple[str, str, Callable[[Counts], Floats]], ...] = (
    ("accuracy", "accuracy", accuracy),
    ("f1_macro", "macro F1", lambda confusion: macro(f1, ClassCounts.of(confusion))),
)


def _level_metrics(level: str) -> list[Metric]:
    """The metrics of a level."""

    def on_level(of_confusion: Callable[[Counts], Floats]) -> Callable[[SingleLabelOutcomes], Floats]:
        def value(outcomes: SingleLabelOutcomes) -> Floats:
            labels = outcomes.labels
            grouping = Grouping.of(labels, labels.level_names.index(level) + 1)
            return of_confusion(grouping.confusion(outcomes.confusion))

        return value

    return [
        Metric(
            f"{name}_{level}",
            f"{title} of {level}",
            on_level(of_confusion),
            weighs_classes_alike=name == "f1_macro",
            decisions=_n_rows,
        )
        for name, title, of_confusion in LEVEL_METRICS
    ]


def _named_by_level(name: str) -> Metric | None:
    """The metric of a level with this name, whether or not there is such a level."""
    for beginning, *_ in LEVEL_METRICS:
        if name.startswith(f"{beginning}_"):
            level = name.removeprefix(f"{beginning}_")
            return next(each for each in _level_metrics(level) if each.name == name)
    return None


def metrics_of(labels: LabelSet) -> dict[str, Metric]:
    """Return the metrics of a label set that are single numbers, by name.

    A hierarchical set also has ``hierarchical_f1`` and, for each level above the leaves, ``accuracy_LEVEL`` and
    ``f1_macro_LEVEL``.

    Args:
        labels: the K classes.

    Returns:
        Metrics by name.
    """
    own = {name: each for name, each in METRICS.items() if labels.kind in each.kinds}
    of_levels = {each.name: each for level in labels.level_names[:-1] for each in _level_metrics(level)}
    return own | VARIANTS.get(labels.kind, {}) | of_levels


def numbers_in(metrics: Iterable[str]) -> list[Metric]:
    """Return the metrics that are single numbers among the keys of one split in ``metrics.json``.

    Args:
        metrics: keys, of any label set.

    Returns:
        Metrics in the order of `METRICS`, then those of levels.
    """
    keys = dict.fromkeys(metrics)
    of_levels = [each for key in keys if key not in METRICS and (each := _named_by_level(key))]
    return [*(each for name, each in METRICS.items() if name in keys), *of_levels]


def shown_in(metrics: Iterable[str], *, selects: str = "") -> list[Metric]:
    """Return the metrics to show in a table: `numbers_in` without the loss before calibration if there is one after it.

    Margins of a linear SVM are no log-odds, so that their loss is comparable only after calibration.

    Args:
        metrics: keys, of any label set.
        selects: name of the metric that selects the model, which is always shown.

    Returns:
        Metrics in the order of `numbers_in`.
    """
    numbers = numbers_in(metrics)
    is_hidden = selects != "loss" and any(each.name == "loss_calibrated" for each in numbers)
    return [each for each in numbers if not (is_hidden and each.name == "loss")]


def metric(name: str, labels: LabelSet | None = None) -> Metric:
    """Return the metric of this name.

    Args:
        name: name of a metric.
        labels: label set that is scored; None = one that is not known, whose levels may have any names.

    Returns:
        The metric.

    Raises:
        RecipeError: the name is unknown, or the label set has no such metric.
    """
    known = METRICS if labels is None else metrics_of(labels)
    found = known.get(name) or (_named_by_level(name) if labels is None else None)
    if found is None:
        of_kind = "" if labels is None else f" of a {labels.kind} label set"
        raise RecipeError(
            f"there is no metric {name!r}{of_kind}.{nearest(name, list(known))}", hint=f"Metrics: {', '.join(known)}."
        )
    return found


def summary(predictions: Predictions) -> dict[str, Any]:
    """Return all metrics of one split, as in ``metrics.json`` but without confidence intervals.

    Args:
        predictions: N rows.

    Returns:
        Plain values for JSON: every metric of `metrics_of`, ``ece_uncalibrated``, ``support`` (N), ``per_class`` by
        name; with one label a text also ``confusion_matrix``, with true classes in rows.

    Raises:
        DataError: there are no rows.
    """
    outcomes = outcomes_of(predictions)
    uncalibrated = replace(predictions, calibration=None)
    counts = outcomes.class_counts
    matrix = {"confusion_matrix": outcomes.confusion.tolist()} if isinstance(outcomes, SingleLabelOutcomes) else {}
    return {
        **{name: float(metric.of(outcomes)) for name, metric in metrics_of(predictions.labels).items()},
        "ece_uncalibrated": float(outcomes_of(uncalibrated).calibration_error),
        "support": len(predictions),
        "per_class": {
            name: {"precision": float(p), "recall": float(r), "f1": float(f), "support": int(support)}
            for name, p, r, f, support in zip(
                predictions.labels.names,
                precision(counts),
                recall(counts),
                f1(counts),
                counts.support,
                strict=True,
            )
        },
        **matrix,
    }
