"""Rows from files: values are not changed, and errors name file and line."""

from __future__ import annotations

import csv
import json
import logging
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from slugline.core.errors import DataError
from slugline.data.reading.encoding import decode, find_encoding
from slugline.data.reading.encoding.find import CHUNK_BYTES
from slugline.data.reading.formats import Row, read_rows

ROWS: list[Row] = [{"text": "Zinsen, „hoch“", "label": "NA"}, {"text": "two\nlines", "label": "null"}]


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet"])
def test_every_format_gives_the_same_rows(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"news{suffix}"
    if suffix in (".csv", ".tsv"):
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, ["text", "label"], delimiter="\t" if suffix == ".tsv" else ",")
            writer.writeheader()
            writer.writerows(ROWS)
    elif suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(ROWS), path)
    else:
        lines = "\n".join(json.dumps(row) for row in ROWS)
        write(path, json.dumps(ROWS) if suffix == ".json" else lines)
    assert list(read_rows(path)) == ROWS


def test_each_line_of_a_text_file_is_a_row(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "one\n\ntwo")
    assert list(read_rows(path)) == [{"text": "one"}, {"text": ""}, {"text": "two"}]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_header_determines_the_delimiter_of_a_csv_file(tmp_path: Path, delimiter: str) -> None:
    path = write(tmp_path / "a.csv", delimiter.join(["text", "label"]) + f'\n"a, b; c"{delimiter}x\n')
    assert list(read_rows(path)) == [{"text": "a, b; c", "label": "x"}]


def test_a_blank_line_is_a_row_only_if_there_is_one_column(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "text\none\n\ntwo\n")
    assert list(read_rows(path)) == [{"text": "one"}, {"text": ""}, {"text": "two"}]
    path = write(tmp_path / "b.csv", "text,label\none,a\n\ntwo,b\n")
    assert len(list(read_rows(path))) == 2


def test_double_quotes_in_tsv_without_quoting_are_kept(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", 'text\tlabel\nplain\ta\n"5" tall\tb\n"open\tc\n')
    assert [row["text"] for row in read_rows(path)] == ["plain", '"5" tall', '"open']


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
def test_lone_surrogates_are_replaced_and_pairs_kept(tmp_path: Path, name: str) -> None:
    row = '{"text": "\\ud83d bread \\ud83d\\ude00 \\udc00", "tags": ["\\uD83D"]}'
    path = write(tmp_path / name, f"[{row}]" if name.endswith(".json") else row)
    assert list(read_rows(path)) == [{"text": "\ufffd bread \U0001f600 \ufffd", "tags": ["\ufffd"]}]


def test_very_long_fields_are_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "text,label\n" + "x" * 200_000 + ",a\n")
    assert len(str(next(read_rows(path))["text"])) == 200_000


def test_reading_is_lazy(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", '{"text": "a"}\nbroken')
    rows: Iterator[Row] = read_rows(path)
    assert next(rows) == {"text": "a"}
    with pytest.raises(DataError, match="line 2"):
        next(rows)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", "text,label\na,b\nc\n", ["a.csv, line 3", "the row has 1 fields, the header 2"]),
        ("a.csv", "text,label\na,b,c\n", ["a.csv, line 2", "the row has 3"]),
        ("a.csv", 'text,label\n"a,b\n', ["a.csv, line 2", "quote"]),
        ("a.csv", 'text,label\n"a "b" c",x\n', ["a.csv, line 2", "expected after"]),
        ("a.tsv", 'text\tlabel\n"two\nlines"\ta\nb\n', ["a.tsv, line 4", "the row has 1"]),
        ("a.csv", "text,text\na,b\n", ["more than once", "'text'"]),
        ("a.csv", "text,label\n", ["a.csv", "no rows"]),
        ("a.csv", "", ["a.csv", "empty"]),
        ("a.jsonl", '{"text": 1}\n{"text": }\n', ["a.jsonl, line 2", "not JSON"]),
        ("a.jsonl", '{"text": 1}\n["x"]\n', ["a.jsonl, line 2", "a list"]),
        ("a.json", '{"text": 1}', ["a.json", "not a list"]),
        ("a.json", "[\n{},\n{]", ["a.json, line 3"]),
        ("a.parquet", "text", ["a.parquet", "not a valid Parquet file"]),
        ("a.cvs", "text", ["a.cvs", "Did you mean '.csv'?"]),
        ("a.csv", b"PK\x03\x04\x00\x00\x00\x00\x00text", ["a.csv", "not a text file"]),
    ],
)
def test_errors_of_broken_files_name_file_and_line(
    tmp_path: Path, name: str, content: str | bytes, words: list[str]
) -> None:
    path = write(tmp_path / name, content)
    with pytest.raises(DataError) as caught:
        list(read_rows(path))
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert caught.value.hint


def test_the_error_of_a_missing_file_suggests_the_nearest_name(tmp_path: Path) -> None:
    write(tmp_path / "news.csv", "text\na")
    with pytest.raises(DataError, match=r"new\.csv: no such file.*'news\.csv'"):
        list(read_rows(tmp_path / "new.csv"))


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Die Straße führt über Köln nach Münster. ", "cp1252"),
        ("The offer fee, a £15.8m signing, was agreed. ", "cp1252"),
        ("“We’re glad” – wrote the firm. ", "cp1252"),
        ("Zażółć gęślą jaźń, powiedział premier w środę. ", "cp1250"),
        ("Министр заявил о росте экономики в среду. ", "cp1251"),
        ("価格は昨日上昇した。東京市場の終値は高い。", "cp932"),
    ],
)
@pytest.mark.parametrize("repeat", [1, 20])
def test_other_encodings_are_detected_and_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str, encoding: str, repeat: int
) -> None:
    lines = [{"text": text.strip()}] * repeat
    path = write(tmp_path / "a.csv", ("text\n" + "".join(f'"{text.strip()}"\n' for _ in lines)).encode(encoding))
    with caplog.at_level(logging.WARNING, logger="slugline"):
        assert list(read_rows(path)) == lines
    assert f"read as {encoding} (it is not UTF-8)" in caplog.text


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_unicode_is_read_without_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture, encoding: str) -> None:
    content = "text,label\nZażółć £5,a\n"
    path = write(tmp_path / "a.csv", content.encode(encoding))
    with caplog.at_level(logging.WARNING, logger="slugline"):
        assert list(read_rows(path)) == [{"text": "Zażółć £5", "label": "a"}]
    assert not caplog.text


def test_the_first_non_ascii_byte_may_be_far_from_the_start(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", b"plain line of text\n" * (CHUNK_BYTES // 10) + "fünf\n".encode("cp1252"))
    assert find_encoding(partial(path.open, "rb"), "a.txt").codec == "cp1252"
    *_, last = read_rows(path)
    assert last == {"text": "fünf"}


def test_no_byte_is_lost(tmp_path: Path) -> None:
    content = bytes(range(1, 256)) * 3
    path = write(tmp_path / "a.bin", content)
    encoding = find_encoding(partial(path.open, "rb"), "a.bin").codec
    assert content.decode(encoding).encode(encoding) == content
    text, _ = decode(content)
    assert len(text) == len(content)
    assert len(set(text)) == 255  # each byte is a character of its own
