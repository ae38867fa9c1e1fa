"""Texts of the class ``data.out_of_scope``: how well a model abstains on them, by its confidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from slugline.core.predictions import UNCALIBRATED, Predictions
from slugline.data.dataset import TextDataset
from slugline.data.tables.texts import column_values
from slugline.evaluation.outcomes.abstention import choose_threshold, score_abstention
from slugline.evaluation.score import Evaluation
from slugline.inference.classifier import Classifier

if TYPE_CHECKING:
    import datasets


def with_abstention(
    classifier: Classifier,
    dataset: TextDataset,
    evaluations: Mapping[str, Evaluation],
    *,
    chosen_on: str = "validation",
    bootstrap: int = 1000,
) -> dict[str, Evaluation]:
    """Add the scores of abstention to evaluations, if the data set has rows out of scope.

    The confidence of a text is the largest of its calibrated probabilities. The threshold is chosen on validation.

    Args:
        classifier: trained classifier.
        dataset: data set with rows out of scope by split.
        evaluations: evaluations by split, with their calibration.
        chosen_on: name of the evaluation on which the threshold is chosen: validation, or the out-of-fold predictions.
        bootstrap: bootstrap resamples for the intervals; 0 = no intervals.

    Returns:
        The evaluations; the metrics of a split with rows out of scope have ``out_of_scope``.
    """
    outside = dataset.out_of_scope
    if not outside or "validation" not in outside or chosen_on not in evaluations:
        return dict(evaluations)
    chosen = evaluations[chosen_on].predictions
    held_out = _confidences(classifier, outside["validation"], chosen)
    threshold = choose_threshold(_most_likely(chosen), held_out)
    return {
        name: add_abstention(classifier, dataset, evaluation, threshold=threshold, bootstrap=bootstrap)
        if name != chosen_on
        else _scored(evaluation, held_out, threshold=threshold, bootstrap=bootstrap)
        for name, evaluation in evaluations.items()
    }


def add_abstention(
    classifier: Classifier, dataset: TextDataset, evaluation: Evaluation, *, threshold: float, bootstrap: int = 1000
) -> Evaluation:
    """Add the scores of abstention to the evaluation of one split.

    Args:
        classifier: trained classifier.
        dataset: data set with rows out of scope by split.
        evaluation: evaluation of a split, with its calibration.
        threshold: confidence below which the model abstains.
        bootstrap: bootstrap resamples for the intervals; 0 = no intervals.

    Returns:
        The evaluation; its metrics have ``out_of_scope`` if the split has rows out of scope.
    """
    rows = dataset.out_of_scope.get(evaluation.predictions.split)  # type: ignore[call-overload]
    if rows is None:
        return evaluation
    confidences = _confidences(classifier, rows, evaluation.predictions)
    return _scored(evaluation, confidences, threshold=threshold, bootstrap=bootstrap)


def _scored(evaluation: Evaluation, outside: NDArray[np.float64], *, threshold: float, bootstrap: int) -> Evaluation:
    predictions = evaluation.predictions
    matches = predictions.predicted == predictions.targets
    correct = matches.all(axis=1) if matches.ndim > 1 else matches
    scores = score_abstention(
        _most_likely(predictions), np.asarray(correct), outside, threshold=threshold, resamples=bootstrap
    )
    return replace(evaluation, metrics=evaluation.metrics | {"out_of_scope": scores})


def _most_likely(predictions: Predictions) -> NDArray[np.float64]:
    """(N,): the largest probability of each row."""
    return np.asarray(predictions.probabilities.max(axis=1))


def _confidences(classifier: Classifier, rows: datasets.Dataset, calibrated: Predictions) -> NDArray[np.float64]:
    """(M,): the largest probability of each text, with the calibration of predictions in scope."""
    logits = np.concatenate(list(classifier.logits(column_values(rows, "text"))))
    calibration = calibrated.calibration or UNCALIBRATED
    return np.asarray(calibration.probabilities(logits, kind=calibrated.labels.kind).max(axis=1))
