"""Class names of rows: numbers, several labels in a cell, names that look alike."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from slugline.core.errors import DataError
from slugline.core.labels import LabelSet, RowLabels
from slugline.data.load import load_dataset, load_rows
from slugline.data.prepared import write_dataset
from slugline.data.reading import sources
from slugline.data.reading.labels.label_map import map_labels
from slugline.data.reading.labels.naming import NamedLabels, name_labels
from slugline.recipe.data_section import DataSection


def table(path: Path, labels: Sequence[object]) -> Path:
    rows = [{"text": f"text {n} of {path.stem}", "label": label} for n, label in enumerate(labels)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def labels_of(path: Path, *columns: str, unlabelled: Any = "refuse", **keys: Any) -> NamedLabels:
    section = DataSection(path=str(path), **keys)
    return name_labels(sources.read(section), columns or ["label"], section, unlabelled=unlabelled)


def named(path: Path, *, offset: int = 0, **keys: Any) -> tuple[list[str], tuple[str, ...]]:
    found = labels_of(path, label_offset=offset, **keys)
    return [label for row in found.rows["train"] for label in row or ()], found.classes


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
    labels: Mapping[Any, list[RowLabels | None]] = {"train": [("1",), ("2",)]}
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


SEVERAL = [
    ["neg", "urgent"],
    ["neg", "urgent", "neg", None],
    {"choices": ["neg", "urgent"]},
    "['neg', 'urgent']",
    " ['neg', 'urgent']",
    '["neg", "urgent"]',
    '{"choices": ["neg", "urgent"]}',
]


@pytest.mark.parametrize("value", SEVERAL)
def test_several_labels_in_a_cell_make_a_multi_label_set(tmp_path: Path, value: object) -> None:
    found = labels_of(table(tmp_path / "a.jsonl", ["pos", value, []]))
    assert found.kind == "multi"
    assert found.rows == {"train": [("pos",), ("neg", "urgent"), ()]}
    assert found.classes == ("neg", "pos", "urgent")


@pytest.mark.parametrize("value", SEVERAL)
def test_a_single_label_set_refuses_several_labels_in_a_cell(tmp_path: Path, value: object) -> None:
    path = table(tmp_path / "a.jsonl", ["pos", value])
    with pytest.raises(DataError, match=r"a\.jsonl, row 2: column 'label' holds several labels: neg, urgent") as caught:
        labels_of(path, label_kind="single")
    assert 'data.label_kind = "multi"' in caught.value.hint


def test_integers_of_several_labels_are_named_by_the_classes_of_the_source(tmp_path: Path) -> None:
    path = table(tmp_path / "set" / "train.jsonl", [[0, 2], "[1]", [], 2.0]).parent
    (path / "metadata.json").write_text(json.dumps({"classes": ["x", "y", "z"], "task": "multi-label, letters"}))
    assert labels_of(path).rows["train"] == [("x", "z"), ("y",), (), ("z",)]
    with pytest.raises(DataError, match=r"label '3' in column 'label'.* none of the 3 classes"):
        labels_of(table(path / "train.jsonl", [[0, 3]]).parent)


def test_an_object_is_no_label_and_names_in_brackets_are(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="row 1: column 'label' holds an object"):
        named(table(tmp_path / "a.jsonl", [{"name": "x"}, "y"]))
    assert named(table(tmp_path / "a.jsonl", ["[x]", "{y}"]))[1] == ("[x]", "{y}")


@pytest.mark.parametrize("delimiter", ["#", "|", ", ", ";", "\n"])
def test_a_delimiter_whose_parts_all_stand_alone_is_guessed_and_said(
    tmp_path: Path, delimiter: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = table(tmp_path / "a.jsonl", ["neg", "urgent", f"neg{delimiter}urgent", "pos", ""])
    found = labels_of(path)
    assert (found.kind, found.rows["train"]) == ("multi", [("neg",), ("urgent",), ("neg", "urgent"), ("pos",), ()])
    assert f"with {delimiter.strip(' ')!r} between them (guessed; set data.label_delimiter" in caplog.text
    whole = labels_of(path, unlabelled="drop", label_kind="single")
    assert whole.classes == tuple(sorted(["neg", f"neg{delimiter}urgent", "pos", "urgent"]))
    assert whole.rows["train"][-1] is None


@pytest.mark.parametrize(
    "values", [["a|b", "b|c", "a|c", "d"], ["a/b", "a", "b", "c"], ["R&B", "R", "B", "c"], ["a;b", "a", "b", "c;d"]]
)
def test_an_uncertain_delimiter_is_a_warning_that_names_the_key(
    tmp_path: Path, values: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    path = table(tmp_path / "a.jsonl", values * 2)
    message = findings(path)["several labels"]
    delimiter = next(character for character in "|/&;" if character in values[0])
    assert f'set data.label_delimiter = "{delimiter}"' in message
    assert message in caplog.text
    assert labels_of(path, label_delimiter=delimiter).kind == "multi"


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


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ("test", r"test\.jsonl: has no labels to evaluate a model on"),
        ("validation", "no split 'validation', only train"),
    ],
)
def test_no_other_rows_are_evaluated_in_place_of_a_split_with_hidden_labels(
    tmp_path: Path, split: str, message: str
) -> None:
    table(tmp_path / "set" / "train.jsonl", [0, 1] * 20)
    table(tmp_path / "set" / "test.jsonl", [-1] * 3)
    section = DataSection(path=str(tmp_path / "set"), unlabelled="drop")
    with pytest.raises(DataError, match=message):
        load_rows(section, LabelSet(("0", "1")), split=split)


def test_minus_one_is_a_class_where_train_has_it(tmp_path: Path) -> None:
    table(tmp_path / "set" / "train.jsonl", [-1, 0, 1] * 5)
    table(tmp_path / "set" / "test.jsonl", [-1, -1])
    assert named(tmp_path / "set")[1] == ("-1", "0", "1")


@pytest.mark.parametrize("values", [("0", "1"), (0, 1), (0.0, 1.0), (False, True), ("false", "True")])
def test_columns_of_zeros_and_ones_are_labels(tmp_path: Path, values: tuple[object, object]) -> None:
    no, yes = values
    rows = [{"text": "a", "toxic": yes, "insult": no}, {"text": "b", "toxic": no, "insult": no}]
    rows.append({"text": "c", "toxic": yes, "insult": yes})
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    found = labels_of(tmp_path / "a.jsonl", "toxic", "insult")
    assert (found.kind, found.classes) == ("multi", ("toxic", "insult"))
    assert found.rows["train"] == [("toxic",), (), ("toxic", "insult")]


@pytest.mark.parametrize(("value", "hint"), [("2", "hierarchical"), ("yes", "hierarchical")])
def test_another_value_in_a_column_of_zeros_and_ones_is_named(tmp_path: Path, value: str, hint: str) -> None:
    (tmp_path / "a.csv").write_text(f"text,x,y\na,0,1\nb,{value},1\n")
    with pytest.raises(DataError, match=rf"a\.csv, row 2: column 'x' holds '{value}', not 0 or 1") as caught:
        labels_of(tmp_path / "a.csv", "x", "y", label_kind="multi")
    assert hint in caught.value.hint


def test_a_row_without_a_value_in_a_column_of_zeros_and_ones_has_no_label(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,x,y\na,0,1\nb,,1\n")
    with pytest.raises(DataError, match=r"a\.csv, row 2: no label in column 'x' and 'y'"):
        labels_of(tmp_path / "a.csv", "x", "y")
    assert labels_of(tmp_path / "a.csv", "x", "y", unlabelled="drop").rows["train"] == [("y",), None]


def test_null_is_not_labelled_in_a_multi_label_set_and_an_empty_list_is(tmp_path: Path) -> None:
    path = table(tmp_path / "a.jsonl", [["a", "b"], []])
    assert labels_of(path).rows["train"] == [("a", "b"), ()]
    path = table(tmp_path / "a.jsonl", [["a", "b"], [], None])
    with pytest.raises(DataError, match="row 3: no label"):
        labels_of(path)
    dataset = load_dataset(DataSection(path=str(path), unlabelled="drop", test_fraction=0, validation_fraction=0))
    assert dataset.labels.decode(dataset.targets("train")) == [("a", "b")]


PATHS = ["sport/tennis", "sport/golf", "tech/chips", "tech/apps"]


def test_paths_that_share_their_beginnings_are_a_hierarchy(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    found = labels_of(table(tmp_path / "a.jsonl", PATHS))
    assert (found.kind, found.classes) == ("hierarchical", tuple(sorted(PATHS)))
    assert "paths of 2 levels (guessed; set data.label_kind)" in caplog.text
    assert labels_of(tmp_path / "a.jsonl", label_kind="single").kind == "single"


@pytest.mark.parametrize("values", [["Sci/Tech", "World"], ["a/b", "c/d"], ["a/b", "a/c/d"], ["a/", "a/b"]])
def test_other_names_with_a_slash_are_names(tmp_path: Path, values: list[str]) -> None:
    assert labels_of(table(tmp_path / "a.jsonl", values)).kind == "single"


def test_a_path_that_is_cut_short_ends_with_a_part_of_its_own(tmp_path: Path) -> None:
    path = table(tmp_path / "a.jsonl", ["sport > tennis", "sport", ["tech", "chips"]])
    found = labels_of(path, label_kind="hierarchical", label_delimiter=">")
    assert found.rows["train"] == [("sport/tennis",), ("sport/-",), ("tech/chips",)]
    assert found.classes == ("sport/-", "sport/tennis", "tech/chips")
    model = LabelSet(("sport/-", "sport/tennis", "tech/chips"), kind="hierarchical")
    section = DataSection(path=str(path), label_delimiter=">")
    assert load_rows(section, model, split="test")["label"][:] == [1, 0, 2]


@pytest.mark.parametrize("value", ["sport//golf", "/golf", "sport/", "sport/ "])
def test_a_path_with_an_empty_part_is_refused_with_its_row(tmp_path: Path, value: str) -> None:
    with pytest.raises(DataError, match=r"a\.jsonl, row 2: column 'label': the path .* has an empty part"):
        labels_of(table(tmp_path / "a.jsonl", ["sport/tennis", value]), label_kind="hierarchical")


def test_columns_of_names_are_the_levels_of_a_path(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,domain,area\na,CS,AI/ML\nb,CS,\nc,Bio,Cells\n")
    found = labels_of(tmp_path / "a.csv", "domain", "area")
    assert (found.kind, found.levels) == ("hierarchical", ("domain", "area"))
    assert found.rows["train"] == [("CS/AI|ML",), ("CS/-",), ("Bio/Cells",)]
    assert found.classes == ("Bio/Cells", "CS/-", "CS/AI|ML")
    (tmp_path / "b.csv").write_text("text,domain,area\na,CS,AI\nb,,Cells\n")
    with pytest.raises(
        DataError, match=r"b\.csv, row 2: column 'domain' and 'area': the path '/Cells' has an empty part"
    ):
        labels_of(tmp_path / "b.csv", "domain", "area")


def test_each_level_is_named_by_its_own_classes(tmp_path: Path) -> None:
    rows = [{"text": str(n), "coarse": n % 2, "fine": n % 3} for n in range(6)]
    (tmp_path / "train.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "metadata.json").write_text(
        json.dumps(
            {"columns": {"label": ["coarse", "fine"]}, "classes_coarse": ["a", "b"], "classes_fine": list("xyz")}
        )
    )
    found = labels_of(tmp_path, "coarse", "fine")
    assert found.classes == ("a/x", "a/y", "a/z", "b/x", "b/y", "b/z")
    assert found.rows["train"][:2] == [("a/x",), ("b/y",)]


def test_sources_of_different_kinds(tmp_path: Path) -> None:
    single = table(tmp_path / "single.jsonl", ["a", "b"] * 4)
    multi = table(tmp_path / "multi.jsonl", [["a", "b"], ["b"], [], ["a"]] * 3)
    paths = table(tmp_path / "paths.jsonl", PATHS * 3)
    deep = table(tmp_path / "deep.jsonl", ["sport/golf/clubs", "sport/golf/shoes"] * 3)

    def load(*files: Path) -> LabelSet:
        return load_dataset(DataSection(sources=[{"path": str(file)} for file in files])).labels  # type: ignore[list-item]

    assert load(single, multi) == LabelSet(("a", "b"), kind="multi")
    assert load(paths, deep).names[-1] == "sport/golf/shoes"
    assert load(paths, deep).depth == 3
    with pytest.raises(DataError, match=r"labels of different kinds \(single: single, paths: hierarchical\)"):
        load(single, paths)


@pytest.mark.parametrize("format", ["jsonl", "parquet"])
@pytest.mark.parametrize("labels", [PATHS * 3, [["a", "b"], ["b"], [], ["a, c"]] * 3])
def test_a_prepared_set_keeps_kind_and_labels(tmp_path: Path, labels: list[object], format: Any) -> None:
    before = load_dataset(DataSection(path=str(table(tmp_path / "a.jsonl", labels))))
    write_dataset(before, tmp_path / "set", format=format)
    after = load_dataset(DataSection(path=str(tmp_path / "set")))
    assert (after.labels.names, after.labels.kind) == (before.labels.names, before.labels.kind)
    for split in before.splits:
        assert (after.targets(split) == before.targets(split)).all()


def test_dropped_labels_leave_the_other_labels_of_a_row(tmp_path: Path) -> None:
    path = table(tmp_path / "a.jsonl", [["a", "b"], ["b"], [], ["c"], ["a"], ["b", "c"]])
    dataset = load_dataset(DataSection(path=str(path), drop_classes=["c"], test_fraction=0, validation_fraction=0))
    assert dataset.labels.decode(dataset.targets("train")) == [("a", "b"), ("b",), (), ("a",), ("b",)]
