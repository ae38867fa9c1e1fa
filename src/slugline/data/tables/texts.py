"""Texts of a table, one after another or by number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from slugline.data.tables.table import BATCH_ROWS, Table, release_all

if TYPE_CHECKING:
    import datasets
    import pyarrow as pa


class Texts(Sequence[str]):
    """N texts from a column of a table.

    Args:
        table: table with the column.
        column: name of the column.
        rows: (N,) numbers of the rows.
    """

    def __init__(self, table: Table, column: str, rows: NDArray[np.int64]) -> None:
        self._table = table
        self._column = column
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> Texts: ...

    def __getitem__(self, index: int | slice) -> str | Texts:
        if isinstance(index, slice):
            return Texts(self._table, self._column, self._rows[index])
        return self.at([index])[0]

    def __iter__(self) -> Iterator[str]:
        for batch in self.batches():
            yield from batch.to_pylist()

    def batches(self) -> Iterator[pa.Array]:
        """Iterate over the texts as Arrow arrays."""
        for start in range(0, len(self), BATCH_ROWS):
            yield self._table.take(self._rows[start : start + BATCH_ROWS], [self._column]).column(0)

    def at(self, indices: Sequence[int] | NDArray[np.int64]) -> list[str]:
        """Return the texts at these indices."""
        rows = self._rows[np.asarray(indices, dtype=np.int64)]
        taken: list[str] = self._table.take(rows, [self._column]).column(0).to_pylist()
        return taken


def column_values(rows: datasets.Dataset, column: str) -> Iterator[Any]:
    """Iterate over the values of a column of a split, a batch at a time."""
    for batch in rows.with_format("arrow").select_columns(column).iter(BATCH_ROWS):
        yield from batch.column(column).to_pylist()
        release_all()


def texts_at(texts: Sequence[str], indices: Sequence[int] | NDArray[np.int64]) -> list[str]:
    """Return the texts at these indices, from a table in one step."""
    return texts.at(indices) if isinstance(texts, Texts) else [texts[index] for index in indices]
