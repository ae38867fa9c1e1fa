"""From a classifier to evidence: what it predicts on a split, how good that is, how sure we are of it, how fast it was.

A `Classifier` and rows go in, an `Evaluation` comes out. The part that needs no classifier, `evaluate_predictions`,
gives the same numbers for the same predictions always; only ``timing`` differs from one time to the next.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from slugline.core.errors import DataError, RecipeError
from slugline.core.hardware import peak_memory_bytes
from slugline.core.labels import Calibration, Predictions
from slugline.data.dataset import predictions_on
from slugline.evaluation.intervals import (
    Interval,
    bootstrap,
    fit_temperature,
    percentile_interval,
    reflected_interval,
    wilson_interval,
)
from slugline.evaluation.metrics import METRICS, Floats, Ints, Outcomes, summary

if TYPE_CHECKING:
    import datasets

    from slugline.inference.classifier import Classifier

#: Single texts whose latency is taken, and calls before them that do not count.
LATENCY_TEXTS, WARM_UP_CALLS = 100, 3

#: Shares of right answers: recall weighted by support is accuracy under another name.
PROPORTIONS = ("accuracy", "recall_weighted")


@dataclass(frozen=True)
class Evaluation:
    """What a classifier did on one split.

    Args:
        predictions: every row's logits and target.
        metrics: as ``metrics.json`` holds them for one split; repeats exactly.
        timing: seconds, milliseconds and bytes; never repeats exactly. Empty when nothing was timed.
    """

    predictions: Predictions
    metrics: dict[str, Any]
    timing: dict[str, float]

    def calibrated(self, calibration: Calibration, *, bootstrap: int = 1000, seed: int = 13) -> Evaluation:
        """The same predictions and timing, scored after a calibration.

        Args:
            calibration: fitted on validation.
            bootstrap: resamples behind the confidence intervals; 0 = no intervals.
            seed: of the resamples.

        Returns:
            An evaluation of its own.
        """
        predictions = replace(self.predictions, calibration=calibration)
        return replace(evaluate_predictions(predictions, bootstrap=bootstrap, seed=seed), timing=self.timing)


def evaluate(
    classifier: Classifier,
    rows: datasets.Dataset,
    *,
    split: str,
    dataset: str = "",
    calibration: Calibration | None = None,
    bootstrap: int = 1000,
    seed: int = 13,
) -> Evaluation:
    """Score a classifier on a split and take its time.

    Args:
        classifier: as `load` or `fit` gives it.
        rows: with columns ``id``, ``text``, ``label``.
        split: name of the split.
        dataset: name of the data set.
        calibration: fitted on validation, or None.
        bootstrap: resamples behind the confidence intervals; 0 = no intervals.
        seed: of the resamples.

    Returns:
        Predictions, metrics, timing.

    Raises:
        DataError: there are no rows, or texts have several labels.
    """
    started = time.perf_counter()
    predictions = predict(classifier, rows, split=split, dataset=dataset)
    seconds = time.perf_counter() - started
    evaluation = evaluate_predictions(replace(predictions, calibration=calibration), bootstrap=bootstrap, seed=seed)
    timing = {
        "inference_seconds_per_1000": 1000 * seconds / len(predictions),
        **_latency(classifier, rows),
        "peak_memory_bytes": peak_memory_bytes(),
    }
    return replace(evaluation, timing=timing)


def evaluate_predictions(predictions: Predictions, *, bootstrap: int = 1000, seed: int = 13) -> Evaluation:
    """Score predictions that were already made.

    Args:
        predictions: N rows, with their calibration.
        bootstrap: resamples behind the confidence intervals; 0 = no intervals.
        seed: of the resamples.

    Returns:
        Predictions and metrics; the timing is empty.

    Raises:
        DataError: there are no rows, or texts have several labels.
    """
    metrics = summary(predictions)
    if bootstrap:
        intervals = confidence_intervals(predictions, resamples=bootstrap, seed=seed)
        metrics["confidence_intervals"] = {name: list(interval) for name, interval in intervals.items()}
    return Evaluation(predictions, metrics, timing={})


def predict(classifier: Classifier, rows: datasets.Dataset, *, split: str, dataset: str = "") -> Predictions:
    """What a classifier says about a split, before calibration.

    Args:
        classifier: as `load` or `fit` gives it.
        rows: with columns ``id``, ``text``, ``label``.
        split: name of the split.
        dataset: name of the data set.

    Returns:
        Predictions in the order of the rows.

    Raises:
        DataError: the split is empty.
    """
    texts = rows["text"][:]
    if not texts:
        raise DataError(f"the {split} split has no rows to predict.")
    logits = np.concatenate(list(classifier.logits(texts)))
    return predictions_on(rows, logits, classifier.labels, split=split, dataset=dataset)


def calibrate(predictions: Predictions, *, method: str = "temperature") -> Calibration:
    """Learn from validation predictions how logits become honest probabilities.

    Args:
        predictions: on validation, never on test.
        method: ``temperature``; or ``none``, which leaves probabilities as the model says them.

    Returns:
        The calibration, to be applied to every split.

    Raises:
        RecipeError: the method is unknown.
        DataError: texts have several labels.
    """
    if method == "none":
        return Calibration()
    if method != "temperature":
        raise RecipeError(f"evaluation.calibrate is {method!r}; it can be 'temperature' or 'none'.")
    if predictions.labels.kind == "multi":
        raise DataError(
            "this version calibrates sets with one label a text.", hint="Set evaluation.calibrate = 'none'."
        )
    temperature = fit_temperature(predictions.logits, predictions.targets.astype(np.int64))
    return Calibration(temperature=temperature, fitted_on=predictions.split)


def confidence_intervals(predictions: Predictions, *, resamples: int = 1000, seed: int = 13) -> dict[str, Interval]:
    """95% confidence intervals of all metrics: what other rows of the same kind might have given.

    Shares of right answers get Wilson's interval, the calibration error the reflected bootstrap interval, everything
    else the percentile interval; resamples keep the number of rows of each class.

    Args:
        predictions: N rows.
        resamples: of the bootstrap.
        seed: of the draws.

    Returns:
        (low, high) by name, for every metric of `METRICS`.

    Raises:
        DataError: there are no rows, or texts have several labels.
    """
    outcomes = Outcomes.of(predictions)

    def score(rows: Ints) -> Floats:
        """(b, N) row numbers to (b, M) values."""
        sample = outcomes.take(rows)
        return np.stack([metric.of(sample) for metric in METRICS.values()], axis=-1)

    samples = bootstrap(outcomes.targets, score, resamples=resamples, seed=seed)
    right = wilson_interval(int(outcomes.correct.sum()), len(predictions))
    return {
        name: right if name in PROPORTIONS else _interval(name, samples[:, index], float(metric.of(outcomes)))
        for index, (name, metric) in enumerate(METRICS.items())
    }


def _interval(name: str, samples: Floats, estimate: float) -> Interval:
    return (reflected_interval if name == "ece" else percentile_interval)(samples, estimate)


def _latency(classifier: Classifier, rows: datasets.Dataset) -> dict[str, float]:
    """Time from one text to its label's probability, over texts from all parts of the split."""
    chosen = np.unique(np.linspace(0, len(rows) - 1, min(LATENCY_TEXTS, len(rows)), dtype=np.int64))
    texts: Sequence[str] = rows.select(chosen)["text"][:]
    for text in texts[:WARM_UP_CALLS]:
        classifier.predict_proba([text])
    milliseconds = []
    for text in texts:
        started = time.perf_counter()
        classifier.predict_proba([text])
        milliseconds.append(1000 * (time.perf_counter() - started))
    p50, p99 = np.quantile(milliseconds, [0.5, 0.99])
    return {"latency_ms_p50": float(p50), "latency_ms_p99": float(p99)}
