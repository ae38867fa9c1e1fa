"""Class names of rows: numbers, several labels in a cell, names that look alike."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from slugline.core.errors import DataError
from slugline.core.labels import LabelSet
from slugline.data.dataset import load_dataset, load_rows
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


def findings(path: Path, **keys: Any) -> dict[str, str]:
    dataset = load_dataset(DataSection(path=str(path), test_fraction=0, validation_fraction=0, **keys))
    return {finding.kind: finding.message for finding in dataset.findings}


@pytest.mark.parametrize(
    "value", [["pos"], {"choices": ["pos"]}, "['pos']", '["pos"]', '{"choices": ["pos"]}', " pos ", [" pos"]]
)
def test_a_list_of_one_label_is_that_label(tmp_path: Path, value: object) -> None:
    assert named(table(tmp_path / "a.jsonl", [value, "neg"]))[0] == ["pos", "neg"]


@pytest.mark.parametrize(
    "value",
    [
        ["neg", "urgent"],
        {"choices": ["neg", "urgent"]},
        "['neg', 'urgent']",
        "['neg' 'urgent']",
        " ['neg', 'urgent']",
        '["neg", "urgent"]',
        '{"choices": ["neg", "urgent"]}',
    ],
)
def test_several_labels_in_a_cell_are_refused_with_their_row(tmp_path: Path, value: object) -> None:
    with pytest.raises(DataError, match=r"a\.jsonl, row 2: column 'label' holds several labels.*one label a text"):
        named(table(tmp_path / "a.jsonl", ["pos", value]))


def test_an_object_is_no_label_and_names_in_brackets_are(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="row 1: column 'label' holds an object"):
        named(table(tmp_path / "a.jsonl", [{"name": "x"}, "y"]))
    assert named(table(tmp_path / "a.jsonl", ["[x]", "{y}"]))[1] == ("[x]", "{y}")


@pytest.mark.parametrize("delimiter", ["#", "|", ", ", ";"])
def test_combinations_of_labels_are_a_warning_that_names_the_delimiter(
    tmp_path: Path, delimiter: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = table(tmp_path / "a.jsonl", ["neg", "urgent", f"neg{delimiter}urgent", "pos"] * 2)
    message = findings(path)["several labels"]
    assert f"with {delimiter.strip()!r} between them: 2 rows" in message
    assert "each combination as a class of its own" in message
    assert message in caplog.text


def test_names_with_a_delimiter_whose_parts_do_not_stand_alone_are_classes(tmp_path: Path) -> None:
    assert not findings(table(tmp_path / "a.jsonl", ["Sci/Tech", "Sci", "World, Politics"] * 2))


@pytest.mark.parametrize(("one", "other"), [("Sport", "sport"), ("a b", "a  b"), ("Ｔech", "Tech")])
def test_names_that_look_alike_are_a_warning(tmp_path: Path, one: str, other: str) -> None:
    message = findings(table(tmp_path / "a.jsonl", [one, other, "x"] * 2))["similar classes"]
    assert f"{one!r} (2)" in message
    assert f"{other!r} (2)" in message


def test_a_name_has_one_form_of_its_accents(tmp_path: Path) -> None:
    path = table(tmp_path / "a.jsonl", ["e\u0301t\u00e9", "\u00e9t\u00e9", "x"])
    assert named(path)[1] == ("x", "\u00e9t\u00e9")
    assert load_rows(DataSection(path=str(path)), LabelSet(("x", "e\u0301te\u0301")), split="test")["label"][:] == [
        1,
        1,
        0,
    ]
    (tmp_path / "set").mkdir()
    path.rename(tmp_path / "set" / "train.jsonl")
    (tmp_path / "set" / "metadata.json").write_text(json.dumps({"classes": ["e\u0301te\u0301", "x"]}))
    assert named(tmp_path / "set")[1] == ("\u00e9t\u00e9", "x")


@pytest.mark.parametrize("hidden", [-1, "-1", -1.0, None])
def test_a_split_with_hidden_labels_is_named_and_left_out_on_request(tmp_path: Path, hidden: object) -> None:
    table(tmp_path / "set" / "train.jsonl", [0, 1] * 20)
    table(tmp_path / "set" / "test.jsonl", [hidden] * 3)
    with pytest.raises(DataError, match=r"test\.jsonl: the labels of test are hidden.* all 3 rows") as caught:
        load_dataset(DataSection(path=str(tmp_path / "set")))
    assert 'data.unlabelled="drop"' in caught.value.hint
    dataset = load_dataset(DataSection(path=str(tmp_path / "set"), unlabelled="drop"))
    assert dataset.class_counts("test") == {"0": 4, "1": 4}


def test_minus_one_is_a_class_where_train_has_it(tmp_path: Path) -> None:
    table(tmp_path / "set" / "train.jsonl", [-1, 0, 1] * 5)
    table(tmp_path / "set" / "test.jsonl", [-1, -1])
    assert named(tmp_path / "set")[1] == ("-1", "0", "1")
