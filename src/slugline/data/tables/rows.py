"""`Rows`: rows as read, in an Arrow table that may be larger than the memory.

A row comes back as it was read, with the types of its values and without the keys that it lacked. Each column has the
type of its first values until a value has another type; from that batch on, the values are stored as JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import islice, repeat
from typing import TYPE_CHECKING, overload

import numpy as np
from numpy.typing import NDArray

from slugline.data.tables.digests import row_digests
from slugline.data.tables.table import BATCH_ROWS, MEMORY_BYTES, Table, TableWriter
from slugline.data.tables.values import MISSING, decode, encode, is_json

if TYPE_CHECKING:
    import pyarrow as pa

Row = dict[str, object]


class Rows(Sequence[Row]):
    """Rows by number, read only.

    Args:
        tables: tables with the values, one after another. They differ in columns or types.
        digests: (M,) first 64 bits of the SHA-256 of each row of the tables.
        indices: (N,) numbers of the rows in the tables; None = all.
    """

    def __init__(
        self, tables: Sequence[Table], digests: NDArray[np.uint64], indices: range | NDArray[np.int64] | None = None
    ) -> None:
        self._tables = tables
        self._digests = digests
        self._indices = range(len(digests)) if indices is None else indices
        self._ends = np.cumsum([len(table) for table in tables], dtype=np.int64)

    @classmethod
    def write(cls, rows: Iterable[Row]) -> Rows:
        """Store rows as they come, a batch at a time.

        Args:
            rows: rows as read.

        Returns:
            The rows.

        Raises:
            RunError: the disk is full.
        """
        writer = _Writer()
        iterator = iter(rows)
        while batch := list(islice(iterator, BATCH_ROWS)):
            writer.write(batch)
        return writer.finish()

    def __len__(self) -> int:
        return len(self._indices)

    @overload
    def __getitem__(self, index: int) -> Row: ...

    @overload
    def __getitem__(self, index: slice) -> Rows: ...

    def __getitem__(self, index: int | slice) -> Row | Rows:
        if isinstance(index, slice):
            return Rows(self._tables, self._digests, self._indices[index])
        number = self._indices[index]
        return next(iter(Rows(self._tables, self._digests, range(number, number + 1))))

    def __iter__(self) -> Iterator[Row]:
        for batch in self._batches():
            yield from _decode_rows(batch)

    def __eq__(self, other: object) -> bool:
        """True if both hold the same rows; a list of rows is compared too."""
        return isinstance(other, (Rows, list)) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # compared by value

    def __repr__(self) -> str:
        return f"<Rows: {len(self):,} rows of {', '.join(self.columns)}>"

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Names of all columns in the order of their first occurrence."""
        return tuple(dict.fromkeys(name for table in self._tables for name in table.schema.names))

    @property
    def digests(self) -> NDArray[np.uint64]:
        """(N,) first 64 bits of the SHA-256 of the contents of each row."""
        return self._digests[self._numbers(0, len(self))]

    def values(self, column: str) -> Iterator[object]:
        """Iterate over the values of a column; None for rows without it."""
        for batch in self._batches([column]):
            if column not in batch.schema.names:
                yield from repeat(None, batch.num_rows)
                continue
            field = batch.schema.field(column)
            decoded = decode(field, batch.column(column))
            if is_json(field):
                decoded = [None if value is MISSING else value for value in decoded]
            yield from decoded

    def take(self, indices: NDArray[np.int64] | Sequence[int]) -> Rows:
        """Return the rows at these numbers, in this order; no value is copied."""
        chosen = np.asarray(indices, dtype=np.int64)
        return Rows(self._tables, self._digests, np.asarray(self._numbers(0, len(self)))[chosen])

    def _numbers(self, start: int, end: int) -> NDArray[np.int64]:
        """Numbers in the tables of the rows from a start to an end."""
        part = self._indices[start:end]
        return np.arange(part.start, part.stop, part.step, dtype=np.int64) if isinstance(part, range) else part

    def _batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Batches of the rows in their order, with all columns or those of the given ones that a table has."""
        if isinstance(self._indices, range) and self._indices == range(len(self._digests)):
            for table in self._tables:
                for batch in table:
                    yield batch.select(_chosen(table, columns))
            return
        for start in range(0, len(self), BATCH_ROWS):
            numbers = self._numbers(start, start + BATCH_ROWS)
            tables = np.searchsorted(self._ends, numbers, side="right")
            for part in np.split(np.arange(len(numbers)), np.flatnonzero(np.diff(tables)) + 1):
                number = tables[part[0]]
                table = self._tables[number]
                before = int(self._ends[number]) - len(table)
                yield table.take(numbers[part] - before, _chosen(table, columns))


def _chosen(table: Table, columns: Sequence[str] | None) -> list[str]:
    """Names of the columns of a table that are wanted; None = all."""
    return [name for name in table.schema.names if columns is None or name in columns]


def _decode_rows(batch: pa.RecordBatch) -> Iterator[Row]:
    """Return the rows of a batch as they were read."""
    names = batch.schema.names
    columns = [decode(batch.schema.field(name), batch.column(name)) for name in names]
    if not any(is_json(field) for field in batch.schema):
        for values in zip(*columns, strict=True):
            yield dict(zip(names, values, strict=True))
        return
    for values in zip(*columns, strict=True):
        yield {name: value for name, value in zip(names, values, strict=True) if value is not MISSING}


class _Writer:
    """Writes batches of rows into tables; a new table begins when the columns or a type change."""

    def __init__(self) -> None:
        self._tables: list[Table] = []
        self._digests: list[NDArray[np.uint64]] = []
        self._writer: TableWriter | None = None
        self._fields: dict[str, pa.Field] = {}
        self._has_gaps = False

    def write(self, rows: Sequence[Row]) -> None:
        import pyarrow as pa

        self._digests.append(row_digests(rows))
        names = list(rows[0])
        self._has_gaps = self._has_gaps or any(row.keys() != rows[0].keys() for row in rows)
        if self._has_gaps:
            names = list(dict.fromkeys([*self._fields, *(name for row in rows for name in row)]))
        encoded = []
        for name in names:
            field, values = encode(name, [row.get(name, MISSING) for row in rows], self._fields.get(name))
            self._fields[name] = field
            encoded.append(values)
        schema = pa.schema([self._fields[name] for name in names])
        if self._writer is None or not schema.equals(self._writer.schema, check_metadata=True):
            self._close()
            in_memory = sum(table.memory_bytes for table in self._tables)
            self._writer = TableWriter(schema, memory_bytes=MEMORY_BYTES - in_memory)
        self._writer.write(pa.RecordBatch.from_arrays(encoded, schema=schema))

    def finish(self) -> Rows:
        self._close()
        digests = np.concatenate(self._digests) if self._digests else np.empty(0, np.uint64)
        return Rows(self._tables, digests)

    def _close(self) -> None:
        if self._writer is not None:
            self._tables.append(self._writer.finish())
