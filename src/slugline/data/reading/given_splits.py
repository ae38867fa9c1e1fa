"""The splits that a source brings: from a column, from files of their own; files without labels are left out."""

from __future__ import annotations

import logging
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from slugline.core.errors import DataError, nearest
from slugline.core.labels import Split
from slugline.data.findings import Finding
from slugline.data.reading.columns import MAX_CLASSES, SAMPLE_ROWS
from slugline.data.reading.formats.column_names import LABEL_NAMES
from slugline.data.reading.raw_data import SPLIT_NAMES, RawData, SourceFile
from slugline.data.tables.rows import Row

logger = logging.getLogger(__name__)


def by_split_column(raw: RawData, column: str) -> RawData:
    """Assign each row to the split that its split column names."""
    if len(raw.rows) > 1:
        raise DataError(
            f"data.split is {column!r}, but {raw.source.name} already has splits: {', '.join(raw.rows)}.",
            hint="Leave data.split out, or give one file.",
        )
    rows = raw.rows["train"]
    columns = _columns(rows)
    if column not in columns:
        raise DataError(
            f"{raw.file_names('train')}: no column {column!r} for data.split.{nearest(column, columns)}",
            hint=f"Columns: {', '.join(columns)}.",
        )
    counts = Counter(str(value or "").strip().lower() for value in rows.values(column))
    unknown = Counter({name: count for name, count in counts.items() if name not in SPLIT_NAMES})
    if unknown or "train" not in counts:
        found = ", ".join(f"{name!r} ({count:,} rows)" for name, count in unknown.most_common(5)) or "no 'train'"
        raise DataError(
            f"{raw.file_names('train')}: column {column!r} holds {found}.",
            hint=f"Allowed values: {', '.join(SPLIT_NAMES)}.",
        )
    indices: dict[Split, array[int]] = {}
    for index, value in enumerate(rows.values(column)):
        indices.setdefault(SPLIT_NAMES[str(value).strip().lower()], array("q")).append(index)
    splits = {split: rows.take(np.frombuffer(numbers, dtype=np.int64)) for split, numbers in indices.items()}
    file = raw.file_names("train")
    files = {split: (SourceFile(f"{file} ({split})", len(rows)),) for split, rows in splits.items()}
    return replace(raw, rows=splits, files=files)


def with_split_file(raw: RawData, split: Split, added: RawData) -> RawData:
    """Add the rows of a separate file as a split, or in place of that split.

    Args:
        raw: rows of the other splits.
        split: name of the split.
        added: rows of the file, in this split.

    Returns:
        All rows.
    """
    if split in raw.rows:
        logger.warning("data.%s_path: its rows replace those of %s", split, raw.file_names(split))
    return replace(
        raw,
        rows={**raw.rows, **added.rows},
        files={**raw.files, **added.files},
        findings=(*raw.findings, *added.findings),
    )


def report_split_column(raw: RawData) -> RawData:
    """Point out a column that holds names of splits, if the source has one split and ``data.split`` is not set.

    Args:
        raw: rows as read.

    Returns:
        The same rows, with a warning for such a column.
    """
    rows = raw.rows["train"]
    if len(raw.rows) > 1 or not rows:
        return raw
    candidates = [name for name, value in rows[0].items() if _split_name(value) in SPLIT_NAMES]
    for column in candidates:
        counts = Counter(map(_split_name, rows.values(column)))
        found = {SPLIT_NAMES.get(name) for name in counts}
        if None in found or len(found) < 2 or "train" not in found:
            continue
        listed = ", ".join(f"{name} ({count:,})" for name, count in counts.most_common())
        message = (
            f"{raw.file_names('train')}: column {column!r} holds names of splits ({listed}), but all rows are taken as "
            f'one set; data.split = "{column}" uses them'
        )
        return _with_warning(raw, Finding("split column", len(rows), message, (column,), is_warning=True))
    return raw


def without_unlabelled_files(raw: RawData, label: Sequence[str]) -> RawData:
    """Leave out splits whose files have no label column, as the test file of a competition.

    Args:
        raw: rows as read.
        label: label columns given by the user; empty = named by the source, or guessed.

    Returns:
        The other splits, with a warning for each split that is left out.
    """
    stated = raw.columns.get("label") or []
    label = list(label) or ([stated] if isinstance(stated, str) else list(stated))
    for split in [split for split in raw.rows if split != "train"]:
        present = _columns(raw.rows[split])
        wanted = label or _likely_label(raw, present)
        if not wanted or set(wanted) & set(present) or not set(wanted) <= set(_columns(raw.rows["train"])):
            continue
        file = raw.file_names(split)
        message = (
            f"{file}: no column {' and '.join(map(repr, wanted))}, so that its {len(raw.rows[split]):,} rows cannot be "
            f"used as {split} rows; other rows are cut for it. After training, predict them with: slugline predict RUN "
            f"--input {file}"
        )
        rows = {name: part for name, part in raw.rows.items() if name != split}
        raw = replace(raw, rows=rows, withheld=(*raw.withheld, split))
        raw = _with_warning(raw, Finding("split without labels", 1, message, (file,), is_warning=True))
    return raw


def _with_warning(raw: RawData, finding: Finding) -> RawData:
    logger.warning(finding.message)
    return replace(raw, findings=(*raw.findings, finding))


def _columns(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(column for row in rows[:SAMPLE_ROWS] for column in row))


def _likely_label(raw: RawData, present: Sequence[str]) -> list[str]:
    """The label column of train by its name, else its only column that is not among those present in another split."""
    rows = raw.rows["train"][:SAMPLE_ROWS]
    columns = _columns(rows)
    by_name = {column.lower(): column for column in columns}
    named = [by_name[name] for name in LABEL_NAMES if name in by_name]
    if named:
        return named[:1]
    absent = [column for column in columns if column not in present]
    if len(absent) != 1:
        return []
    values = {str(row.get(absent[0])) for row in rows}
    return absent if 2 <= len(values) <= min(MAX_CLASSES, max(2, len(rows) // 2)) else []


def _split_name(value: object) -> str:
    return value.strip().lower() if isinstance(value, str) else ""
