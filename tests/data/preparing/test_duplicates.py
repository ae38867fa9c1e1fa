"""Repetitions, texts with several labels, leaks, and near duplicates."""

from __future__ import annotations

import random
import unicodedata

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from slugline.core.labels import Split
from slugline.data.preparing import duplicates
from slugline.data.preparing.duplicates import same_text_key
from slugline.data.tables.coded import Coded
from slugline.data.tables.digests import text_digests


def test_same_text_ignores_case_composition_and_white_space() -> None:
    assert same_text_key("Cafe\u0301  STRASSE\n") == same_text_key("café straße")
    assert same_text_key("cafe") != same_text_key("café")


@given(st.text() | st.text("aA bÉ\u0301ß \t&"))
def test_keys_of_the_same_texts_are_folded_compositions(text: str) -> None:
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
    assert same_text_key(text) == " ".join(folded.split())


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1))
def test_rows_have_one_number_if_all_their_hashes_are_equal(rows: list[tuple[int, int]]) -> None:
    numbers = duplicates.group_numbers(np.array(rows, dtype=np.uint64)).tolist()
    assert len(set(numbers)) == len(set(rows)) == len(set(zip(rows, numbers, strict=True)))


def test_repetitions_have_the_same_text_and_label() -> None:
    texts, labels = text_digests(["a", "a", "a", "b"]), Coded.of([("x",), ("y",), ("x",), ("x",)])
    assert duplicates.repetitions(texts, labels) == [[0, 2]]


def test_conflicts_are_texts_with_several_labels() -> None:
    keys, labels = text_digests(["b", "b", "a", "a"]), Coded.of([("x",), ("y",), ("x",), ("x",)])
    assert duplicates.conflicts(keys, labels) == [[0, 1]]


def test_groups_are_in_the_order_of_their_first_rows() -> None:
    generator = random.Random(2)
    texts = [str(generator.randrange(50)) for _ in range(200)]
    labels = Coded.of((generator.choice("xyz"),) for _ in texts)
    groups: dict[tuple[str, tuple[str, ...]], list[int]] = {}
    for index, pair in enumerate(zip(texts, labels, strict=True)):
        groups.setdefault(pair, []).append(index)
    assert duplicates.repetitions(text_digests(texts), labels) == [group for group in groups.values() if group[1:]]


def test_leaks_are_rows_of_train() -> None:
    keys: dict[Split, list[str]] = {"train": ["a", "b", "c"], "validation": ["b"], "test": ["c", "d"]}
    assert duplicates.leaks({split: text_digests(texts) for split, texts in keys.items()}).tolist() == [1, 2]
