"""Intervals, tests, corrections and temperature: against scipy where it knows them, against simulation where not."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from slugline.core.predictions import probabilities
from slugline.evaluation import intervals as statistics
from slugline.evaluation.calibration import TEMPERATURES, fit_temperature
from slugline.evaluation.intervals import (
    NORMAL_QUANTILE,
    bootstrap,
    holm,
    mcnemar,
    percentile_interval,
    permutation_test,
    reflected_interval,
    wilson_interval,
)
from slugline.evaluation.metrics import negative_log_likelihood


def mean_of(values: NDArray[Any]) -> Any:
    return lambda rows: values[rows].mean(axis=-1)


def test_bootstrap_keeps_the_rows_of_each_stratum() -> None:
    strata = np.array([2, 0, 0, 2, 1, 2])
    drawn = bootstrap(strata, lambda rows: rows.astype(np.float64), resamples=200).astype(np.int64)
    assert drawn.shape == (200, 6)
    expected = np.sort(strata)
    assert all(np.sort(strata[rows]).tolist() == expected.tolist() for rows in drawn)
    assert set(drawn.ravel().tolist()) == set(range(6))  # every row has its chance


def test_bootstrap_repeats_and_follows_its_seed() -> None:
    values = np.random.default_rng(0).normal(size=50)
    first, again, other = (bootstrap(np.zeros(50, dtype=np.int64), mean_of(values), seed=seed) for seed in (13, 13, 14))
    assert first.tolist() == again.tolist() != other.tolist()


def test_bootstrap_gives_the_same_whatever_fits_into_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    strata, values = np.arange(40) % 3, np.random.default_rng(0).normal(size=40)
    together = bootstrap(strata, mean_of(values), resamples=120)
    monkeypatch.setattr(statistics, "ENTRIES_AT_ONCE", 100)
    assert bootstrap(strata, mean_of(values), resamples=120).tolist() == together.tolist()


def test_bootstrap_spreads_as_theory_says() -> None:
    values = np.random.default_rng(0).normal(size=400)
    samples = bootstrap(np.zeros(400, dtype=np.int64), mean_of(values), resamples=4000)
    assert samples.mean() == pytest.approx(values.mean(), abs=0.005)
    assert samples.std() == pytest.approx(values.std() / math.sqrt(400), rel=0.05)


def test_intervals_hold_their_estimate() -> None:
    samples = np.linspace(0, 1, 1001)
    assert percentile_interval(samples, 0.5) == pytest.approx((0.025, 0.975))
    assert percentile_interval(samples, 0.99) == pytest.approx((0.025, 0.99))
    assert reflected_interval(samples, 0.6) == pytest.approx((0.225, 1.175))
    assert reflected_interval(samples, 0.1) == pytest.approx((0.0, 0.175))
    assert reflected_interval(0.2 + samples, 0.1) == pytest.approx((0.0, 0.1))


@settings(deadline=None)
@given(st.integers(1, 500), st.floats(0, 1))
def test_wilson_agrees_with_scipy(trials: int, share: float) -> None:
    successes = round(share * trials)
    expected = stats.binomtest(successes, trials).proportion_ci(method="wilson")
    assert wilson_interval(successes, trials) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_all_right_is_not_certainty() -> None:
    low, high = wilson_interval(40, 40)
    assert low == pytest.approx(0.912, abs=0.001)
    assert high == 1.0
    assert pytest.approx(stats.norm.ppf(0.975)) == NORMAL_QUANTILE


@settings(deadline=None)
@given(st.integers(0, 300), st.integers(0, 300), st.integers(0, 20))
def test_mcnemar_agrees_with_scipy(only_a: int, only_b: int, both: int) -> None:
    correct_a = np.array([True] * only_a + [False] * only_b + [True] * both, dtype=np.bool_)
    correct_b = np.array([False] * only_a + [True] * only_b + [True] * both, dtype=np.bool_)
    flips = only_a + only_b
    expected = stats.binomtest(only_a, flips).pvalue if flips else 1.0
    assert mcnemar(correct_a, correct_b) == pytest.approx(expected, rel=1e-9)


def test_mcnemar_takes_large_sets() -> None:
    correct_a = np.arange(60_000) < 29_500
    assert mcnemar(correct_a, ~correct_a) == pytest.approx(stats.binomtest(29_500, 60_000).pvalue, rel=1e-6)


def test_holm_by_hand() -> None:
    # Holm's steps: 3 * 0.01, then max(that, 2 * 0.04), then max(that, 1 * 0.03) in order of size.
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_stays_between_raw_and_bonferroni(p_values: list[float]) -> None:
    for raw, adjusted in zip(p_values, holm(p_values), strict=True):
        assert raw <= adjusted <= min(1.0, len(p_values) * raw) + 1e-15


def test_permutation_test_agrees_with_the_exact_test_of_right_answers() -> None:
    right = np.array([1] * 14 + [0] * 4 + [1] * 30 + [0] * 4 + [0] * 10 + [1] * 4 + [1] * 30 + [0] * 8, dtype=float)
    a, b = right[:52], right[52:]

    def difference(rows: NDArray[np.int64]) -> NDArray[np.float64]:
        values = right[rows]
        return np.asarray(values[:, :52].mean(axis=1) - values[:, 52:].mean(axis=1))

    exact = mcnemar(a == 1, b == 1)
    assert permutation_test(difference, 52, permutations=20_000) == pytest.approx(exact, abs=0.015)


def test_permutation_test_is_never_certain() -> None:
    right = np.repeat([1.0, 0.0], 50)

    def difference(rows: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.asarray(right[rows][:, :50].mean(axis=1) - right[rows][:, 50:].mean(axis=1))

    assert permutation_test(difference, 50, permutations=99) == pytest.approx(0.01)


def sampled(temperature: float, *, rows: int = 5000, seed: int = 0) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Logits of a model whose probabilities are right once divided by the temperature."""
    rng = np.random.default_rng(seed)
    honest = 2 * rng.normal(size=(rows, 4))
    shares = probabilities(honest.astype(np.float32))
    targets = (rng.random((rows, 1)) > shares.cumsum(axis=1)).sum(axis=1)
    return temperature * honest, np.minimum(targets, 3).astype(np.int64)


