"""Metrics, compared with scikit-learn and with published numbers."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, confusion_matrix, log_loss, precision_recall_fscore_support

from conftest import GOLDEN
from slugline.core.errors import DataError, RecipeError
from slugline.core.labels import LabelSet
from slugline.core.predictions import Calibration, Predictions
from slugline.evaluation.metrics import METRICS, metric, metrics_of, summary
from slugline.evaluation.outcomes import class_counts, statistics
from slugline.evaluation.outcomes.outcomes import outcomes_of

#: Metrics of sets with one label a text.
SINGLE = metrics_of(LabelSet(("a", "b")))


def predictions_of(targets: Any, logits: Any, **fields: Any) -> Predictions:
    logits = np.asarray(logits, dtype=np.float32)
    return Predictions(
        ids=np.array([f"row-{row}" for row in range(len(logits))], dtype=np.str_),
        targets=np.asarray(targets, dtype=np.int64),
        logits=logits,
        labels=LabelSet(tuple(f"class {index}" for index in range(logits.shape[1]))),
        split="test",
        **fields,
    )


def as_logits(predicted: Any, width: int) -> NDArray[np.float32]:
    return np.asarray(np.eye(width)[predicted], dtype=np.float32)


@pytest.fixture(scope="module")
def reuters() -> Predictions:
    matrix = np.array(GOLDEN["confusion_matrix"])
    targets, predicted = (np.repeat(axis.ravel(), matrix.ravel()) for axis in np.indices(matrix.shape))
    return predictions_of(targets, as_logits(predicted, len(matrix)))


@st.composite
def targets_and_predictions(draw: st.DrawFn) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Targets, predictions and K; in most draws, some classes have no rows or are never predicted."""
    width = draw(st.integers(2, 7))
    size = draw(st.integers(1, 40))
    labels = st.lists(st.integers(0, width - 1), min_size=size, max_size=size)
    return np.array(draw(labels)), np.array(draw(labels)), width


@settings(deadline=None)
@given(targets_and_predictions())
def test_metrics_agree_with_scikit_learn(case: tuple[NDArray[np.int64], NDArray[np.int64], int]) -> None:
    targets, predicted, width = case
    found = summary(predictions_of(targets, as_logits(predicted, width)))
    classes = range(width)
    assert found["accuracy"] == pytest.approx(accuracy_score(targets, predicted))
    assert found["confusion_matrix"] == confusion_matrix(targets, predicted, labels=classes).tolist()
    for average in ("macro", "weighted"):
        expected = precision_recall_fscore_support(targets, predicted, average=average, zero_division=0)[:3]
        assert [found[f"{name}_{average}"] for name in ("precision", "recall", "f1")] == pytest.approx(expected)
    by_class = precision_recall_fscore_support(targets, predicted, labels=classes, zero_division=0)
    for index, scores in enumerate(found["per_class"].values()):
        assert list(scores.values()) == pytest.approx([column[index] for column in by_class])


def test_published_metrics_of_reuters_follow_from_its_matrix(reuters: Predictions) -> None:
    found, published = summary(reuters), GOLDEN["published"]
    for name in published.keys() & SINGLE.keys():
        assert round(found[name], 4) == published[name], name
    per_class = list(found["per_class"].values())
    assert [round(scores["f1"], 4) for scores in per_class] == published["f1_per_class"]
    assert [scores["support"] for scores in per_class] == published["support"]
    assert found["confusion_matrix"] == GOLDEN["confusion_matrix"]
    assert found["support"] == sum(published["support"])


def test_confusion_matrix_of_reuters(reuters: Predictions) -> None:
    predicted = reuters.logits.argmax(axis=1)
    matrix = class_counts.confusion_matrix(reuters.targets, predicted, 18)  # type: ignore[arg-type]
    assert matrix.tolist() == GOLDEN["confusion_matrix"]


def test_resamples_are_scored_like_single_samples() -> None:
    rng = np.random.default_rng(0)
    predictions = predictions_of(rng.integers(0, 4, 60), rng.normal(size=(60, 5)))
    outcomes = outcomes_of(predictions)
    rows = rng.integers(0, 60, (3, 60))
    resampled = outcomes.take(rows)
    for each in SINGLE.values():
        expected = [float(each.of(outcomes.take(sample))) for sample in rows]
        assert each.of(resampled) == pytest.approx(expected), each.name
    assert resampled.confusion.shape == (3, 5, 5)


