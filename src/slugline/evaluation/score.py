"""Scores of predictions: metrics and their confidence intervals.

`Predictions` go in, an `Evaluation` comes out. The same predictions always give the same numbers. Only numpy is
needed here; predicting with a classifier and timing it is in `slugline.evaluation.evaluate`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from slugline.core.predictions import Calibration, Predictions
from slugline.evaluation.intervals import (
    Interval,
    bootstrap,
    margins,
    percentile_interval,
    reflected_interval,
    wilson_interval,
)
from slugline.evaluation.metrics import Metric, metrics_of, summary
from slugline.evaluation.outcomes.outcomes import Outcomes, outcomes_of
from slugline.evaluation.outcomes.statistics import Floats, Ints

#: Mean number of rows per class below which intervals of some averages are too narrow, see docs/intervals.md.
ROWS_PER_CLASS = 25


@dataclass(frozen=True)
class Evaluation:
    """Scores of one model on one split.

    Args:
        predictions: logits and target of every row.
        metrics: metrics of one split, as in ``metrics.json``; identical in every repetition.
        timing: seconds, milliseconds and bytes; differs in every repetition. Empty if nothing was timed.
    """

    predictions: Predictions
    metrics: dict[str, Any]
    timing: dict[str, float]

    def calibrated(self, calibration: Calibration, *, bootstrap: int = 1000, seed: int = 13) -> Evaluation:
        """Score the same predictions with a calibration.

        Args:
            calibration: calibration fitted on validation.
            bootstrap: number of bootstrap resamples for the confidence intervals; 0 = no intervals.
            seed: seed of the bootstrap.

        Returns:
            A new evaluation with the same timing.
        """
        predictions = replace(self.predictions, calibration=calibration)
        return replace(score(predictions, bootstrap=bootstrap, seed=seed), timing=self.timing)


def score(predictions: Predictions, *, bootstrap: int = 1000, seed: int = 13) -> Evaluation:
    """Score predictions.

    Args:
        predictions: N rows, with their calibration.
        bootstrap: number of bootstrap resamples for the confidence intervals; 0 = no intervals.
        seed: seed of the bootstrap.

    Returns:
        Predictions and metrics; the timing is empty.

    Raises:
        DataError: there are no rows.
    """
    metrics = summary(predictions)
    if bootstrap:
        intervals = confidence_intervals(predictions, resamples=bootstrap, seed=seed)
        metrics["confidence_intervals"] = {name: list(interval) for name, interval in intervals.items()}
    return Evaluation(predictions, metrics, timing={})


def interval_note(metrics: Mapping[str, Any]) -> str:
    """Return a sentence to print below confidence intervals that may be too narrow; empty if there is no reason.

    Args:
        metrics: metrics of one split, from `summary`.

    Returns:
        A sentence, or nothing.
    """
    n_classes = sum(scores["support"] > 0 for scores in metrics["per_class"].values())
    if metrics["support"] >= ROWS_PER_CLASS * n_classes:
        return ""
    return (
        f"{metrics['support']:,} rows of {n_classes} classes are fewer than {ROWS_PER_CLASS} per class. Intervals of "
        "averages over classes may be too narrow: in simulations, as few as 63% contained the true value."
    )


def confidence_intervals(predictions: Predictions, *, resamples: int = 1000, seed: int = 13) -> dict[str, Interval]:
    """Return 95% confidence intervals of all metrics.

    Each metric names its kind of interval (`Metric.interval`). `slugline.evaluation.intervals` has the methods, and
    docs/intervals.md the share of intervals that contain the true value in simulations.

    Args:
        predictions: predictions of N rows.
        resamples: number of bootstrap resamples.
        seed: seed of the bootstrap.

    Returns:
        (low, high) by name, for every metric of `metrics_of`.

    Raises:
        DataError: there are no rows.
    """
    outcomes, metrics = outcomes_of(predictions), metrics_of(predictions.labels)

    def values(rows: Ints, weights: Floats) -> Floats:
        """Values (b, M), one for each metric."""
        sample = outcomes.take(rows, weights)
        return np.stack([metric.of(sample) for metric in metrics.values()], axis=-1)

    samples = bootstrap(outcomes.strata, values, resamples=resamples, seed=seed)
    return {
        name: _interval(metric, outcomes, samples[:, index]) for index, (name, metric) in enumerate(metrics.items())
    }


def _interval(metric: Metric, outcomes: Outcomes, samples: Floats) -> Interval:
    estimate = float(metric.of(outcomes))
    if metric.interval == "wilson":
        return wilson_interval(int(outcomes.correct.sum()), outcomes.n_rows)
    if metric.interval == "reflected":
        return reflected_interval(samples, estimate)
    interval = percentile_interval(samples, estimate)
    return interval if metric.interval == "percentile" else _not_too_narrow(interval, estimate, metric, outcomes)


def _not_too_narrow(interval: Interval, estimate: float, metric: Metric, outcomes: Outcomes) -> Interval:
    """Widen the interval of a share to the margins of a proportion and, for macro averages, of the classes' values.

    The bootstrap cannot draw errors that a class does not have: if all rows are correct, its interval is [1, 1].
    """
    own = (np.array([estimate]), np.array([metric.decisions(outcomes)])) if metric.decisions else None
    shares = [own or outcomes.main_share]
    if metric.by_class is not None:
        counts = outcomes.class_counts
        values, trials = metric.by_class(counts), metric.by_class.trials(counts)
        shares.append((values[trials > 0], trials[trials > 0]))
    below, above = np.max([margins(*each) for each in shares], axis=0)
    low, high = interval
    return max(0.0, min(low, estimate - below)), min(1.0, max(high, estimate + above))
