"""Rows as read: they come back unchanged, from memory and from files."""

from __future__ import annotations

import datetime
import logging
import math
import random
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from slugline.core.errors import RunError
from slugline.data.tables import table
from slugline.data.tables.rows import Row, Rows
from slugline.data.tables.table import BATCH_ROWS, TableWriter


@pytest.fixture(params=["memory", "file"])
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """Tables in memory, and in files."""
    monkeypatch.setenv("SLUGLINE_CACHE", str(tmp_path))
    if request.param == "file":
        monkeypatch.setattr(table, "MEMORY_BYTES", -1)
        monkeypatch.setattr("slugline.data.tables.rows.MEMORY_BYTES", -1)
        monkeypatch.setattr(table, "RELEASE_BYTES", 1)
    return str(request.param)


VALUES: list[Any] = [
    *(
        "text",
        "",
        "\u2028 \U0001f600 \ud800",
        1,
        2**70,
        -1.5,
        True,
        None,
        b"\xff\0",
        ["a", 1, None],
        [],
        {"a": {"b": [1.0]}},
        {},
    ),
    *(datetime.datetime(2024, 2, 29, 1, 2, 3, 4), datetime.date(2024, 2, 29), datetime.time(1, 2), Decimal("1.10")),
    *(("k", 1), [("k", [b"x"])], {"\0type": "bytes", "value": "x"}, math.inf),
]


def test_values_of_any_type_come_back_with_their_types(place: str) -> None:
    rows: list[Row] = [{"value": value, "number": number} for number, value in enumerate(VALUES)]
    stored = Rows.write(rows)
    assert [(type(row["value"]), row["value"]) for row in stored] == [(type(v), v) for v in VALUES]
    assert [repr(row) for row in stored] == [repr(row) for row in rows]
    assert repr(list(stored.values("value"))) == repr(VALUES)


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_columns_of_one_type_come_back_with_it(value: object, place: str) -> None:
    rows: list[Row] = [{"value": value}, {"value": None}, {"value": value}]
    assert repr(list(Rows.write(rows))) == repr(rows)


def test_missing_numbers_stay_missing_numbers(place: str) -> None:
    rows = Rows.write([{"x": math.nan}, {"x": math.nan, "y": 1}])
    assert all(math.isnan(value) for value in rows.values("x"))  # type: ignore[arg-type]


def test_a_decimal_keeps_its_digits(place: str) -> None:
    values = [Decimal("1.0"), Decimal("1.00")]
    assert list(map(str, Rows.write([{"x": value} for value in values]).values("x"))) == ["1.0", "1.00"]


def rows_with_changes() -> Iterator[Row]:
    """Rows whose columns and types change after some batches."""
    for number in range(3 * BATCH_ROWS + 10):
        row: Row = {"text": f"text {number}", "label": number % 3}
        if number > BATCH_ROWS + 5:
            row["label"] = str(number % 3)
        if number > 2 * BATCH_ROWS and number % 2:
            row["late"] = [number]
        yield row


def test_columns_and_types_may_change_at_any_row(place: str) -> None:
    rows = Rows.write(rows_with_changes())
    expected = list(rows_with_changes())
    assert len(rows) == len(expected)
    assert list(rows) == expected
    assert rows.columns == ("text", "label", "late")
    assert list(rows.values("late")) == [row.get("late") for row in expected]
    assert list(rows.values("unknown")) == [None] * len(expected)


def test_rows_are_read_by_number_slice_and_numbers(place: str) -> None:
    rows, expected = Rows.write(rows_with_changes()), list(rows_with_changes())
    for number in (0, 5, BATCH_ROWS, 2 * BATCH_ROWS + 1, -1, -len(expected)):
        assert rows[number] == expected[number]
    for number in (len(expected), -len(expected) - 1):
        with pytest.raises(IndexError):
            rows[number]
    for part in (
        slice(3),
        slice(BATCH_ROWS - 2, BATCH_ROWS + 20),
        slice(-3, None),
        slice(None, None, 5000),
        slice(9, 2),
    ):
        assert rows[part] == expected[part]
        assert list(rows[part].values("label")) == [row["label"] for row in expected[part]]
    numbers = random.Random(1).choices(range(len(expected)), k=2000)
    taken = rows.take(numbers)
    assert taken == [expected[number] for number in numbers]
    assert taken[10:500].take([3, 3, 1]) == [expected[numbers[number]] for number in (13, 13, 11)]
    assert (taken.digests == rows.digests[numbers]).all()
    assert not rows.take(np.empty(0, dtype=np.int64))
    assert not Rows.write([])


def test_rows_are_written_as_they_come(monkeypatch: pytest.MonkeyPatch) -> None:
    read, written = 0, []

    def reader() -> Iterator[Row]:
        nonlocal read
        for row in rows_with_changes():
            read += 1
            yield row

    write = TableWriter.write
    monkeypatch.setattr(TableWriter, "write", lambda self, batch: (written.append(read), write(self, batch)))
    Rows.write(reader())
    assert written == [BATCH_ROWS, 2 * BATCH_ROWS, 3 * BATCH_ROWS, 3 * BATCH_ROWS + 10]


def test_the_file_is_gone_with_the_rows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SLUGLINE_CACHE", str(tmp_path))
    monkeypatch.setattr("slugline.data.tables.rows.MEMORY_BYTES", 1000)
    rows = Rows.write({"text": f"text {number}"} for number in range(1000))
    assert rows[999] == {"text": "text 999"}
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]  # a process that is killed leaves no file


def resident_pages_of_files() -> int:
    """Bytes of mapped files in the memory of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssFile"))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux")
def test_pages_of_tables_are_released(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SLUGLINE_CACHE", str(tmp_path))
    monkeypatch.setattr("slugline.data.tables.rows.MEMORY_BYTES", 1000)
    rows = Rows.write({"text": f"{number} " * 200} for number in range(40_000))
    table.release_all()
    before = resident_pages_of_files()
    monkeypatch.setattr(table, "RELEASE_BYTES", 2**60)
    read = [batch.column(0).to_pylist() for batch in rows._tables[0].batches]
    assert resident_pages_of_files() - before > 20e6
    table.release_all()
    assert resident_pages_of_files() - before < 5e6
    assert [text for texts in read for text in texts] == list(rows.values("text"))


def test_an_unwritable_cache_keeps_rows_in_memory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SLUGLINE_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr("slugline.data.tables.rows.MEMORY_BYTES", 1000)
    with caplog.at_level(logging.WARNING):
        rows = Rows.write(rows_with_changes())
        again = Rows.write(rows_with_changes())
    assert rows == again == list(rows_with_changes())
    assert caplog.text.count("SLUGLINE_CACHE") == 1
    assert str(tmp_path / "file") in caplog.text


def test_a_full_disk_is_an_error_that_names_the_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SLUGLINE_CACHE", str(tmp_path))
    monkeypatch.setattr("slugline.data.tables.rows.MEMORY_BYTES", 1000)
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    monkeypatch.setattr(table, "_temporary_file", lambda: open("/dev/full", "wb"))  # noqa: PTH123, SIM115
    with pytest.raises(RunError, match="the disk is full") as caught:
        Rows.write(rows_with_changes())
    assert "SLUGLINE_CACHE" in caught.value.hint
