"""Paired tests and Holm's correction, compared with scipy and computed by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from slugline.evaluation.comparison.paired_tests import holm, mcnemar


@settings(deadline=None)
@given(st.integers(0, 300), st.integers(0, 300), st.integers(0, 20))
def test_mcnemar_agrees_with_scipy(only_a: int, only_b: int, both: int) -> None:
    correct_a = np.array([True] * only_a + [False] * only_b + [True] * both, dtype=np.bool_)
    correct_b = np.array([False] * only_a + [True] * only_b + [True] * both, dtype=np.bool_)
    flips = only_a + only_b
    expected = stats.binomtest(only_a, flips).pvalue if flips else 1.0
    assert mcnemar(correct_a, correct_b) == pytest.approx(expected, rel=1e-9)


def test_mcnemar_of_many_rows_does_not_overflow() -> None:
    correct_a = np.arange(60_000) < 29_500
    assert mcnemar(correct_a, ~correct_a) == pytest.approx(stats.binomtest(29_500, 60_000).pvalue, rel=1e-6)


def test_holm_on_three_p_values() -> None:
    # In increasing order: 3 * 0.01 = 0.03, then max(0.03, 2 * 0.03) = 0.06, then max(0.06, 1 * 0.04) = 0.06.
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_stays_between_raw_and_bonferroni(p_values: list[float]) -> None:
    for raw, adjusted in zip(p_values, holm(p_values), strict=True):
        assert raw <= adjusted <= min(1.0, len(p_values) * raw) + 1e-15