@settings(deadline=None)
@given(targets_and_predictions(), st.integers(0, 2**32 - 1))
def test_weighted_rows_count_like_repeated_rows(
    case: tuple[NDArray[np.int64], NDArray[np.int64], int], seed: int
) -> None:
    targets, _, width = case
    rng = np.random.default_rng(seed)
    outcomes = outcomes_of(predictions_of(targets, rng.normal(size=(len(targets), width))))
    repeated = np.sort(rng.integers(0, len(targets), len(targets)))
    rows, counts = np.unique(repeated, return_counts=True)
    for each in SINGLE.values():
        expected = float(each.of(outcomes.take(repeated)))
        if each.name != "ece":  # its weights add up to the number of rows
            assert float(each.of(outcomes.take(rows, counts))) == pytest.approx(expected), each.name
    weights = np.bincount(repeated, minlength=len(targets)).astype(np.float64)
    everywhere = outcomes.take(np.arange(len(targets)), weights)
    assert float(METRICS["ece"].of(everywhere)) == pytest.approx(float(METRICS["ece"].of(outcomes.take(repeated))))


def test_classes_without_rows_do_not_lower_macro_averages() -> None:
    perfect = summary(predictions_of(np.array([0, 1, 1]), as_logits(np.array([0, 1, 1]), 3)))
    assert [perfect[f"{name}_macro"] for name in ("precision", "recall", "f1")] == [1.0, 1.0, 1.0]
    # A class that is predicted but has no rows counts, as in scikit-learn.
    wrong = summary(predictions_of(np.array([0, 1, 1]), as_logits(np.array([0, 1, 2]), 3)))
    assert wrong["recall_macro"] == pytest.approx((1 + 0.5 + 0) / 3)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_loss_agrees_with_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    predictions = predictions_of(rng.integers(0, 4, 30), 3 * rng.normal(size=(30, 4)))
    expected = log_loss(predictions.targets, predictions.probabilities, labels=range(4))
    assert METRICS["loss"].value(predictions) == pytest.approx(expected)


def test_loss_ignores_calibration() -> None:
    plain = predictions_of([0, 1], [[2.0, 0.0], [1.0, 0.0]])
    calibrated = replace(plain, calibration=Calibration(temperature=3.0))
    assert summary(calibrated)["loss"] == summary(plain)["loss"]


def test_loss_of_huge_logits_is_finite() -> None:
    predictions = predictions_of([1, 0], [[1e4, -1e4], [1e4, -1e4]])
    assert METRICS["loss"].value(predictions) == pytest.approx(1e4)


def test_calibration_error_of_four_rows() -> None:
    # Two rows of confidence 0.9, one of them correct: |0.5 - 0.9|. Two of 0.6, both correct: |1 - 0.6|.
    logit = {0.9: math.log(9), 0.6: math.log(1.5)}
    predictions = predictions_of([0, 1, 0, 0], [[logit[share], 0.0] for share in (0.9, 0.9, 0.6, 0.6)])
    assert METRICS["ece"].value(predictions) == pytest.approx(0.4)


def test_bins_of_the_calibration_error_are_closed_on_the_right() -> None:
    # 0.2 belongs to (0, 0.2], so that the two errors of one bin cancel.
    error = statistics.expected_calibration_error(np.array([0.2, 0.1, 1.0]), np.array([False, True, True]), bins=5)
    assert float(error) == pytest.approx(abs(0.2 + 0.1 - 1) / 3)


def test_calibration_error_after_and_before_calibration() -> None:
    plain = predictions_of([0, 1, 0, 0], [[4.0, 0.0]] * 4)
    found = summary(replace(plain, calibration=Calibration(temperature=4 / math.log(3))))
    assert found["ece"] == pytest.approx(0, abs=1e-6)  # a confidence of 3/4, and 3 of 4 rows are correct
    assert found["ece_uncalibrated"] == pytest.approx(summary(plain)["ece"])
    assert found["ece_uncalibrated"] > 0.2


def test_summary_is_plain_json_and_complete(reuters: Predictions) -> None:
    found = summary(reuters)
    assert json.loads(json.dumps(found)) == found
    others = {"ece_uncalibrated", "support", "per_class", "confusion_matrix"}
    assert found.keys() == SINGLE.keys() | others


def test_directions_of_metrics() -> None:
    assert [name for name, each in SINGLE.items() if not each.greater_is_better] == [
        "loss",
        "loss_calibrated",
        "ece",
    ]
    assert all(metric(name).name == name for name in METRICS)


def test_an_unknown_metric_is_refused_with_a_suggestion() -> None:
    with pytest.raises(RecipeError, match=r"no metric 'f1_makro'. Did you mean 'f1_macro'\?\nMetrics: accuracy, "):
        metric("f1_makro")


def test_a_metric_of_another_kind_of_labels_is_refused() -> None:
    with pytest.raises(RecipeError, match="no metric 'hamming_loss' of a single label set"):
        metric("hamming_loss", LabelSet(("a", "b")))
    with pytest.raises(RecipeError, match="no metric 'hierarchical_f1' of a multi label set"):
        metric("hierarchical_f1", LabelSet(("a", "b"), kind="multi"))


def test_predictions_without_rows_are_refused() -> None:
    with pytest.raises(DataError, match="the test split has no rows"):
        summary(predictions_of([], np.zeros((0, 3))))
