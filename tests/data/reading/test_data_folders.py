"""Layouts of folders as people have them, and the files that were not read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import datasets
import pytest

from conftest import articles
from slugline.cli.app import run
from slugline.core.errors import DataError
from slugline.core.labels import LabelSet
from slugline.data.findings import Finding
from slugline.data.load import load_dataset, load_rows
from slugline.data.reading import sources
from slugline.data.reading.raw_data import RawData
from slugline.recipe.data_section import DataSection

CSV = "text,label\na,x\nb,y\n"


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


def found(raw: RawData, kind: str) -> list[Finding]:
    return [finding for finding in raw.findings if finding.kind == kind]


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (["Train.csv", "TEST.CSV"], ["train", "test"]),
        (["training.csv", "testing.csv"], ["train", "test"]),
        (["train.csv", "evaluation.csv"], ["train", "test"]),
        (["Train.csv", "testing.csv", "evaluation.csv"], ["train", "test", "validation"]),
        (["train-00000-of-00001.parquet", "test-00000-of-00001-ab12.csv"], ["train", "test"]),
        (["data/train-00000-of-00002.csv", "data/train-00001-of-00002.csv"], ["train"]),
        (["news_train.csv", "news_test.csv", "news_val.csv"], ["train", "test", "validation"]),
        (["train_data.csv", "dev_data.csv"], ["train", "validation"]),
        (["train.csv", "test_results.csv"], ["train"]),
    ],
)
def test_names_of_the_files_of_splits(tmp_path: Path, names: list[str], splits: list[str]) -> None:
    for name in names:
        if name.endswith("parquet"):
            datasets.Dataset.from_dict({"text": ["a", "b"], "label": ["x", "y"]}).to_parquet(tmp_path / name)
        else:
            fill(tmp_path, {name: CSV})
    raw = read(tmp_path)
    assert list(raw.rows) == splits or set(raw.rows) == set(splits)
    assert len(raw.rows["train"]) == 2 * sum("train" in name.lower() for name in names)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["train-00000-of-00002.csv"], "train: file 00001 of 00002 is missing"),
        (["train-00000-of-00001-a.csv", "train-00000-of-00001-b.csv"], "files of two versions"),
        (["Train.csv", "training.csv"], r"both Train\.csv and training\.csv hold train rows"),
        (["train.csv", "train/x/1.txt", "train/y/1.txt"], r"both train\.csv and class folders \(train/\)"),
        (["train.csv", "x/1.txt", "y/1.txt"], r"both train\.csv and class folders \(x/, y/\)"),
        (["a.csv", "b.csv"], r"neither train\..*; it holds a\.csv, b\.csv"),
        ([], "the folder is empty"),
        ([".hidden"], "the folder is empty"),
    ],
)
def test_unclear_folders_are_errors(tmp_path: Path, names: list[str], words: str) -> None:
    fill(tmp_path, dict.fromkeys(names, CSV))
    with pytest.raises(DataError, match=words) as caught:
        read(tmp_path)
    assert caught.value.hint


def test_files_that_were_not_read_are_named(tmp_path: Path) -> None:
    names = ["train.csv", "extra.csv", "notes.md", "README.md", ".gitattributes", "images/1.png"]
    (finding,) = found(read(fill(tmp_path, dict.fromkeys(names, CSV))), "unread file")
    assert finding.examples == ("extra.csv", "images/", "notes.md")
    assert finding.is_warning
    (tmp_path / "extra.csv").unlink()
    (finding,) = found(read(tmp_path), "unread file")
    assert (finding.count, finding.is_warning) == (2, False)
    fill(tmp_path, {"extra.csv": CSV, "metadata.json": '{"splits": {"train": 2, "extra": 2}}'})
    (finding,) = found(read(tmp_path), "unread file")
    assert "extra.csv" not in finding.examples


def test_files_beside_class_folders_are_named(tmp_path: Path) -> None:
    names = ["train/pos/1.txt", "train/neg/1.txt", "train/neg/1.md", "train/urls.txt", "test/pos/1.txt", "vocab"]
    (finding,) = found(read(fill(tmp_path, dict.fromkeys(names, "a"))), "unread file")
    assert finding.examples == ("train/neg/1.md", "train/urls.txt", "vocab")


def test_a_class_without_a_row_in_the_given_test_split_is_a_warning(tmp_path: Path) -> None:
    for number, row in enumerate(articles(60)):
        split, name = ("test" if number % 5 == 0 else "train"), {"tech": "unsup"}.get(row["label"], row["label"])
        if (split, name) != ("test", "unsup"):
            fill(tmp_path, {f"{split}/{name}/{number}.txt": row["text"]})
    dataset = load_dataset(DataSection(path=str(tmp_path)))
    (finding,) = [finding for finding in dataset.findings if finding.kind == "absent class"]
    assert finding.is_warning
    assert finding.examples == ("unsup",)


def test_texts_without_a_suffix(tmp_path: Path) -> None:
    names = {"20news-bydate-train/sci.space/60": "a", "20news-bydate-test/sci.space/61": "b"}
    raw = read(fill(tmp_path, names | {"20news-bydate-train/rec.autos/7": "c\xff".encode("latin-1")}))
    assert sizes(raw) == {"train": 2, "test": 1}
    assert [row["label"] for row in raw.rows["train"]] == ["rec.autos", "sci.space"]
    fill(tmp_path, {"20news-bydate-train/rec.autos/8": b"\0\1\2"})
    with pytest.raises(DataError, match="8: not a text file"):
        read(tmp_path)


@pytest.mark.parametrize("with_splits", [True, False])
def test_folders_of_save_to_disk(tmp_path: Path, with_splits: bool) -> None:
    part = datasets.Dataset.from_dict({"text": ["a", "b"], "label": [1, 0]})
    part = part.cast_column("label", datasets.ClassLabel(names=["no", "yes"]))
    saved = datasets.DatasetDict({"train": part, "validation": part}) if with_splits else part
    saved.save_to_disk(tmp_path / "saved")
    raw = read(tmp_path / "saved")
    assert sizes(raw) == ({"train": 2, "validation": 2} if with_splits else {"train": 2})
    assert raw.classes == ("no", "yes")
    for file in (tmp_path / "saved").rglob("*.arrow"):
        file.write_bytes(b"broken")
    with pytest.raises(DataError, match="save_to_disk that cannot be read"):
        read(tmp_path / "saved")


@pytest.mark.parametrize("column", ["split", "fold_name"])
def test_a_column_of_split_names_is_pointed_out(tmp_path: Path, column: str) -> None:
    rows = "".join(f"t{n},x,{part}\n" for n, part in enumerate(["train", "Train", "dev", "test"]))
    fill(tmp_path, {"a.csv": f"text,label,{column}\n{rows}"})
    (finding,) = found(read(tmp_path / "a.csv"), "split column")
    assert finding.is_warning
    assert f'data.split = "{column}"' in finding.message
    assert not found(read(tmp_path / "a.csv", split=column), "split column")
    fill(tmp_path, {"b.csv": f"text,label,{column}\n{rows}u,x,other\n"})
    assert not found(read(tmp_path / "b.csv"), "split column")


@pytest.mark.parametrize(
    ("header", "test_header", "keys", "is_left_out"),
    [
        ("id,text,target", "id,text", {}, True),
        ("id,text,choice", "id,text", {}, True),
        ("id,text,choice", "id,text", {"label": "choice"}, True),
        ("id,text,choice", "text", {"label": "choice"}, True),
        ("id,text,label", "text,label", {}, False),
        ("id,text,choice", "text,choice", {}, False),
        ("id,text,choice", "id,text", {"label": "choise"}, False),
    ],
)
def test_the_test_file_of_a_competition_is_left_out(
    tmp_path: Path, header: str, test_header: str, keys: dict[str, str], is_left_out: bool
) -> None:
    def table(columns: str, rows: list[dict[str, str]]) -> str:
        cells = [
            {"id": f"i{n}", "text": row["text"], columns.split(",")[-1]: row["label"]} for n, row in enumerate(rows)
        ]
        lines = [
            ",".join({**cell, "text": row["text"]}[name] for name in columns.split(","))
            for cell, row in zip(cells, rows, strict=True)
        ]
        return "\n".join([columns, *lines]) + "\n"

    rows = articles(60)
    test = [{**row, "label": row["label"]} for row in articles(9, seed=1)]
    if test_header.split(",")[-1] == "text":
        test_table = (
            test_header + "\n" + "".join("i,"[: 2 * test_header.count(",")] + row["text"] + "\n" for row in test)
        )
    else:
        test_table = table(test_header, test)
    fill(tmp_path, {"train.csv": table(header, rows), "test.csv": test_table})
    raw = read(tmp_path, **keys)
    assert sizes(raw) == ({"train": 60} if is_left_out else {"train": 60, "test": 9})
    findings = found(raw, "split without labels")
    assert len(findings) == is_left_out
    if is_left_out:
        assert f"slugline predict RUN --input {tmp_path / 'test.csv'}" in findings[0].message
        assert set(load_dataset(DataSection(path=str(tmp_path), **keys)).splits) == {"train", "validation", "test"}
        with pytest.raises(DataError, match=r"test\.csv: has no labels to evaluate a model on"):
            load_rows(DataSection(path=str(tmp_path), **keys), LabelSet(("business", "sport", "tech")), split="test")


def test_links_that_form_a_loop(tmp_path: Path) -> None:
    fill(tmp_path, {"a.csv": CSV, "sport/1.txt": "a", "tech/1.txt": "b"})
    (tmp_path / "self").symlink_to(tmp_path)
    (tmp_path / "sport" / "up").symlink_to(tmp_path)
    assert sizes(read(f"{tmp_path}/**/*.csv")) == {"train": 2}
    (tmp_path / "a.csv").unlink()
    assert [row["label"] for row in read(tmp_path).rows["train"]] == ["sport", "tech"]
    (tmp_path / "loop.csv").symlink_to(tmp_path / "loop.csv")
    for path in (tmp_path / "loop.csv", f"{tmp_path}/*.csv"):
        with pytest.raises(DataError, match="a link that leads to itself"):
            read(path)


def test_a_glob_of_folders(tmp_path: Path) -> None:
    fill(tmp_path, {"a/1.csv": CSV})
    with pytest.raises(DataError, match="matches only folders"):
        read(f"{tmp_path}/*")
    assert sizes(read(f"{tmp_path}/*/*")) == {"train": 2}


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read every file")
def test_a_file_without_permission(tmp_path: Path) -> None:
    fill(tmp_path, {"a.csv": CSV})
    (tmp_path / "a.csv").chmod(0)
    with pytest.raises(DataError, match=r"a\.csv: cannot be read"):
        read(tmp_path / "a.csv")


@pytest.mark.parametrize("make", ["empty", "loop.csv", "*.tsv", "both"])
def test_bad_input_of_a_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], make: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "loop.csv").symlink_to(tmp_path / "loop.csv")
    fill(tmp_path, {"both/train.csv": CSV, "both/x/1.txt": "a", "both/y/1.txt": "a"})
    assert run(["data", "inspect", str(tmp_path / make)]) == 1
    out = capsys.readouterr()
    assert "Traceback" not in out.err + out.out
    assert str(tmp_path / make) in out.err.replace("\n", "")
