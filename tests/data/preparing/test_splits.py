"""Ids and splits: what must hold for any rows whatever."""

from __future__ import annotations

import hashlib
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slugline.core.errors import DataError
from slugline.core.labels import Split
from slugline.data.preparing.assign_splits import hash_order, split_rows, subset
from slugline.data.preparing.row_ids import fingerprint, row_ids

FRACTIONS: dict[Split, float] = {"test": 0.2, "validation": 0.1}
CLASS_SIZES = st.lists(st.integers(min_value=3, max_value=60), min_size=2, max_size=5)


def rows_of(sizes: list[int]) -> tuple[list[str], list[str]]:
    labels = [f"class{number}" for number, size in enumerate(sizes) for _ in range(size)]
    return [f"id{index}" for index in range(len(labels))], labels


def ids_by_split(ids: list[str], labels: list[str], **options: object) -> dict[str, set[str]]:
    indices = split_rows(ids, labels, **{"fractions": FRACTIONS, "seed": 13, **options})  # type: ignore[arg-type]
    return {split: {ids[index] for index in some} for split, some in indices.items()}


def test_an_id_is_the_digest_of_the_row() -> None:
    row = {"text": "Zinsen hoch", "label": 3}
    expected = hashlib.sha256(b'{"label":3,"text":"Zinsen hoch"}').hexdigest()[:16]
    assert row_ids({"train": [row, dict(reversed(row.items())), row]}) == {
        "train": [expected, f"{expected}-2", f"{expected}-3"]
    }


def test_rows_added_to_train_rename_no_test_row() -> None:
    row = {"text": "a"}
    ids = row_ids({"train": [row], "test": [row]})
    assert list(ids) == ["train", "test"]
    assert ids["test"][0] + "-2" == ids["train"][0]


def test_ids_from_a_column() -> None:
    assert row_ids({"train": [{"n": 1}, {"n": 2}]}, column="n") == {"train": ["1", "2"]}


