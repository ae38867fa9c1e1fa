"""Contents of errors.json, compared with the published most confused topics of the Reuters system."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from conftest import GOLDEN
from slugline.core.errors import DataError
from slugline.core.labels import LabelSet
from slugline.core.predictions import Calibration, Predictions
from slugline.evaluation.error_analysis import MAX_ENTRIES, TEXT_CHARACTERS, analyse_errors


def predictions_of(targets: Any, logits: Any, **fields: Any) -> Predictions:
    logits = np.asarray(logits, dtype=np.float32)
    return Predictions(
        ids=np.array([f"row-{row}" for row in range(len(logits))], dtype=np.str_),
        targets=np.asarray(targets, dtype=np.int64),
        logits=logits,
        labels=LabelSet(tuple(f"topic {index}" for index in range(logits.shape[1]))),
        split="test",
        **fields,
    )


@pytest.fixture(scope="module")
def reuters() -> dict[str, Any]:
    matrix = np.array(GOLDEN["confusion_matrix"])
    targets, predicted = (np.repeat(axis.ravel(), matrix.ravel()) for axis in np.indices(matrix.shape))
    return analyse_errors(predictions_of(targets, np.eye(18)[predicted]), [""] * len(targets))


def test_most_confused_topics_of_reuters(reuters: dict[str, Any]) -> None:
    expected = [
        {"true": f"topic {pair['true']}", "predicted": f"topic {pair['predicted']}", "count": pair["count"]}
        for pair in GOLDEN["most_confused"]
    ]
    assert reuters["most_confused"][: len(expected)] == expected


def test_both_directions_are_summed(reuters: dict[str, Any]) -> None:
    assert reuters["most_confused_pairs"][0] == {"labels": ["topic 3", "topic 4"], "count": 23 + 13}
    matrix = np.array(GOLDEN["confusion_matrix"])
    n_errors = int(matrix.sum() - np.trace(matrix))
    assert reuters["errors"] == n_errors
    assert sum(pair["count"] for pair in reuters["most_confused_pairs"]) == n_errors
    assert reuters["support"] == matrix.sum()


def test_the_most_confident_errors_come_first() -> None:
    logits = [[3.0, 0.0], [1.0, 0.0], [2.0, 0.0], [0.0, 5.0]]
    predictions = predictions_of([1, 1, 0, 0], logits, calibration=Calibration(temperature=2.0))
    found = analyse_errors(predictions, ["first", "second", "correct", "fourth"])
    assert [entry["text"] for entry in found["most_confident"]] == ["fourth", "first", "second"]
    assert found["most_confident"][0] == {
        "id": "row-3",
        "text": "fourth",
        "label": "topic 0",
        "predicted": "topic 1",
        "confidence": pytest.approx(1 / (1 + np.exp(-2.5))),
    }
    assert json.loads(json.dumps(found)) == found


def test_lists_and_texts_are_limited() -> None:
    rng = np.random.default_rng(0)
    predictions = predictions_of(np.zeros(400), rng.normal(size=(400, 300)) - 9 * np.eye(300)[0])
    found = analyse_errors(predictions, ["word " * 200] * 400)
    assert (
        len(found["most_confident"]) == len(found["most_confused"]) == len(found["most_confused_pairs"]) == MAX_ENTRIES
    )
    text = found["most_confident"][0]["text"]
    assert len(text) <= TEXT_CHARACTERS
    assert text.endswith("word…")


def test_a_model_without_errors_has_empty_lists() -> None:
    found = analyse_errors(predictions_of([0, 1], [[1.0, 0.0], [0.0, 1.0]]), ["a", "b"])
    assert (found["errors"], found["most_confused"], found["most_confident"]) == (0, [], [])


def test_a_wrong_number_of_texts_is_refused() -> None:
    with pytest.raises(DataError, match="1 texts for 2 predictions"):
        analyse_errors(predictions_of([0, 1], np.eye(2)), ["a"])


def test_errors_of_any_number_of_labels_are_labels_missed_and_added() -> None:
    labels = LabelSet(("wheat", "corn", "gold"), kind="multi")
    truth = np.array([[1, 0, 1], [1, 1, 0], [0, 0, 1], [0, 0, 0]], dtype=np.bool_)
    found = np.array([[1, 1, 0], [1, 1, 0], [0, 1, 0], [1, 0, 0]], dtype=np.bool_)
    predictions = Predictions(
        ids=np.array(["a", "b", "c", "d"]),
        targets=truth,
        logits=np.where(found, [[1.0], [2.0], [3.0], [4.0]], [[-1.0], [-2.0], [-3.0], [-4.0]]).astype(np.float32),
        labels=labels,
        split="test",
    )
    analysis = analyse_errors(predictions, ["one", "two", "three", "four"])
    assert json.loads(json.dumps(analysis)) == analysis
    assert (analysis["support"], analysis["errors"]) == (4, 3)
    assert analysis["missed"] == [{"label": "gold", "count": 2}]
    assert analysis["added"] == [{"label": "corn", "count": 2}, {"label": "wheat", "count": 1}]
    # Rows a and c miss gold and wrongly get corn.
    assert analysis["most_confused"] == [{"true": "gold", "predicted": "corn", "count": 2}]
    assert [(row["id"], row["label"], row["predicted"]) for row in analysis["most_confident"]] == [
        ("d", "(none)", "wheat"),
        ("c", "gold", "corn"),
        ("a", "wheat, gold", "wheat, corn"),
    ]
