"""The rows that a run has learned from, so that no other score than that of its own splits includes them.

A run stores ids and hashes of its texts in ``learned.parquet``, not the texts themselves.
"""

from __future__ import annotations

import hashlib
import logging
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from slugline.core.errors import DataError, SluglineError
from slugline.data.dataset import TextDataset
from slugline.data.findings import MAX_EXAMPLES
from slugline.data.preparing.duplicates import same_text_key
from slugline.data.tables.texts import column_values
from slugline.pipeline.run_data import own_data
from slugline.run.run import Run

if TYPE_CHECKING:
    import datasets
    import pyarrow as pa

logger = logging.getLogger(__name__)

#: Splits that a run learns from: weights on train; epochs, settings and temperature on validation.
LEARNED_SPLITS = ("train", "validation")

#: Ids that are made from the contents of rows, and therefore mean the same row in every source.
CONTENT_ID = re.compile(r"[0-9a-f]{16}(-\d+)?")


@dataclass(frozen=True)
class LeftOut:
    """Rows that are left out of an evaluation.

    Args:
        count: number of rows.
        of: number of rows before.
        by_id: number of rows whose id the run has learned from.
        by_text: number of other rows whose text it has learned from.
        ids: ids of the first rows.
    """

    count: int
    of: int
    by_id: int
    by_text: int
    ids: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self) | {"ids": list(self.ids)}


def learned_table(dataset: TextDataset) -> pa.Table:
    """Return the rows that a run on a data set learns from.

    Args:
        dataset: data set of the run.

    Returns:
        Columns ``split``, ``id`` and ``text``, a hash that is equal for texts that count as the same.
    """
    import pyarrow as pa

    columns: dict[str, list[str]] = {"split": [], "id": [], "text": []}
    for split in (split for split in LEARNED_SPLITS if split in dataset.splits):
        rows = dataset[split]
        columns["split"] += [split] * len(rows)
        columns["id"] += rows["id"][:]
        columns["text"] += map(_text_hash, column_values(rows, "text"))
    return pa.table(columns)


def leave_out_learned(
    rows: datasets.Dataset, run: Run, *, is_own_source: bool
) -> tuple[datasets.Dataset, LeftOut | None]:
    """Leave out the rows that a run has learned from, and log a warning that names them.

    Args:
        rows: rows to evaluate the run on, with columns ``id`` and ``text``.
        run: run whose model is evaluated.
        is_own_source: True if the rows are from a source of the run, so that equal ids mean equal rows.

    Returns:
        The other rows; and the rows that were left out, or None if there are none.

    Raises:
        DataError: no row is left.
    """
    try:
        table = _stored_table(run)
    except SluglineError as error:
        logger.warning("Rows that %s has learned from are not known: %s", run.path, error.message)
        return rows, None
    learned = table.to_pylist()
    ids = {row["id"] for row in learned if is_own_source or CONTENT_ID.fullmatch(row["id"])}
    texts = {row["text"] for row in learned}
    row_ids = rows["id"][:]
    by_id = [name in ids for name in row_ids]
    by_text = [_text_hash(text) in texts for text in column_values(rows, "text")]
    left_out = [index for index, found in enumerate(zip(by_id, by_text, strict=True)) if any(found)]
    if not left_out:
        return rows, None
    names = tuple(row_ids[index] for index in left_out[:MAX_EXAMPLES])
    found = LeftOut(len(left_out), len(rows), sum(by_id), len(left_out) - sum(by_id), names)
    described = f"{found.count:,} of {found.of:,} rows, which {run.path} has learned from ({', '.join(names)}"
    described += ", ...)" if len(left_out) > len(names) else ")"
    if len(left_out) == len(rows):
        raise DataError(
            f"no row is left to score: {described}.", hint="Score them anyway with --keep-learned, or give other data."
        )
    logger.warning("Left out: %s. Score them anyway with --keep-learned.", described)
    excluded = set(left_out)
    return rows.select([index for index in range(len(rows)) if index not in excluded]), found


def _stored_table(run: Run) -> pa.Table:
    """The table of the run; of an earlier version's run, made from its data if that has not changed."""
    import pyarrow.parquet as pq

    path = run.layout.learned
    return pq.read_table(path) if path.is_file() else learned_table(own_data(run))


def _text_hash(text: str) -> str:
    return hashlib.sha256(same_text_key(text).encode("utf-8", "surrogatepass")).hexdigest()[:16]
