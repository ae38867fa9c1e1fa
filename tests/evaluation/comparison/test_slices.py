"""Slices: shares of correct answers by class, length and confidence."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slugline.core.labels import LabelSet
from slugline.core.predictions import Predictions
from slugline.evaluation.comparison.slices import quarters, slices

LABELS = LabelSet(("a", "b", "c"))
TARGETS = np.arange(300) % 3


def run_with(errors: object, *, margin: float = 3.0) -> Predictions:
    predicted = TARGETS.copy()
    predicted[errors] = (predicted[errors] + 1) % 3
    logits = (margin * np.eye(3)[predicted]).astype(np.float32)
    return Predictions(np.arange(300).astype(np.str_), TARGETS, logits, LABELS, "test")


def test_a_difference_in_one_class_is_found_there() -> None:
    of_a = np.flatnonzero(TARGETS == 0)
    found = {each.name: each for each in slices({"good": run_with([]), "poor": run_with(of_a[:40])})}
    assert found["a"].accuracy == {"good": 1.0, "poor": 0.6}
    assert found["a"].support == 100
    assert found["a"].p_value < 0.001
    assert found["b"].p_value == found["c"].p_value == 1.0


def test_a_difference_in_long_texts_is_found_there() -> None:
    lengths = np.random.default_rng(0).permutation(300) + 1
    poor = run_with(np.flatnonzero(lengths > 260))
    found = [each for each in slices({"good": run_with([]), "poor": poor}, lengths=lengths) if each.kind == "length"]
    assert [each.name for each in found] == ["1 to 75", "76 to 150", "151 to 225", "226 to 300"]
    assert [each.accuracy["poor"] for each in found] == pytest.approx([1, 1, 1, 35 / 75])
    assert [each.p_value < 0.05 for each in found] == [False, False, False, True]


def test_slices_by_confidence_ascend_and_cover_all_rows() -> None:
    uncertain = run_with([])
    logits = uncertain.logits.copy()
    logits[:100] *= 0.1
    found = slices({"a": Predictions(uncertain.ids, TARGETS, logits, LABELS, "test"), "b": run_with(range(30))})
    by_confidence = [each for each in found if each.kind == "confidence"]
    assert sum(each.support for each in by_confidence) == 300
    assert [float(each.name.split(" to ")[0]) for each in by_confidence] == sorted(
        float(each.name.split(" to ")[0]) for each in by_confidence
    )


def test_labels_of_a_multi_label_set_are_slices() -> None:
    targets = np.random.default_rng(0).random((200, 3)) < 0.4
    predictions = [
        Predictions(
            np.arange(200).astype(np.str_),
            targets,
            np.where(targets ^ flipped, 4, -4).astype(np.float32),
            LabelSet(("x", "y", "z"), kind="multi"),
            "test",
        )
        for flipped in (np.zeros_like(targets), np.arange(600).reshape(200, 3) % 5 == 0)
    ]
    found = {each.name: each for each in slices({"a": predictions[0], "b": predictions[1]}) if each.kind == "class"}
    assert [found[name].support for name in "xyz"] == targets.sum(axis=0).tolist()
    assert found["x"].accuracy["a"] == 1.0 > found["x"].accuracy["b"]


@given(st.lists(st.integers(0, 12), min_size=1, max_size=60))
def test_quarters_are_disjoint_ascend_and_keep_equal_values_together(values: list[int]) -> None:
    parts = list(quarters(np.array(values, dtype=np.float64), "{:.0f}").values())
    assert (np.sum(parts, axis=0) == 1).all()
    for value in set(values):
        rows = np.array(values) == value
        assert sum(bool(part[rows].any()) for part in parts) == 1
    found = [np.array(values)[rows] for rows in parts]
    assert all(low.max() < high.min() for low, high in itertools.pairwise(found))
