"""Arrow tables that may be larger than the memory: small ones are kept in it, larger ones in temporary files.

The files are in the cache folder and have no name there, so that they end with the process, however it ends. A table is
written and read a batch at a time. Pages of a file that were read are released, so that they do not count as memory of
the process.
"""

from __future__ import annotations

import logging
import mmap
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from slugline.core.errors import RunError
from slugline.core.storage import cache_dir, disk_errors

if TYPE_CHECKING:
    import pyarrow as pa

logger = logging.getLogger(__name__)

#: Rows of a batch.
BATCH_ROWS = 8_192

#: Tables of at most this many bytes stay in memory.
MEMORY_BYTES = 32 * 2**20

#: Bytes that the kernel maps at once, when a row is read that is far from the others.
PAGES_BYTES = 2**16

#: Files of all tables.
_mappings: weakref.WeakSet[mmap.mmap] = weakref.WeakSet()

#: Cache folders that a warning was written about.
_unwritable: set[Path] = set()

#: Bytes of a file that are read before its pages are released.
RELEASE_BYTES = 64 * 2**20


class Table:
    """A table as Arrow record batches, in memory or in a file.

    Args:
        schema: columns of the table.
        batches: batches in the order of the rows; none is empty.
        file: mapping of the file that has the data of the batches; None = they are in memory.
    """

    def __init__(self, schema: pa.Schema, batches: Sequence[pa.RecordBatch], file: mmap.mmap | None = None) -> None:
        self.schema = schema
        self.batches = batches
        self._file = file
        self._n_taken = 0
        self._ends = np.cumsum([batch.num_rows for batch in batches], dtype=np.int64)

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Iterate over the batches; pages of a file are released after each `RELEASE_BYTES`."""
        n_bytes = 0
        for batch in self.batches:
            yield batch
            n_bytes += batch.nbytes
            if n_bytes > RELEASE_BYTES:
                self.release()
                n_bytes = 0
        self.release()

    @property
    def memory_bytes(self) -> int:
        """Size of the data in memory; 0 if they are in a file."""
        return sum(batch.nbytes for batch in self.batches) if self._file is None else 0

    def _release_taken(self, n_rows: int) -> None:
        self._n_taken += n_rows
        if self._n_taken * PAGES_BYTES > RELEASE_BYTES:
            self._n_taken = 0
            self.release()

    def release(self) -> None:
        """Release the pages of the file; they are read again when they are needed."""
        if self._file is not None:
            _release(self._file)

    def to_arrow(self) -> pa.Table:
        """Return the table of pyarrow with the same data."""
        import pyarrow as pa

        return pa.Table.from_batches(self.batches, self.schema)

    def column(self, name: str) -> pa.ChunkedArray:
        """Return a column, without a copy of its values."""
        return self.to_arrow().column(name)

    def copied(self, name: str) -> NDArray[Any]:
        """Return a copy of a column of numbers; the pages of a file are released while it is read."""
        values = np.empty(len(self), dtype=self.schema.field(name).type.to_pandas_dtype())
        for end, batch in zip(self._ends.tolist(), self, strict=True):
            values[end - batch.num_rows : end] = batch.column(name).to_numpy()
        return values

    def take(self, indices: NDArray[np.int64], columns: Sequence[str]) -> pa.RecordBatch:
        """Return rows in the given order.

        Args:
            indices: (M,) numbers of rows; few, because the rows are copied into memory.
            columns: names of the columns to return.

        Returns:
            A batch of M rows.
        """
        import pyarrow as pa

        schema = pa.schema([self.schema.field(name) for name in columns])
        order = None if _is_sorted(indices) else np.argsort(indices, kind="stable")
        wanted = indices if order is None else indices[order]
        numbers = np.searchsorted(self._ends, wanted, side="right")
        pieces = []
        for number in np.unique(numbers):
            batch = self.batches[number]
            start = self._ends[number] - batch.num_rows
            first, last = np.searchsorted(numbers, [number, number + 1])
            pieces.append(batch.select(columns).take(pa.array(wanted[first:last] - start)))
            self._release_taken(int(last - first))
        if not pieces:
            return pa.RecordBatch.from_pylist([], schema)
        arrays = [pa.concat_arrays([piece.column(name) for piece in pieces]) for name in columns]
        result = pa.RecordBatch.from_arrays(arrays, schema=schema)
        return result if order is None else result.take(pa.array(np.argsort(order, kind="stable")))


def _is_sorted(indices: NDArray[np.int64]) -> bool:
    return bool((indices[1:] >= indices[:-1]).all())


def release_all() -> None:
    """Release the pages of the files of all tables, also of those that pyarrow or `datasets` holds."""
    for mapping in tuple(_mappings):
        _release(mapping)


def release_unused() -> None:
    """Release the memory that pyarrow keeps for later after arrays were deleted, and the pages of all files."""
    import pyarrow as pa

    pa.default_memory_pool().release_unused()
    release_all()


def _release(mapping: mmap.mmap) -> None:
    if hasattr(mmap, "MADV_DONTNEED"):
        mapping.madvise(mmap.MADV_DONTNEED)


class TableWriter:
    """Writes a table a batch at a time: into memory, and from `MEMORY_BYTES` on into a temporary file.

    Args:
        schema: columns of the table.
        memory_bytes: size up to which the table stays in memory; None = `MEMORY_BYTES`.
    """

    def __init__(self, schema: pa.Schema, *, memory_bytes: int | None = None) -> None:
        self.schema = schema
        self._memory_bytes = MEMORY_BYTES if memory_bytes is None else memory_bytes
        self._batches: list[pa.RecordBatch] = []
        self._n_bytes = 0
        self._file: Any = None
        self._writer: Any = None
        self._is_in_memory = False

    def write(self, batch: pa.RecordBatch) -> None:
        """Append the rows of a batch.

        Args:
            batch: rows with the columns of the schema.

        Raises:
            RunError: the disk is full.
        """
        if not batch.num_rows:
            return
        if self._writer is not None:
            with self._closing_on_error():
                self._writer.write_batch(batch)
            return
        self._batches.append(batch)
        self._n_bytes += batch.nbytes
        if self._n_bytes > self._memory_bytes and not self._is_in_memory:
            self._move_to_file()

    def finish(self) -> Table:
        """Return the table of all rows written."""
        if self._writer is None:
            return Table(self.schema, self._batches)
        import pyarrow as pa

        with self._closing_on_error():
            self._writer.close()
            self._file.flush()
        mapping = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        _mappings.add(mapping)
        self._file.close()
        reader = pa.ipc.open_file(pa.BufferReader(pa.py_buffer(mapping)))
        batches, n_mapped = [], 0
        for number in range(reader.num_record_batches):
            batches.append(reader.get_batch(number))
            n_mapped += PAGES_BYTES  # reading the head of a batch maps the pages around it
            if n_mapped > RELEASE_BYTES:
                _release(mapping)
                n_mapped = 0
        _release(mapping)
        return Table(self.schema, batches, mapping)

    @contextmanager
    def _closing_on_error(self) -> Iterator[None]:
        """Close the file on an error: what its buffer holds would be written when Python deletes the object."""
        try:
            with _cache_errors():
                yield
        except RunError:
            with suppress(OSError):
                self._file.close()
            raise

    def _move_to_file(self) -> None:
        """Continue in a file; in memory if the cache folder is not writable."""
        import pyarrow as pa

        try:
            with _cache_errors():
                self._file = _temporary_file()
        except RunError as error:
            self._is_in_memory = True
            if cache_dir() not in _unwritable:  # a data set has several tables
                _unwritable.add(cache_dir())
                logger.warning("rows are kept in memory: %s %s", error.message, error.hint)
            return
        self._writer = pa.ipc.new_file(pa.PythonFile(self._file, "w"), self.schema)
        batches, self._batches = self._batches, []
        for batch in batches:
            self.write(batch)


@contextmanager
def _cache_errors() -> Iterator[None]:
    try:
        with disk_errors(cache_dir()):
            yield
    except RunError as error:
        raise RunError(error.message, hint="Set SLUGLINE_CACHE to a folder with free space.") from error


def _temporary_file() -> IO[bytes]:
    """Open a file in the cache folder that is deleted when it is closed, or when the process ends."""
    folder = cache_dir() / "rows"
    folder.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryFile(dir=folder)
