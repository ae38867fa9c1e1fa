"""The finished splits: tables with ids, texts and labels, as `datasets` has them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from slugline.core.labels import LabelSet, RowLabels
from slugline.data.preparing.examples import Examples
from slugline.data.preparing.row_ids import fingerprint
from slugline.data.tables.coded import Coded
from slugline.data.tables.table import BATCH_ROWS, Table, TableWriter

if TYPE_CHECKING:
    import datasets


def split_table(examples: Examples, labels: LabelSet | None = None) -> tuple[datasets.Dataset, str]:
    """Write the rows of a split to a table.

    Args:
        examples: rows of the split.
        labels: label set that has the labels of all rows; None = the table has no labels.

    Returns:
        Columns ``id`` and ``text``, and ``label`` from `LabelSet.indices`; and the SHA-256 over all rows.

    Raises:
        DataError: the label set lacks a label.
        RunError: the disk is full.
    """
    import datasets
    import pyarrow as pa

    fields = [("id", pa.string()), ("text", pa.string())]
    if labels is not None:
        fields.append(("label", pa.list_(pa.int64()) if labels.is_multi else pa.int64()))
    writer = TableWriter(pa.schema(fields))
    indices = _indices(examples.labels, labels) if labels is not None else Coded.of([None] * len(examples))
    column = iter(indices)
    for start in range(0, len(examples), BATCH_ROWS):
        batch = examples.table.take(examples.rows[start : start + BATCH_ROWS], ["id", "text"])
        columns = [batch.column(name).cast(pa.string()) for name in ("id", "text")]
        if labels is not None:
            columns.append(pa.array(list(islice(column, batch.num_rows)), writer.schema.field("label").type))
        writer.write(pa.RecordBatch.from_arrays(columns, schema=writer.schema))
    table = writer.finish()
    identity = fingerprint(_column(table, "id"), _column(table, "text"), indices)
    # Without a fingerprint, the library would hash all data.
    return datasets.Dataset(table.to_arrow(), fingerprint=identity), identity


def _column(table: Table, name: str) -> Iterator[str]:
    for batch in table:
        yield from batch.column(name).to_pylist()


def _indices(rows: Coded[RowLabels], labels: LabelSet) -> Coded[Any]:
    """Return the index of the label of each row, or a tuple of indices in a ``multi`` set."""
    used = rows.used()
    indices = labels.indices(used.values)
    return Coded(used.codes, [tuple(own) for own in indices] if labels.is_multi else indices)
