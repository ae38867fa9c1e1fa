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
    assert LABELS.decode(LABELS.encode([("tech",), ("business",)])) == [("tech",), ("business",)]


def test_multi_label_names_become_a_matrix() -> None:
    labels = LabelSet(("a", "b", "c"), kind="multi")
    encoded = labels.encode([("a", "c"), ()])
    assert encoded.tolist() == [[True, False, True], [False, False, False]]
    assert labels.decode(encoded) == [("a", "c"), ()]
    assert labels.indices([("c", "a"), ()]) == [[0, 2], []]


def test_a_row_with_several_labels_is_refused_unless_the_set_is_multi_label() -> None:
    with pytest.raises(DataError, match="a row has 2 labels"):
        LABELS.encode([("tech",), ("tech", "sport")])


def test_the_levels_of_a_hierarchy_are_groups_of_leaves() -> None:
    labels = LabelSet(("sport/tennis", "tech/-", "sport/golf"), kind="hierarchical")
    names, group = labels.at_level(1)
    assert (labels.depth, labels.level_names) == (2, ("level1", "level2"))
    assert (names, group.tolist()) == (("sport", "tech"), [0, 1, 0])
    assert labels.at_level(2)[0] == labels.names


@pytest.mark.parametrize("name", ["sport/", "/golf", "sport", "sport/golf/hole"])
def test_paths_with_empty_or_missing_parts_are_refused(name: str) -> None:
    with pytest.raises(DataError, match=r"empty part|parts\."):
        LabelSet(("sport/tennis", name), kind="hierarchical")


def test_an_unknown_label_names_the_nearest() -> None:
    with pytest.raises(DataError, match="Did you mean 'sport'"):
        LABELS.encode([("sports",)])


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


def test_a_label_is_predicted_where_its_probability_reaches_its_threshold() -> None:
    labels = LabelSet(("a", "b", "c"), kind="multi")
    values = {"targets": np.zeros((2, 3), np.bool_), "labels": labels}
    assert make(**values).predicted.tolist() == [[True, True, True], [True, True, True]]
    calibration = Calibration(thresholds=(0.9, 0.2, 0.6))
    assert make(**values, calibration=calibration).predicted.tolist() == [[False, True, False], [False, True, False]]
    assert Calibration.from_dict(calibration.to_dict()) == calibration
    assert Calibration.from_dict({"temperature": 2.0, "fitted_on": "validation"}).thresholds == ()


def test_multi_label_probabilities_are_sigmoids() -> None:
    found = probabilities(np.array([[0.0, 800.0, -800.0]], np.float32), kind="multi")
    assert found.tolist() == [[0.5, 1.0, 0.0]]
