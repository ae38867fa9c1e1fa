"""."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from slugline.core.errors import DataError, nearest
from slugline.core.labels import Split
from slugline.data.reading.raw_data import RawData

#: Rows without a label that a message names.
NAMED_ROWS = 3


def name_labels(raw: RawData, column: str, *, offset: int) -> tuple[dict[Split, list[str]], tuple[str, ...]]:
    """Labels as class names.

    Args:
        raw: rows as read.
        column: of the labels: names, or integers that index the source's classes where it has any.
        offset: added to integer labels first.

    Returns:
        Names by split and row, and all names in label order: the source's, else by number, else alphabetically.

    Raises:
        DataError: a label is missing, out of range, unknown to the source, or several at once.
    """
    if raw.task.startswith("multi-label"):
        raise _several_labels(f"{raw.source.name} is a multi-label set")
    values = {split: _present(raw, split, column) for split in raw.rows}
    every = [value for some in values.values() for value in some]
    if raw.classes:
        index = {value: _class_name(value, raw.classes, offset) for value in set(every)}
        _require_known(raw, column, Counter(every), index)
        return {split: [str(index[value]) for value in some] for split, some in values.items()}, raw.classes
    numbers = {value: _integer(value) for value in set(every)}
    if all(number is not None for number in numbers.values()):
        named = {value: str(int(number or 0) + offset) for value, number in numbers.items()}
        order = tuple(sorted(set(named.values()), key=int))
        return {split: [named[value] for value in some] for split, some in values.items()}, order
    if offset:
        raise DataError(
            f"{raw.file('train')}: data.label_offset is {offset}, but column {column!r} holds names, not integers.",
            hint="Leave data.label_offset out.",
        )
    return {split: list(some) for split, some in values.items()}, tuple(sorted(set(every)))


def _present(raw: RawData, split: Split, column: str) -> list[str]:
    """Labels as texts without blanks around; each there, and one a row."""
    labels: list[str] = []
    unlabelled: list[int] = []
    for index, row in enumerate(raw.rows[split]):
        value = row.get(column)
        if isinstance(value, (list, tuple, dict)):
            raise _several_labels(f"{raw.where(split, index)}: column {column!r} holds several labels")
        missing = value is None or (isinstance(value, float) and math.isnan(value))
        text = "" if missing else _plain(value)
        if not text:
            unlabelled.append(index)
        labels.append(text)
    if unlabelled:
        raise _no_label(raw, split, column, unlabelled)
    return labels


def _no_label(raw: RawData, split: Split, column: str, indices: Sequence[int]) -> DataError:
    places = [raw.where(split, index) for index in indices[:NAMED_ROWS]]
    if len(indices) == 1:
        return DataError(f"{places[0]}: no label in column {column!r}.", hint="Add it, or remove the row.")
    more = "; ..." if len(indices) > len(places) else ""
    return DataError(
        f"{raw.file(split)}: no label in column {column!r} of {len(indices):,} rows: {'; '.join(places)}{more}.",
        hint="Add them, or remove the rows.",
    )


def _several_labels(what: str) -> DataError:
    return DataError(
        f"{what}; this version trains on one label a text.",
        hint="Choose a single-label set, or a column with one label a row.",
    )


def _plain(value: object) -> str:
    """A label as text; 3.0, which is what an integer becomes beside a missing one, as 3."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()


def _integer(value: str) -> int | None:
    """The integer that is written like this; ``0111`` is a name, which would lose its zero as a number."""
    return int(value) if re.fullmatch("0|-?[1-9][0-9]*", value) else None


def _class_name(value: str, classes: Sequence[str], offset: int) -> str | None:
    """The class that a label means, or None."""
    if value in classes and not offset:
        return value
    number = _integer(value)
    if number is None:
        return value if value in classes else None
    return classes[number + offset] if 0 <= number + offset < len(classes) else None


def _require_known(raw: RawData, column: str, counts: Counter[str], names: Mapping[str, str | None]) -> None:
    unknown = [value for value, _ in counts.most_common() if names[value] is None]
    if unknown:
        value = unknown[0]
        more = f", and {len(unknown) - 1} more labels like it" if len(unknown) > 1 else ""
        raise DataError(
            f"{raw.file('train')}: label {value!r} in column {column!r} ({counts[value]:,} rows) is none of the "
            f"{len(raw.classes)} classes{more}.{nearest(value, list(raw.classes))}",
            hint=f"Integers index the classes from 0 to {len(raw.classes) - 1}; data.label_offset shifts them.",
        )


#: Labels without an entry that a message names.
NAMED_LABELS = 10


def map_labels(
    labels: Mapping[Split, Sequence[str]], order: Sequence[str], label_map: Mapping[str, str], *, where: str
) -> tuple[dict[Split, list[str]], tuple[str, ...]]:
    """Rename and merge classes.

    Args:
        labels: class names by split and row.
        order: all class names of the source, with rows or without.
        label_map: class name to new name; empty = all stay as they are.
        where: the source, for messages.

    Returns:
        New names by split and row, and all new names, each where the map names it first.

    Raises:
        DataError: an entry names no class of the source, or a label has no entry.
    """
    if not label_map:
        return {split: list(some) for split, some in labels.items()}, tuple(order)
    _require_classes(label_map, order, where)
    counts = Counter(label for some in labels.values() for label in some)
    _require_entries(label_map, counts, where)
    new_names = {split: [label_map[label] for label in some] for split, some in labels.items()}
    return new_names, join_orders([label_map.values()])


def join_orders(orders: Iterable[Iterable[str]]) -> tuple[str, ...]:
    """All class names of several orders, each once, where it comes first."""
    return tuple(dict.fromkeys(name for order in orders for name in order))


def _require_classes(label_map: Mapping[str, str], order: Sequence[str], where: str) -> None:
    unknown = [name for name in label_map if name not in order]
    if unknown:
        raise DataError(
            f"{where}: label_map has entries for {', '.join(map(repr, unknown[:NAMED_LABELS]))}, no classes there."
            f"{nearest(unknown[0], list(order))}",
            hint=f"Classes: {', '.join(order[:20])}{' ...' if len(order) > 20 else ''}.",
        )


def _require_entries(label_map: Mapping[str, str], counts: Counter[str], where: str) -> None:
    left = [(name, count) for name, count in counts.most_common() if name not in label_map]
    if left:
        named = ", ".join(f"{name!r} ({count:,} rows)" for name, count in left[:NAMED_LABELS])
        more = f", and {len(left) - NAMED_LABELS} more" if len(left) > NAMED_LABELS else ""
        name = left[0][0]
        raise DataError(
            f"{where}: labels without an entry in label_map: {named}{more}.",
            hint=f'Add entries: "{name}" = "{name}" keeps a class; data.drop_classes leaves it out afterwards.',
        )
