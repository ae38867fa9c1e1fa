"""Evaluation of a classifier that reads its logits from a table."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import datasets
import numpy as np
import pytest
from numpy.typing import NDArray

from slugline.core.errors import DataError, RecipeError
from slugline.core.labels import LabelSet
from slugline.core.predictions import Calibration, Predictions, probabilities
from slugline.evaluation.calibration import calibrate
from slugline.evaluation.evaluate import evaluate, predict
from slugline.evaluation.intervals import wilson_interval
from slugline.evaluation.metrics import METRICS, metrics_of, summary
from slugline.evaluation.outcomes.statistics import expected_calibration_error
from slugline.evaluation.score import confidence_intervals, interval_note, score

LABELS = LabelSet(("business", "sport", "tech"))


class Table:
    """A classifier with fixed logits that records the texts passed to `predict_proba`."""

    def __init__(self, logits: NDArray[np.float32]) -> None:
        self.labels, self.table = LABELS, logits
        self.texts: list[str] = []

    def logits(self, texts: Iterable[str]) -> Iterator[NDArray[np.float32]]:
        """Logits of two rows at a time."""
        rows = [int(text.removeprefix("text ")) for text in texts]
        for start in range(0, len(rows), 2):
            yield self.table[rows[start : start + 2]]

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Probabilities of single texts, whose latency is measured."""
        self.texts += texts
        return probabilities(np.concatenate(list(self.logits(texts))))


def split_of(count: int, *, seed: int = 0, sharpness: float = 3.0) -> tuple[Any, datasets.Dataset]:
    """A classifier that is mostly correct, and its rows."""
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, 3, count)
    logits = (sharpness * np.eye(3)[targets] + 1.5 * rng.normal(size=(count, 3))).astype(np.float32)
    rows = {
        "id": [f"{row:04x}" for row in range(count)],
        "text": [f"text {row}" for row in range(count)],
        "label": targets.tolist(),
    }
    return Table(logits), datasets.Dataset.from_dict(rows)


def predictions_of(count: int, **options: Any) -> Predictions:
    classifier, rows = split_of(count, **options)
    return predict(classifier, rows, split="validation")


def test_predictions_keep_the_order_of_the_rows() -> None:
    classifier, rows = split_of(25)
    found = predict(classifier, rows, split="test", dataset="news")
    assert found.ids.tolist() == rows["id"][:]
    assert found.targets.tolist() == rows["label"][:]
    assert found.logits.tolist() == classifier.table.tolist()
    assert (found.split, found.dataset, found.labels, found.calibration) == ("test", "news", LABELS, None)


def test_an_empty_split_is_refused() -> None:
    classifier, rows = split_of(3)
    with pytest.raises(DataError, match="the test split has no rows"):
        predict(classifier, rows.select([]), split="test")


def test_an_evaluation_has_predictions_metrics_and_timing() -> None:
    classifier, rows = split_of(60)
    calibration = Calibration(temperature=2.0, fitted_on="validation")
    found = evaluate(classifier, rows, split="test", dataset="news", calibration=calibration, bootstrap=50)
    assert found.predictions.calibration == calibration
    expected = summary(found.predictions)
    assert {name: found.metrics[name] for name in expected} == expected
    assert found.metrics.keys() - expected.keys() == {"confidence_intervals"}
    assert found.timing.keys() == {
        "inference_seconds_per_1000",
        "latency_ms_p50",
        "latency_ms_p99",
        "peak_memory_bytes",
    }
    assert all(value > 0 for value in found.timing.values())
    assert found.timing["latency_ms_p50"] <= found.timing["latency_ms_p99"]
    assert json.loads(json.dumps([found.metrics, found.timing])) == [found.metrics, found.timing]


@pytest.mark.parametrize(("count", "timed"), [(5, 5), (100, 100), (730, 100)])
def test_latency_is_measured_on_texts_from_the_whole_split(count: int, timed: int) -> None:
    classifier, rows = split_of(count)
    evaluate(classifier, rows, split="test", bootstrap=0)
    texts = classifier.texts[3:]  # after the warm-up
    assert len(texts) == len(set(texts)) == timed
    assert (texts[0], texts[-1]) == ("text 0", f"text {count - 1}")


def test_everything_but_timing_is_deterministic() -> None:
    classifier, rows = split_of(40)
    first, again = (evaluate(classifier, rows, split="test", bootstrap=100) for _ in range(2))
    assert first.metrics == again.metrics
    other = evaluate(classifier, rows, split="test", bootstrap=100, seed=14)
    assert other.metrics["confidence_intervals"] != first.metrics["confidence_intervals"]


def test_score_without_bootstrap_has_no_intervals_and_no_timing() -> None:
    found = score(predictions_of(20), bootstrap=0)
    assert "confidence_intervals" not in found.metrics
    assert found.timing == {}


