"""Kinds of files: tables, JSON in its shapes, fastText, spreadsheets, all also compressed; and damaged ones."""

from __future__ import annotations

import builtins
import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from slugline.cli.app import run
from slugline.core.errors import DataError, MissingExtra
from slugline.data.findings import Finding
from slugline.data.reading import sources
from slugline.data.reading.formats import READERS, Reading, Row, compressed, read_rows
from slugline.recipe.data_section import DataSection
from table_files import packed, write_rows, write_table, write_xlsx

ROWS = [
    {"text": "the team won the cup", "label": "sport"},
    {"text": "the bank, the rates; the fee", "label": "money"},
    {"text": "a match without goals", "label": "sport"},
]
KINDS = [".csv", ".tsv", ".tab", ".txt", ".jsonl", ".ndjson", ".json"]
KINDS += [".parquet", ".arrow", ".ipc", ".feather", ".xlsx", ".ods"]


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def read(path: Path, **reading: Any) -> tuple[list[Row], list[Finding]]:
    findings: list[Finding] = []
    return list(read_rows(path, Reading(**reading), findings=findings)), findings


def test_every_reader_is_tested() -> None:
    assert {*READERS} == {*KINDS, ".xls"}  # .xls has the reader of .xlsx


@pytest.mark.parametrize("compression", ["", ".gz", ".zst", ".bz2", ".xz", ".zip"])
@pytest.mark.parametrize("suffix", KINDS)
def test_every_kind_of_file_gives_the_same_rows(tmp_path: Path, suffix: str, compression: str) -> None:
    path = packed(write_rows(tmp_path / f"a{suffix}", ROWS), compression)
    assert read(path) == (ROWS, [])
    raw = sources.read(DataSection(path=str(path)))
    assert (raw.source.name, raw.rows["train"]) == ("a", ROWS)


@pytest.mark.parametrize("suffix", KINDS)
def test_the_suffix_may_be_in_upper_case(tmp_path: Path, suffix: str) -> None:
    path = write_rows(tmp_path / f"a{suffix}", ROWS)
    assert read(path.rename(tmp_path / f"A{suffix.upper()}")) == (ROWS, [])


@pytest.mark.parametrize("suffix", [".parquet", ".arrow", ".csv.gz", ".csv.zst", ".csv.zip", ".json", ".jsonl"])
def test_a_file_without_a_suffix_is_recognised_by_its_first_bytes(tmp_path: Path, suffix: str) -> None:
    inner, _, compression = suffix[1:].partition(".")
    path = packed(write_rows(tmp_path / f"a.{inner}", ROWS), f".{compression}" if compression else "")
    bare = path.rename(tmp_path / "rows")
    assert read(bare) == (ROWS, [])


@pytest.mark.parametrize("suffix", [".csv", ".jsonl.gz", ".parquet", ".csv.zst"])
def test_globs_and_folders_of_splits(tmp_path: Path, suffix: str) -> None:
    inner, _, compression = suffix[1:].partition(".")
    for name in ("train", "test"):
        path = write_rows(tmp_path / f"{name}.{inner}", ROWS)
        if packed(path, f".{compression}" if compression else "") != path:
            path.unlink()
    assert [len(rows) for rows in sources.read(DataSection(path=str(tmp_path))).rows.values()] == [3, 3]
    assert len(sources.read(DataSection(path=str(tmp_path / "t*"))).rows["train"]) == 6


# Texts

FASTTEXT = {
    "one label": ("__label__a the team\n__label__b a bank\n", [["the team", "a"], ["a bank", "b"]]),
    "several labels": ("__label__a __label__b x y\n__label__c z\n", [["x y", ["a", "b"]], ["z", ["c"]]]),
    "commas and tabs": ("__label__a, __label__b x\n__label__c\tz\n", [["x", ["a", "b"]], ["z", ["c"]]]),
    "no text": ("__label__a\n__label__b x\n", [["", "a"], ["x", "b"]]),
    "names with signs": (
        "__label__sci.space/x-1 x\n__label__Économie y\n",
        [["x", "sci.space/x-1"], ["y", "Économie"]],
    ),
}


