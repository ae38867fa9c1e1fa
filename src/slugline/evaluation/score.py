"""Scores of predictions: metrics and their confidence intervals.

`Predictions` go in, an `Evaluation` comes out. The same predictions always give the same numbers. Only numpy is
needed here; predicting with a classifier and timing it is in `slugline.evaluation.evaluate`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from slugline.core.predictions import Calibration, Predictions
from slugline.evaluation.intervals import (
    Interval,
    bootstrap,
    percentile_interval,
    reflected_interval,
    wilson_interval,
)
from slugline.evaluation.metrics import METRICS, Floats, Ints, Metric, Outcomes, summary


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
        DataError: there are no rows, or the predictions are multi-label.
    """
    metrics = summary(predictions)
    if bootstrap:
        intervals = confidence_intervals(predictions, resamples=bootstrap, seed=seed)
        metrics["confidence_intervals"] = {name: list(interval) for name, interval in intervals.items()}
    return Evaluation(predictions, metrics, timing={})


def confidence_intervals(predictions: Predictions, *, resamples: int = 1000, seed: int = 13) -> dict[str, Interval]:
    """Return 95% confidence intervals of all metrics.

    Each metric names its kind of interval (`Metric.interval`). Bootstrap resamples keep the number of rows of each
    class.

    Args:
        predictions: N rows.
        resamples: number of bootstrap resamples.
        seed: seed of the bootstrap.

    Returns:
        (low, high) by name, for every metric of `METRICS`.

    Raises:
        DataError: there are no rows, or the predictions are multi-label.
    """
    outcomes = Outcomes.of(predictions)

    def values(rows: Ints) -> Floats:
        """(b, N) row numbers to (b, M) values, one for each metric."""
        sample = outcomes.take(rows)
        return np.stack([metric.of(sample) for metric in METRICS.values()], axis=-1)

    samples = bootstrap(outcomes.targets, values, resamples=resamples, seed=seed)
    return {
        name: _interval(metric, outcomes, samples[:, index]) for index, (name, metric) in enumerate(METRICS.items())
    }


def _interval(metric: Metric, outcomes: Outcomes, samples: Floats) -> Interval:
    if metric.interval == "wilson":
        return wilson_interval(int(outcomes.correct.sum()), outcomes.n_rows)
    bootstrap_interval = reflected_interval if metric.interval == "reflected" else percentile_interval
    return bootstrap_interval(samples, float(metric.of(outcomes)))
