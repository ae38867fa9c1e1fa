"""One long row id takes the memory of one long row id, wherever predictions are made, stored, read, joined, aligned."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import datasets
import numpy as np
import pytest

from slugline.core.labels import LabelSet
from slugline.core.predictions import Predictions
from slugline.data.dataset import predictions_on
from slugline.evaluation.comparison.alignment import align, rows_digest
from slugline.pipeline.cross_validation import join_predictions
from slugline.run.prediction_tables import read_predictions, to_table
from slugline.run.run import Run

LABELS = LabelSet(("a", "b"))
COUNT = 10_000
#: An array of numpy strings of these ids has 160 MB.
IDS = [f"row-{index}" for index in range(COUNT - 1)] + ["x" * 4000]


def predictions() -> Predictions:
    rows = datasets.Dataset.from_dict({"id": IDS, "label": [0] * COUNT})
    return predictions_on(rows, np.zeros((COUNT, 2), np.float32), LABELS, split="test", dataset="x")


def saved(folder: Path) -> Predictions:
    run = Run(folder)
    run.save_predictions(predictions(), fingerprint="f")
    return read_predictions(run.layout.predictions("test"))


def aligned(_: Path) -> Predictions:
    one = predictions()
    order = np.arange(COUNT)[::-1]
    other = replace(one, ids=one.ids[order], targets=one.targets[order], logits=one.logits[order])
    assert rows_digest(one) == rows_digest(other)
    return align([("one", one), ("other", other)])[1]


def joined(_: Path) -> Predictions:
    one, half = predictions(), COUNT // 2
    parts = [
        replace(one, ids=one.ids[part], targets=one.targets[part], logits=one.logits[part])
        for part in (slice(None, half), slice(half, None))
    ]
    return join_predictions(parts)


def of_numpy_strings(_: Path) -> Predictions:
    """Callers of earlier versions give such arrays."""
    ids = np.array(IDS[:-1], dtype=np.str_)
    return Predictions(ids, np.zeros(COUNT - 1, np.int64), np.zeros((COUNT - 1, 2), np.float32), LABELS, "test")


@pytest.mark.parametrize("function", [lambda _: predictions(), saved, aligned, joined, of_numpy_strings])
def test_ids_are_python_strings_and_take_little_memory(tmp_path: Path, function: Callable[[Path], Predictions]) -> None:
    function(tmp_path)  # imports
    tracemalloc.start()
    found = function(tmp_path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 40 * 2**20
    assert found.ids.tolist() == IDS[: len(found)]
    assert found.ids.dtype == object
    assert {type(name) for name in found.ids.tolist()} == {str}


def test_the_saved_file_is_that_of_earlier_versions() -> None:
    table = to_table(predictions(), fingerprint="f")
    assert [(field.name, str(field.type)) for field in table.schema] == [
        ("id", "string"),
        ("label", "int64"),
        ("predicted", "int64"),
        ("confidence", "double"),
        ("logits", "list<item: float>"),
    ]
    assert table["id"].to_pylist() == IDS
