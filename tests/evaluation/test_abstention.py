"""Abstention: scores against scikit-learn, and the threshold against all others."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from slugline.evaluation.outcomes.abstention import auroc, choose_threshold, score_abstention

#: Few different values, so that ties occur.
CONFIDENCES = st.lists(st.integers(0, 12), min_size=1, max_size=40).map(lambda values: np.array(values) / 12)


@given(inside=CONFIDENCES, outside=CONFIDENCES)
def test_auroc_is_that_of_scikit_learn(inside: np.ndarray, outside: np.ndarray) -> None:
    truth = np.repeat([1, 0], [len(inside), len(outside)])
    assert auroc(inside, outside) == pytest.approx(roc_auc_score(truth, np.concatenate([inside, outside])))


@given(inside=CONFIDENCES, outside=CONFIDENCES)
def test_no_threshold_separates_better_than_the_chosen_one(inside: np.ndarray, outside: np.ndarray) -> None:
    def gain(threshold: float) -> float:
        return float((inside >= threshold).mean() + (outside < threshold).mean())

    chosen = choose_threshold(inside, outside)
    assert gain(chosen) >= max(gain(value) for value in np.arange(-1, 14) / 12 if value in [*inside, *outside]) - 1e-12


@settings(max_examples=20)
@given(inside=CONFIDENCES, outside=CONFIDENCES, threshold=st.floats(0, 1))
def test_scores_are_shares_of_the_rows_within_their_intervals(
    inside: np.ndarray, outside: np.ndarray, threshold: float
) -> None:
    correct = np.arange(len(inside)) % 2 == 0
    scores = score_abstention(inside, correct, outside, threshold=threshold, resamples=50)
    assert scores["rejected"] == (outside < threshold).mean()
    assert scores["accuracy"] == ((inside >= threshold) & correct).mean() <= scores["answered"]
    for name, (low, high) in scores["confidence_intervals"].items():
        assert low - 1e-9 <= scores[name] <= high + 1e-9


def test_the_false_positive_rate_is_measured_where_95_percent_are_answered() -> None:
    inside, outside = np.linspace(0.5, 1, 101), np.array([0.1, 0.4, 0.53, 0.9])
    scores = score_abstention(inside, inside > 0, outside, threshold=0.5, resamples=0)
    assert scores["false_positive_rate"] == 0.5
    assert "confidence_intervals" not in scores
