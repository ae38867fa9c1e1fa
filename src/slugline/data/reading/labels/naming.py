"""Labels to class names: what the label columns of a source say about its rows, and of which kind the set is."""

from __future__ import annotations

import logging
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from slugline.core.errors import DataError, nearest
from slugline.core.labels import PATH_SEPARATOR, Kind, RowLabels, Split
from slugline.data.findings import Finding
from slugline.data.reading.labels.cells import several_labels
from slugline.data.reading.labels.class_names import NUMBER, integer_of, plain_number, with_names_beside
from slugline.data.reading.labels.columns import are_indicators, cells_of, indicated_labels
from slugline.data.reading.labels.delimiters import CellLabels, guess_delimiter, split_cells
from slugline.data.reading.labels.hierarchy import are_paths, pad_paths, path_of
from slugline.data.reading.labels.label_map import count_labels, join_orders, map_labels, rename
from slugline.data.reading.labels.report import report_alike, report_combinations, report_no_classes
from slugline.data.reading.labels.unlabelled import check_hidden, check_unlabelled, without_hidden
from slugline.data.reading.raw_data import RawData
from slugline.recipe.data_section import SourceSection

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class NamedLabels:
    """Class names of the rows of a source.

    Args:
        rows: labels of each row, by split; None for rows without a label, which a ``multi`` set has only where the
            labels are not known.
        classes: all names, in label order: the source's order, else numeric, else alphabetical.
        kind: kind of the set.
        levels: names of the levels of a hierarchy, if they were columns.
        findings: findings about the labels, all of them warnings.
    """

    rows: dict[Split, list[RowLabels | None]]
    classes: tuple[str, ...]
    kind: Kind = "single"
    levels: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()


def name_labels(
    raw: RawData,
    columns: Sequence[str],
    section: SourceSection,
    *,
    unlabelled: Literal["refuse", "drop"] = "refuse",
    kind: Kind | None = None,
) -> NamedLabels:
    """Convert labels to class names.

    Args:
        raw: rows as read.
        columns: label columns with names, integers or lists of these. Several columns are one 0/1 column a label, or
            the levels of a path. Integers are indices if the source names its classes.
        section: offset, delimiter and map of the labels, and the kind of the set, which is guessed if it is empty.
        unlabelled: ``drop`` accepts rows without a label, for the caller to drop; in a ``multi`` set also those that
            are known to have none.
        kind: kind of the label set of a trained model, which is not guessed then.

    Returns:
        Names of the labels, after the label map. ``1`` and ``1.0`` are the same class.

    Raises:
        DataError: a label is missing, out of range, unknown to the source, or a row has several in a set that is not
            ``multi``.
    """
    stated = kind or section.label_kind or stated_kind(raw)
    if unlabelled == "refuse":
        check_hidden(raw, columns)
    named = (
        _from_column(raw, columns[0], section, stated)
        if len(columns) == 1
        else _from_columns(raw, columns, section, stated)
    )
    if unlabelled == "drop":
        named = replace(named, rows={split: [row or None for row in rows] for split, rows in named.rows.items()})
    check_unlabelled(raw, columns, named.rows, unlabelled)
    rows, classes = map_labels(named.rows, named.classes, section.label_map, where=raw.file_names("train"))
    named = replace(named, rows=rows, classes=classes)
    if named.kind == "single" and stated == "" and are_paths(classes):
        logger.info("labels: paths of %d levels (guessed; set data.label_kind)", classes[0].count(PATH_SEPARATOR) + 1)
        named = replace(named, kind="hierarchical")
    if named.kind == "hierarchical":
        padded = pad_paths(named.classes)
        return replace(named, rows=rename(named.rows, padded), classes=join_orders([padded.values()]))
    counts = count_labels(named.rows)
    found = report_alike(counts) if not section.label_map else []
    if named.kind == "single" and not section.label_map:
        found = [*report_combinations(counts, columns[0]), *found]
        found += report_no_classes(counts, columns[0]) if not raw.classes_of(columns[0]) else []
    return replace(named, findings=tuple(found))


def stated_kind(raw: RawData) -> Kind | Literal[""]:
    """Return the kind that a source states; empty if it states none, or one label per text that may be a path."""
    if raw.task.startswith("multi-label"):
        return "multi"
    if raw.task.startswith("hierarchical"):
        return "hierarchical"
    return "single" if raw.task and "hierarchical" not in raw.task else ""


def _from_column(raw: RawData, column: str, section: SourceSection, stated: str) -> NamedLabels:
    """Name the labels of one column."""
    raw = with_names_beside(raw, column)
    labels: CellLabels = {split: cells_of(raw, split, column) for split in raw.rows}
    if not section.label_offset and raw.classes_of(column):
        labels = without_hidden(labels)
    if stated == "hierarchical":
        return _from_paths(raw, column, section, labels)
    has_lists = any(row is not None and len(row) > 1 for rows in labels.values() for row in rows)
    delimiter = section.label_delimiter
    if not delimiter and not has_lists and stated in ("", "multi") and not raw.classes_of(column):
        delimiter = guess_delimiter(labels, is_multi=stated == "multi")
        if delimiter:
            logger.warning(
                "column %r: several labels in a cell, with %r between them (guessed; set data.label_delimiter, or "
                'data.label_kind = "single" to take each combination as a class)',
                column,
                delimiter,
            )
    if delimiter:
        labels = split_cells(labels, delimiter)
    kind: Kind = "multi" if delimiter or has_lists or stated == "multi" else "single"
    if stated == "single" and kind == "multi":
        raise _several_in_a_row(raw, column, labels)
    rows, classes = _named(raw, column, labels, section.label_offset)
    if kind == "multi":
        rows = {split: list(map(_known_labels, rows[split], raw.rows[split].values(column))) for split in rows}
    return NamedLabels(rows, classes, kind)