@pytest.mark.parametrize(
    ("rows", "column", "words"),
    [
        ([{"n": 1}, {"n": 1}], "n", "names 1 train rows more than once"),
        ([{"n": 1}, {"n": None}], "n", "row 2 of train has no 'n'"),
        ([{"name": 1}], "nam", "Did you mean 'name'"),
    ],
)
def test_bad_id_columns(rows: list[dict[str, object]], column: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        row_ids({"train": rows}, column=column)


def test_fingerprint_sees_ids_texts_labels_and_where_they_end() -> None:
    one = fingerprint(["a"], ["text"], [0])
    others = [(["b"], ["text"], [0]), (["a"], ["texts"], [0]), (["a"], ["text"], [1]), (["at"], ["ext"], [0])]
    assert one == fingerprint(["a"], ["text"], [0])
    assert len({one, *(fingerprint(*other) for other in others)}) == 5


@settings(deadline=None)
@given(sizes=CLASS_SIZES, seed=st.integers())
def test_splits_are_a_stratified_partition(sizes: list[int], seed: int) -> None:
    ids, labels = rows_of(sizes)
    splits = split_rows(ids, labels, fractions=FRACTIONS, seed=seed)
    assert sorted(index for some in splits.values() for index in some) == list(range(len(ids)))
    for split, fraction in FRACTIONS.items():
        counts = Counter(labels[index] for index in splits[split])
        assert counts == {f"class{number}": max(1, round(fraction * size)) for number, size in enumerate(sizes)}


@settings(deadline=None)
@given(sizes=CLASS_SIZES, order=st.randoms())
def test_splits_do_not_depend_on_the_order_of_rows(sizes: list[int], order: random.Random) -> None:
    ids, labels = rows_of(sizes)
    pairs = list(zip(ids, labels, strict=True))
    order.shuffle(pairs)
    shuffled_ids, shuffled_labels = map(list, zip(*pairs, strict=True))
    assert ids_by_split(ids, labels) == ids_by_split(shuffled_ids, shuffled_labels)


@settings(deadline=None)
@given(sizes=CLASS_SIZES, added=st.integers(min_value=1, max_value=20))
def test_added_rows_move_few_others(sizes: list[int], added: int) -> None:
    ids, labels = rows_of(sizes)
    before = ids_by_split(ids, labels)
    after = ids_by_split([*ids, *(f"new{n}" for n in range(added))], [*labels, *["class0"] * added])
    moved = sum(name not in after[split] for split, some in before.items() for name in some)
    assert moved <= 3 * added


def test_another_seed_gives_another_split_and_other_fractions_keep_test() -> None:
    ids, labels = rows_of([100, 100])
    usual = ids_by_split(ids, labels)
    assert usual["test"] != ids_by_split(ids, labels, seed=14)["test"]
    assert usual["test"] == ids_by_split(ids, labels, fractions={"test": 0.2, "validation": 0.3})["test"]
    assert set(ids_by_split(ids, labels, fractions={"validation": 0.1})) == {"train", "validation"}


@settings(max_examples=200, deadline=None)
@given(data=st.data(), sizes=CLASS_SIZES)
def test_no_cluster_stands_on_two_sides(data: st.DataObject, sizes: list[int]) -> None:
    ids, labels = rows_of(sizes)
    numbers = data.draw(st.lists(st.integers(0, len(ids)), min_size=len(ids), max_size=len(ids)))
    clusters = [[i for i, n in enumerate(numbers) if n == number] for number in set(numbers)]
    clusters = [cluster for cluster in clusters if len(cluster) > 1]
    splits = split_rows(ids, labels, fractions=FRACTIONS, seed=13, clusters=clusters)
    side = {index: split for split, some in splits.items() for index in some}
    assert sorted(side) == list(range(len(ids)))
    for cluster in clusters:
        sides = {side[index] for index in cluster}
        assert len(sides) == 1
        if len({labels[index] for index in cluster}) > 1:
            assert sides == {"train"}
    for split, fraction in FRACTIONS.items():
        for number, size in enumerate(sizes):
            assert sum(labels[i] == f"class{number}" for i in splits[split]) <= max(1, round(fraction * size))


def test_rows_after_a_passed_over_cluster_fill_up() -> None:
    ids, labels = rows_of([20, 20])
    first = [index for index in hash_order(ids, 13) if labels[index] == "class0"]
    splits = split_rows(ids, labels, fractions={"test": 0.1}, seed=13, clusters=[first[:5]])
    assert [i for i in splits["test"] if labels[i] == "class0"] == sorted(first[5:7])


def test_a_class_of_one_row_stays_in_train() -> None:
    ids, labels = rows_of([10, 1])
    assert split_rows(ids, labels, fractions=FRACTIONS, seed=1)["train"][-1] == 10


def test_big_fractions_leave_every_class_in_train() -> None:
    ids, labels = rows_of([3, 4])
    splits = split_rows(ids, labels, fractions={"test": 0.6, "validation": 0.39}, seed=1)
    assert {labels[index] for index in splits["train"]} == {"class0", "class1"}
    assert {labels[index] for index in splits["validation"]} == {"class0", "class1"}


def test_too_few_rows_in_a_class() -> None:
    with pytest.raises(DataError, match="class 'class1' has 2 rows, too few for 3 splits") as caught:
        split_rows(*rows_of([10, 2]), fractions=FRACTIONS, seed=1)
    assert "data.min_class_examples" in caught.value.hint
    split_rows(*rows_of([10, 2]), fractions={"validation": 0.1}, seed=1)


def test_strata_are_cut_one_by_one() -> None:
    ids, labels = rows_of([40, 2])
    strata = [*["a"] * 18, *["b"] * 2, *[None] * 22]
    splits = split_rows(ids, labels, fractions=FRACTIONS, seed=1, strata=strata, clusters=[[0, 18], [1, 20]])
    assert {split: len(some) for split, some in splits.items()} == {"train": 36, "validation": 2, "test": 4}
    assert {strata[index] for split in ("validation", "test") for index in splits[split]} == {"a"}
    assert {0, 1} <= set(splits["train"])


def test_only_one_class() -> None:
    with pytest.raises(DataError, match="only one class, 'class0'"):
        split_rows(*rows_of([10]), fractions=FRACTIONS, seed=1)


@settings(deadline=None)
@given(sizes=CLASS_SIZES, small=st.integers(0, 300), more=st.integers(0, 300))
def test_a_bigger_subset_contains_the_smaller(sizes: list[int], small: int, more: int) -> None:
    ids, labels = rows_of(sizes)
    small = max(len(sizes), small)
    one = subset(ids, labels, size=small, seed=3)
    assert set(one) <= set(subset(ids, labels, size=small + more, seed=3))
    assert len(one) == min(small, len(ids))
    counts = Counter(labels[index] for index in one)
    for number, size in enumerate(sizes):
        assert abs(counts[f"class{number}"] - len(one) * size / len(ids)) <= len(sizes)
        assert counts[f"class{number}"] >= 1


def test_a_share_of_the_rows() -> None:
    ids, labels = rows_of([80, 40])
    assert Counter(labels[index] for index in subset(ids, labels, size=0.1, seed=3)) == {"class0": 8, "class1": 4}
    assert subset(ids, labels, size=0, seed=3) == list(range(120))


def test_a_subset_smaller_than_the_classes() -> None:
    with pytest.raises(DataError, match="leaves 2 rows for 3 classes"):
        subset(*rows_of([5, 5, 5]), size=2, seed=1)
