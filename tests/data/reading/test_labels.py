"""Class names of rows: numbers, several labels in a cell, names that look alike."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from slugline.core.labels import LabelSet
from slugline.data.dataset import load_rows
from slugline.data.reading import sources
from slugline.data.reading.labels import map_labels, name_labels
from slugline.recipe.data_section import DataSection


def table(path: Path, labels: Sequence[object]) -> Path:
    rows = [{"text": f"text {n} of {path.stem}", "label": label} for n, label in enumerate(labels)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def named(path: Path, *, offset: int = 0, **keys: Any) -> tuple[list[str], tuple[str, ...]]:
    labels, classes = name_labels(sources.read(DataSection(path=str(path), **keys)), "label", offset=offset)
    return labels["train"], classes


def test_an_integer_and_its_decimal_form_are_one_class_over_the_files_of_a_glob(tmp_path: Path) -> None:
    table(tmp_path / "1.jsonl", ["0", "1", "2"])
    table(tmp_path / "2.jsonl", ["0.0", "1.0", "2.0"])
    assert named(tmp_path / "*.jsonl") == (["0", "1", "2"] * 2, ("0", "1", "2"))


@pytest.mark.parametrize("values", [[f"{n}.0" for n in range(1, 12)], [float(n) for n in range(1, 12)]])
def test_whole_decimals_are_in_the_order_of_their_numbers_and_can_be_shifted(
    tmp_path: Path, values: list[object]
) -> None:
    path = table(tmp_path / "a.jsonl", values)
    assert named(path)[1] == tuple(str(n) for n in range(1, 12))
    assert named(path, offset=-1)[1] == tuple(str(n) for n in range(11))


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        (["10.5", "9.5", "1.0", "1"], ("1", "9.5", "10.5")),
        (["3.10", "3.1", "3.0"], ("3.0", "3.1", "3.10")),
        (["01", "1.0", "1"], ("01", "1")),
        (["a", "1.0"], ("1.0", "a")),
    ],
)
def test_other_numbers_keep_their_names(tmp_path: Path, values: list[object], classes: tuple[str, ...]) -> None:
    assert named(table(tmp_path / "a.jsonl", values))[1] == classes


def test_a_label_map_may_name_either_form() -> None:
    labels: Mapping[Any, list[str]] = {"train": ["1", "2"]}
    assert map_labels(labels, ("1", "2"), {"1.0": "bad", "2": "good"}, where="x")[1] == ("bad", "good")


@pytest.mark.parametrize(("classes", "values"), [(("1", "2"), ["1.0", "2.0"]), (("1.0", "2.0"), ["2", "1"])])
def test_a_model_trained_on_either_form_takes_the_other(
    tmp_path: Path, classes: tuple[str, ...], values: list[object]
) -> None:
    section = DataSection(path=str(table(tmp_path / "a.jsonl", values)))
    expected = [int(float(str(value))) - 1 for value in values]
    assert load_rows(section, LabelSet(classes), split="test")["label"][:] == expected