@pytest.mark.parametrize("name", ["a.txt", "a", "a.txt.gz", "a.train"])
@pytest.mark.parametrize("case", FASTTEXT)
def test_labels_of_fasttext(tmp_path: Path, case: str, name: str) -> None:
    content, wanted = FASTTEXT[case]
    path = write(tmp_path / name.removesuffix(".gz"), content)
    path = packed(path, ".gz") if name.endswith(".gz") else path
    if name == "a.train":
        with pytest.raises(DataError, match="files of this format cannot be read"):
            read(path)
    else:
        assert [[row["text"], row["label"]] for row in read(path)[0]] == wanted


@pytest.mark.parametrize("delimiter", ["\t", ";", "|", ","])
@pytest.mark.parametrize("name", ["a.txt", "a", "a.txt.gz"])
def test_a_table_that_is_called_txt(tmp_path: Path, delimiter: str, name: str) -> None:
    path = write(tmp_path / name.removesuffix(".gz"), f"text{delimiter}label\na b{delimiter}x\nc d{delimiter}y\n")
    path = packed(path, ".gz") if name.endswith(".gz") else path
    assert read(path)[0] == [{"text": "a b", "label": "x"}, {"text": "c d", "label": "y"}]
    assert len(read(path, delimiter="none")[0]) == 3


@pytest.mark.parametrize(
    "lines",
    [
        ["the team, the cup", "a bank", "rain, wind; snow"],
        ["one, two", "three, four"],
        ["a | b", "c | d", "e | f"],
        ["text that is long", "text, again"],
        ['"He said', 'so."', ""],
        ["", "a", "", "b"],
        ["a\tb", "c\td"],
    ],
)
def test_texts_stay_texts_one_a_line(tmp_path: Path, lines: list[str]) -> None:
    path = write(tmp_path / "a.txt", "\n".join(lines) + "\n")
    assert [row["text"] for row in read(path)[0]] == lines


# JSON

JSON = {
    "a list": json.dumps(ROWS),
    "a list over lines": json.dumps(ROWS, indent=2),
    "lines": "\n".join(map(json.dumps, ROWS)),
    "objects over lines": "\n".join(json.dumps(row, indent=1) for row in ROWS),
    "objects without breaks": "".join(map(json.dumps, ROWS)),
    "data": json.dumps({"version": "1.0", "data": ROWS}),
    "rows": json.dumps({"rows": ROWS, "count": 3}),
    "pandas columns": json.dumps({key: {str(n): row[key] for n, row in enumerate(ROWS)} for key in ROWS[0]}),
    "pandas index": json.dumps({str(n): row for n, row in enumerate(ROWS)}),
    "pandas split": json.dumps({"columns": [*ROWS[0]], "index": [0, 1, 2], "data": [[*r.values()] for r in ROWS]}),
    "pandas table": json.dumps({"schema": {"fields": []}, "data": ROWS}),
    "lists by column": json.dumps({key: [row[key] for row in ROWS] for key in ROWS[0]}),
}


@pytest.mark.parametrize("case", JSON)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_shapes_of_json(tmp_path: Path, case: str, encoding: str) -> None:
    assert read(write(tmp_path / "a.json", JSON[case].encode(encoding))) == (ROWS, [])


