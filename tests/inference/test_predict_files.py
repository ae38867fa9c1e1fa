"""Predictions for files: in order, in constant memory, complete or no file at all."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conftest import articles, write_csv
from slugline import load, train
from slugline.core.errors import DataError
from slugline.inference.classifier import Classifier
from slugline.inference.predict_files import ROWS_AT_ONCE, predict_file, predict_texts
from slugline.recipe.recipe import validate


@pytest.fixture(scope="module")
def run_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the linear kind, trained on the columns headline and body."""
    folder = tmp_path_factory.mktemp("prediction")
    rows = [{"headline": row["text"], "body": "", "label": row["label"]} for row in articles(90)]
    path = write_csv(folder / "news.csv", rows)
    data = {"path": str(path), "text": ["headline", "body"]}
    return train(validate({"name": "x", "data": data, "model": {"kind": "linear"}}), run_dir=folder / "run").path


@pytest.fixture
def classifier(run_path: Path) -> Classifier:
    """The classifier of the run."""
    return load(run_path)


def test_a_prediction_has_probabilities_of_all_classes(classifier: Classifier) -> None:
    (prediction,) = predict_texts(classifier, ["bank shares"])
    assert prediction["label"] == "business"
    assert sum(prediction["probabilities"].values()) == pytest.approx(1.0)


def test_the_text_columns_of_the_training_are_used_if_the_file_has_them(classifier: Classifier, tmp_path: Path) -> None:
    rows = [{"body": "the team won", "headline": "bank shares fell on the market", "text": "phone chip"}]
    write_csv(tmp_path / "in.csv", rows)
    predict_file(classifier, tmp_path / "in.csv", tmp_path / "out.csv")
    assert ",business," in (tmp_path / "out.csv").read_text()
    predict_file(classifier, tmp_path / "in.csv", tmp_path / "out.csv", columns=["text"])
    assert ",tech," in (tmp_path / "out.csv").read_text()


def test_other_text_columns_are_guessed_and_unknown_ones_refused(classifier: Classifier, tmp_path: Path) -> None:
    write_csv(tmp_path / "in.csv", [{"nr": "1", "content": "the coach of the team"}])
    predict_file(classifier, tmp_path / "in.csv", tmp_path / "out.jsonl")
    assert '"predicted": "sport"' in (tmp_path / "out.jsonl").read_text()
    with pytest.raises(DataError, match=r"no column 'contents'\. Did you mean 'content'"):
        predict_file(classifier, tmp_path / "in.csv", tmp_path / "out.jsonl", columns=["contents"])


