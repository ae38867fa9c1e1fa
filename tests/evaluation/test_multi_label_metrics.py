"""Metrics of sets with any number of labels a text, compared with scikit-learn; their intervals and paired tests."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as sklearn_metrics

from slugline.core.labels import LabelSet
from slugline.core.predictions import Calibration, Predictions
from slugline.evaluation.comparison.compare import compare
from slugline.evaluation.metrics import metrics_of, summary
from slugline.evaluation.outcomes.outcomes import outcomes_of
from slugline.evaluation.score import confidence_intervals, score

MULTI = metrics_of(LabelSet(("a", "b"), kind="multi"))

Arrays = tuple[NDArray[np.bool_], NDArray[np.float32]]


def predictions_of(targets: Any, logits: Any, **fields: Any) -> Predictions:
    logits = np.asarray(logits, dtype=np.float32)
    return Predictions(
        ids=np.array([f"row-{row}" for row in range(len(logits))], dtype=np.str_),
        targets=np.asarray(targets, dtype=np.bool_).reshape(logits.shape),
        logits=logits,
        labels=LabelSet(tuple(f"label {index}" for index in range(logits.shape[1])), kind="multi"),
        split="test",
        **fields,
    )


@st.composite
def rows(draw: st.DrawFn) -> Arrays:
    """Targets and log-odds; some rows have no labels, some labels no rows, and many scores are equal."""
    width, size = draw(st.integers(2, 6)), draw(st.integers(1, 25))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    targets = rng.random((size, width)) < rng.choice([0.0, 0.2, 0.5, 1.0], width)
    targets[rng.random(size) < 0.2] = False
    targets[rng.random(size) < 0.1] = True
    # The signs must not depend on rounding, so that a score of 0 is left out.
    scores = rng.choice([-2.0, -1.0, -0.5, 0.5, 1.0, 3.0], (size, width))
    return targets, scores.astype(np.float32)


def average_precision(targets: NDArray[np.bool_], scores: NDArray[np.float32]) -> float:
    occurring = np.flatnonzero(targets.any(axis=0))
    values = [sklearn_metrics.average_precision_score(targets[:, label], scores[:, label]) for label in occurring]
    return float(np.mean(values)) if values else 0.0


@settings(deadline=None)
@given(rows())
def test_metrics_agree_with_scikit_learn(case: Arrays) -> None:
    targets, scores = case
    predictions = predictions_of(targets, scores)
    found, predicted = summary(predictions), scores > 0
    assert (predictions.predicted == predicted).all()
    # Macro averages run over the labels that occur in truth or predictions; the other averages do not depend on them.
    occurring = np.flatnonzero(targets.any(axis=0) | predicted.any(axis=0))
    for average in ("micro", "macro", "weighted", "samples"):
        expected = [0.0, 0.0, 0.0]
        if len(occurring):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                expected = sklearn_metrics.precision_recall_fscore_support(
                    targets, predicted, labels=occurring, average=average, zero_division=0
                )[:3]
        assert [found[f"{name}_{average}"] for name in ("precision", "recall", "f1")] == pytest.approx(expected)
    assert found["accuracy"] == pytest.approx(sklearn_metrics.accuracy_score(targets, predicted))
    assert found["hamming_loss"] == pytest.approx(sklearn_metrics.hamming_loss(targets, predicted))
    assert found["ranking_loss"] == pytest.approx(sklearn_metrics.label_ranking_loss(targets, scores))
    assert found["mean_average_precision"] == pytest.approx(average_precision(targets, scores))
    losses = -np.log(np.where(targets, predictions.probabilities, 1 - predictions.probabilities))
    assert found["loss"] == pytest.approx(losses.mean())


@settings(deadline=None)
@given(rows())
def test_scores_of_single_labels_agree_with_scikit_learn(case: Arrays) -> None:
    targets, scores = case
    by_label = sklearn_metrics.precision_recall_fscore_support(targets, scores > 0, zero_division=0)
    for index, found in enumerate(summary(predictions_of(targets, scores))["per_class"].values()):
        assert list(found.values()) == pytest.approx([column[index] for column in by_label])


@settings(deadline=None)
@given(rows(), st.integers(0, 2**32 - 1))
def test_rows_in_another_order_and_repeated_rows_count_the_same(case: Arrays, seed: int) -> None:
    targets, scores = case
    outcomes = outcomes_of(predictions_of(targets, scores))
    chosen = np.random.default_rng(seed).integers(0, len(targets), len(targets))
    resample, copied = outcomes.take(chosen), outcomes_of(predictions_of(targets[chosen], scores[chosen]))
    for name, each in MULTI.items():
        assert float(each.of(resample)) == pytest.approx(float(each.of(copied))), name
    weights = np.bincount(chosen, minlength=len(targets)).astype(np.float64)
    everywhere = outcomes.take(np.arange(len(targets)), weights)
    for name, each in MULTI.items():
        assert float(each.of(everywhere)) == pytest.approx(float(each.of(copied))), name


def test_resamples_are_scored_like_single_samples() -> None:
    outcomes = outcomes_of(drawn(40, seed=1))
    samples = np.random.default_rng(0).integers(0, 40, (3, 40))
    for name, each in MULTI.items():
        assert each.of(outcomes.take(samples)) == pytest.approx(
            [float(each.of(outcomes.take(sample))) for sample in samples]
        ), name


def test_labels_that_never_occur_do_not_lower_macro_averages() -> None:
    perfect = summary(predictions_of([[True, False, False], [True, True, False]], [[1, -1, -1], [1, 1, -1]]))
    assert [perfect[f"{name}_macro"] for name in ("precision", "recall", "f1")] == [1.0, 1.0, 1.0]
    wrong = summary(predictions_of([[True, False, False], [True, True, False]], [[1, -1, 1], [1, 1, -1]]))
    assert wrong["f1_macro"] == pytest.approx(2 / 3)  # the third label was predicted


def test_rows_without_labels_and_predictions_are_correct() -> None:
    found = summary(predictions_of([[False, False], [True, False]], [[-1, -1], [1, -1]]))
    assert (found["accuracy"], found["hamming_loss"], found["f1_micro"]) == (1.0, 0.0, 1.0)
    assert found["f1_samples"] == 0.5  # as in scikit-learn, 0/0 counts as 0


def test_a_summary_is_plain_json_and_complete() -> None:
    found = summary(drawn(30))
    assert json.loads(json.dumps(found)) == found
    assert found.keys() == MULTI.keys() | {"ece_uncalibrated", "support", "per_class"}
    losses = [each.name for each in MULTI.values() if not each.greater_is_better]
    assert losses == ["hamming_loss", "ranking_loss", "loss", "loss_calibrated", "ece"]


def drawn(count: int, *, noise: float = 1.0, seed: int = 0) -> Predictions:
    """Rows with up to four of five labels, some with none; more noise gives more errors on the same rows."""
    rng = np.random.default_rng(seed)
    targets = rng.random((count, 5)) < np.array([0.5, 0.4, 0.2, 0.1, 0.05])
    return predictions_of(targets, np.where(targets, 1.5, -1.5) + noise * rng.normal(size=targets.shape))


@pytest.mark.parametrize("noise", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("count", [1, 12, 200])
def test_every_metric_is_in_its_interval(count: int, noise: float) -> None:
    predictions = drawn(count, noise=noise)
    found = score(predictions, bootstrap=200).metrics
    assert found["confidence_intervals"].keys() == MULTI.keys()
    for name, (low, high) in found["confidence_intervals"].items():
        assert MULTI[name].limits[0] <= low <= found[name] + 1e-12, name
        assert found[name] - 1e-12 <= high <= MULTI[name].limits[1], name
        if name not in ("loss", "ece"):
            assert low < high, name


def test_intervals_contain_the_true_value() -> None:
    truth = summary(drawn(60_000, seed=10**6))
    covered = dict.fromkeys(MULTI, 0)
    for seed in range(60):
        for name, (low, high) in confidence_intervals(drawn(150, seed=seed), resamples=150).items():
            covered[name] += low <= truth[name] <= high
    assert min(covered.values()) >= 0.88 * 60, covered  # 95% are expected


@pytest.mark.parametrize("metric", list(MULTI))
def test_runs_differ_by_any_metric(metric: str) -> None:
    poor = drawn(300, noise=3.0)
    # Overconfident, so that its calibration error is larger too.
    runs = {"poor": replace(poor, logits=5 * poor.logits), "good": drawn(300, noise=0.7)}
    comparison = compare(runs, metric=metric, resamples=200)
    (pair,) = comparison.pairs
    assert (pair.a, pair.is_shown) == ("good", True)
    assert (pair.difference > 0) == MULTI[metric].greater_is_better
    assert pair.interval[0] <= pair.difference <= pair.interval[1]
    assert comparison.runs[0].metrics == {name: summary(runs["poor"])[name] for name in MULTI}


@pytest.mark.parametrize("metric", list(MULTI))
def test_equal_runs_are_rarely_told_apart(metric: str) -> None:
    targets = drawn(120).targets
    rng = np.random.default_rng(1)
    shown = 0
    for _ in range(30):
        a, b = (predictions_of(targets, np.where(targets, 1.0, -1.0) + rng.normal(size=(120, 5))) for _ in "ab")
        shown += compare([a, b], metric=metric, resamples=100).pairs[0].is_shown
    assert shown <= 4  # at most 1.5 are expected


def test_labels_and_thresholds_are_matched_by_name() -> None:
    columns = [2, 0, 4, 1, 3]
    calibration = Calibration(thresholds=(0.9, 0.5, 0.1, 0.3, 0.7))
    poor = replace(drawn(200, noise=2.0), calibration=calibration)
    reordered = replace(
        poor,
        labels=LabelSet(tuple(poor.labels.names[column] for column in columns), kind="multi"),
        logits=poor.logits[:, columns],
        targets=poor.targets[:, columns],
        calibration=Calibration(thresholds=tuple(calibration.thresholds[column] for column in columns)),
    )
    for metric in ("accuracy", "f1_macro"):
        expected = compare({"good": drawn(200), "poor": poor}, metric=metric, resamples=50)
        assert compare({"good": drawn(200), "poor": reordered}, metric=metric, resamples=50).pairs == expected.pairs