@pytest.mark.parametrize("case", ["a list", "a list over lines", "lines"])
def test_shapes_of_json_lines(tmp_path: Path, case: str) -> None:
    assert read(write(tmp_path / "a.jsonl", JSON[case])) == (ROWS, [])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"train": [{"text": "a"}], "test": [{"text": "b"}]}', "several lists of objects: 'train', 'test'"),
        ('{"columns": ["text"], "data": [["a"], ["b", "c"]]}', "row 2: the row has 2 fields"),
        ('{"text": ["a", "b"], "label": ["c"]}', "an object, not a list of objects"),
        ('["a", "b"]', "row 1: a text, not an object"),
        ('[{"text": "a"}', "line 1"),
        ("3", "a number"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        ('{"text": ' + "[" * 100_000 + "]" * 100_000 + "}", "nested too deeply"),
    ],
)
@pytest.mark.parametrize("name", ["a.json", "a.json.gz"])
def test_json_that_is_no_table(tmp_path: Path, name: str, content: str, words: str) -> None:
    with pytest.raises(DataError) as caught:
        read(packed(write(tmp_path / "a.json", content), name.removeprefix("a.json")))
    assert name in str(caught.value)
    assert caught.value.hint
    assert words in str(caught.value)


# Spreadsheets


@pytest.mark.parametrize("suffix", [".xlsx", ".xls", ".ods"])
def test_spreadsheets_are_an_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    real = builtins.__import__

    def without(name: str, *arguments: Any, **keys: Any) -> Any:
        if name == "python_calamine":
            raise ImportError(name)
        return real(name, *arguments, **keys)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtra) as caught:
        read(write(tmp_path / f"a{suffix}", b"PK\3\4"))
    assert "slugline[excel]" in str(caught.value.hint)


def test_the_first_sheet_with_rows_is_read_and_others_are_named(tmp_path: Path) -> None:
    table = [["text", "label"], ["a", "x"], ["b", "y"]]
    write_xlsx(tmp_path / "a.xlsx", {"Cover": [], "Data": table, "More & more": table})
    rows, (finding,) = read(tmp_path / "a.xlsx")
    assert [list(row.values()) for row in rows] == table[1:]
    assert all(word in finding.message for word in ("'Data'", "'More & more'"))


@pytest.mark.parametrize("name", ["a.xlsx", "a.ods", "a.csv"])
@pytest.mark.parametrize(("n_columns", "n_rows"), [(1, 3), (2, 2)])
def test_a_blank_row_is_a_row_only_if_there_is_one_column(
    tmp_path: Path, name: str, n_columns: int, n_rows: int
) -> None:
    cells = [["text", "label"], ["a", "x"], ["", ""], ["b", "y"]]
    path = write_table(tmp_path / name, [row[:n_columns] for row in cells])
    if name == "a.csv":
        write(path, path.read_bytes().replace(b",\n", b"\n").replace(b'""', b""))
    assert len(read(path)[0]) == n_rows


# Damaged files


