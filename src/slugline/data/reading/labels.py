"""Labels to class names, and label maps, which rename and merge classes."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from slugline.core.errors import DataError, nearest
from slugline.core.labels import Split
from slugline.data.reading.class_names import HIDDEN, with_names_beside
from slugline.data.reading.label_cells import label_of, several_labels
from slugline.data.reading.raw_data import RawData

#: Unlabelled rows and unmapped labels that a message lists.
MAX_LISTED_ROWS = 3
MAX_LISTED_LABELS = 10


#: Integers, also as spreadsheets and pandas write them in a column with a missing value: ``1.0``; and any number.
INTEGER = re.compile(r"(0|-?[1-9][0-9]*)(\.0+)?")
NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?")

#: Class name of a row without a label.
UNLABELLED = ""


def name_labels(
    raw: RawData, column: str, *, offset: int, unlabelled: Literal["refuse", "drop"] = "refuse"
) -> tuple[dict[Split, list[str]], tuple[str, ...]]:
    """Convert labels to class names.

    Args:
        raw: rows as read.
        column: label column with names or integers. Integers are indices if the source names its classes.
        offset: number that is added to integer labels first.
        unlabelled: ``drop`` accepts rows without a label, for the caller to drop.

    Returns:
        Class name of each row, by split, `UNLABELLED` for rows without a label; and all names in label order: the
        source's order, else numeric, else alphabetical. ``1`` and ``1.0`` are the same class.

    Raises:
        DataError: a label is missing, out of range, unknown to the source, or a row has several.
    """
    if raw.task.startswith("multi-label"):
        raise several_labels(f"{raw.source.name} is a multi-label set")
    for split in hidden_splits(raw, column) if unlabelled == "refuse" else ():
        raise DataError(
            f"{raw.file_names(split)}: the labels of {split} are hidden: column {column!r} holds {HIDDEN} or nothing "
            f"in all {len(raw.rows[split]):,} rows.",
            hint='Leave the split out with data.unlabelled="drop"; other rows are cut for it then.',
        )
    raw = with_names_beside(raw, column)
    labels = {split: _read_labels(raw, split, column, offset) for split in raw.rows}
    _check_unlabelled(raw, column, labels, unlabelled)
    counts = Counter(label for split_labels in labels.values() for label in split_labels if label != UNLABELLED)
    classes = tuple(unicodedata.normalize("NFC", name) for name in raw.classes_of(column))
    if classes:
        names = {label: _class_name(label, classes, offset) for label in counts}
        _check_labels_are_known(raw, column, counts, names, classes)
        _check_column_is_named(raw, column, names, classes)
        return _rename(labels, {label: str(name) for label, name in names.items()}), classes
    numbers = {label: _integer(label) for label in counts}
    if all(number is not None for number in numbers.values()):
        shifted = {label: str(int(number or 0) + offset) for label, number in numbers.items()}
        return _rename(labels, shifted), tuple(sorted(set(shifted.values()), key=int))
    if offset:
        raise DataError(
            f"{raw.file_names('train')}: data.label_offset is {offset}, but column {column!r} holds names, "
            "not integers.",
            hint="Leave data.label_offset out.",
        )
    # Beside 1.5, 1.0 keeps its name, which may be a version; it is the class 1 only if another file calls it so.
    joined = {label: number if (number := plain_number(label)) in counts else label for label in counts}
    return _rename(labels, joined), _in_order(set(joined.values()))


def hidden_splits(raw: RawData, column: str) -> list[Split]:
    """Find the splits beside train whose labels are not published: all are -1, which train does not have, or missing.

    Args:
        raw: rows as read.
        column: label column.

    Returns:
        Names of the splits.
    """
    found = {
        split: {plain_number(str("" if row.get(column) is None else row.get(column)).strip()) for row in rows}
        for split, rows in raw.rows.items()
    }
    hidden = {UNLABELLED, str(HIDDEN)} - found["train"]
    return [split for split, values in found.items() if split != "train" and values and values <= hidden]


def plain_number(label: str) -> str:
    """Return ``1`` for ``1.0``, and any other label with composed accents."""
    number = _integer(label)
    return unicodedata.normalize("NFC", label) if number is None else str(number)


def _in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Names in the order of their numbers if all are numbers, else alphabetical."""
    ordered = sorted(names)
    return tuple(sorted(ordered, key=float) if all(NUMBER.fullmatch(name) for name in ordered) else ordered)


def map_labels(
    labels: Mapping[Split, Sequence[str]], order: Sequence[str], label_map: Mapping[str, str], *, where: str
) -> tuple[dict[Split, list[str]], tuple[str, ...]]:
    """Rename and merge classes.

    Args:
        labels: class name of each row, by split.
        order: all class names of the source, also those without rows.
        label_map: new names by class name, ``1.0`` for the class ``1`` as well; empty = the names stay.
        where: the source, for messages.

    Returns:
        New name of each row, by split, and all new names in the order of the map.

    Raises:
        DataError: an entry names no class of the source, or a label has no entry.
    """
    if not label_map:
        return {split: list(names) for split, names in labels.items()}, tuple(order)
    label_map = {name if name in order else plain_number(name): new for name, new in label_map.items()}
    _check_entries_are_classes(label_map, order, where)
    counts = Counter(name for names in labels.values() for name in names if name != UNLABELLED)
    _check_labels_have_entries(label_map, counts, where)
    return _rename(labels, label_map), join_orders([label_map.values()])


