"""Rows from all sources: paths, folders, known sets, the Hub."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pytest

from slugline.core.errors import DataError
from slugline.core.labels import Split
from slugline.data.reading import sources
from slugline.data.reading.labels.naming import name_labels
from slugline.data.reading.places import hub
from slugline.data.reading.raw_data import RawData, SourceInfo
from slugline.recipe.data_section import DataSection


def labels_of(raw: RawData, column: str, split: Split) -> list[str]:
    """The labels of a split, of which each row has one."""
    named = name_labels(raw, [column], DataSection(path="x", label_kind="single"))
    return [label for row in named.rows[split] for label in row or ()]


def fill(root: Path, files: Mapping[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def read(path: Path | str, **keys: Any) -> RawData:
    return sources.read(DataSection(path=str(path), **keys))


def sizes(raw: RawData) -> dict[str, int]:
    return {split: len(rows) for split, rows in raw.rows.items()}


CSV = "text,label\na,x\nb,y\n"


def test_all_rows_of_a_file_are_in_train(tmp_path: Path) -> None:
    raw = read(fill(tmp_path, {"news.csv": CSV}) / "news.csv")
    assert sizes(raw) == {"train": 2}
    assert raw.source == SourceInfo("news")
    assert not raw.is_known


def test_a_glob_joins_files_and_each_row_can_be_located(tmp_path: Path) -> None:
    fill(tmp_path, {"1.csv": CSV, "2.jsonl": '{"text": "c", "label": "x"}\n', "notes.md": ""})
    raw = read(tmp_path / "[12].*")
    assert [row["text"] for row in raw.rows["train"]] == ["a", "b", "c"]
    assert raw.locate("train", 2) == f"{tmp_path / '2.jsonl'}, row 1"
    with pytest.raises(DataError, match="no file matches"):
        read(tmp_path / "*.tsv")


def test_separate_test_and_validation_files(tmp_path: Path) -> None:
    fill(tmp_path, {"a.csv": CSV, "b.csv": CSV, "c.csv": CSV + "c,x\n"})
    raw = read(tmp_path / "a.csv", test_path=str(tmp_path / "b.csv"), validation_path=str(tmp_path / "c.csv"))
    assert sizes(raw) == {"train": 2, "validation": 3, "test": 2}


@pytest.mark.parametrize("name", ["validation", "val", "dev", "valid"])
def test_a_folder_with_a_file_per_split(tmp_path: Path, name: str) -> None:
    metadata = {"name": "n", "classes": ["y", "x"], "licence": "CC0", "source": "github o/r f @ " + "a" * 40}
    fill(tmp_path, {"train.csv": CSV, f"{name}.jsonl": '{"text": "c", "label": "x"}', "test.csv": CSV})
    fill(tmp_path, {"metadata.json": json.dumps(metadata), "extra.csv": CSV, "readme.txt": "train"})
    raw = read(tmp_path)
    assert sizes(raw) == {"train": 2, "validation": 1, "test": 2}
    assert raw.classes == ("y", "x")
    assert raw.source == SourceInfo("n", "CC0", "a" * 40, metadata["source"])  # type: ignore[arg-type]


def test_class_folders(tmp_path: Path) -> None:
    raw = read(fill(tmp_path, {"sport/1.txt": "a", "sport/2.txt": "b", "tech/1.txt": "c\nd", "tech/x.md": ""}))
    assert raw.rows["train"] == [
        {"text": "a", "label": "sport"},
        {"text": "b", "label": "sport"},
        {"text": "c\nd", "label": "tech"},
    ]


def test_hidden_files_of_a_mac_are_passed_over(tmp_path: Path) -> None:
    hidden = {"sport/._1.txt": b"\0\5\x16\7Mac OS X", ".DS_Store": b"\0Bud1", "sport/.DS_Store": b"\0Bud1"}
    fill(tmp_path, {"sport/1.txt": "a", "tech/1.txt": "b", "__MACOSX/._1.txt": "x", **hidden})
    assert [row["text"] for row in read(tmp_path).rows["train"]] == ["a", "b"]


def test_class_folders_per_split(tmp_path: Path) -> None:
    names = ["train/pos/1.txt", "train/neg/1.txt", "test/pos/1.txt"]
    assert sizes(read(fill(tmp_path, dict.fromkeys(names, "a")))) == {"train": 2, "test": 1}


def test_encodings_of_a_folder_are_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files: dict[str, str | bytes] = {f"a/{n}.txt": f"a fee of £{n} million".encode("latin-1") for n in range(9)}
    with caplog.at_level(logging.WARNING, logger="slugline"):
        raw = read(fill(tmp_path, files | {"b/1.txt": "plain"}))
    assert [record.message.count("9 of 10, read as cp1252 (9)") for record in caplog.records] == [1]
    assert raw.rows["train"][1]["text"] == "a fee of £1 million"
    assert [(finding.kind, finding.count) for finding in raw.findings] == [("encoding", 9)]


def test_the_encoding_of_a_file_is_a_finding(tmp_path: Path) -> None:
    raw = read(fill(tmp_path, {"a.csv": (CSV + "fünf,x\n").encode("cp1252")}) / "a.csv")
    assert "read as cp1252 (it is not UTF-8)" in raw.findings[0].message


def test_a_split_column(tmp_path: Path) -> None:
    lines = "".join(f"t{n},x,{part}\n" for n, part in enumerate(["train", "Train", "dev", "test"]))
    fill(tmp_path, {"a.csv": "text,label,part\n" + lines})
    assert sizes(read(tmp_path / "a.csv", split="part")) == {"train": 2, "validation": 1, "test": 1}
    fill(tmp_path, {"b.csv": "text,label,part\n" + lines + "t,x,holdout\nu,x,holdout\n"})
    with pytest.raises(DataError, match=r"column 'part' holds 'holdout' \(2 rows\)"):
        read(tmp_path / "b.csv", split="part")
    with pytest.raises(DataError, match="Did you mean 'part'"):
        read(tmp_path / "a.csv", split="parts")


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"notes.md": "x"}, "neither train"),
        ({"test.csv": CSV}, "has test but no train file"),
        ({"train.csv": CSV, "train.jsonl": "{}"}, r"both train\.csv and train\.jsonl"),
        ({"train.csv": CSV, "metadata.json": "{"}, r"metadata\.json: not JSON"),
        ({"train.csv": ""}, r"train\.csv: the file is empty"),
    ],
)
def test_unreadable_folders_are_errors(tmp_path: Path, files: dict[str, str], words: str) -> None:
    with pytest.raises(DataError, match=words) as caught:
        read(fill(tmp_path, files))
    assert caught.value.hint


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read(tmp_path / "nothing.csv")


def hub_set(**columns: Any) -> datasets.DatasetDict:
    part = datasets.Dataset(pa.table(columns))
    return datasets.DatasetDict({"train": part, "test": part, "unsupervised": part})


def test_a_set_of_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = hub_set(text=["a", "b"], label=[1, 0], label_text=["sport", "world"])
    loaded["train"].info.download_checksums = {"hf://datasets/o/s@" + "b" * 40 + "/train.jsonl": {}}
    requested = []

    def load(repository: str, configuration: str | None, **_: Any) -> datasets.DatasetDict:
        requested.append((repository, configuration))
        return loaded

    monkeypatch.setattr(datasets, "load_dataset", load)
    raw = sources.read(DataSection(hub="o/s:small"))
    assert requested == [("o/s", "small")]
    assert sizes(raw) == {"train": 2, "test": 2}
    assert name_labels(raw, ["label"], DataSection(path="x")).classes == ("world", "sport")
    assert raw.source.revision == "b" * 40
    assert raw.source.url.endswith("/datasets/o/s")


def test_class_labels_of_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = hub_set(text=["a", "b"], label=[1, 0]).cast_column("label", datasets.ClassLabel(names=["no", "yes"]))
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: loaded)
    assert hub.read_hub("o/s").classes == ("no", "yes")


def test_every_class_label_column_of_the_hub_has_its_own_names(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = hub_set(text=["a", "b", "c"], coarse=[1, 0, 1], fine=[2, 0, 1])
    for column, names in (("coarse", ["place", "person"]), ("fine", ["city", "man", "woman"])):
        loaded = loaded.cast_column(column, datasets.ClassLabel(names=names))
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: loaded)
    raw = hub.read_hub("o/s")
    assert labels_of(raw, "coarse", "train") == ["person", "place", "person"]
    assert labels_of(raw, "fine", "train") == ["woman", "city", "man"]


def test_a_column_without_names_does_not_get_those_of_another_column_of_the_hub(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loaded = hub_set(text=["a", "b", "c"], coarse=[1, 0, 1], label=["x", "y", "z"], intent=[2, 0, 1])
    loaded = loaded.cast_column("coarse", datasets.ClassLabel(names=["place", "person", "other"]))
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: loaded)
    raw = hub.read_hub("o/s")
    assert labels_of(raw, "coarse", "train") == ["person", "place", "person"]
    assert labels_of(raw, "label", "train") == ["x", "y", "z"]
    assert labels_of(raw, "intent", "train") == ["2", "0", "1"]


@pytest.mark.parametrize(
    ("columns", "column", "expected"),
    [
        ("label,label_text", "label", ["sport", "tech", "sport"]),
        ("coarse,coarse_name", "coarse", ["sport", "tech", "sport"]),
        ("coarse,label_text", "coarse", ["1", "0", "1"]),
    ],
)
def test_the_names_beside_integers_in_a_file(tmp_path: Path, columns: str, column: str, expected: list[str]) -> None:
    fill(tmp_path, {"a.csv": f"text,{columns}\na,1,sport\nb,0,tech\nc,1,sport\n"})
    assert labels_of(read(tmp_path / "a.csv"), column, "train") == expected


def test_each_column_has_the_names_beside_it_and_ambiguous_names_are_not_used(tmp_path: Path) -> None:
    header = "text,coarse,coarse_text,fine,fine_text\n"
    fill(tmp_path, {"a.csv": header + "a,0,ball,1,tennis\nb,0,ball,0,golf\nc,1,tech,1,tennis\n"})
    fill(tmp_path, {"b.csv": header + "a,0,ball,1,tennis\nb,0,bat,0,golf\nc,1,tech,1,tennis\n"})
    raw = read(tmp_path / "a.csv")
    assert name_labels(raw, ["coarse"], DataSection(path="x")).classes == ("ball", "tech")
    assert name_labels(raw, ["fine"], DataSection(path="x")).classes == ("golf", "tennis")
    assert name_labels(read(tmp_path / "b.csv"), ["coarse"], DataSection(path="x")).classes == ("0", "1")


def test_class_labels_in_the_metadata_of_parquet_files(tmp_path: Path) -> None:
    part = datasets.Dataset.from_dict({"text": ["a", "b"], "topic": [1, 0]})
    for name, names in (("train", ["no", "yes"]), ("test", ["no", "yes"]), ("other", ["yes", "no"])):
        part.cast_column("topic", datasets.ClassLabel(names=names)).to_parquet(tmp_path / f"{name}.parquet")
    assert labels_of(read(tmp_path), "topic", "test") == ["yes", "no"]
    assert labels_of(read(tmp_path / "train.parquet"), "topic", "train") == ["yes", "no"]
    with pytest.raises(DataError, match="its integers mean other classes"):
        read(tmp_path / "*.parquet")


LEVELS = {"classes": ["l:city", "p:man", "p:woman"], "classes_level1": ["l", "p"], "classes_level2": ["C", "M", "W"]}


@pytest.mark.parametrize(
    ("metadata", "column", "expected"),
    [
        (LEVELS, "label", ["p:woman", "l:city", "p:man"]),
        (LEVELS, "label_level1", ["p", "l", "p"]),
        (LEVELS, "label_level2", ["W", "C", "M"]),
        (LEVELS, "year", ["2", "1", "2"]),
        ({"classes": LEVELS["classes"]}, "label_level1", ["1", "0", "1"]),
        ({"classes": ["x", "y"], "columns": {"label": "label_level1"}}, "label_level1", ["y", "x", "y"]),
    ],
)
def test_levels_of_a_prepared_set_have_names_of_their_own(
    tmp_path: Path, metadata: dict[str, Any], column: str, expected: list[str]
) -> None:
    table = "text,label,label_level1,label_level2,year\na,2,1,2,2\nb,0,0,0,1\nc,1,1,1,2\n"
    fill(tmp_path, {"train.csv": table, "metadata.json": json.dumps(metadata)})
    assert labels_of(read(tmp_path), column, "train") == expected


@pytest.mark.parametrize(
    ("values", "classes", "message"),
    [
        ((0, 1, 1), ["a", "b", "c"], "column 'coarse' holds 2 different integers, but .* names 3 classes"),
        ((0, 1, 2), ["a", "b"], "label '2' in column 'coarse' .* none of the 2 classes"),
    ],
)
def test_integers_that_do_not_fit_the_names_are_refused(
    tmp_path: Path, values: tuple[int, ...], classes: list[str], message: str
) -> None:
    table = "text,coarse\n" + "".join(f"t{n},{value}\n" for n, value in enumerate(values))
    fill(tmp_path, {"train.csv": table, "metadata.json": json.dumps({"classes": classes})})
    with pytest.raises(DataError, match=message):
        name_labels(read(tmp_path), ["coarse"], DataSection(path="x"))


def test_sets_defined_by_scripts_are_read_from_their_parquet_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*_: Any, revision: str = "") -> datasets.DatasetDict:
        if revision != hub.PARQUET_REVISION:
            raise RuntimeError("Dataset scripts are no longer supported")
        return hub_set(text=["a"], label=["x"])

    monkeypatch.setattr(datasets, "load_dataset", load)
    assert sizes(hub.read_hub("o/s")) == {"train": 1, "test": 1}


def test_a_set_without_a_train_split(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = datasets.DatasetDict({"test": hub_set(text=["a"])["test"]})
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: loaded)
    with pytest.raises(DataError, match="no train split, only test"):
        hub.read_hub("o/s")
