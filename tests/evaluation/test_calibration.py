"""Temperature scaling, on simulated models of known temperature."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from slugline.core.labels import LabelSet
from slugline.core.predictions import Calibration, Predictions, probabilities
from slugline.evaluation.calibration import (
    TEMPERATURES,
    calibrate,
    fit_temperature,
    tune_common_threshold,
    tune_thresholds,
)
from slugline.evaluation.metrics import summary
from slugline.evaluation.outcomes.statistics import negative_log_likelihood


def sampled(temperature: float, *, rows: int = 5000, seed: int = 0) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Logits of a model that is calibrated after division by the temperature, and targets."""
    rng = np.random.default_rng(seed)
    calibrated = 2 * rng.normal(size=(rows, 4))
    shares = probabilities(calibrated.astype(np.float32))
    targets = (rng.random((rows, 1)) > shares.cumsum(axis=1)).sum(axis=1)
    return temperature * calibrated, np.minimum(targets, 3).astype(np.int64)


@pytest.mark.parametrize("temperature", [0.2, 0.7, 1.0, 1.6, 8.0])
def test_temperature_is_recovered(temperature: float) -> None:
    logits, targets = sampled(temperature)
    assert fit_temperature(logits, targets) == pytest.approx(temperature, rel=0.04)


@settings(deadline=None)
@given(st.floats(0.1, 10), st.integers(0, 1000))
def test_temperature_does_not_increase_the_loss(temperature: float, seed: int) -> None:
    logits, targets = sampled(temperature, rows=200, seed=seed)
    before = negative_log_likelihood(logits, targets).mean()
    after = negative_log_likelihood(logits / fit_temperature(logits, targets), targets).mean()
    # The pseudo-row may increase the loss slightly if the logits were calibrated already.
    assert after <= before + 1e-3


@settings(deadline=None)
@given(st.floats(0.2, 5), st.integers(0, 1000))
def test_temperature_scales_with_the_logits(factor: float, seed: int) -> None:
    logits, targets = sampled(1.0, rows=100, seed=seed)
    assert fit_temperature(factor * logits, targets) == pytest.approx(factor * fit_temperature(logits, targets))


@pytest.mark.parametrize("margin", [0.5, 3.0, 30.0])
def test_a_model_without_errors_does_not_get_a_confidence_of_1(margin: float) -> None:
    targets = np.arange(150) % 3
    logits = margin * np.eye(3)[targets]
    temperature = fit_temperature(logits, targets)
    confidence = probabilities(logits.astype(np.float32), temperature=temperature).max(axis=1).mean()
    assert 0.98 < confidence < 1 - 0.5 / 150


def test_temperature_of_uninformative_logits_stays_in_bounds() -> None:
    assert fit_temperature(np.ones((5, 3)), np.zeros(5, dtype=np.int64)) == 1.0
    never_correct = fit_temperature(np.array([[5.0, 0.0]] * 9), np.ones(9, dtype=np.int64))
    assert never_correct == pytest.approx(TEMPERATURES[1])


def sampled_labels(temperature: float, *, rows: int = 3000, seed: int = 0) -> Predictions:
    """Multi-label predictions of a model that is calibrated after division by the temperature."""
    rng = np.random.default_rng(seed)
    calibrated = rng.normal(size=(rows, 4)) * 2 - np.array([0, 1, 2, 3])
    return multi(rng.random((rows, 4)) < 1 / (1 + np.exp(-calibrated)), temperature * calibrated)


def multi(targets: Any, logits: Any) -> Predictions:
    logits = np.asarray(logits, dtype=np.float32)
    return Predictions(
        ids=np.arange(len(logits)).astype(np.str_),
        targets=np.asarray(targets, dtype=np.bool_),
        logits=logits,
        labels=LabelSet(tuple("abcdef"[: logits.shape[1]]), kind="multi"),
        split="validation",
    )


@pytest.mark.parametrize("temperature", [0.2, 1.0, 4.0])
def test_the_temperature_of_any_number_of_labels_is_recovered(temperature: float) -> None:
    found = calibrate(sampled_labels(temperature))
    assert found.temperature == pytest.approx(temperature, rel=0.06)
    assert found.fitted_on == "validation"


