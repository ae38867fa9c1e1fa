"""Confidence intervals, compared with scipy and with simulations."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from slugline.evaluation import intervals
from slugline.evaluation.intervals import (
    NORMAL_QUANTILE,
    bootstrap,
    percentile_interval,
    reflected_interval,
    wilson_interval,
)


def mean_of(values: NDArray[Any]) -> Any:
    return lambda rows, weights: np.average(values[rows], axis=-1, weights=weights)


def test_bootstrap_keeps_the_rows_of_each_stratum() -> None:
    strata = np.array([2, 0, 0, 2, 1, 2])
    drawn = bootstrap(strata, lambda rows, _: rows.astype(np.float64), resamples=200).astype(np.int64)
    assert drawn.shape == (200, 6)
    expected = np.sort(strata)
    assert all(np.sort(strata[rows]).tolist() == expected.tolist() for rows in drawn)
    assert set(drawn.ravel().tolist()) == set(range(6))  # every row is drawn


def test_bootstrap_depends_only_on_its_seed() -> None:
    values = np.random.default_rng(0).normal(size=50)
    first, again, other = (bootstrap(np.zeros(50, dtype=np.int64), mean_of(values), seed=seed) for seed in (13, 13, 14))
    assert first.tolist() == again.tolist() != other.tolist()


def test_bootstrap_does_not_depend_on_the_size_of_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    strata, values = np.arange(40) % 3, np.random.default_rng(0).normal(size=40)
    expected = bootstrap(strata, mean_of(values), resamples=120)
    monkeypatch.setattr(intervals, "ENTRIES_AT_ONCE", 100)
    assert bootstrap(strata, mean_of(values), resamples=120).tolist() == expected.tolist()


def test_bootstrap_has_the_standard_error_of_the_mean() -> None:
    values = np.random.default_rng(0).normal(size=400)
    samples = bootstrap(np.zeros(400, dtype=np.int64), mean_of(values), resamples=4000)
    assert samples.mean() == pytest.approx(values.mean(), abs=0.005)
    assert samples.std() == pytest.approx(values.std() / math.sqrt(400), rel=0.05)


def test_intervals_contain_the_estimate() -> None:
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


def test_wilson_interval_of_all_correct_has_a_width() -> None:
    low, high = wilson_interval(40, 40)
    assert low == pytest.approx(0.912, abs=0.001)
    assert high == 1.0
    assert pytest.approx(stats.norm.ppf(0.975)) == NORMAL_QUANTILE
