"""Temperature scaling, on simulated models of known temperature."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from slugline.core.predictions import probabilities
from slugline.evaluation.calibration import TEMPERATURES, fit_temperature
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
