"""Read any source: a section of the recipe in, `RawData` out. The rows come from one of the places in `places`."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import replace
from pathlib import Path

from slugline.core.errors import DataError, nearest
from slugline.core.labels import Split
from slugline.data.reading.formats import Row
from slugline.data.reading.places.hub import read_hub
from slugline.data.reading.places.named import read_named
from slugline.data.reading.places.paths import read_files, read_path
from slugline.data.reading.raw_data import SPLIT_NAMES, RawData, SourceFile
from slugline.recipe.data_section import DataSection, SourceSection
from slugline.recipe.locations import short_path

logger = logging.getLogger(__name__)


def read(section: SourceSection) -> RawData:
    """Read the source of a section.

    Args:
        section: section with ``name``, ``path`` or ``hub``; a data section also with ``test_path``, ``validation_path``
            and ``split``.

    Returns:
        Rows as read; without ``validation`` or ``test`` if the source has none.

    Raises:
        DataError: the set is unknown, unavailable, or cannot be read.
        MissingExtra: the section names the embedded set, which is not installed.
    """
    if section.name:
        raw = read_named(section.name)
    elif section.hub:
        raw = read_hub(section.hub)
    else:
        raw = read_path(short_path(section.path))
    if not isinstance(section, DataSection):
        return raw
    if section.split:
        raw = _by_split_column(raw, section.split)
    split_paths: dict[Split, str] = {"validation": section.validation_path, "test": section.test_path}
    for split, path in split_paths.items():
        if path:
            raw = _with_split_file(raw, split, Path(short_path(path)))
    return raw


def _by_split_column(raw: RawData, column: str) -> RawData:
    """Assign each row to the split that its split column names."""
    if len(raw.rows) > 1:
        raise DataError(
            f"data.split is {column!r}, but {raw.source.name} already has splits: {', '.join(raw.rows)}.",
            hint="Leave data.split out, or give one file.",
        )
    rows = raw.rows["train"]
    columns = list(rows[0])
    if column not in columns:
        raise DataError(
            f"{raw.file_names('train')}: no column {column!r} for data.split.{nearest(column, columns)}",
            hint=f"Columns: {', '.join(columns)}.",
        )
    names = [str(row.get(column) or "").strip().lower() for row in rows]
    unknown = Counter(name for name in names if name not in SPLIT_NAMES)
    if unknown or "train" not in names:
        found = ", ".join(f"{name!r} ({count:,} rows)" for name, count in unknown.most_common(5)) or "no 'train'"
        raise DataError(
            f"{raw.file_names('train')}: column {column!r} holds {found}.",
            hint=f"Allowed values: {', '.join(SPLIT_NAMES)}.",
        )
    splits: dict[Split, list[Row]] = {}
    for name, row in zip(names, rows, strict=True):
        splits.setdefault(SPLIT_NAMES[name], []).append(row)
    file = raw.file_names("train")
    files = {split: (SourceFile(f"{file} ({split})", len(rows)),) for split, rows in splits.items()}
    return replace(raw, rows=splits, files=files)


def _with_split_file(raw: RawData, split: Split, path: Path) -> RawData:
    """Read the rows of a split from a separate file."""
    if split in raw.rows:
        logger.warning("data.%s_path: its rows replace those of %s", split, raw.file_names(split))
    added = read_files({split: [path]}, raw.source)
    return replace(
        raw,
        rows={**raw.rows, **added.rows},
        files={**raw.files, **added.files},
        findings=(*raw.findings, *added.findings),
    )
