"""Label maps, which rename and merge classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain

from slugline.core.errors import DataError, nearest
from slugline.core.labels import RowLabels, Split
from slugline.data.reading.labels.class_names import plain_number

#: Unmapped labels that a message lists.
MAX_LISTED_LABELS = 10


def map_labels(
    labels: Mapping[Split, Sequence[RowLabels | None]],
    order: Sequence[str],
    label_map: Mapping[str, str],
    *,
    where: str,
) -> tuple[dict[Split, list[RowLabels | None]], tuple[str, ...]]:
    """Rename and merge classes.

    Args:
        labels: class names of each row, by split; None for rows without a label.
        order: all class names of the source, also those without rows.
        label_map: new names by class name, ``1.0`` for the class ``1`` as well; empty = the names stay.
        where: the source, for messages.

    Returns:
        New names of each row, by split, and all new names in the order of the map.

    Raises:
        DataError: an entry names no class of the source, or a label has no entry.
    """
    if not label_map:
        return {split: list(rows) for split, rows in labels.items()}, tuple(order)
    label_map = {name if name in order else plain_number(name): new for name, new in label_map.items()}
    _check_entries_are_classes(label_map, order, where)
    counts = count_labels(labels)
    _check_labels_have_entries(label_map, counts, where)
    return rename(labels, label_map), join_orders([label_map.values()])


def rename(
    labels: Mapping[Split, Sequence[RowLabels | None]], names: Mapping[str, str]
) -> dict[Split, list[RowLabels | None]]:
    """Return the labels under new names; a name that a row would get twice stands once."""
    return change_rows(labels, lambda row: tuple(dict.fromkeys(names[label] for label in row)))


def change_rows(
    labels: Mapping[Split, Sequence[RowLabels | None]], change: Callable[[RowLabels], RowLabels | None]
) -> dict[Split, list[RowLabels | None]]:
    """Change the labels of each row that has some; it is done once for all rows with the same labels.

    Args:
        labels: labels of each row, by split.
        change: returns the new labels of a row.

    Returns:
        New labels of each row, by split. Rows with the same labels share one tuple.
    """
    distinct = {row for rows in labels.values() for row in rows if row is not None}
    changed: dict[RowLabels | None, RowLabels | None] = {None: None, **{row: change(row) for row in distinct}}
    return {split: [changed[row] for row in rows] for split, rows in labels.items()}


def count_labels(labels: Mapping[Split, Sequence[RowLabels | None]]) -> Counter[str]:
    """Count the rows of each label over all splits."""
    counts: Counter[str] = Counter()
    for row, count in Counter(chain.from_iterable(labels.values())).items():
        for label in row or ():
            counts[label] += count
    return counts


def join_orders(orders: Iterable[Iterable[str]]) -> tuple[str, ...]:
    """Concatenate orders of names; a repeated name keeps its first position."""
    return tuple(dict.fromkeys(name for order in orders for name in order))


def _check_entries_are_classes(label_map: Mapping[str, str], order: Sequence[str], where: str) -> None:
    unknown = [name for name in label_map if name not in order]
    if unknown:
        raise DataError(
            f"{where}: label_map has entries for {', '.join(map(repr, unknown[:MAX_LISTED_LABELS]))}, which are not "
            f"classes.{nearest(unknown[0], list(order))}",
            hint=f"Classes: {', '.join(order[:20])}{' ...' if len(order) > 20 else ''}.",
        )


def _check_labels_have_entries(label_map: Mapping[str, str], counts: Counter[str], where: str) -> None:
    missing = [(name, count) for name, count in counts.most_common() if name not in label_map]
    if missing:
        listed = ", ".join(f"{name!r} ({count:,} rows)" for name, count in missing[:MAX_LISTED_LABELS])
        more = f", and {len(missing) - MAX_LISTED_LABELS} more" if len(missing) > MAX_LISTED_LABELS else ""
        name = missing[0][0]
        raise DataError(
            f"{where}: labels without an entry in label_map: {listed}{more}.",
            hint=f'Add entries: "{name}" = "{name}" keeps a class; data.drop_classes drops it afterwards.',
        )
