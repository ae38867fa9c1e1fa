"""Data are recognised by rows and class names, also by what earlier versions stored about them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import slugline
from conftest import articles, linear, write_csv
from slugline.core.errors import DataError
from slugline.data.dataset import TextDataset
from slugline.data.folds import folds_of
from slugline.data.load import load_dataset
from slugline.data.prepared import write_dataset
from slugline.pipeline.run_data import own_data
from slugline.recipe.data_section import DataSection
from slugline.run.run import Run

#: Two label maps that give the same class indices, with swapped names.
ONE = {"business": "Business", "sport": "Sport", "tech": "Tech"}
SWAPPED = {"business": "Sport", "sport": "Business", "tech": "Tech"}


def load(path: Path, names: dict[str, str] = ONE, **keys: Any) -> TextDataset:
    return load_dataset(DataSection(path=str(path), label_map=names, **keys))


def test_swapped_names_are_another_data_set(news_csv: Path) -> None:
    one, swapped = load(news_csv), load(news_csv, SWAPPED)
    for split in one.splits:
        assert one[split].to_list() == swapped[split].to_list()
    assert one.fingerprint != swapped.fingerprint
    assert one.identity.matches(one.to_manifest())
    assert not one.identity.matches(swapped.to_manifest())
    folds = [folds_of(dataset, 3, seed=13)[0] for dataset in (one, swapped)]
    assert folds[0].fingerprint != folds[1].fingerprint


@pytest.mark.parametrize("key", ["labels", "classes"])
def test_the_fingerprint_of_an_earlier_version_is_accepted_with_its_names(news_csv: Path, key: str) -> None:
    one, swapped = load(news_csv), load(news_csv, SWAPPED)
    for dataset in (one, folds_of(one, 3, seed=13)[0]):
        stored = {"fingerprint": dataset.former_fingerprint, key: list(one.labels.names)}
        assert dataset.identity.matches(stored)
        assert not dataset.identity.matches({**stored, key: list(swapped.labels.names)})
        assert not dataset.identity.matches({**stored, "fingerprint": "other"})
    assert not one.identity.matches({})


def with_former_fingerprint(file: Path, dataset: TextDataset) -> None:
    """Change a file to what an earlier version wrote."""
    text = file.read_text()
    assert dataset.fingerprint in text
    file.write_text(text.replace(dataset.fingerprint, dataset.former_fingerprint))


def test_a_prepared_set_of_an_earlier_version_is_read_and_written_again(news_csv: Path, tmp_path: Path) -> None:
    dataset = load(news_csv)
    write_dataset(dataset, tmp_path / "prepared")
    with_former_fingerprint(tmp_path / "prepared" / "metadata.json", dataset)
    again = load_dataset(DataSection(path=str(tmp_path / "prepared")))
    assert again.fingerprint == dataset.fingerprint
    with pytest.raises(DataError, match="already exists with other data"):
        write_dataset(load(news_csv, SWAPPED), tmp_path / "prepared")
    write_dataset(dataset, tmp_path / "prepared")
    metadata = json.loads((tmp_path / "prepared" / "metadata.json").read_text())
    assert metadata["fingerprint"] == dataset.fingerprint


@pytest.mark.parametrize("folds", [0, 3])
def test_runs_of_an_earlier_version_are_scored_and_resumed(
    recipe_values: dict[str, Any], tmp_path: Path, folds: int
) -> None:
    recipe_values["data"] = {"path": str(write_csv(tmp_path / "news.csv", articles(150)))}
    recipe = linear(recipe_values, **({"folds": folds} if folds else {}))
    run = slugline.train(recipe, run_dir=tmp_path / "run")
    for each in (run, *run.folds):
        with_former_fingerprint(each.layout.manifest, own_data(each))
    created = [fold.manifest["created"] for fold in run.folds]
    assert slugline.evaluate(run).metrics["accuracy"] == run.metrics["test"]["accuracy"]
    run.update_manifest({"state": "interrupted"})
    slugline.train(recipe, run_dir=run.path, resume=True)
    assert Run(run.path).manifest["data"]["fingerprint"] == own_data(run).fingerprint
    assert [fold.manifest["created"] for fold in run.folds] == created