def join_orders(orders: Iterable[Iterable[str]]) -> tuple[str, ...]:
    """Concatenate orders of names; a repeated name keeps its first position."""
    return tuple(dict.fromkeys(name for order in orders for name in order))


def _rename(labels: Mapping[Split, Sequence[str]], names: Mapping[str, str]) -> dict[Split, list[str]]:
    known = {UNLABELLED: UNLABELLED, **names}
    return {split: [known[label] for label in split_labels] for split, split_labels in labels.items()}


def _read_labels(raw: RawData, split: Split, column: str, offset: int) -> list[str]:
    """Return the stripped label of each row, `UNLABELLED` if it has none; refuse rows with several."""
    labels: list[str] = []
    for index, row in enumerate(raw.rows[split]):
        value = row.get(column)
        is_text = isinstance(value, str) and not value.lstrip().startswith(
            ("[", "{")
        )  # most cells, without their place
        label = label_of(value, where="" if is_text else f"{raw.locate(split, index)}: column {column!r}")
        is_hidden = plain_number(label) == str(HIDDEN) and bool(raw.classes_of(column)) and not offset
        labels.append(UNLABELLED if is_hidden else label)
    return labels


def unlabelled_rows(raw: RawData, split: Split, labels: Sequence[str]) -> tuple[list[int], str]:
    """Find the rows of a split without a label.

    Args:
        raw: rows as read.
        split: name of the split.
        labels: class names of its rows.

    Returns:
        Their indices, and their places for messages, at most `MAX_LISTED_ROWS`.
    """
    indices = [index for index, label in enumerate(labels) if label == UNLABELLED]
    places = [raw.locate(split, index) for index in indices[:MAX_LISTED_ROWS]]
    return indices, "; ".join([*places, *(["..."] if len(indices) > len(places) else [])])


def _check_unlabelled(raw: RawData, column: str, labels: Mapping[Split, Sequence[str]], policy: str) -> None:
    """Refuse rows without a label, unless the policy is to drop them; refuse a split without any label."""
    for split, split_labels in labels.items():
        indices, places = unlabelled_rows(raw, split, split_labels)
        if indices and policy == "refuse":
            what = f"no label in column {column!r}"
            several = f"{raw.file_names(split)}: {what} of {len(indices):,} rows: {places}."
            raise DataError(
                f"{places}: {what}." if len(indices) == 1 else several,
                hint='Add the labels, or leave such rows out with data.unlabelled="drop".',
            )
        if indices and len(indices) == len(split_labels):
            raise DataError(
                f"{raw.file_names(split)}: no row has a label in column {column!r}.",
                hint="Choose another column with data.label, or leave the file out.",
            )


def _integer(label: str) -> int | None:
    """The integer of a label, or None; that of ``1.0`` is 1. ``0111`` is a name: as a number it would lose its zero."""
    return int(label.partition(".")[0]) if INTEGER.fullmatch(label) else None


def _class_name(label: str, classes: Sequence[str], offset: int) -> str | None:
    """The class that a label names or indexes, or None."""
    if label in classes and not offset:
        return label
    number = _integer(label)
    if number is None:
        return label if label in classes else None
    return classes[number + offset] if 0 <= number + offset < len(classes) else None


def _check_labels_are_known(
    raw: RawData, column: str, counts: Counter[str], names: Mapping[str, str | None], classes: Sequence[str]
) -> None:
    unknown = [label for label, _ in counts.most_common() if names[label] is None]
    if unknown:
        label = unknown[0]
        more = f" ({len(unknown)} unknown labels in total)" if len(unknown) > 1 else ""
        raise DataError(
            f"{raw.file_names('train')}: label {label!r} in column {column!r} ({counts[label]:,} rows) is none of the "
            f"{len(classes)} classes{more}.{nearest(label, list(classes))}",
            hint=f"Integers index the classes from 0 to {len(classes) - 1}; data.label_offset shifts them.",
        )


def _check_column_is_named(raw: RawData, column: str, names: Mapping[str, str | None], classes: Sequence[str]) -> None:
    """Refuse integers that use few of the names, if the source does not state which column the names belong to."""
    is_stated = column in raw.class_columns or column == raw.label_column
    if is_stated or len(names) == len(classes) or any(_integer(label) is None for label in names):
        return
    raise DataError(
        f"{raw.file_names('train')}: column {column!r} holds {len(names)} different integers, but {raw.source.name} "
        f"names {len(classes)} classes, which may be those of another column.",
        hint=f'State the column of the classes in metadata.json: "columns": {{"label": "{column}"}}.',
    )


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