def test_every_metric_is_in_its_interval() -> None:
    predictions = predictions_of(300)
    intervals = confidence_intervals(predictions, resamples=300)
    assert intervals.keys() == metrics_of(predictions.labels).keys()
    for name, (low, high) in intervals.items():
        assert low <= METRICS[name].value(predictions) <= high, name
        assert high - low < 0.2, name
        assert low >= 0, name


def test_accuracy_and_weighted_recall_have_wilsons_interval() -> None:
    predictions = predictions_of(200)
    correct = int((predictions.predicted == predictions.targets).sum())
    intervals = confidence_intervals(predictions, resamples=20)
    assert intervals["accuracy"] == intervals["recall_weighted"] == wilson_interval(correct, 200)


def right_and_wrong(correct: Sequence[int], wrong: Sequence[int]) -> Predictions:
    """Predictions with these numbers of correct and wrong rows of each class."""
    width = len(correct)
    targets = np.repeat(np.arange(width), np.add(correct, wrong))
    predicted = np.concatenate(
        [
            [index] * hits + [(index + 1) % width] * misses
            for index, (hits, misses) in enumerate(zip(correct, wrong, strict=True))
        ]
    ).astype(np.int64)
    return Predictions(
        ids=np.arange(len(targets)).astype(np.str_),
        targets=targets,
        logits=np.eye(width, dtype=np.float32)[predicted],
        labels=LabelSet(tuple(f"class {index}" for index in range(width))),
        split="test",
    )


@pytest.mark.parametrize("correct", [(30,), (10, 20), (1, 1), (3,) * 20], ids=str)
def test_intervals_of_perfect_predictions_have_a_width(correct: tuple[int, ...]) -> None:
    predictions = right_and_wrong([*correct, 0], [0] * (len(correct) + 1))
    intervals = confidence_intervals(predictions, resamples=100)
    lowest, _ = intervals["accuracy"]
    for name in ("f1_macro", "precision_macro", "recall_macro", "f1_weighted", "precision_weighted"):
        low, high = intervals[name]
        assert low <= lowest < high == 1.0, name


def test_intervals_of_averages_include_uncertain_class_shares() -> None:
    # Recalls of 99% and 50%: weighted F1 depends on the shares of the classes more than on the errors within them.
    predictions = right_and_wrong([99, 50], [1, 50])
    low, high = confidence_intervals(predictions)["f1_weighted"]
    assert high - low > 0.115  # 0.10 with fixed shares


def test_a_note_names_intervals_that_may_be_too_narrow() -> None:
    assert "60 rows of 20 classes" in interval_note(summary(right_and_wrong([3] * 20, [0] * 20)))
    assert interval_note(summary(right_and_wrong([50, 40], [0, 10]))) == ""
    # Classes without rows do not count.
    assert interval_note(summary(right_and_wrong([50, *[0] * 9], [0] * 10))) == ""


def test_the_interval_of_the_calibration_error_of_a_calibrated_model_is_reflected() -> None:
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.55, 1.0, 1000)
    logits = np.stack([np.log(confidence / (1 - confidence)), np.zeros(1000)], axis=1)
    predictions = Predictions(
        ids=np.arange(1000).astype(np.str_),
        targets=(rng.random(1000) > confidence).astype(np.int64),
        logits=logits.astype(np.float32),
        labels=LabelSet(("yes", "no")),
        split="test",
    )
    estimate = METRICS["ece"].value(predictions)
    low, high = confidence_intervals(predictions)["ece"]
    assert low < 0.6 * estimate
    assert estimate <= high < 2 * estimate


def test_calibration_reduces_the_calibration_error() -> None:
    validation = predictions_of(3000, sharpness=2.0)
    overconfident = replace(validation, logits=5 * validation.logits)
    calibration = calibrate(overconfident)
    assert calibration.fitted_on == "validation"
    assert calibration.temperature == pytest.approx(5 * calibrate(validation).temperature, rel=1e-4)
    found = summary(replace(overconfident, calibration=calibration))
    assert found["ece"] < 0.03 < 0.1 < found["ece_uncalibrated"]
    plain = expected_calibration_error(overconfident.confidence, overconfident.predicted == overconfident.targets)
    assert found["ece_uncalibrated"] == pytest.approx(float(plain))


def test_calibration_none_keeps_probabilities() -> None:
    predictions = predictions_of(50)
    same = replace(predictions, calibration=calibrate(predictions, method="none"))
    assert same.probabilities.tolist() == predictions.probabilities.tolist()


def test_unknown_calibrations_are_refused() -> None:
    predictions = predictions_of(4)
    with pytest.raises(RecipeError, match="'platt'; it can be 'temperature' or 'none'"):
        calibrate(predictions, method="platt")
