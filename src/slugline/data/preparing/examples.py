"""`Examples`: texts with labels. Instances never change; each step of the preparation returns new ones.

The texts of all sources are in one table, so that a step only makes arrays of row numbers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slugline.core.labels import RowLabels, Split
from slugline.data.preparing.duplicates import same_text_key
from slugline.data.tables.coded import Coded
from slugline.data.tables.digests import text_digests
from slugline.data.tables.table import Table, TableWriter
from slugline.data.tables.texts import Texts

SPLIT_ORDER: tuple[Split, ...] = ("train", "validation", "test")


@dataclass(frozen=True)
class Examples:
    """N texts with labels.

    Args:
        table: ids, cleaned texts, hashes and sources of all rows, from `ExamplesWriter`.
        rows: (N,) numbers of the rows of the table.
        labels: (N,) labels of each row.
    """

    table: Table
    rows: NDArray[np.int64]
    labels: Coded[RowLabels]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def ids(self) -> Texts:
        """(N,) unique names of the rows."""
        return Texts(self.table, "id", self.rows)

    @property
    def texts(self) -> Texts:
        """(N,) cleaned texts."""
        return Texts(self.table, "text", self.rows)

    @property
    def originals(self) -> NDArray[np.uint64]:
        """(N, 2) hashes of the texts as read."""
        return self._numbers("original_1", "original_2")

    @property
    def keys(self) -> NDArray[np.uint64]:
        """(N, 2) hashes that are equal if the texts count as the same."""
        return self._numbers("key_1", "key_2")

    @property
    def key_texts(self) -> Iterator[str]:
        """Texts that are equal if the N texts count as the same."""
        return map(same_text_key, self.texts)

    @cached_property
    def origins(self) -> NDArray[np.int32]:
        """(N,) number of the source of each row, from 0."""
        return np.asarray(self._numbers("origin")[:, 0])

    @cached_property
    def class_counts(self) -> Counter[str]:
        """Rows of each class."""
        counts: Counter[str] = Counter()
        for labels, count in self.labels.counts().items():
            for label in labels:
                counts[label] += count
        return counts

    def take(self, indices: Sequence[int] | NDArray[np.int64]) -> Examples:
        """Return the rows at these indices, in this order."""
        chosen = np.asarray(indices, dtype=np.int64)
        return Examples(self.table, self.rows[chosen], self.labels.take(chosen))

    def without(self, indices: Sequence[int] | NDArray[np.int64]) -> Examples:
        """Return all rows except those at these indices."""
        if not len(indices):
            return self
        is_kept = np.ones(len(self), dtype=np.bool_)
        is_kept[np.asarray(indices, dtype=np.int64)] = False
        return self.take(np.flatnonzero(is_kept))

    def without_classes(self, names: Collection[str]) -> Examples:
        """Return the rows without these labels; a row whose labels are all among them is dropped."""
        dropped = set(names)
        remaining = self.labels.change(lambda labels: tuple(label for label in labels if label not in dropped))
        is_dropped = self.labels.where(lambda labels: bool(labels) and dropped.issuperset(labels))
        return replace(self, labels=remaining).without(is_dropped)

    def rows_with(self, name: str) -> NDArray[np.int64]:
        """Return the indices of the rows that have a label."""
        return self.labels.where(lambda labels: name in labels)

    def ids_of(self, indices: Sequence[int] | NDArray[np.int64]) -> list[str]:
        """Return the ids of the rows at these indices."""
        return self.ids.at(indices)

    def _numbers(self, *columns: str) -> NDArray[Any]:
        """(N, columns) values of columns of numbers."""
        return np.stack([self.table.copied(name)[self.rows] for name in columns], axis=1)


#: Examples by split; train is always there.
SplitExamples = Mapping[Split, Examples]


def join_examples(several: Sequence[Examples]) -> Examples:
    """Concatenate examples of one table."""
    if len(several) == 1:
        return several[0]
    rows = np.concatenate([examples.rows for examples in several])
    return Examples(several[0].table, rows, Coded.join([examples.labels for examples in several]))


class ExamplesWriter:
    """Writes the table of examples."""

    def __init__(self) -> None:
        import pyarrow as pa

        hashes = ("key_1", "key_2", "original_1", "original_2")
        texts = [("id", pa.large_string()), ("text", pa.large_string()), ("origin", pa.int32())]
        self._writer = TableWriter(pa.schema([*texts, *((name, pa.uint64()) for name in hashes)]))
        self._n_rows = 0

    def __len__(self) -> int:
        return self._n_rows

    def write(self, ids: Sequence[str], originals: Sequence[str], texts: Sequence[str], *, origin: int) -> None:
        """Append a batch of N rows of a source.

        Args:
            ids: (N,) names of the rows.
            originals: (N,) texts as read.
            texts: (N,) cleaned texts.
            origin: number of the source.
        """
        import pyarrow as pa

        hashes = [*text_digests(map(same_text_key, texts)).T, *text_digests(originals).T]
        columns = [pa.array(ids, pa.large_string()), pa.array(texts, pa.large_string())]
        columns.append(pa.array(np.full(len(ids), origin, dtype=np.int32)))
        columns += [pa.array(np.ascontiguousarray(column)) for column in hashes]
        self._writer.write(pa.RecordBatch.from_arrays(columns, schema=self._writer.schema))
        self._n_rows += len(ids)

    def finish(self) -> Table:
        """Return the table of all rows."""
        return self._writer.finish()
