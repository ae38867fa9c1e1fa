"""Splits and folds that keep groups together, or follow the order of time; classes out of scope."""

from __future__ import annotations

import itertools
import json
import random
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slugline.core.errors import DataError, RecipeError
from slugline.data.dataset import TextDataset
from slugline.data.folds import folds_of
from slugline.data.load import load_dataset
from slugline.data.preparing.splits.groups import joined_groups
from slugline.data.preparing.splits.rows_to_split import RowsToSplit
from slugline.data.preparing.splits.time_splits import parse_time, split_by_time, time_folds
from slugline.data.tables.coded import Coded
from slugline.recipe.data_section import DataSection

WORDS = [f"word{number}" for number in range(400)]


def text_of(rng: random.Random) -> str:
    return " ".join(rng.choices(WORDS, k=20))


def write(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def rows_by_author(authors: int, each: int, seed: int = 0) -> list[dict[str, Any]]:
    rng = random.Random(seed)
    return [
        {"text": text_of(rng), "label": rng.choice("abc"), "author": f"author {n}"}
        for n in range(authors)
        for _ in range(each)
    ]


def author_of(rows: Sequence[dict[str, Any]]) -> dict[str, str]:
    return {row["text"]: row["author"] for row in rows}


def messages(dataset: TextDataset) -> dict[str, str]:
    return {finding.kind: finding.message for finding in dataset.findings}


@pytest.mark.parametrize(("authors", "each"), [(60, 10), (200, 3)])
def test_rows_of_a_group_stay_in_one_split_and_one_fold(tmp_path: Path, authors: int, each: int) -> None:
    rows = rows_by_author(authors, each)
    section = DataSection(path=str(write(tmp_path / "a.jsonl", rows)), group="author")
    dataset = load_dataset(section)
    authors_by_split = {split: {author_of(rows)[t] for t in part["text"]} for split, part in dataset.splits.items()}
    assert sum(map(len, authors_by_split.values())) == authors
    for split, fraction in (("test", 0.2), ("validation", 0.1)):
        counts = dataset.class_counts(split)  # type: ignore[arg-type]
        for label, size in Counter(row["label"] for row in rows).items():
            assert abs(counts[label] - fraction * size) <= 0.25 * fraction * size + 1
    folds = folds_of(load_dataset(section.model_copy(update={"validation_fraction": 0.0})), 4, seed=1)
    held_out = [{author_of(rows)[text] for text in fold["validation"]["text"]} for fold in folds]
    assert sum(map(len, held_out)) == len(set().union(*held_out))


def test_groups_do_not_depend_on_the_order_of_rows(tmp_path: Path) -> None:
    rows = rows_by_author(40, 6)
    first = load_dataset(DataSection(path=str(write(tmp_path / "a.jsonl", rows)), group="author"))
    random.Random(1).shuffle(rows)
    again = load_dataset(DataSection(path=str(write(tmp_path / "b.jsonl", rows)), group="author"))
    for split in first.splits:
        assert set(first[split]["id"]) == set(again[split]["id"])


def test_added_groups_move_few_other_rows(tmp_path: Path) -> None:
    rows = rows_by_author(150, 4)
    before = load_dataset(DataSection(path=str(write(tmp_path / "a.jsonl", rows)), group="author"))
    more = [{**row, "author": f"new {row['author']}"} for row in rows_by_author(3, 4, seed=9)]
    after = load_dataset(DataSection(path=str(write(tmp_path / "b.jsonl", [*rows, *more])), group="author"))
    split_after = {name: split for split in after.splits for name in after[split]["id"]}
    moved = sum(split_after[name] != split for split in before.splits for name in before[split]["id"])
    assert moved <= 5 * len(more)


def test_a_group_and_a_near_duplicate_join(tmp_path: Path) -> None:
    """A copy of a text by another author joins both authors."""
    rows = rows_by_author(50, 4)
    rows.append({**rows[0], "text": rows[0]["text"] + " again", "author": "author 49"})
    dataset = load_dataset(DataSection(path=str(write(tmp_path / "a.jsonl", rows)), group="author"))
    authors = {"author 0", "author 49"}
    found = {split for split in dataset.splits for t in dataset[split]["text"] if author_of(rows)[t] in authors}
    assert len(found) == 1


def test_rows_without_a_group_are_free(tmp_path: Path) -> None:
    rows = [{**row, "author": None if n % 2 else ""} for n, row in enumerate(rows_by_author(10, 10))]
    grouped = load_dataset(DataSection(path=str(write(tmp_path / "a.jsonl", rows)), group="author"))
    plain = load_dataset(DataSection(path=str(tmp_path / "a.jsonl")))
    assert grouped.fingerprint == plain.fingerprint


def test_a_group_that_holds_a_class_and_groups_in_several_given_splits_are_warnings(tmp_path: Path) -> None:
    rows = [*rows_by_author(10, 6), *({"text": f"only {n} {n * n}", "label": "z", "author": "one"} for n in range(5))]
    write(tmp_path / "set" / "train.jsonl", rows)
    write(tmp_path / "set" / "test.jsonl", rows_by_author(3, 6, seed=5))
    found = messages(load_dataset(DataSection(path=str(tmp_path / "set"), group="author")))
    assert "rows in both train and test: 3 (kept)" in found["group leak"]
    assert found["class in one group"].endswith("stay together: 1 (z)")


@given(st.lists(st.lists(st.integers(0, 20), min_size=1, max_size=5), max_size=12))
def test_joined_groups_are_disjoint_and_hold_each_group(groups: list[list[int]]) -> None:
    joined = joined_groups(groups)
    members = [index for group in joined for index in group]
    assert sorted(members) == sorted({index for group in groups for index in group})
    assert all(any(set(group) <= set(other) for other in joined) for group in groups)
    links = defaultdict(set)
    for number, group in enumerate(groups):
        for index in group:
            links[index].add(number)
    for group in joined:  # each is connected: it cannot be divided without dividing one of the given groups
        reached, border = {group[0]}, [group[0]]
        while border:
            new = {other for number in links[border.pop()] for other in groups[number]} - reached
            reached |= new
            border += new
        assert reached == set(group)


@settings(deadline=None)
@given(st.lists(st.integers(0, 40), min_size=12, max_size=80), st.sampled_from([0.1, 0.2, 0.3]))
def test_splits_by_time_follow_each_other_and_do_not_divide_a_moment(moments: list[int], fraction: float) -> None:
    ids = [f"id{n}" for n in range(len(moments))]
    times = dict(zip(ids, map(float, moments), strict=True))
    fractions: Any = {"test": fraction, "validation": 0.1}
    if len(set(moments)) < 3:
        with pytest.raises(DataError, match="too few for 3 splits"):
            split_by_time(ids, times, fractions=fractions)
        return
    splits = split_by_time(ids, times, fractions=fractions)
    assert sorted(index for rows in splits.values() for index in rows) == list(range(len(ids)))
    latest = -1
    for split in ("train", "validation", "test"):
        own = [moments[index] for index in splits[split]]  # type: ignore[index]
        assert min(own) > latest
        latest = max(own)


def test_own_splits_and_folds_follow_time(tmp_path: Path) -> None:
    rng = random.Random(3)
    rows = [
        {"text": text_of(rng), "label": rng.choice("ab"), "day": f"2024-{1 + n // 28:02}-{1 + n % 28:02}"}
        for n in range(280)
    ]
    day_of = {row["text"]: row["day"] for row in rows}
    rng.shuffle(rows)
    section = DataSection(path=str(write(tmp_path / "a.jsonl", rows)), time="day")
    dataset = load_dataset(section)
    days = {split: sorted(day_of[text] for text in part["text"]) for split, part in dataset.splits.items()}
    assert {split: len(own) for split, own in days.items()} == {"train": 196, "validation": 28, "test": 56}
    assert days["train"][-1] < days["validation"][0] <= days["validation"][-1] < days["test"][0]
    folds = folds_of(load_dataset(section.model_copy(update={"validation_fraction": 0.0})), 4, seed=1)
    blocks = [sorted(day_of[text] for text in fold["validation"]["text"]) for fold in folds]
    assert [len(block) for block in blocks] == [56] * 4
    assert all(one[-1] < other[0] for one, other in itertools.pairwise(blocks))


def test_a_class_that_appears_only_later_is_dropped_and_said(tmp_path: Path) -> None:
    rng = random.Random(3)
    rows = [{"text": text_of(rng), "label": "ab"[n % 2] if n < 190 else "new", "year": n} for n in range(200)]
    dataset = load_dataset(DataSection(path=str(write(tmp_path / "a.jsonl", rows)), time="year"))
    assert dataset.labels.names == ("a", "b")
    assert "'new' (10 rows)" in messages(dataset)["untrained class"]


def test_given_splits_against_time_are_a_warning(tmp_path: Path) -> None:
    rng = random.Random(3)
    rows = [{"text": text_of(rng), "label": "ab"[n % 2], "year": 2000 + n} for n in range(60)]
    write(tmp_path / "set" / "train.jsonl", rows[:20] + rows[40:])
    write(tmp_path / "set" / "test.jsonl", rows[20:40])
    found = messages(load_dataset(DataSection(path=str(tmp_path / "set"), time="year")))
    assert found["time leak"] == "train rows that are later than the first row of test: 20 (kept)"


@pytest.mark.parametrize(
    ("value", "words"), [("soon", "row 2: column 'day' holds 'soon', which is not a time"), ("", "holds no time")]
)
def test_a_time_that_does_not_parse_is_named_with_its_row(tmp_path: Path, value: str, words: str) -> None:
    rows = [{"text": f"text {n}", "label": "ab"[n % 2], "day": "2024-01-01"} for n in range(4)]
    rows[1]["day"] = value
    with pytest.raises(DataError, match=words):
        load_dataset(DataSection(path=str(write(tmp_path / "a.jsonl", rows)), time="day"))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"split_rule": "tiem"}, "there is no rule 'tiem'. Did you mean 'time'"),
        ({"split_rule": "time"}, "data.split_rule is 'time', but data.time is empty"),
    ],
)
def test_a_split_rule_that_does_not_exist_or_lacks_its_column_is_refused(
    tmp_path: Path, values: dict[str, str], words: str
) -> None:
    path = write(tmp_path / "a.jsonl", rows_by_author(4, 4))
    with pytest.raises(DataError, match=re.escape(words)):
        load_dataset(DataSection.model_validate({"path": str(path), **values}))


