"""Values as numbers of the different ones, and texts by number."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pyarrow as pa

from slugline.data.tables.coded import Coded
from slugline.data.tables.table import TableWriter
from slugline.data.tables.texts import Texts, texts_at

VALUES = random.Random(1).choices("abcd", k=20_000)


def test_values_come_back_in_order() -> None:
    coded = Coded.of(VALUES)
    assert list(coded) == VALUES
    assert [coded[index] for index in range(50)] == VALUES[:50]
    assert len(coded) == len(VALUES)
    assert not list(Coded.of([]))
    assert Coded.of(coded) is coded


def test_values_are_taken_joined_and_changed() -> None:
    coded, indices = Coded.of(VALUES), np.array([5, 2, 2, 19_999])
    taken = coded.take(indices)
    assert list(taken) == [VALUES[index] for index in indices]
    assert list(Coded.join([taken, Coded.of(["e", "a"])])) == [*taken, "e", "a"]
    changed = coded.change(lambda value: value in "ab")
    assert list(changed) == [value in "ab" for value in VALUES]
    assert set(changed.values) == {True, False}
    assert coded.where(lambda value: value == "c").tolist() == [i for i, value in enumerate(VALUES) if value == "c"]


def test_counts_are_in_the_order_of_the_first_occurrences() -> None:
    later = Coded.of(VALUES).take(np.flatnonzero(np.array(VALUES) != "d")[7:])
    expected = Counter(later)
    assert list(later.counts().items()) == list(expected.items())
    assert set(later.used().values) == set(expected)
    assert list(later.used()) == list(later)


def test_texts_are_read_by_number() -> None:
    writer = TableWriter(pa.schema([("text", pa.large_string())]))
    for part in (VALUES[:9000], VALUES[9000:9001], VALUES[9001:]):
        writer.write(pa.RecordBatch.from_pydict({"text": part}, schema=writer.schema))
    rows = np.random.default_rng(3).permutation(len(VALUES))
    texts = Texts(writer.finish(), "text", rows)
    expected = [VALUES[row] for row in rows]
    assert list(texts) == expected
    assert texts[-3] == expected[-3]
    assert list(texts[100:300:7]) == expected[100:300:7]
    assert texts_at(texts, [3, 1, 3]) == texts_at(expected, [3, 1, 3])
    assert texts.at([]) == []
