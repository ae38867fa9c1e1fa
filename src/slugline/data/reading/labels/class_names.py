"""Class names of columns of integers: in the metadata of Parquet files, or in a column beside the integers."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from slugline.core.errors import DataError
from slugline.data.reading.raw_data import SAMPLE_ROWS, RawData

#: Endings of the column that names the classes: ``label_text`` beside ``label``.
NAME_ENDINGS = ("_text", "_name", "_names")

#: Any number.
NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?")

#: Integer of rows whose label is not published.
HIDDEN = -1

#: Integers, also as spreadsheets and pandas write them in a column with a missing value: ``1.0``.
INTEGER = re.compile(r"(0|-?[1-9][0-9]*)(\.0+)?")


def integer_of(label: str) -> int | None:
    """The integer of a label, or None; that of ``1.0`` is 1. ``0111`` is a name: as a number it would lose its zero."""
    return int(label.partition(".")[0]) if INTEGER.fullmatch(label) else None


def plain_number(label: str) -> str:
    """Return ``1`` for ``1.0``, and any other label with composed accents."""
    number = integer_of(label)
    return unicodedata.normalize("NFC", label) if number is None else str(number)


def parquet_class_names(path: Path) -> dict[str, tuple[str, ...]]:
    """Read the class names that `datasets` writes into a Parquet file.

    Args:
        path: any file.

    Returns:
        Class names by column; empty for other files, and for Parquet files without such names.
    """
    if path.suffix.lower() != ".parquet":
        return {}
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_schema(path).metadata or {}
        features = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
        named = {column: feature["names"] for column, feature in features.items() if "names" in feature}
    except (pa.ArrowInvalid, OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}  # the reader of the rows reports a broken file
    return {column: tuple(map(str, names)) for column, names in named.items() if isinstance(names, list)}


def joined_class_names(
    known: Mapping[str, tuple[str, ...]], added: Mapping[str, tuple[str, ...]], path: Path
) -> dict[str, tuple[str, ...]]:
    """Join the class names of several files.

    Args:
        known: names by column of the files before.
        added: names by column of the next file.
        path: the next file, for messages.

    Returns:
        Names by column of all these files.

    Raises:
        DataError: the same integers have other names in the next file.
    """
    for column, names in added.items():
        if known.get(column, names) != names:
            raise DataError(
                f"{path}: column {column!r} has the classes {', '.join(names[:5])}, in other files "
                f"{', '.join(known[column][:5])}, so that its integers mean other classes.",
                hint="Give the files as [[data.sources]], or write names in place of the integers.",
            )
    return {**known, **added}


def with_names_beside(raw: RawData, column: str) -> RawData:
    """Name the classes of a column of integers by the column beside it: ``label`` by ``label_text``.

    Args:
        raw: rows as read.
        column: label column.

    Returns:
        The same rows. Their class names are set if each of the integers 0 to K-1 has one name of its own.
    """
    n_rows = sum(map(len, raw.rows.values()))
    if raw.classes_of(column) or not n_rows:
        return raw
    sample = [row for rows in raw.rows.values() for row in rows[:SAMPLE_ROWS]]
    for beside in (column + ending for ending in NAME_ENDINGS if any(column + ending in row for row in sample)):
        pairs = {
            (str(number).strip(), str(name).strip())
            for rows in raw.rows.values()
            for number, name in zip(rows.values(column), rows.values(beside), strict=True)
        }
        names = {number: name for number, name in pairs if number != str(HIDDEN)}
        numbers = [str(number) for number in range(len(names))]
        is_named = len(set(names.values())) == len(names) == len([pair for pair in pairs if pair[0] in names])
        if 1 < len(names) < n_rows and is_named and set(names) == set(numbers) and "" not in names.values():
            return replace(raw, class_columns={**raw.class_columns, column: tuple(map(names.__getitem__, numbers))})
    return raw