@pytest.mark.parametrize("temperature", [0.2, 0.7, 1.0, 1.6, 8.0])
def test_temperature_is_recovered(temperature: float) -> None:
    logits, targets = sampled(temperature)
    assert fit_temperature(logits, targets) == pytest.approx(temperature, rel=0.04)


@settings(deadline=None)
@given(st.floats(0.1, 10), st.integers(0, 1000))
def test_temperature_never_raises_the_loss_it_was_fitted_on(temperature: float, seed: int) -> None:
    logits, targets = sampled(temperature, rows=200, seed=seed)
    before = negative_log_likelihood(logits, targets).mean()
    after = negative_log_likelihood(logits / fit_temperature(logits, targets), targets).mean()
    # The pseudo-row may cost a trifle where the temperature was right to begin with.
    assert after <= before + 1e-3


@settings(deadline=None)
@given(st.floats(0.2, 5), st.integers(0, 1000))
def test_temperature_scales_with_the_logits(factor: float, seed: int) -> None:
    logits, targets = sampled(1.0, rows=100, seed=seed)
    assert fit_temperature(factor * logits, targets) == pytest.approx(factor * fit_temperature(logits, targets))


@pytest.mark.parametrize("margin", [0.5, 3.0, 30.0])
def test_a_model_without_mistakes_is_not_declared_infallible(margin: float) -> None:
    targets = np.arange(150) % 3
    logits = margin * np.eye(3)[targets]
    temperature = fit_temperature(logits, targets)
    confidence = probabilities(logits.astype(np.float32), temperature=temperature).max(axis=1).mean()
    assert 0.98 < confidence < 1 - 0.5 / 150


def test_temperature_of_nonsense_stays_in_bounds() -> None:
    assert fit_temperature(np.ones((5, 3)), np.zeros(5, dtype=np.int64)) == 1.0
    always_wrong = fit_temperature(np.array([[5.0, 0.0]] * 9), np.ones(9, dtype=np.int64))
    assert always_wrong == pytest.approx(TEMPERATURES[1])
