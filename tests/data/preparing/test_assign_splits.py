"""Splits, subsets and folds: properties that hold for any rows."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slugline.core.errors import DataError
from slugline.core.labels import RowLabels, Split
from slugline.data.preparing.splits.assign_splits import assign_folds, hash_order, split_rows, subset

FRACTIONS: dict[Split, float] = {"test": 0.2, "validation": 0.1}
CLASS_SIZES = st.lists(st.integers(min_value=3, max_value=60), min_size=2, max_size=5)


def rows_of(sizes: list[int]) -> tuple[list[str], list[RowLabels]]:
    """Return ids and labels of classes of these sizes."""
    labels: list[RowLabels] = [(f"class{number}",) for number, size in enumerate(sizes) for _ in range(size)]
    return [f"id{index}" for index in range(len(labels))], labels


def ids_by_split(ids: list[str], labels: list[RowLabels], **options: object) -> dict[str, set[str]]:
    indices = split_rows(ids, labels, **{"fractions": FRACTIONS, "seed": 13, **options})  # type: ignore[arg-type]
    return {split: {ids[index] for index in split_indices} for split, split_indices in indices.items()}


@settings(deadline=None)
@given(sizes=CLASS_SIZES, seed=st.integers())
def test_splits_are_a_stratified_partition(sizes: list[int], seed: int) -> None:
    ids, labels = rows_of(sizes)
    splits = split_rows(ids, labels, fractions=FRACTIONS, seed=seed)
    assert sorted(index for indices in splits.values() for index in indices) == list(range(len(ids)))
    for split, fraction in FRACTIONS.items():
        counts = Counter(labels[index] for index in splits[split])
        assert counts == {(f"class{number}",): max(1, round(fraction * size)) for number, size in enumerate(sizes)}


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
    after = ids_by_split([*ids, *(f"new{n}" for n in range(added))], [*labels, *[("class0",)] * added])
    moved = sum(name not in after[split] for split, names in before.items() for name in names)
    assert moved <= 3 * added


def test_another_seed_gives_another_split_and_other_fractions_keep_test() -> None:
    ids, labels = rows_of([100, 100])
    usual = ids_by_split(ids, labels)
    assert usual["test"] != ids_by_split(ids, labels, seed=14)["test"]
    assert usual["test"] == ids_by_split(ids, labels, fractions={"test": 0.2, "validation": 0.3})["test"]
    assert set(ids_by_split(ids, labels, fractions={"validation": 0.1})) == {"train", "validation"}


@settings(max_examples=200, deadline=None)
@given(data=st.data(), sizes=CLASS_SIZES)
def test_no_cluster_is_in_two_splits(data: st.DataObject, sizes: list[int]) -> None:
    ids, labels = rows_of(sizes)
    numbers = data.draw(st.lists(st.integers(0, len(ids)), min_size=len(ids), max_size=len(ids)))
    clusters = [[i for i, n in enumerate(numbers) if n == number] for number in set(numbers)]
    clusters = [cluster for cluster in clusters if len(cluster) > 1]
    splits = split_rows(ids, labels, fractions=FRACTIONS, seed=13, clusters=clusters)
    split_of = {index: split for split, indices in splits.items() for index in indices}
    assert sorted(split_of) == list(range(len(ids)))
    for cluster in clusters:
        assert len({split_of[index] for index in cluster}) == 1
    for number in range(len(sizes)):
        assert any(labels[index] == (f"class{number}",) for index in splits["train"])


@settings(deadline=None)
@given(data=st.data(), sizes=CLASS_SIZES, order=st.randoms())
def test_splits_of_clusters_do_not_depend_on_the_order_of_rows(
    data: st.DataObject, sizes: list[int], order: random.Random
) -> None:
    ids, labels = rows_of(sizes)
    numbers = data.draw(st.lists(st.integers(0, len(ids)), min_size=len(ids), max_size=len(ids)))
    clusters = [[i for i, n in enumerate(numbers) if n == number] for number in sorted(set(numbers))]
    positions = order.sample(range(len(ids)), len(ids))
    moved = {index: position for position, index in enumerate(positions)}
    shuffled = [order.sample([moved[index] for index in cluster], len(cluster)) for cluster in clusters]
    order.shuffle(shuffled)
    kept = list(range(0, len(ids), 9))
    again = ids_by_split(
        [ids[index] for index in positions],
        [labels[index] for index in positions],
        clusters=shuffled,
        kept=[moved[index] for index in kept],
    )
    assert again == ids_by_split(ids, labels, clusters=clusters, kept=kept)
    assert {ids[index] for index in kept} <= again["train"]


@settings(deadline=None)
@given(added=st.integers(1, 20), size=st.integers(2, 4), seed=st.integers(0, 50))
def test_added_rows_move_few_others_and_few_clusters(added: int, size: int, seed: int) -> None:
    ids, labels = rows_of([150, 150])
    numbers = random.Random(seed).sample(range(300), 100)
    clusters = [numbers[start : start + size] for start in range(0, 96, size)]
    before = ids_by_split(ids, labels, clusters=clusters)
    more = [*labels, *[("class0",)] * added]
    after = ids_by_split([*ids, *(f"new{n}" for n in range(added))], more, clusters=clusters)
    assert sum(name not in after[split] for split, names in before.items() for name in names) <= 3 * added


def test_a_cluster_larger_than_train_leaves_rows_for_all_splits() -> None:
    """850 of 1,000 rows of a class are one cluster: test and validation share the others."""
    ids, labels = rows_of([1000, 100])
    splits = split_rows(ids, labels, fractions=FRACTIONS, seed=13, clusters=[list(range(850))])
    assert {split: sum(labels[i] == ("class0",) for i in rows) for split, rows in splits.items()} == {
        "train": 850,
        "validation": 50,
        "test": 100,
    }


def test_a_class_of_three_clusters_is_in_all_splits() -> None:
    ids, labels = rows_of([90, 30])
    clusters = [list(range(start, start + 30)) for start in (0, 30, 60)]
    splits = split_rows(ids, labels, fractions=FRACTIONS, seed=13, clusters=clusters)
    assert all(sum(labels[i] == ("class0",) for i in rows) == 30 for rows in splits.values())


def test_clusters_with_several_labels_are_in_all_splits_like_others() -> None:
    ids, labels = rows_of([500, 500])
    clusters = [[number, 999 - number] for number in range(75)]
    splits = split_rows(ids, labels, fractions=FRACTIONS, seed=13, clusters=clusters)
    mixed = {index for cluster in clusters for index in cluster}
    assert all(0.12 <= len(mixed & set(rows)) / len(rows) <= 0.18 for rows in splits.values())


def test_rows_after_a_skipped_cluster_fill_the_split() -> None:
    ids, labels = rows_of([20, 20])
    first = [index for index in hash_order(ids, 13) if labels[index] == ("class0",)]
    splits = split_rows(ids, labels, fractions={"test": 0.1}, seed=13, clusters=[first[:5]])
    assert set(first[:5]) <= set(splits["train"])
    assert [i for i in splits["test"] if labels[i] == ("class0",)] == sorted(first[5:7])


def test_a_class_of_one_row_stays_in_train() -> None:
    ids, labels = rows_of([10, 1])
    assert split_rows(ids, labels, fractions=FRACTIONS, seed=1)["train"][-1] == 10


def test_large_fractions_leave_every_class_in_train() -> None:
    ids, labels = rows_of([3, 4])
    splits = split_rows(ids, labels, fractions={"test": 0.6, "validation": 0.39}, seed=1)
    assert {labels[index] for index in splits["train"]} == {("class0",), ("class1",)}
    assert {labels[index] for index in splits["validation"]} == {("class0",), ("class1",)}


def test_too_few_rows_in_a_class() -> None:
    with pytest.raises(DataError, match="class 'class1' has 2 rows, too few for 3 splits") as caught:
        split_rows(*rows_of([10, 2]), fractions=FRACTIONS, seed=1)
    assert "data.min_class_examples" in caught.value.hint
    split_rows(*rows_of([10, 2]), fractions={"validation": 0.1}, seed=1)


def test_each_stratum_is_cut_separately() -> None:
    ids, labels = rows_of([40, 2])
    strata = [*[("a",)] * 18, *[("b",)] * 2, *[None] * 22]
    splits = split_rows(ids, labels, fractions=FRACTIONS, seed=1, strata=strata, clusters=[[0, 18], [1, 20]])
    assert {split: len(indices) for split, indices in splits.items()} == {"train": 36, "validation": 2, "test": 4}
    assert {strata[index] for split in ("validation", "test") for index in splits[split]} == {("a",)}
    assert {0, 1} <= set(splits["train"])


def test_only_one_class() -> None:
    with pytest.raises(DataError, match="only one class, 'class0'"):
        split_rows(*rows_of([10]), fractions=FRACTIONS, seed=1)


@settings(deadline=None)
@given(sizes=CLASS_SIZES, small=st.integers(0, 300), more=st.integers(0, 300))
def test_a_larger_subset_contains_the_smaller(sizes: list[int], small: int, more: int) -> None:
    ids, labels = rows_of(sizes)
    small = max(len(sizes), small)
    one = subset(ids, labels, size=small, seed=3)
    assert set(one) <= set(subset(ids, labels, size=small + more, seed=3))
    assert len(one) == min(small, len(ids))
    counts = Counter(labels[index] for index in one)
    for number, size in enumerate(sizes):
        assert abs(counts[f"class{number}",] - len(one) * size / len(ids)) <= len(sizes)
        assert counts[f"class{number}",] >= 1


def test_a_share_of_the_rows() -> None:
    ids, labels = rows_of([80, 40])
    assert Counter(labels[index] for index in subset(ids, labels, size=0.1, seed=3)) == {("class0",): 8, ("class1",): 4}
    assert subset(ids, labels, size=0, seed=3).tolist() == list(range(120))


def test_a_subset_smaller_than_the_classes() -> None:
    with pytest.raises(DataError, match="leaves 2 rows for 3 classes"):
        subset(*rows_of([5, 5, 5]), size=2, seed=1)


@settings(deadline=None)
@given(st.lists(st.integers(5, 40), min_size=1, max_size=6), st.integers(2, 5), st.integers(0, 1000))
def test_class_counts_of_folds_differ_by_at_most_one(sizes: list[int], count: int, seed: int) -> None:
    ids, labels = rows_of(sizes)
    folds = assign_folds(ids, labels, count=count, seed=seed)
    for name, size in Counter(labels).items():
        of_class = [folds[index] for index, label in enumerate(labels) if label == name]
        counts = [of_class.count(number) for number in range(count)]
        assert sum(counts) == size
        assert max(counts) - min(counts) <= 1
    fold_sizes = [folds.count(number) for number in range(count)]
    assert max(fold_sizes) - min(fold_sizes) <= len(sizes)


@settings(deadline=None)
@given(st.randoms(use_true_random=False), st.integers(0, 100))
def test_folds_do_not_depend_on_the_order_of_the_rows(rng: random.Random, seed: int) -> None:
    ids, labels = rows_of([20, 9, 12])
    clusters = [[1, 30, 2], [21, 8]]
    expected = dict(zip(ids, assign_folds(ids, labels, count=3, seed=seed, clusters=clusters), strict=True))
    order = list(range(len(ids)))
    rng.shuffle(order)
    moved = [ids[index] for index in order]
    found = assign_folds(
        moved,
        [labels[index] for index in order],
        count=3,
        seed=seed,
        clusters=[[order.index(index) for index in rng.sample(c, len(c))] for c in clusters],
    )
    assert dict(zip(moved, found, strict=True)) == expected
    assert all(len({expected[ids[index]] for index in cluster}) == 1 for cluster in clusters)


def test_another_seed_gives_other_folds() -> None:
    ids, labels = rows_of([30, 30])
    assert assign_folds(ids, labels, count=3, seed=1) != assign_folds(ids, labels, count=3, seed=2)


def test_the_error_lists_classes_with_fewer_rows_than_folds() -> None:
    ids, labels = rows_of([9, 2, 9, 1])
    with pytest.raises(DataError) as caught:
        assign_folds(ids, labels, count=3, seed=0)
    assert "2 classes" in str(caught.value)
    assert "'class3' (1), 'class1' (2)" in str(caught.value)
    assert 'data.drop_classes = ["class3", "class1"]' in str(caught.value)
    assert assign_folds(ids[:11], labels[:11], count=2, seed=0)


def test_near_duplicates_do_not_make_a_class_large_enough() -> None:
    """A cluster of three rows is held out by one fold, whose model would train without the class."""
    ids, labels = rows_of([9, 3])
    with pytest.raises(DataError, match=r"'class1' \(1\)"):
        assign_folds(ids, labels, count=3, seed=0, clusters=[[9, 10, 11]])


LABEL_SHARES = (0.5, 0.3, 0.2, 0.1, 0.05)


def rows_with_several_labels(count: int, seed: int) -> tuple[list[str], list[RowLabels]]:
    """Return ids and labels of rows that have each label with its share, some of them no label."""
    rng = random.Random(seed)
    labels = [tuple(f"label{n}" for n, p in enumerate(LABEL_SHARES) if rng.random() < p) for _ in range(count)]
    return [f"id{index}" for index in range(count)], labels


@settings(deadline=None, max_examples=40)
@given(count=st.integers(60, 600), seed=st.integers(0, 10_000))
def test_splits_and_folds_have_their_share_of_each_of_several_labels(count: int, seed: int) -> None:
    ids, labels = rows_with_several_labels(count, seed)
    counts = Counter(label for row in labels for label in row)
    splits = split_rows(ids, labels, fractions=FRACTIONS, seed=13)
    assert sorted(index for indices in splits.values() for index in indices) == list(range(count))
    for split, fraction in FRACTIONS.items():
        found = Counter(label for index in splits[split] for label in labels[index])
        for label, size in counts.items():
            assert abs(found[label] - fraction * size) <= max(2, 0.04 * size)
    folds = assign_folds(ids, labels, count=4, seed=13)
    for label, size in counts.items():
        held_out = Counter(fold for fold, row in zip(folds, labels, strict=True) if label in row)
        assert all(abs(held_out[fold] - size / 4) <= max(2, 0.04 * size) for fold in range(4))


def test_rare_labels_are_better_divided_than_by_chance() -> None:
    """Over 50 draws, the mean deviation of the rarest label is below a third of that of a random split."""
    deviations, by_chance = [], []
    for seed in range(50):
        ids, labels = rows_with_several_labels(400, seed)
        rows = {index for index, row in enumerate(labels) if "label4" in row}
        wanted = 0.2 * len(rows)
        deviations.append(abs(len(rows & set(split_rows(ids, labels, fractions=FRACTIONS, seed=1)["test"])) - wanted))
        by_chance.append(abs(len(rows & set(hash_order(ids, 1)[:80])) - wanted))
    assert sum(deviations) < sum(by_chance) / 3


@settings(deadline=None, max_examples=40)
@given(order=st.randoms(), seed=st.integers(0, 1000))
def test_splits_of_several_labels_do_not_depend_on_the_order_of_rows(order: random.Random, seed: int) -> None:
    ids, labels = rows_with_several_labels(120, seed)
    pairs = list(zip(ids, labels, strict=True))
    order.shuffle(pairs)
    assert ids_by_split(ids, labels) == ids_by_split([name for name, _ in pairs], [row for _, row in pairs])


@settings(deadline=None, max_examples=40)
@given(added=st.integers(1, 20), seed=st.integers(0, 1000))
def test_added_rows_with_several_labels_move_few_others(added: int, seed: int) -> None:
    ids, labels = rows_with_several_labels(500, seed)
    more_ids, more_labels = rows_with_several_labels(500 + added, seed)
    assert more_labels[:500] == labels
    before, after = ids_by_split(ids, labels), ids_by_split(more_ids, more_labels)
    assert sum(name not in after[split] for split, names in before.items() for name in names) <= 6 * added + 6


def test_a_rare_label_beside_others_does_not_stop_a_split() -> None:
    ids, labels = rows_with_several_labels(100, 3)
    labels[0] = ("rare", "label0")
    assert 0 in split_rows(ids, labels, fractions=FRACTIONS, seed=1)["train"]
    assert len(assign_folds(ids, labels, count=3, seed=1)) == 100
    one = subset(ids, labels, size=40, seed=3)
    assert set(one) <= set(subset(ids, labels, size=60, seed=3))
    assert 0 in one


@pytest.mark.parametrize("seed", range(20))
def test_rows_are_assigned_like_groups_of_one_row(seed: int) -> None:
    generator = random.Random(seed)
    ids = [f"row{number}" for number in range(300)]
    labels = [tuple(generator.sample("abcde", generator.randint(0, 3))) for _ in ids]
    clusters = [list(range(start, start + 4)) for start in range(0, 80, 4)]
    strata = [tuple(row) or ("",) if generator.random() < 0.9 else None for row in labels]
    keys: dict[str, Any] = {"fractions": {"test": 0.2, "validation": 0.1}, "seed": 1, "clusters": clusters}
    keys |= {"strata": strata, "kept": generator.sample(range(300), 10)}
    rows = split_rows(ids, labels, **keys)
    units = split_rows(ids, labels, **keys, groups=[[index] for index in range(100, 300)])
    assert {split: indices.tolist() for split, indices in rows.items()} == {
        split: indices.tolist() for split, indices in units.items()
    }