def damaged(folder: Path, kind: str) -> Path:
    """A file that cannot be read."""
    folder.mkdir(exist_ok=True)
    whole = write_rows(folder / "a.csv", ROWS * 3_000)
    if kind.startswith("truncated"):
        suffix = kind.split()[1]
        if suffix in KINDS:
            write_rows(folder / f"a{suffix}", ROWS * 3_000)
            path = folder / f"a{suffix}"
        else:
            path = packed(whole, suffix)
        return write(path, path.read_bytes()[: path.stat().st_size // 2])
    if kind == "two tables":
        with zipfile.ZipFile(folder / "a.zip", "w") as archive:
            archive.writestr("x.csv", "text,label\na,b\n")
            archive.writestr("y.csv", "text,label\na,b\n")
        return folder / "a.zip"
    if kind == "no table":
        with zipfile.ZipFile(folder / "a.zip", "w") as archive:
            archive.writestr("x.png", "a")
        return folder / "a.zip"
    if kind == "locked zip":
        path = packed(whole, ".zip")
        data = bytearray(path.read_bytes())
        for mark, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
            at = data.index(mark) + offset
            data[at : at + 2] = struct.pack("<H", 1)
        return write(path, bytes(data))
    if kind == "locked xlsx":  # an encrypted workbook is a compound file, not an archive
        return write(folder / "a.xlsx", bytes.fromhex("d0cf11e0a1b11ae1") + b"\0" * 2_000)
    if kind == "folder":
        (folder / "b.csv").mkdir()
        return folder / "b.csv"
    return write(folder / kind, DAMAGED[kind])


DAMAGED = {
    "empty.csv": b"",
    "empty.xlsx": b"",
    "empty.parquet": b"",
    "binary.csv": bytes(range(256)) * 40,
    "picture.csv": b"\x89PNG\r\n\x1a\n" + bytes(range(256)),
    "workbook.csv": b"PK\3\4\24\0\6\0\10\0\0\0!\0" + bytes(range(256)),
    "open.csv": b'text,label\n"a,b\nc,d\n',
    "nul.csv": b"text,label\na\0b,c\n",
    "nul.jsonl": b'{"text": "a\0b", "label": "c"}\n',
    "broken.xlsx": b"PK\3\4" + b"x" * 500,
    "text.xlsx": b"text,label\na,b\n",
    "text.gz": b"text,label\na,b\n",
    "text.csv.zst": b"text,label\na,b\n",
    "text.zip": b"text,label\na,b\n",
    "text.arrow": b"text,label\na,b\n",
    "text.feather": b"text,label\na,b\n",
    "deep.json": b"[" * 200_000,
    "half.csv": "text,label\na,b\n".encode("utf-16")[:-1],
}
TRUNCATED = [".gz", ".zst", ".bz2", ".xz", ".zip", ".parquet", ".arrow", ".feather", ".xlsx", ".ods"]
BAD = [
    *(f"truncated {suffix}" for suffix in TRUNCATED),
    "two tables",
    "no table",
    "locked zip",
    "locked xlsx",
    "folder",
]


@pytest.mark.parametrize("kind", [*BAD, *DAMAGED])
def test_a_file_that_cannot_be_read_is_an_error_with_its_name_and_the_fix(
    tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = damaged(tmp_path / "data", kind)
    with pytest.raises(DataError) as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert caught.value.hint
    assert run(["data", "inspect", str(path)]) == 1
    out = capsys.readouterr()
    assert "Traceback" not in out.out + out.err
    assert path.name in out.err.replace("\n", "")


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("locked xlsx", "protected by a password"),
        ("locked zip", "Extract it first"),
        ("no table", "no table (x.png)"),
        ("folder", "is a folder, not a file"),
        ("open.csv", "line 2: a double quote is opened in this row and never closed"),
        ("nul.csv", "in line 2"),
        ("nul.jsonl", "in line 1"),
        ("half.csv", "cannot be decoded as utf-16 to the end"),
    ],
)
def test_the_reason_why_a_file_cannot_be_read_is_named(tmp_path: Path, kind: str, words: str) -> None:
    with pytest.raises(DataError) as caught:
        read(damaged(tmp_path / "data", kind))
    assert words in f"{caught.value} {caught.value.hint}"


def test_every_table_in_an_archive_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.zip: the archive holds 2 tables: x\.csv, y\.csv"):
        read(damaged(tmp_path, "two tables"))


@pytest.mark.parametrize("compression", [".gz", ".zst", ".bz2", ".xz", ".zip"])
@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet", ".txt"])
def test_a_bomb_is_refused_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compression: str, suffix: str
) -> None:
    monkeypatch.setattr(compressed, "MAX_FREE_BYTES", 1 << 16)
    plain = write_rows(tmp_path / f"a{suffix}", ROWS)
    write(plain, plain.read_bytes() + b"\0" * (1 << 23) if suffix == ".parquet" else b"a" * (1 << 23))
    with pytest.raises(DataError, match=r"over 200 times|nested|not JSON"):
        read(packed(plain, compression))


def test_nothing_is_left_of_a_table_that_was_extracted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    path = packed(write_rows(tmp_path / "a.parquet", ROWS), ".gz")
    assert read(path)[0] == pq.read_table(tmp_path / "a.parquet").to_pylist()
    assert not list((tmp_path / "temporary").iterdir())


def test_deep_json_lines_name_their_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.jsonl, line 2.*nested too deeply"):
        read(write(tmp_path / "a.jsonl", '{"text": "a"}\n' + "[" * 100_000))
