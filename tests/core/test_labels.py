"""Label sets, predictions and probabilities."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from slugline.core.errors import DataError
from slugline.core.labels import LabelSet
from slugline.core.predictions import Calibration, Predictions, probabilities

LABELS = LabelSet(("business", "sport", "tech"))


def make(**changes: object) -> Predictions:
    base = Predictions(
        ids=np.array(["a", "b"]),
        targets=np.array([0, 2]),
        logits=np.array([[2.0, 0.0, 0.0], [0.0, 3.0, 0.0]], dtype=np.float32),
        labels=LABELS,
        split="test",
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def test_decoding_is_the_inverse_of_encoding() -> None:
    assert LABELS.decode(LABELS.encode(["tech", "business"]).tolist()) == ["tech", "business"]


def test_multi_label_names_become_a_matrix() -> None:
    labels = LabelSet(("a", "b", "c"), kind="multi")
    assert labels.encode([["a", "c"], []]).tolist() == [[1, 0, 1], [0, 0, 0]]


def test_an_unknown_label_names_the_nearest() -> None:
    with pytest.raises(DataError, match="Did you mean 'sport'"):
        LABELS.encode(["sports"])


def test_repeated_class_names_are_refused() -> None:
    with pytest.raises(DataError, match="'a' more than once"):
        LabelSet(("a", "b", "a"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"logits": np.zeros((2, 2), np.float32)}, "logits of shape"),
        ({"targets": np.array([0])}, "targets of shape"),
        ({"targets": np.array([0, 3])}, "targets reach from 0 to 3"),
        ({"ids": np.array(["a", "a"])}, "ids repeat"),
        ({"logits": np.array([[0, 0, 0], [0, np.nan, 0]], np.float32)}, "row b are not finite"),
    ],
)
def test_inconsistent_predictions_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        make(**changes)


def test_predicted_and_confidence_follow_from_the_logits() -> None:
    predictions = make()
    assert predictions.predicted.tolist() == [0, 1]
    assert predictions.confidence[0] == pytest.approx(np.exp(2) / (np.exp(2) + 2))


def test_a_higher_temperature_lowers_the_confidence_but_changes_no_prediction() -> None:
    plain, calibrated = make(), make(calibration=Calibration(temperature=3.0))
    assert (calibrated.confidence < plain.confidence).all()
    assert (calibrated.predicted == plain.predicted).all()


@given(
    hnp.arrays(np.float32, (4, 3), elements=st.floats(-1e4, 1e4, width=32)),
    st.floats(-1e3, 1e3),
    st.floats(0.1, 10),
)
def test_probabilities_sum_to_one_and_ignore_a_constant(logits: np.ndarray, shift: float, temperature: float) -> None:
    found = probabilities(logits, temperature=temperature)
    assert found.sum(axis=1) == pytest.approx(np.ones(4))
    shifted = probabilities((logits.astype(np.float64) + shift), temperature=temperature)  # type: ignore[arg-type]
    assert shifted == pytest.approx(found, abs=1e-9)


def test_multi_label_probabilities_are_sigmoids() -> None:
    found = probabilities(np.array([[0.0, 800.0, -800.0]], np.float32), kind="multi")
    assert found.tolist() == [[0.5, 1.0, 0.0]]
