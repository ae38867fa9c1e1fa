"""Folds: every row held out once, evenly by class, near duplicates together, whatever the order of the rows."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import articles, write_csv
from slugline.core.errors import DataError
from slugline.data.dataset import load_dataset
from slugline.data.folds import folds_of
from slugline.data.preparing.assign_splits import assign_folds
from slugline.recipe.data_section import DataSection


def labelled(sizes: list[int]) -> tuple[list[str], list[str]]:
    """Ids and labels of classes of these sizes."""
    labels = [f"class{number}" for number, size in enumerate(sizes) for _ in range(size)]
    return [f"row{index}" for index in range(len(labels))], labels


@settings(deadline=None)
@given(st.lists(st.integers(5, 40), min_size=1, max_size=6), st.integers(2, 5), st.integers(0, 1000))
def test_folds_are_stratified_to_within_a_row(sizes: list[int], count: int, seed: int) -> None:
    ids, labels = labelled(sizes)
    folds = assign_folds(ids, labels, count=count, seed=seed)
    for name, size in Counter(labels).items():
        of_class = [folds[index] for index, label in enumerate(labels) if label == name]
        counts = [of_class.count(number) for number in range(count)]
        assert sum(counts) == size
        assert max(counts) - min(counts) <= 1
    sizes_of_folds = [folds.count(number) for number in range(count)]
    assert max(sizes_of_folds) - min(sizes_of_folds) <= len(sizes)


@settings(deadline=None)
@given(st.randoms(use_true_random=False), st.integers(0, 100))
def test_folds_do_not_depend_on_the_order_of_the_rows(rng: random.Random, seed: int) -> None:
    ids, labels = labelled([20, 9, 12])
    clusters = [["row1", "row30", "row2"], ["row21", "row8"]]
    expected = dict(zip(ids, assign_folds(ids, labels, count=3, seed=seed, clusters=clusters), strict=True))
    order = list(range(len(ids)))
    rng.shuffle(order)
    moved = [ids[index] for index in order]
    found = assign_folds(
        moved,
        [labels[index] for index in order],
        count=3,
        seed=seed,
        clusters=[rng.sample(c, len(c)) for c in clusters],
    )
    assert dict(zip(moved, found, strict=True)) == expected
    assert len({expected[name] for name in clusters[0]}) == len({expected[name] for name in clusters[1]}) == 1


def test_near_duplicates_stay_together_where_validation_is_given(tmp_path: Path) -> None:
    words = "the central bank raised its rates on monday after a long meeting in the capital said people".split()
    long = [{"text": " ".join(words[i:] + words[:i]) * 2 + f" topic{i}", "label": "ab"[i % 2]} for i in range(12)]
    train = articles(60) + [long[index] | {"text": long[index]["text"] + " again"} for index in range(12)]
    labels = {"a": "sport", "b": "tech"}
    rows = [[row | {"label": labels.get(row["label"], row["label"])} for row in part] for part in (train, long + long)]
    paths = [write_csv(tmp_path / f"{name}.csv", part) for name, part in zip(("train", "valid"), rows, strict=True)]
    dataset = load_dataset(DataSection(path=str(paths[0]), validation_path=str(paths[1]), test_fraction=0.0))
    for fold in folds_of(dataset, 3, seed=13):
        ends = {text.removesuffix(" again") for text in fold["train"]["text"]}
        assert not ends & {text.removesuffix(" again") for text in fold["validation"]["text"]}


def test_another_seed_gives_other_folds() -> None:
    ids, labels = labelled([30, 30])
    assert assign_folds(ids, labels, count=3, seed=1) != assign_folds(ids, labels, count=3, seed=2)


def test_a_class_with_fewer_rows_than_folds_is_named_with_its_count() -> None:
    ids, labels = labelled([9, 2, 9, 1])
    with pytest.raises(DataError) as caught:
        assign_folds(ids, labels, count=3, seed=0)
    assert "2 classes" in str(caught.value)
    assert "'class3' (1), 'class1' (2)" in str(caught.value)
    assert 'data.drop_classes = ["class3", "class1"]' in str(caught.value)
    assert assign_folds(ids[:11], labels[:11], count=2, seed=0)


def test_near_duplicates_do_not_make_a_class_large_enough() -> None:
    """Three rows that repeat each other leave together: two folds would train without the class."""
    ids, labels = labelled([9, 3])
    with pytest.raises(DataError, match=r"'class1' \(1\)"):
        assign_folds(ids, labels, count=3, seed=0, clusters=[["row9", "row10", "row11", "not there"]])


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
    part = load_dataset(section.model_copy(update={"max_train_examples": 40}), pooled=True)
    assert {split: len(rows) for split, rows in part.splits.items()} == {"train": 40}
    assert set(part["train"]["id"]) & set(folds[0]["train"]["id"])
    assert sum(len(fold["validation"]) for fold in folds_of(part, 2, seed=1)) == 40
    assert all(len(fold["validation"]) == 40 for fold in folds)