def test_an_unknown_format_is_refused_before_the_source_is_read(classifier: Classifier, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot write \.xlsx"):
        predict_file(classifier, tmp_path / "none.csv", tmp_path / "out.xlsx")


def test_the_input_is_not_overwritten(classifier: Classifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_csv(tmp_path / "new.csv", [{"headline": "goal", "body": "match"}])
    before = path.read_bytes()
    monkeypatch.chdir(tmp_path)
    for target in (path, Path("new.csv"), tmp_path / "." / "new.csv"):
        with pytest.raises(DataError, match="is the input too"):
            predict_file(classifier, path, target)
    assert path.read_bytes() == before


def test_an_error_after_some_rows_leaves_no_file(classifier: Classifier, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"text": "bank"}\n' * 5000 + "{broken\n")
    with pytest.raises(DataError, match="5001"):
        predict_file(classifier, tmp_path / "in.jsonl", tmp_path / "out.jsonl")
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


@pytest.mark.parametrize("column", ["predicted", "confidence"])
@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_a_column_of_the_file_is_not_overwritten(
    classifier: Classifier, tmp_path: Path, column: str, suffix: str
) -> None:
    write_csv(tmp_path / "in.csv", [{"text": "bank", column: "mine"}])
    with pytest.raises(DataError, match=rf"in\.csv: has a column '{column}', but predictions.*\nRename"):
        predict_file(classifier, tmp_path / "in.csv", tmp_path / f"out.{suffix}")


@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet"])
def test_tables_refuse_columns_that_first_occur_late(classifier: Classifier, tmp_path: Path, suffix: str) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / f"out.{suffix}"
    source.write_text('{"text": "bank"}\n' * ROWS_AT_ONCE + '{"text": "bank", "late": 1}\n')
    with pytest.raises(DataError, match=r"in\.jsonl: column 'late' first occurs after row 4,096.*\n.*JSON lines"):
        predict_file(classifier, source, target)
    assert not target.exists()
    predict_file(classifier, source, tmp_path / "out.jsonl")
    assert json.loads((tmp_path / "out.jsonl").read_text().splitlines()[-1])["late"] == 1


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_table_has_all_columns_of_the_first_chunk(classifier: Classifier, tmp_path: Path, suffix: str) -> None:
    (tmp_path / "in.jsonl").write_text('{"text": "bank"}\n{"text": "bank", "second": "x"}\n')
    predict_file(classifier, tmp_path / "in.jsonl", tmp_path / f"out.{suffix}")
    if suffix == "parquet":
        assert pq.read_table(tmp_path / "out.parquet")["second"].to_pylist() == [None, "x"]
    else:
        assert (tmp_path / "out.csv").read_text().startswith("text,second,predicted,confidence\n")


def test_types_without_json_form_are_written_as_text(classifier: Classifier, tmp_path: Path) -> None:
    rows = [{"text": "bank", "when": datetime(2024, 5, 1, tzinfo=UTC)}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "in.parquet")
    predict_file(classifier, tmp_path / "in.parquet", tmp_path / "out.jsonl")
    assert json.loads((tmp_path / "out.jsonl").read_text())["when"] == "2024-05-01 00:00:00+00:00"


@pytest.mark.parametrize("rows", [ROWS_AT_ONCE, 1])
def test_parquet_refuses_columns_of_several_types(classifier: Classifier, tmp_path: Path, rows: int) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text('{"text": "bank", "n": 1}\n' * rows + '{"text": "bank", "n": "many"}\n')
    with pytest.raises(DataError, match=r"in\.jsonl: a column has values of several types.*\nWrite JSON lines or CSV"):
        predict_file(classifier, source, tmp_path / "out.parquet")
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_lone_surrogates_are_replaced(classifier: Classifier, tmp_path: Path, suffix: str) -> None:
    (tmp_path / "in.jsonl").write_text('{"text": "\\ud83d bread"}\n')
    assert predict_file(classifier, tmp_path / "in.jsonl", tmp_path / f"out.{suffix}") == 1
    (prediction,) = predict_texts(classifier, ["\udcff bread"])
    assert prediction["text"] == "\ufffd bread"


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
def test_memory_does_not_grow_with_the_number_of_rows(run_path: Path, tmp_path: Path) -> None:
    """Peak resident memory of two processes; 50,000 rows in memory at once would add more than 50 MB."""
    script = (
        "import re, sys\n"
        "from pathlib import Path\n"
        "import slugline\n"
        "from slugline.inference.predict_files import predict_file\n"
        "count = predict_file(slugline.load(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))\n"
        "status = Path('/proc/self/status').read_text()\n"
        "print(count, int(re.search(r'VmHWM:\\s+(\\d+)', status)[1]) // 1024)\n"
    )
    filler = "and so on " * 60
    peaks = {}
    for rows in (10_000, 50_000):
        source, target = tmp_path / f"{rows}.jsonl", tmp_path / f"{rows}.csv"
        source.write_text("".join(f'{{"text": "bank shares {n} {filler}"}}\n' for n in range(rows)))
        command = [sys.executable, "-c", script, str(run_path), str(source), str(target)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        count, megabytes = map(int, done.stdout.split())
        assert count == rows
        peaks[rows] = megabytes
    assert peaks[50_000] < peaks[10_000] + 25, peaks
