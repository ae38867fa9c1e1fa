"""Several labels in a cell, with a delimiter between them: ``wheat|grain``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from slugline.core.labels import RowLabels, Split
from slugline.data.reading.labels.label_map import change_rows, count_labels

#: Delimiters between the labels of a cell. The names of classes often hold the latter ones: ``R&B``, ``Sci/Tech``.
CERTAIN_DELIMITERS = ("#", "|", ";", ",", "\n")
LABEL_DELIMITERS = (*CERTAIN_DELIMITERS, "/", "+", "&")

CellLabels = Mapping[Split, Sequence[RowLabels | None]]


def guess_delimiter(labels: CellLabels, *, is_multi: bool) -> str:
    """Find the delimiter between the labels of a cell.

    Args:
        labels: labels as read, by split.
        is_multi: True if the set is known to have several labels a row. Otherwise a delimiter must be certain: each
            label of each combination also stands alone in a cell.

    Returns:
        The delimiter; empty if the cells hold one label, or if it is not certain.
    """
    counts = count_labels(labels)
    if is_multi:
        cells = Counter({delimiter: sum(delimiter in name for name in counts) for delimiter in CERTAIN_DELIMITERS})
        return next((delimiter for delimiter, count in cells.most_common(1) if count), "")
    for delimiter in CERTAIN_DELIMITERS:
        combined = combinations(counts, delimiter)
        if combined and all(part in counts for parts in combined.values() for part in parts):
            return delimiter
    return ""


def combinations(counts: Mapping[str, int], delimiter: str) -> dict[str, RowLabels]:
    """Return the parts of each name that holds a delimiter."""
    return {name: split_label(name, delimiter) for name in counts if delimiter in name}


def split_cells(labels: CellLabels, delimiter: str) -> dict[Split, list[RowLabels | None]]:
    """Split every label at a delimiter; a label that a row would get twice stands once.

    Args:
        labels: labels as read, by split.
        delimiter: text between two labels.

    Returns:
        The labels of each row, by split.
    """
    return change_rows(
        labels, lambda row: tuple(dict.fromkeys(part for name in row for part in split_label(name, delimiter)))
    )


def split_label(name: str, delimiter: str) -> RowLabels:
    """Return the parts of a name without blanks around them, and without empty parts."""
    return tuple(part for piece in name.split(delimiter) if (part := piece.strip()))
