"""Weights and adjustment of labels in sets with any number of labels per text."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from slugline.core.errors import DataError, RecipeError
from slugline.training.methods.class_weights import EFFECTIVE_BETA, log_odds_adjustment, positive_weights


def test_balanced_weights_have_the_ratio_of_scikit_learn() -> None:
    counts, rows = np.array([30, 5, 65]), 100
    for count, found in zip(counts, positive_weights(counts, rows=rows, scheme="balanced"), strict=True):
        targets = np.arange(rows) < count
        absent, present = compute_class_weight("balanced", classes=np.array([False, True]), y=targets)
        assert found == pytest.approx(present / absent)


def test_inverse_weights_have_mean_1_over_the_labels() -> None:
    weights = positive_weights(np.array([10, 100, 20]), rows=200, scheme="inverse")
    assert weights.mean() == pytest.approx(1)
    assert weights[0] / weights[1] == pytest.approx(10)


def test_effective_weights_are_between_equal_and_balanced() -> None:
    counts, rows = np.array([50, 500]), 5_000
    weights = positive_weights(counts, rows=rows, scheme="effective")
    balanced = positive_weights(counts, rows=rows, scheme="balanced")
    assert (weights > 1).all()
    assert (weights < balanced).all()
    number = [sum(EFFECTIVE_BETA**power for power in range(count)) for count in (50, 4_950)]
    assert weights[0] == pytest.approx(number[1] / number[0])


@pytest.mark.parametrize("scheme", ["none", "inverse", "balanced", "effective", {"a": 2.0}])
def test_a_label_without_rows_is_left_out_and_one_of_all_rows_is_learned(scheme: Any) -> None:
    options: dict[str, Any] = {"rows": 30, "scheme": scheme, "bounds": (0.1, 0.0)}
    weights = positive_weights(np.array([10, 0, 30]), names=("a", "b", "c"), **options)
    without = positive_weights(np.array([10, 30]), names=("a", "c"), **options)
    assert weights.tolist() == [without[0], 0.0, without[1]]
    assert weights[2] > 0


def test_bounds_tables_and_errors_are_those_of_class_weights() -> None:
    counts = np.array([10, 100, 1000])
    assert positive_weights(counts, rows=1100, scheme="balanced", bounds=(0.5, 20.0)).tolist() == [20.0, 10.0, 0.5]
    names = ("sport", "politics", "tech")
    assert positive_weights(counts, rows=2000, scheme={"tech": 2.5}, names=names).tolist() == [1.0, 1.0, 2.5]
    with pytest.raises(RecipeError, match="Did you mean 'sport'"):
        positive_weights(counts, rows=2000, scheme={"sports": 2.0}, names=names)
    with pytest.raises(RecipeError, match="Did you mean 'balanced'"):
        positive_weights(counts, rows=2000, scheme="balancd")
    with pytest.raises(DataError, match="no training rows"):
        positive_weights(np.array([0, 0]), rows=4, scheme="none")


def test_adjustment_is_the_log_odds_of_the_prior() -> None:
    adjustment = log_odds_adjustment(np.array([25, 50, 0, 100]), rows=100, tau=2.0)
    assert adjustment is not None
    assert adjustment == pytest.approx(2 * np.log([1 / 3, 1, 1 / 100, 100]))
    assert log_odds_adjustment(np.array([25]), rows=100, tau=0.0) is None