def test_a_stated_rule_decides_although_there_are_times(tmp_path: Path) -> None:
    rows = [{**row, "year": 2000 + n // 3} for n, row in enumerate(rows_by_author(10, 6))]
    path = str(write(tmp_path / "a.jsonl", rows))
    stratified = load_dataset(DataSection(path=path, time="year", split_rule="stratified"))
    assert stratified.fingerprint == load_dataset(DataSection(path=path)).fingerprint
    by_time = load_dataset(DataSection(path=path, time="year", split_rule="time"))
    assert by_time.fingerprint == load_dataset(DataSection(path=path, time="year")).fingerprint
    assert by_time.fingerprint != stratified.fingerprint


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_a_number_that_has_no_place_in_an_order_is_no_time(value: str) -> None:
    with pytest.raises(DataError, match="which is not a time"):
        parse_time(value, where=lambda: "x")


def test_times_of_all_forms_are_in_one_order() -> None:
    moments = ["2023-12-31", "2024-01-01T10:00:00Z", "1 Jan 2024", "Mon, 01 Jan 2024 12:00:00 +0000", "January 2, 2024"]
    parsed = [parse_time(moment, where=lambda: "x") for moment in moments]
    assert parsed[0] < parsed[2] < parsed[1] < parsed[3] < parsed[4]
    assert parse_time(2024, where=lambda: "x") < parse_time("2025", where=lambda: "x")


def test_time_folds_are_nearly_equal_blocks() -> None:
    ids = [f"id{n}" for n in range(10)]
    times = {name: float(n) for n, name in enumerate([*ids, "unknown"])}
    rows = RowsToSplit(ids[::-1], Coded.of([("a",)] * 10), np.zeros(10, np.int32), times=times)
    assert time_folds(rows, 3, 1) == [2, 2, 2, 1, 1, 1, 0, 0, 0, 0]


def test_group_and_time_cannot_be_used_together() -> None:
    with pytest.raises((RecipeError, ValueError), match="cannot be used together"):
        DataSection(path="x.csv", group="a", time="b")


@pytest.mark.parametrize("column", ["group", "time"])
def test_a_missing_column_is_named(tmp_path: Path, column: str) -> None:
    path = write(tmp_path / "a.jsonl", rows_by_author(4, 4))
    with pytest.raises(DataError, match=f"no column 'autor' for data.{column}. Did you mean 'author'"):
        load_dataset(DataSection.model_validate({"path": str(path), column: "autor"}))


def scoped(n: int, seed: int, *, outside: int) -> list[dict[str, Any]]:
    rng = random.Random(seed)
    return [{"text": text_of(rng), "label": "oos" if i < outside else "ab"[i % 2]} for i in range(n)]


def test_a_class_out_of_scope_is_only_in_the_rows_that_measure_abstention(tmp_path: Path) -> None:
    write(tmp_path / "set" / "train.jsonl", scoped(60, 1, outside=10))
    write(tmp_path / "set" / "test.jsonl", scoped(40, 2, outside=8))
    dataset = load_dataset(DataSection(path=str(tmp_path / "set"), out_of_scope="oos"))
    assert dataset.labels.names == ("a", "b")
    assert {split: len(rows) for split, rows in dataset.out_of_scope.items()} == {"validation": 10, "test": 8}
    assert dataset.to_manifest()["out_of_scope"] == {"validation": 10, "test": 8}
    assert "validation 10, test 8; train 0 (unused)" in messages(dataset)["out of scope"]
    own = load_dataset(DataSection(path=str(tmp_path / "set" / "train.jsonl"), out_of_scope="oos"))
    assert {split: len(rows) for split, rows in own.out_of_scope.items()} == {"validation": 5, "test": 5}


@pytest.mark.parametrize(
    ("name", "words"), [("ous", "there is no class 'ous'. Did you mean 'oos'"), ("c", "no row of")]
)
def test_a_class_out_of_scope_needs_rows_to_evaluate_on(tmp_path: Path, name: str, words: str) -> None:
    write(tmp_path / "set" / "train.jsonl", [*scoped(60, 1, outside=10), {"text": "one more", "label": "c"}])
    for number, split in enumerate(("validation", "test")):
        write(tmp_path / "set" / f"{split}.jsonl", scoped(40, 2 + number, outside=8))
    with pytest.raises(DataError, match=words):
        load_dataset(DataSection(path=str(tmp_path / "set"), out_of_scope=name))
