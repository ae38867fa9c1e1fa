"""Text and label columns, given and guessed; labels to class names."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from slugline.core.errors import DataError
from slugline.data.preparing.loading import read_examples
from slugline.data.reading.columns import choose_columns, choose_text_columns
from slugline.data.reading.formats import Row
from slugline.data.reading.labels.naming import name_labels
from slugline.data.reading.raw_data import RawData, SourceFile, SourceInfo
from slugline.data.reading.texts import join_text
from slugline.data.tables.rows import Rows
from slugline.recipe.data_section import DataSection


def raw(rows: list[Row], *, test: list[Row] | None = None, classes: tuple[str, ...] = (), task: str = "") -> RawData:
    files = {"train": (SourceFile("news.csv", len(rows)),), "test": (SourceFile("test.csv", len(test or [])),)}
    splits = {"train": Rows.write(rows)} | ({"test": Rows.write(test)} if test else {})
    return RawData(splits, SourceInfo("news"), files, classes=classes, task=task)  # type: ignore[arg-type]


def rows_with(*columns: str, count: int = 20) -> list[Row]:
    """Rows: columns with "label" in their names hold one of two values, others a different text in each row."""
    return [
        {column: ("ab"[i % 2] if "label" in column else f"{column} number {i}" * len(column)) for column in columns}
        for i in range(count)
    ]


@pytest.mark.parametrize(
    ("columns", "text", "label"),
    [
        (["text", "title", "label"], ["text"], "label"),
        (["label", "description", "title"], ["title", "description"], "label"),
        (["Content", "Category"], ["Content"], "Category"),
        (["label", "text", "label_level1"], ["text"], "label"),
        (["text", "text_stripped", "label", "id"], ["text"], "label"),
        (["key", "somelongcolumn", "my_label"], ["somelongcolumn"], "my_label"),
        (["headline", "topic", "id"], ["headline"], "topic"),
    ],
)
def test_columns_are_guessed(caplog: pytest.LogCaptureFixture, columns: list[str], text: list[str], label: str) -> None:
    with caplog.at_level(logging.INFO, logger="slugline"):
        assert choose_columns(raw(rows_with(*columns)), text=[], label=[], others=[]) == (text, [label])
    assert f"label column: {label!r} (guessed; set data.label)" in caplog.text


def test_given_columns_are_not_guessed(caplog: pytest.LogCaptureFixture) -> None:
    data = raw(rows_with("text", "title", "label", "topic"))
    with caplog.at_level(logging.INFO, logger="slugline"):
        assert choose_columns(data, text=["title"], label=["topic"], others=[]) == (["title"], ["topic"])
    assert not caplog.text


def test_the_error_of_a_missing_column_suggests_the_nearest() -> None:
    with pytest.raises(DataError) as caught:
        choose_columns(raw(rows_with("headline", "label")), text=["headlin"], label=["label"], others=[])
    assert str(caught.value) == (
        "news.csv: no column 'headlin' for data.text. Did you mean 'headline'?\nColumns: headline, label."
    )


def test_every_split_must_have_the_columns() -> None:
    with pytest.raises(DataError, match=r"test\.csv: no column 'label'"):
        choose_columns(raw(rows_with("text", "label"), test=rows_with("text")), text=[], label=[], others=[])


def test_the_error_lists_several_candidates_for_the_label() -> None:
    data = raw(rows_with("text", "my_label", "your_label"))
    with pytest.raises(DataError) as caught:
        choose_columns(data, text=[], label=[], others=[], address="data/My News.csv")
    assert caught.value.message.splitlines()[1:] == ["  my_label    2 values: a, b", "  your_label  2 values: a, b"]
    assert "slugline recipe new 'data/My News.csv' data.label=my_label > my-news.toml" in caught.value.hint
    data = raw([{"text": f"text {n}", "id": str(n), "when": f"2024-01-0{n % 3 + 1}"} for n in range(20)])
    with pytest.raises(DataError, match=r"none has 2 to 10 .* not dates: id \(20 values\), when \(3 values\)"):
        choose_columns(data, text=[], label=[], others=[])


@pytest.mark.parametrize(
    "form",
    [
        *("2024-01-{d:02}", "2024-01-{d:02}T10:30:00Z", "2024-01-{d:02} 10:30:00.123+02:00", "202401{d:02}"),
        *(
            "{d}/1/2024",
            "01-{d:02}-24",
            "{d}.1.2024 8:05",
            "{d} Jan 2024",
            "{d}. March",
            "Tue, {d} Jan 2024 10:30:00 GMT",
        ),
        *("January {d}, 2024", "Sept. {d}", "2024-{d:02}", "May 200{d}", "{d}:30", "10:0{d}:59 pm"),
    ],
)
def test_dates_are_no_candidates_for_the_label(form: str) -> None:
    rows: list[Row] = [
        {"text": f"text {n}", "group": "ab"[n % 2], "published": form.format(d=n % 5 + 1)} for n in range(20)
    ]
    rows[3]["published"] = None
    assert choose_columns(raw(rows), text=[], label=[], others=[])[1] == ["group"]


@pytest.mark.parametrize(
    "names", [("sport", "tech"), ("1", "2"), ("2023", "2024"), ("decision 12", "mayor 5"), ("4/5", "1/5")]
)
def test_names_and_numbers_are_not_taken_for_dates(names: tuple[str, str]) -> None:
    rows: list[Row] = [{"text": f"text {n}", "group": names[n % 2]} for n in range(20)]
    assert choose_columns(raw(rows), text=[], label=[], others=[])[1] == ["group"]


def test_the_text_column_is_not_guessed_by_length_if_the_trained_column_is_missing() -> None:
    rows: list[Row] = [{"id": "0c9e4f62-a9f2", "note": "short"}]
    with pytest.raises(DataError, match=r"new\.csv: the model was trained on 'headline'.*\n.*--text.*: id, note\."):
        choose_text_columns(rows, [], ["headline"], where="new.csv")
    assert choose_text_columns([{"content": "a", **rows[0]}], [], ["headline"], where="new.csv") == ("content",)
    assert choose_text_columns(rows, [], [], where="new.csv") == ("id",)


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({"a": "one", "b": "two"}, "one two"),
        ({"a": "", "b": "two"}, "two"),
        ({"a": None, "b": "two"}, "two"),
        ({"a": None, "b": None}, ""),
        ({"b": 3}, "3"),
    ],
)
def test_text_columns_are_joined_by_a_blank(row: Row, text: str) -> None:
    assert join_text(row, ["a", "b"]) == text


def named(
    labels: list[object], *, offset: int = 0, classes: tuple[str, ...] = (), task: str = "", unlabelled: Any = "refuse"
) -> object:
    rows = raw([{"l": x} for x in labels], classes=classes, task=task)
    named = name_labels(rows, ["l"], DataSection(path="x", label_offset=offset), unlabelled=unlabelled)
    return ["" if row is None else ", ".join(row) for row in named.rows["train"]], named.classes


@pytest.mark.parametrize(
    ("labels", "offset", "classes", "names", "order"),
    [
        (["b", " a ", "b"], 0, (), ["b", "a", "b"], ("a", "b")),
        ([10, 2, 10], 0, (), ["10", "2", "10"], ("2", "10")),
        (["10", "2"], 0, (), ["10", "2"], ("2", "10")),
        (["2", "1"], -1, (), ["1", "0"], ("0", "1")),
        ([2.0, 1.0], 0, (), ["2", "1"], ("1", "2")),
        ([True, False], 0, (), ["True", "False"], ("False", "True")),
        (["1", "x"], 0, (), ["1", "x"], ("1", "x")),
        (["0222", "0111"], 0, (), ["0222", "0111"], ("0111", "0222")),
        (["01", "1", "10"], 0, (), ["01", "1", "10"], ("01", "1", "10")),
        ([1, 0], 0, ("world", "sport"), ["sport", "world"], ("world", "sport")),
        (["2", "1"], -1, ("world", "sport"), ["sport", "world"], ("world", "sport")),
        (["sport", "sport"], 0, ("world", "sport"), ["sport", "sport"], ("world", "sport")),
        (["2", "10"], 0, ("2", "10"), ["2", "10"], ("2", "10")),
    ],
)
def test_labels_become_class_names(
    labels: list[object], offset: int, classes: tuple[str, ...], names: list[str], order: object
) -> None:
    assert named(labels, offset=offset, classes=classes) == (names, order)


@pytest.mark.parametrize(
    ("labels", "options", "words"),
    [
        (["a", ""], {}, r"news\.csv, row 2: no label in column 'l'"),
        (["a", None], {}, r"news\.csv, row 2: no label"),
        ([1.0, float("nan")], {}, r"news\.csv, row 2: no label"),
        (["a", "", None], {}, r"no label in column 'l' of 2 rows: news\.csv, row 2; news\.csv, row 3\.\n"),
        (["", "", "", ""], {}, r"of 4 rows: news\.csv, row 1; .*, row 3; \.\.\."),
        (["a", "b"], {"offset": 1}, "holds names, not integers"),
        (["", None], {"unlabelled": "drop"}, r"news\.csv: no row has a label in column 'l'"),
        (["a", -1], {"classes": ("a", "b")}, r"news\.csv, row 2: no label in column 'l'"),
        ([0, 7, 7], {"classes": ("a", "b")}, r"label '7' in column 'l' \(2 rows\) is none of the 2 classes"),
        ([0], {"classes": ("a", "b"), "offset": -1}, r"label '0' .* none of the 2 classes"),
        (["wrld"], {"classes": ("world", "sport")}, "Did you mean 'world'"),
        ([[0, 1]], {"task": "single-label"}, "holds several labels: 0, 1"),
        ([[0], None], {"task": "multi-label, emotions"}, r"news\.csv, row 2: no label"),
    ],
)
def test_invalid_labels_are_errors(labels: list[object], options: dict[str, object], words: str) -> None:
    with pytest.raises(DataError, match=words) as caught:
        named(labels, **options)  # type: ignore[arg-type]
    assert caught.value.hint


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("être".encode(), "être"),
        (["tomorrow", "is", "dry"], "tomorrow is dry"),
        (["tomorrow", None, b"dry"], "tomorrow dry"),
        (float("nan"), ""),
        (None, ""),
        (12, "12"),
        ([], ""),
    ],
)
def test_text_of_other_types(value: object, text: str) -> None:
    assert join_text({"text": value}, ["text"]) == text
    assert join_text({"text": value, "title": "A"}, ["title", "text"]) == f"A {text}".strip()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"title": "a"}, "holds an object"),
        ([{"title": "a"}], "list of lists or objects"),
        ([["a"]], "list of lists or objects"),
        (b"\xff\xfe\x00", "bytes that are not UTF-8"),
    ],
)
def test_values_that_are_no_text_are_refused_with_row_and_column(tmp_path: Path, value: object, words: str) -> None:
    table = pa.table({"text": pa.array([None, value]), "label": ["a", "b"]})
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(DataError, match=f"a.parquet, row 2: column 'text'.*{words}"):
        read_examples(DataSection(path=str(tmp_path / "a.parquet")))


@pytest.mark.parametrize("missing", ["text", "label"])
def test_columns_are_checked_in_each_file_of_a_glob(tmp_path: Path, missing: str) -> None:
    (tmp_path / "a.csv").write_text("text,label\none,x\ntwo,y\n")
    (tmp_path / "b.csv").write_text("text,label\nthree,x\n".replace(missing, "content"))
    with pytest.raises(DataError, match=f"b.csv: no column '{missing}'") as caught:
        read_examples(DataSection(path=str(tmp_path / "*.csv")))
    assert "content" in caught.value.hint
    assert "[[data.sources]]" in caught.value.hint
