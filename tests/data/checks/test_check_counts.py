"""Properties: what the checks count is what a plain loop over all pairs of rows counts."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import datasets
import hypothesis.strategies as st
import numpy as np
from hypothesis import given, settings
from planted import KINDS

from slugline.core.labels import LabelSet
from slugline.data.checks.checked_rows import CheckedRows, CheckOptions
from slugline.data.checks.fixing import FIXES, fixed
from slugline.data.checks.labels import counts, names
from slugline.data.checks.texts import repeated
from slugline.data.dataset import TextDataset
from slugline.data.reading.raw_data import SourceInfo

SPLITS = ("train", "validation", "test")

#: Few texts and labels, so that they are often repeated; the first texts count as the same.
TEXTS = st.sampled_from(["a b", "A  b", "c d e", "f", "", " "])
NAMES = {"single": ("x", "y"), "multi": ("x", "y"), "hierarchical": ("u/x", "u/y")}

Row = tuple[str, str, tuple[str, ...]]


def tables(kind: str) -> st.SearchStrategy[list[Row]]:
    """Rows: split, text, labels; train has a row of each class."""
    one = st.sampled_from(NAMES[kind]).map(lambda name: (name,))
    labels = st.lists(st.sampled_from(NAMES[kind]), unique=True, max_size=2).map(sorted).map(tuple)
    row = st.tuples(st.sampled_from(SPLITS), TEXTS, labels if kind == "multi" else one)
    first: list[Row] = [("train", f"first {name}", (name,)) for name in NAMES[kind]]
    return st.lists(row, max_size=14).map(lambda rows: sorted([*first, *rows], key=lambda row: SPLITS.index(row[0])))


ANY_KIND = st.sampled_from(KINDS).flatmap(lambda kind: tables(kind).map(lambda rows: (kind, rows)))


def checked(kind: str, rows: list[Row]) -> CheckedRows:
    labels = LabelSet(NAMES[kind], kind=kind)  # type: ignore[arg-type]
    splits: dict[str, Any] = {}
    for split in dict.fromkeys(row[0] for row in rows):
        own = [(f"{number:02}", *row[1:]) for number, row in enumerate(rows) if row[0] == split]
        splits[split] = datasets.Dataset.from_dict(
            {
                "id": [name for name, _, _ in own],
                "text": [text for _, text, _ in own],
                "label": labels.indices([row_labels for _, _, row_labels in own]),
            },
            features=datasets.Features(
                {
                    "id": datasets.Value("string"),
                    "text": datasets.Value("string"),
                    "label": datasets.List(datasets.Value("int64")) if kind == "multi" else datasets.Value("int64"),
                }
            ),
        )
    dataset = TextDataset(splits=splits, labels=labels, source=SourceInfo("made"), fingerprint="")  # type: ignore[arg-type]
    return CheckedRows(dataset, CheckOptions())


def key(text: str) -> str:
    return " ".join(text.lower().split())


def counted(find: Callable[[CheckedRows], list[Any]], rows: CheckedRows) -> int:
    return sum(finding.count for finding in find(rows))


@settings(max_examples=60, deadline=None)
@given(ANY_KIND)
def test_leaks_are_rows_whose_text_is_in_a_later_split(case: tuple[str, list[Row]]) -> None:
    kind, rows = case
    later = {"train": ("validation", "test"), "validation": ("test",), "test": ()}
    expected = sum(
        any(other in later[split] and key(text) == key(own) != "" for other, text, _ in rows) for split, own, _ in rows
    )
    assert counted(repeated.leaks, checked(kind, rows)) == expected


@settings(max_examples=60, deadline=None)
@given(ANY_KIND)
def test_repetitions_are_all_but_one_of_equal_rows(case: tuple[str, list[Row]]) -> None:
    kind, rows = case
    distinct = {(split, key(text), labels) for split, text, labels in rows if key(text)}
    expected = sum(bool(key(text)) for _, text, _ in rows) - len(distinct)
    assert counted(repeated.repetitions, checked(kind, rows)) == expected


@settings(max_examples=60, deadline=None)
@given(ANY_KIND)
def test_conflicts_are_texts_with_two_sets_of_labels(case: tuple[str, list[Row]]) -> None:
    kind, rows = case
    labels_of: dict[str, set[tuple[str, ...]]] = {}
    for _, text, labels in rows:
        labels_of.setdefault(key(text), set()).add(labels)
    expected = sum(len(found) > 1 for text, found in labels_of.items() if text)
    assert counted(repeated.conflicts, checked(kind, rows)) == expected


@settings(max_examples=60, deadline=None)
@given(ANY_KIND)
def test_absent_classes_are_counted_for_each_split(case: tuple[str, list[Row]]) -> None:
    kind, rows = case
    present = {(split, name) for split, _, labels in rows for name in labels}
    splits = {split for split, _, _ in rows}
    expected = sum((split, name) not in present for split in splits for name in NAMES[kind])
    assert counted(counts.absent_classes, checked(kind, rows)) == expected


@settings(max_examples=60, deadline=None)
@given(ANY_KIND)
def test_after_the_fixes_nothing_is_left_to_fix_and_test_has_all_rows(case: tuple[str, list[Row]]) -> None:
    kind, rows = case
    before = checked(kind, rows)
    kinds = [name for name, fix in FIXES.items() if name != "label noise"]
    safe = [*rows, ("validation", "kept", (NAMES[kind][0],))]  # no fix may remove all rows of a split
    before = checked(kind, sorted(safe, key=lambda row: SPLITS.index(row[0])))
    dataset, changes = fixed(before, kinds)
    after = CheckedRows(dataset, CheckOptions())
    assert len(before) - len(after) == sum(change.action == "removed" for change in changes)
    assert {change.id for change in changes} <= set(before.ids)
    assert len(before.rows_of("test")) == len(after.rows_of("test"))
    assert not repeated.leaks(after)
    for find in (repeated.repetitions, repeated.conflicts):
        assert all(
            after.splits[index] == "test" for each in find(after) for index in map(after.ids.index, each.examples)
        )


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text("abcXé -", min_size=1, max_size=9), unique=True, max_size=8))
def test_names_that_differ_only_in_case_and_blanks_are_found(given_names: list[str]) -> None:
    found = {frozenset((one, other)) for one, other, _ in names.similar_names(given_names)}
    plain = sorted(given_names, key=names.plain_name)
    for one, other in pairwise(plain):
        if names.plain_name(one) and names.plain_name(one) == names.plain_name(other):
            assert any({one, other} & pair for pair in found)
    assert all(len(pair) == 2 for pair in found)


def test_names_with_different_numbers_or_words_are_different() -> None:
    assert names.similar_names(["topic 1", "topic 2", "sport", "short", "news", "new year", "bus", "b"]) == []
    assert names.similar_names(["Category", "categories"]) == [("Category", "categories", "plural")]
    assert names.similar_names(["entertainment", "entertainmant"])[0][2] == "one letter"
    assert names.similar_names(["entertainment", "entertanment"])[0][2] == "one letter"


def test_the_rows_of_splits_are_in_one_sequence() -> None:
    rows = checked("multi", [("train", "a", ("x",)), ("train", "b", ("y",)), ("test", "c", ("x", "y"))])
    assert [rows.rows_of(split) for split in SPLITS] == [range(2), range(0), range(2, 3)]  # type: ignore[arg-type]
    assert np.array_equal(rows.has_label, [[True, False], [False, True], [True, True]])


def test_an_excerpt_shows_the_place_and_masks_personal_data() -> None:
    texts = [
        "word " * 60 + "caf\ufffd " + "end " * 60,
        "start " * 30 + "jane.doe@mail.org \x07 " + "end " * 60,
        "short",
    ]
    rows = checked("single", [("train", text, (name,)) for text, name in zip(texts, "xyx", strict=True)])
    assert "caf\ufffd end" in rows.excerpt(0, texts[0].index("\ufffd"))
    for place in range(texts[1].index("jane") - 2, texts[1].index("\x07")):
        line = rows.excerpt(1, place)
        assert "<e-mail address>" in line
        assert not any(part in line for part in ("jane", "doe", "mail.org"))
    for index, text in enumerate(texts):
        for place in (0, len(text) // 2, len(text) - 1):
            assert len(rows.excerpt(index, place)) < 150
    assert rows.excerpt(2, 3) == "02 (train) 'short' [x]"