def f1_at(threshold: float, probabilities: NDArray[Any], targets: NDArray[Any]) -> float:
    predicted = probabilities >= threshold
    return float(2 * (predicted & targets).sum() / max(1, predicted.sum() + targets.sum()))


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 20), st.integers(1, 4))
def test_no_threshold_has_a_better_f1(seed: int, rows: int, width: int) -> None:
    rng = np.random.default_rng(seed)
    targets = rng.random((rows, width)) < rng.choice([0.0, 0.3, 1.0], width)
    probabilities = rng.choice([0.0, 0.1, 0.3, 0.30001, 0.6, 1.0], (rows, width))
    every = np.append(np.linspace(0, 1.01, 300), 0.300005)
    thresholds = tune_thresholds(probabilities, targets)
    (common,) = tune_common_threshold(probabilities, targets)
    best = max(f1_at(each, probabilities, targets) for each in every)
    assert f1_at(common, probabilities, targets) == pytest.approx(best)
    for label, threshold in enumerate(thresholds):
        if targets[:, label].any():
            f1 = [joined_f1_at(each, probabilities, targets, label) for each in (threshold, common)]
            assert f1[0] >= f1[1] - 1e-12
        else:
            assert threshold == common


def joined_f1_at(threshold: float, probabilities: NDArray[Any], targets: NDArray[Any], label: int) -> float:
    """F1 of a label whose rows are joined by 3 rows with the average distribution of all labels."""
    predicted = probabilities >= threshold
    weights = 3 / targets.sum() + (np.arange(targets.shape[1]) == label)
    return float(2 * ((predicted & targets) * weights).sum() / ((predicted.astype(int) + targets) * weights).sum())


def test_a_label_with_one_row_gets_about_the_common_threshold_and_a_frequent_one_its_own() -> None:
    rng = np.random.default_rng(5)
    targets = np.zeros((1000, 3), dtype=bool)
    targets[:300, 0] = targets[300:600, 1] = targets[[999], 2] = True
    probabilities = np.clip(np.where(targets, 0.7, 0.3) + rng.normal(0, 0.1, targets.shape), 0, 1)
    probabilities[:, 0] *= 0.5  # the best threshold of this label is half of the common one
    probabilities[:, 2], probabilities[999, 2] = rng.uniform(0, 0.2, 1000), 0.01  # its only row is an outlier
    frequent, _, rare = tune_thresholds(probabilities, targets)
    (common,) = tune_common_threshold(probabilities, targets)
    assert frequent == pytest.approx(0.25, abs=0.05)
    assert rare > common - 0.1


def test_thresholds_improve_the_f1_of_rare_labels() -> None:
    predictions = sampled_labels(1.0)
    plain, *tuned = [
        replace(predictions, calibration=calibrate(predictions, thresholds=each))
        for each in ("none", "common", "per_label")
    ]
    assert [len(each.calibration.thresholds) for each in (plain, *tuned)] == [0, 1, 4]  # type: ignore[union-attr]
    before, common, per_label = [summary(each)["f1_macro"] for each in (plain, *tuned)]
    assert before + 0.02 < common < per_label
    assert summary(tuned[0])["f1_micro"] > summary(plain)["f1_micro"]


def test_thresholds_are_tuned_without_a_temperature_too() -> None:
    found = calibrate(sampled_labels(3.0), method="none")
    assert (found.temperature, len(found.thresholds), found.fitted_on) == (1.0, 4, "validation")
    assert calibrate(sampled_labels(3.0), method="none", thresholds="none") == Calibration()


def test_a_label_without_rows_gets_the_common_threshold_and_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    predictions = sampled_labels(1.0)
    targets = predictions.targets.astype(np.bool_)
    targets[:, 2] = False
    predictions = replace(predictions, targets=targets)
    found, common = calibrate(predictions), calibrate(predictions, thresholds="common")
    assert found.thresholds[2] == common.thresholds[0] not in (found.thresholds[0], 0.5)
    assert caplog.messages == [
        "1 of 4 labels have no validation rows (c): their threshold is the common one of all labels."
    ]


def test_thresholds_of_rows_without_labels_are_one_half() -> None:
    assert calibrate(multi(np.zeros((5, 2)), -np.ones((5, 2)))).thresholds == (0.5, 0.5)
