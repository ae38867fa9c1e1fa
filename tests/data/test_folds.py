"""Folds: every row is held out once, and near duplicates stay in one fold."""

from __future__ import annotations

from pathlib import Path

from conftest import articles, write_csv
from slugline.data.folds import folds_of
from slugline.data.load import load_dataset
from slugline.recipe.data_section import DataSection


def test_near_duplicates_stay_in_one_fold_with_a_given_validation_split(tmp_path: Path) -> None:
    words = "the central bank raised its rates on monday after a long meeting in the capital for people".split()
    long = [{"text": " ".join(words[i:] + words[:i]) * 2 + f" topic{i}", "label": "ab"[i % 2]} for i in range(12)]
    train = articles(60) + [long[index] | {"text": long[index]["text"] + " again"} for index in range(12)]
    labels = {"a": "sport", "b": "tech"}
    rows = [
        [row | {"label": labels.get(row["label"], row["label"])} for row in split] for split in (train, long + long)
    ]
    paths = [write_csv(tmp_path / f"{name}.csv", split) for name, split in zip(("train", "valid"), rows, strict=True)]
    dataset = load_dataset(DataSection(path=str(paths[0]), validation_path=str(paths[1]), test_fraction=0.0))
    for fold in folds_of(dataset, 3, seed=13):
        ends = {text.removesuffix(" again") for text in fold["train"]["text"]}
        assert not ends & {text.removesuffix(" again") for text in fold["validation"]["text"]}


def test_every_row_is_held_out_once(tmp_path: Path) -> None:
    rows = articles(90)
    repeated = rows[0]["text"] + " " + "market goal software " * 12
    rows += [{"text": repeated + f" also{index}", "label": rows[0]["label"]} for index in range(4)]
    section = DataSection(path=str(write_csv(tmp_path / "news.csv", rows)), validation_fraction=0.0, test_fraction=0.1)
    dataset = load_dataset(section)
    folds = folds_of(dataset, 4, seed=section.split_seed)
    pool = dataset["train"]["id"][:]
    assert sorted(name for fold in folds for name in fold["validation"]["id"]) == sorted(pool)
    for fold in folds:
        assert sorted([*fold["train"]["id"], *fold["validation"]["id"]]) == sorted(pool)
        assert fold["test"]["id"][:] == dataset["test"]["id"][:]
        assert fold.labels == dataset.labels
    assert len({fold.fingerprint for fold in folds} | {dataset.fingerprint}) == 5
    near = {name for cluster in dataset.clusters for name in cluster}
    assert len(near) >= 3
    assert sum(bool(near & set(fold["validation"]["id"])) for fold in folds) == 1


def test_given_validation_rows_join_the_folds(tmp_path: Path) -> None:
    rows = articles(80)
    path, given = write_csv(tmp_path / "a.csv", rows[:60]), write_csv(tmp_path / "b.csv", rows[60:])
    section = DataSection(path=str(path), validation_path=str(given), validation_fraction=0.0, test_fraction=0.0)
    folds = folds_of(load_dataset(section), 2, seed=1)
    assert sum(len(fold["validation"]) for fold in folds) == 80
    subset = load_dataset(section.model_copy(update={"max_train_examples": 40}), pooled=True)
    assert {split: len(rows) for split, rows in subset.splits.items()} == {"train": 40}
    assert set(subset["train"]["id"]) & set(folds[0]["train"]["id"])
    assert sum(len(fold["validation"]) for fold in folds_of(subset, 2, seed=1)) == 40
    assert all(len(fold["validation"]) == 40 for fold in folds)