def _known_labels(labels: RowLabels | None, cell: object) -> RowLabels | None:
    """The labels of a row of a ``multi`` set: an empty cell is a row without labels, but null means not labelled."""
    return () if labels is None and cell is not None else labels


def _from_paths(raw: RawData, column: str, section: SourceSection, labels: CellLabels) -> NamedLabels:
    """Name the paths of one column: each cell holds a path, or the list of its parts."""
    delimiter = section.label_delimiter or PATH_SEPARATOR
    named, order = _named(raw, column, labels, section.label_offset)
    rows: dict[Split, list[RowLabels | None]] = {}
    paths: dict[RowLabels, str | None] = {}
    for split, split_labels in named.items():
        rows[split] = []
        for index, row in enumerate(split_labels):
            if row and row not in paths:
                parts = row if len(row) > 1 else row[0].split(delimiter)
                paths[row] = path_of(parts, where=partial(_place, raw, split, index, [column]))
            path = paths[row] if row else None
            rows[split].append(None if path is None else (path,))
    given = [path_of(name.split(delimiter), where=lambda: raw.source.name) for name in order]
    found = sorted({path for path in paths.values() if path})
    return NamedLabels(rows, join_orders([[path for path in given if path in found], found]), "hierarchical")


def _place(raw: RawData, split: Split, index: int, columns: Sequence[str]) -> str:
    return f"{raw.locate(split, index)}: column {' and '.join(map(repr, columns))}"


def _from_columns(raw: RawData, columns: Sequence[str], section: SourceSection, stated: str) -> NamedLabels:
    """Name the labels of several columns: one 0/1 column a label, or the levels of a path."""
    if section.label_kind == "single":
        raise DataError(
            f"data.label names {len(columns)} columns, but data.label_kind is single.", hint="Name one label column."
        )
    if stated == "multi" or (stated != "hierarchical" and are_indicators(raw, columns)):
        return NamedLabels(indicated_labels(raw, columns), tuple(columns), "multi")
    levels = [_from_column(raw, column, section, "single") for column in columns]
    ranks = [{name: number for number, name in enumerate(level.classes)} for level in levels]
    order: dict[str, tuple[int, ...]] = {}
    rows: dict[Split, list[RowLabels | None]] = {}
    for split in raw.rows:
        rows[split] = []
        for index, cells in enumerate(zip(*(level.rows[split] for level in levels), strict=True)):
            parts = [cell[0] if cell else None for cell in cells]
            path = path_of(parts, where=partial(_place, raw, split, index, columns))
            rows[split].append(None if path is None else (path,))
            if path is not None and path not in order:
                order[path] = tuple(rank[part] if part else -1 for rank, part in zip(ranks, parts, strict=True))
    return NamedLabels(rows, tuple(sorted(order, key=order.__getitem__)), "hierarchical", tuple(columns))


def _named(
    raw: RawData, column: str, labels: CellLabels, offset: int
) -> tuple[dict[Split, list[RowLabels | None]], tuple[str, ...]]:
    """Name the labels of a column by the classes of the source, or as numbers, or as they are; return all names."""
    counts = count_labels(labels)
    classes = tuple(unicodedata.normalize("NFC", name) for name in raw.classes_of(column))
    if classes:
        names = {label: _class_name(label, classes, offset) for label in counts}
        _check_labels_are_known(raw, column, counts, names, classes)
        _check_column_is_named(raw, column, names, classes)
        return rename(labels, {label: str(name) for label, name in names.items()}), classes
    numbers = {label: integer_of(label) for label in counts}
    if all(number is not None for number in numbers.values()):
        shifted = {label: str(int(number or 0) + offset) for label, number in numbers.items()}
        return rename(labels, shifted), tuple(sorted(set(shifted.values()), key=int))
    if offset:
        raise DataError(
            f"{raw.file_names('train')}: data.label_offset is {offset}, but column {column!r} holds names, "
            "not integers.",
            hint="Leave data.label_offset out.",
        )
    # Beside 1.5, 1.0 keeps its name, which may be a version; it is the class 1 only if another file calls it so.
    joined = {label: number if (number := plain_number(label)) in counts else label for label in counts}
    return rename(labels, joined), _in_order(set(joined.values()))


def _in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Names in the order of their numbers if all are numbers, else alphabetical."""
    ordered = sorted(names)
    return tuple(sorted(ordered, key=float) if all(NUMBER.fullmatch(name) for name in ordered) else ordered)


def _several_in_a_row(raw: RawData, column: str, labels: CellLabels) -> DataError:
    split, index = next(
        (split, index) for split, rows in labels.items() for index, row in enumerate(rows) if row and len(row) > 1
    )
    return several_labels(
        f"{raw.locate(split, index)}: column {column!r} holds several labels: {', '.join(labels[split][index] or ())}"
    )


def _class_name(label: str, classes: Sequence[str], offset: int) -> str | None:
    """The class that a label names or indexes, or None."""
    if label in classes and not offset:
        return label
    number = integer_of(label)
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
    if is_stated or len(names) == len(classes) or any(integer_of(label) is None for label in names):
        return
    raise DataError(
        f"{raw.file_names('train')}: column {column!r} holds {len(names)} different integers, but {raw.source.name} "
        f"names {len(classes)} classes, which may be those of another column.",
        hint=f'State the column of the classes in metadata.json: "columns": {{"label": "{column}"}}.',
    )
