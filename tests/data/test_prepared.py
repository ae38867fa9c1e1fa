"""Prepared sets: written to a folder and read again."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest

from slugline.core.errors import DataError
from slugline.data.dataset import TextDataset
from slugline.data.load import load_dataset
from slugline.data.prepared import write_dataset
from slugline.recipe.data_section import DataSection


def load(path: Path, **keys: Any) -> TextDataset:
    return load_dataset(DataSection(path=str(path), **keys))


@pytest.mark.parametrize("format", ["jsonl", "parquet"])
def test_a_prepared_set_is_read_without_change(
    tmp_path: Path, news_csv: Path, format: Literal["jsonl", "parquet"]
) -> None:
    dataset = load(news_csv)
    files = write_dataset(dataset, tmp_path / "prepared", format=format)
    assert [file.name for file in files] == [
        *(f"{split}.{format}" for split in ("train", "validation", "test")),
        "metadata.json",
    ]
    again = load(tmp_path / "prepared")
    assert again.fingerprint == dataset.fingerprint
    assert again.labels == dataset.labels
    assert again.source.name == "news"
    for split in dataset.splits:
        assert again[split].to_list() == dataset[split].to_list()
    with pytest.raises(DataError, match="already exists and would be read"):
        write_dataset(dataset, tmp_path / "prepared", format="jsonl" if format == "parquet" else "parquet")


@pytest.mark.parametrize("names", [("manifest.json", "recipe.toml"), ("study.json",)])
def test_folders_of_runs_and_studies_and_files_are_refused(tmp_path: Path, news_csv: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).write_text("{}")
    with pytest.raises(DataError, match="the folder of a run or a study"):
        write_dataset(load(news_csv), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
    with pytest.raises(DataError, match="is a file"):
        write_dataset(load(news_csv), tmp_path / names[0])


def test_only_the_same_data_is_overwritten(tmp_path: Path, news_csv: Path) -> None:
    folder = tmp_path / "prepared"
    write_dataset(load(news_csv), folder)
    write_dataset(load(news_csv), folder)
    with pytest.raises(DataError, match=r"train\.jsonl already exists with other data"):
        write_dataset(load(news_csv, split_seed=1), folder)
    (folder / "metadata.json").unlink()
    with pytest.raises(DataError, match="already exists with other data"):
        write_dataset(load(news_csv), folder)


def test_nothing_is_written_into_class_folders(tmp_path: Path, news_csv: Path) -> None:
    (tmp_path / "mine" / "sport").mkdir(parents=True)
    (tmp_path / "mine" / "sport" / "a.TXT").write_text("goal")
    with pytest.raises(DataError, match="sport already exists"):
        write_dataset(load(news_csv), tmp_path / "mine")
