"""Several label columns: one column of 0 and 1 for each label, or the levels of a path."""

from __future__ import annotations

from collections.abc import Sequence

from slugline.core.errors import DataError
from slugline.core.labels import RowLabels, Split
from slugline.data.reading.labels.cells import labels_of
from slugline.data.reading.labels.class_names import HIDDEN, plain_number
from slugline.data.reading.raw_data import RawData

#: Values of a 0/1 column, in lower case.
INDICATORS = {"0": False, "1": True, "false": False, "true": True}


def cells_of(raw: RawData, split: Split, column: str) -> list[RowLabels | None]:
    """Return the labels in each cell of a label column of a split.

    Args:
        raw: rows as read.
        split: name of the split.
        column: label column.

    Returns:
        Labels of the rows; None for cells without a value.

    Raises:
        DataError: a cell holds an object.
    """
    cells: list[RowLabels | None] = []
    known: dict[RowLabels | None, RowLabels | None] = {}  # rows with the same labels share one tuple
    of_text: dict[str, RowLabels | None] = {}
    for index, value in enumerate(raw.rows[split].values(column)):
        if isinstance(value, str):
            if value not in of_text:
                of_text[value] = labels_of(value)
            cells.append(of_text[value])
            continue
        is_list = isinstance(value, (list, tuple, dict))
        labels = labels_of(value, where=f"{raw.locate(split, index)}: column {column!r}" if is_list else "")
        cells.append(known.setdefault(labels, labels))
    return cells


def are_indicators(raw: RawData, columns: Sequence[str]) -> bool:
    """Tell whether label columns hold only 0 and 1 (or false and true, or -1 or nothing for hidden labels)."""
    allowed = {*INDICATORS, str(HIDDEN)}
    return all(
        cell is None or (len(cell) == 1 and plain_number(cell[0]).lower() in allowed)
        for column in columns
        for split in raw.rows
        for cell in set(cells_of(raw, split, column))
    )


def indicated_labels(raw: RawData, columns: Sequence[str]) -> dict[Split, list[RowLabels | None]]:
    """Read one 0/1 column for each label.

    Args:
        raw: rows as read.
        columns: label columns; their names are the labels.

    Returns:
        Labels of each row, by split; None for a row that lacks a value.

    Raises:
        DataError: a column holds another value.
    """
    by_split: dict[Split, list[RowLabels | None]] = {}
    for split in raw.rows:
        cells = [cells_of(raw, split, column) for column in columns]
        by_split[split] = [
            _indicated(raw, split, index, columns, row) for index, row in enumerate(zip(*cells, strict=True))
        ]
    return by_split


def _indicated(
    raw: RawData, split: Split, index: int, columns: Sequence[str], row: Sequence[RowLabels | None]
) -> RowLabels | None:
    values = ["" if not cell else plain_number(cell[0]).lower() for cell in row]
    if any(value in ("", str(HIDDEN)) for value in values):
        return None
    for column, value in zip(columns, values, strict=True):
        if value not in INDICATORS:
            raise DataError(
                f"{raw.locate(split, index)}: column {column!r} holds {value!r}, not 0 or 1.",
                hint="With several columns in data.label, each is a label with 0 or 1, or, with data.label_kind = "
                '"hierarchical", a level of a path.',
            )
    return tuple(column for column, value in zip(columns, values, strict=True) if INDICATORS[value])
