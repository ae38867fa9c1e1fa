"""Rows whose labels are missing or not published."""

from __future__ import annotations

from collections.abc import Sequence

from slugline.core.errors import DataError
from slugline.core.labels import RowLabels, Split
from slugline.data.reading.labels.class_names import HIDDEN, plain_number
from slugline.data.reading.labels.columns import cells_of
from slugline.data.reading.labels.delimiters import CellLabels
from slugline.data.reading.labels.label_map import change_rows
from slugline.data.reading.raw_data import RawData

#: Unlabelled rows that a message lists.
MAX_LISTED_ROWS = 3


def without_hidden(labels: CellLabels) -> dict[Split, list[RowLabels | None]]:
    """Take -1 as no label, in a column of integers with class names."""
    return change_rows(labels, lambda row: None if [plain_number(label) for label in row] == [str(HIDDEN)] else row)


def hidden_splits(raw: RawData, columns: Sequence[str]) -> list[Split]:
    """Find the splits beside train whose labels are not published: all are -1, which train does not have, or missing.

    Args:
        raw: rows as read.
        columns: label columns.

    Returns:
        Names of the splits.
    """
    found: dict[Split, set[str]] = {}
    for split in raw.rows:
        cells = {cell for column in columns for cell in cells_of(raw, split, column)}
        found[split] = {plain_number(cell[0]) if cell else "" for cell in cells}
    hidden = {"", str(HIDDEN)} - found["train"]
    return [split for split, values in found.items() if split != "train" and values and values <= hidden]


def check_hidden(raw: RawData, columns: Sequence[str]) -> None:
    """Refuse splits whose labels are hidden.

    Args:
        raw: rows as read.
        columns: label columns.

    Raises:
        DataError: a split beside train has no labels.
    """
    for split in hidden_splits(raw, columns):
        named = " and ".join(map(repr, columns[:2]))
        raise DataError(
            f"{raw.file_names(split)}: the labels of {split} are hidden: column {named} holds {HIDDEN} or nothing "
            f"in all {len(raw.rows[split]):,} rows.",
            hint='Leave the split out with data.unlabelled="drop"; other rows are cut for it then.',
        )


def unlabelled_rows(raw: RawData, split: Split, labels: Sequence[RowLabels | None]) -> tuple[list[int], str]:
    """Find the rows of a split without a label.

    Args:
        raw: rows as read.
        split: name of the split.
        labels: class names of its rows.

    Returns:
        Their indices, and their places for messages, at most `MAX_LISTED_ROWS`.
    """
    indices = [index for index, row in enumerate(labels) if row is None]
    places = [raw.locate(split, index) for index in indices[:MAX_LISTED_ROWS]]
    return indices, "; ".join([*places, *(["..."] if len(indices) > len(places) else [])])


def check_unlabelled(raw: RawData, columns: Sequence[str], labels: CellLabels, policy: str) -> None:
    """Refuse rows without a label, unless the policy is to drop them; refuse a split without any label.

    Args:
        raw: rows as read.
        columns: label columns.
        labels: labels of each row, by split.
        policy: value of ``data.unlabelled``.

    Raises:
        DataError: rows have no label.
    """
    column = " and ".join(map(repr, columns[:2]))
    for split, split_labels in labels.items():
        indices, places = unlabelled_rows(raw, split, split_labels)
        if indices and policy == "refuse":
            what = f"no label in column {column}"
            several = f"{raw.file_names(split)}: {what} of {len(indices):,} rows: {places}."
            raise DataError(
                f"{places}: {what}." if len(indices) == 1 else several,
                hint='Add the labels, or leave such rows out with data.unlabelled="drop".',
            )
        if indices and len(indices) == len(split_labels):
            raise DataError(
                f"{raw.file_names(split)}: no row has a label in column {column}.",
                hint="Choose another column with data.label, or leave the file out.",
            )
