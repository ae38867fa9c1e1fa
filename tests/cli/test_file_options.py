"""`predict --input` and `evaluate --data` read files as people have them; each row is answered, in its place."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from conftest import articles, write_csv
from slugline import train
from slugline.cli.app import run
from slugline.recipe.recipe import validate
from table_files import packed, write_rows, write_table

ROWS = articles(12, seed=5)
SUFFIXES = [".csv", ".tsv", ".tab", ".txt", ".jsonl", ".ndjson", ".json"]
SUFFIXES += [".parquet", ".arrow", ".ipc", ".feather", ".xlsx", ".ods"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the linear kind whose text column is called text."""
    folder = tmp_path_factory.mktemp("options")
    path = write_csv(folder / "news.csv", articles(90))
    return train(
        validate({"name": "x", "data": {"path": str(path)}, "model": {"kind": "linear"}}), run_dir=folder / "run"
    ).path


def predicted(model: Path, path: Path, *options: str) -> list[list[str]]:
    """The rows that predict writes, without its two columns."""
    output = path.parent / "out.csv"
    assert run(["predict", str(model), "--input", str(path), "--output", str(output), *options]) == 0
    with output.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header[-2:] == ["predicted", "confidence"]
    return [row[:-2] for row in rows]


@pytest.mark.parametrize("compression", ["", ".gz", ".zst", ".zip"])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_predict_and_evaluate_take_every_kind_of_file(
    model: Path, tmp_path: Path, suffix: str, compression: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = packed(write_rows(tmp_path / f"a{suffix}", ROWS), compression)
    assert predicted(model, path) == [[row["text"], row["label"]] for row in ROWS]
    capsys.readouterr()
    assert run(["evaluate", str(model), "--data", str(path), "--keep-learned", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["test"]["support"] == 12


BARE = [[row["label"], row["text"]] for row in ROWS]


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.xlsx", "a.csv.gz"])
@pytest.mark.parametrize("options", [["--text", "1"], ["--no-header", "--text", "1"]])
def test_no_row_of_a_file_without_a_header_is_lost(model: Path, tmp_path: Path, name: str, options: list[str]) -> None:
    path = write_table(tmp_path / name, BARE)
    assert predicted(model, path, *options) == BARE


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.xlsx"])
@pytest.mark.parametrize("cells", [BARE, [[row["text"]] for row in ROWS], [[row["text"], "x y"] for row in ROWS[:1]]])
def test_a_file_without_a_known_text_column_is_refused(
    model: Path, tmp_path: Path, name: str, cells: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_table(tmp_path / name, cells)
    assert run(["predict", str(model), "--input", str(path), "--output", str(tmp_path / "out.csv")]) == 1
    assert not (tmp_path / "out.csv").exists()
    error = capsys.readouterr().err
    assert "--text" in error or len(cells) == 1
    assert "--no-header" in error


def test_evaluate_takes_the_form_of_the_file(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = "".join(f"{label}|é {text}\n" for label, text in BARE)
    (tmp_path / "a.csv").write_bytes(content.encode("cp1252"))
    options = ["--encoding", "cp1252", "--no-header", "--delimiter", "pipe", "--text", "1", "--label", "0"]
    assert run(["evaluate", str(model), "--data", str(tmp_path / "a.csv"), "--json", *options]) == 0
    out = capsys.readouterr()
    assert json.loads(out.out)["test"]["support"] == 12
    assert "warning" not in out.err


FORMS = {
    "quotes of TSV": ("a.tsv", 'text\n"He said\nso."\nplain\n', [['"He said'], ['so."'], ["plain"]]),
    "texts, one a line": ("a.txt", 'b, "c\n\nd\ta\n"e\n', [['b, "c'], [""], ["d\ta"], ['"e']]),
    "one column": ("a.csv", 'text\na\n""\nb\na\n', [["a"], [""], ["b"], ["a"]]),
    "blank lines": ("a.csv", "text\na\n\nb\n", [["a"], [""], ["b"]]),
    "empty texts": ("a.csv", 'text,id\na,1\n,2\n"",3\nb,4\n', [["a", "1"], ["", "2"], ["", "3"], ["b", "4"]]),
    "unnamed columns": ("a.csv", "text,,\na,,\nb,c,\n", [["a", "", ""], ["b", "c", ""]]),
    "equal rows": ("a.jsonl", '{"text": "a"}\n' * 3, [["a"]] * 3),
    "missing texts": ("a.jsonl", '{"text": "a"}\n{"text": null}\n{"text": NaN}\n', [["a"], [""], [""]]),
    "separator line": ("a.csv", "sep=;\r\ntext;id\r\na;1\r\nb;2\r\n", [["a", "1"], ["b", "2"]]),
    "blank before a quote": ("a.csv", 'id,text\n1, "a, b"\n2, "c"\n', [["1", "a, b"], ["2", "c"]]),
}


@pytest.mark.parametrize("case", FORMS)
def test_each_row_is_answered_in_its_place(model: Path, tmp_path: Path, case: str) -> None:
    name, content, wanted = FORMS[case]
    (tmp_path / name).write_bytes(content.encode())
    assert predicted(model, tmp_path / name) == wanted


@pytest.mark.parametrize("encoding", ["cp1250", "cp1252", "utf-16", "shift_jis"])
def test_predict_takes_the_encoding(model: Path, tmp_path: Path, encoding: str) -> None:
    text = "価格" if encoding == "shift_jis" else "Öl"
    (tmp_path / "a.csv").write_bytes(f"text\n{text}\n".encode(encoding))
    assert predicted(model, tmp_path / "a.csv", "--encoding", encoding) == [[text]]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--encoding", "cp125"], "no encoding is called 'cp125'"),
        (["--encoding", "base64"], "no encoding is called 'base64'"),
        (["--encoding", "ascii"], "line 2"),
        (["--delimiter", "ab"], "no single character"),
    ],
)
def test_wrong_options_are_errors(
    model: Path, tmp_path: Path, options: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.csv").write_text("text\né\n", encoding="utf-8")
    output = tmp_path / "out.csv"
    assert run(["predict", str(model), "--input", str(tmp_path / "a.csv"), "--output", str(output), *options]) == 1
    error = capsys.readouterr().err
    assert words in error
    assert "Traceback" not in error
    assert not output.exists()
