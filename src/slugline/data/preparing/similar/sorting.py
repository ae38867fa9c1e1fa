"""The different texts of a data set in the order of their characters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from slugline.data.preparing.duplicates import group_numbers
from slugline.data.tables.digests import text_digests
from slugline.data.tables.table import BATCH_ROWS, Table, TableWriter
from slugline.data.tables.texts import Texts

#: Bytes of a text that most texts are sorted by.
PREFIX = 16


def sorted_texts(texts: Iterable[str]) -> tuple[Texts, NDArray[np.int64]]:
    """Store texts, and sort the different ones.

    Args:
        texts: N texts.

    Returns:
        The different texts that are not empty, in the order of their characters; and (N,) the place of each text among
        them, -1 for an empty text.

    Raises:
        RunError: the disk is full.
    """
    table, numbers, prefixes = _stored(texts)
    first = np.empty(int(numbers.max(initial=-1)) + 1, dtype=np.int64)
    first[numbers[::-1]] = np.arange(len(numbers))[::-1]
    order = np.lexsort((prefixes[first, 1], prefixes[first, 0]))
    _sort_ties(order, first, prefixes, table)
    is_empty = np.zeros(len(first), dtype=np.bool_)
    if len(order) and not next(iter(Texts(table, "text", first[order[:1]]))):
        is_empty[order[0]] = True
    places = np.empty(len(first), dtype=np.int64)
    places[order] = np.arange(len(order)) - int(is_empty.any())
    return Texts(table, "text", first[order[int(is_empty.any()) :]]), places[numbers]


def _stored(texts: Iterable[str]) -> tuple[Table, NDArray[np.int64], NDArray[np.uint64]]:
    """Write texts to a table; return it, numbers that are equal for equal texts, and their first bytes as numbers."""
    import pyarrow as pa

    writer = TableWriter(pa.schema([("text", pa.large_string())]))
    digests, prefixes = [np.empty((0, 2), np.uint64)], [np.empty((0, 2), np.uint64)]
    iterator = iter(texts)
    while batch := list(islice(iterator, BATCH_ROWS)):
        writer.write(pa.RecordBatch.from_arrays([pa.array(batch, pa.large_string())], schema=writer.schema))
        digests.append(text_digests(batch))
        first = b"".join(
            [text[:PREFIX].encode("utf-8", "surrogatepass")[:PREFIX].ljust(PREFIX, b"\0") for text in batch]
        )
        prefixes.append(np.frombuffer(first, dtype=">u8").reshape(-1, 2).astype(np.uint64))
    return writer.finish(), group_numbers(np.concatenate(digests)), np.concatenate(prefixes)


def _sort_ties(order: NDArray[np.int64], first: NDArray[np.int64], prefixes: NDArray[np.uint64], table: Table) -> None:
    """Sort the texts with equal first bytes by all bytes."""
    import pyarrow as pa
    import pyarrow.compute as pc

    sorted_prefixes = prefixes[first[order]]
    is_new = np.ones(len(order), dtype=np.bool_)
    is_new[1:] = (np.diff(sorted_prefixes.T) != 0).any(axis=0)
    runs = np.cumsum(is_new) - 1
    tied = np.flatnonzero(np.bincount(runs)[runs] > 1) if len(runs) else np.empty(0, np.int64)
    for places in _in_blocks(tied, runs):
        rows = first[order[places]]
        block = pa.table({"run": runs[places], "text": table.take(rows, ["text"]).column(0)})
        within = pc.sort_indices(block, sort_keys=[("run", "ascending"), ("text", "ascending")]).to_numpy()
        order[places] = order[places][within]


def _in_blocks(tied: NDArray[np.int64], runs: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Divide places into blocks of about `BATCH_ROWS` that do not divide a run."""
    ends = np.flatnonzero(np.diff(runs[tied], append=-1)) + 1 if len(tied) else np.empty(0, np.int64)
    start = 0
    while start < len(tied):
        end = int(ends[min(int(np.searchsorted(ends, start + BATCH_ROWS)), len(ends) - 1)])
        yield tied[start:end]
        start = end
