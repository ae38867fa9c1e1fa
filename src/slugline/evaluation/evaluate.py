"""Evaluation of a classifier on a split: predict every row, score the predictions, measure the time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from slugline.core.errors import DataError, ModelError
from slugline.core.hardware import peak_memory_bytes
from slugline.core.memory import memory_errors
from slugline.core.predictions import Calibration, Predictions
from slugline.data.dataset import predictions_on
from slugline.data.tables.texts import column_values
from slugline.evaluation.score import Evaluation, score

if TYPE_CHECKING:
    import datasets

    from slugline.inference.classifier import Classifier

#: Single texts whose latency is measured, and calls before them that are not measured.
LATENCY_TEXTS, WARM_UP_CALLS = 100, 3


@memory_errors(ModelError, "evaluating")
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
    """Score a classifier on a split and measure its speed.

    Args:
        classifier: classifier from `load` or `fit`.
        rows: rows with columns ``id``, ``text``, ``label``.
        split: name of the split.
        dataset: name of the data set.
        calibration: calibration fitted on validation, or None.
        bootstrap: number of bootstrap resamples for the confidence intervals; 0 = no intervals.
        seed: seed of the bootstrap.

    Returns:
        Predictions, metrics, timing.

    Raises:
        DataError: there are no rows, or the predictions are multi-label.
        ModelError: the memory is exhausted.
    """
    started = time.perf_counter()
    predictions = predict(classifier, rows, split=split, dataset=dataset)
    seconds = time.perf_counter() - started
    evaluation = score(replace(predictions, calibration=calibration), bootstrap=bootstrap, seed=seed)
    timing = {
        "inference_seconds_per_1000": 1000 * seconds / len(predictions),
        **_latency(classifier, rows),
        "peak_memory_bytes": peak_memory_bytes(),
    }
    return replace(evaluation, timing=timing)


def predict(classifier: Classifier, rows: datasets.Dataset, *, split: str, dataset: str = "") -> Predictions:
    """Predict every row of a split, without calibration.

    Args:
        classifier: classifier from `load` or `fit`.
        rows: rows with columns ``id``, ``text``, ``label``.
        split: name of the split.
        dataset: name of the data set.

    Returns:
        Predictions in the order of the rows.

    Raises:
        DataError: the split is empty.
    """
    if not len(rows):
        raise DataError(f"the {split} split has no rows to predict.")
    logits = np.concatenate(list(classifier.logits(column_values(rows, "text"))))
    return predictions_on(rows, logits, classifier.labels, split=split, dataset=dataset)


def _latency(classifier: Classifier, rows: datasets.Dataset) -> dict[str, float]:
    """Milliseconds from one text to its probabilities, over texts from all parts of the split."""
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
