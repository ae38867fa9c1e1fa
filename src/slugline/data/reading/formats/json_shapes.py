"""Rows of a JSON object: a list under a key, or the forms in which pandas writes a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from slugline.core.errors import DataError
from slugline.data.reading.formats.files import File, Row

Values = Mapping[str, Any]


def rows_of_object(file: File, value: Any) -> Iterator[Row]:
    """Find the rows in the one value of a JSON file.

    Args:
        file: the file, for messages.
        value: the value.

    Yields:
        One row: values by column.

    Raises:
        DataError: the value is no object, or it holds no rows, or several lists of rows.
    """
    if isinstance(value, dict) and value:
        for has_shape, rows in SHAPES:
            if has_shape(value):
                yield from rows(file, value)
                return
    raise DataError(
        f"{file.name}: holds {kind_of(value)}, not a list of objects.",
        hint="Write one list of objects, or one object a line into a .jsonl file.",
    )


def kind_of(value: object) -> str:
    """Return the kind of a JSON value, for messages."""
    return {dict: "an object", list: "a list", str: "a text", type(None): "null"}.get(type(value), "a number")


def _is_split(value: Values) -> bool:
    """``{"columns": ["text"], "index": [0], "data": [["..."]]}``."""
    columns, data = value.get("columns"), value.get("data")
    return isinstance(columns, list) and isinstance(data, list) and all(isinstance(row, list) for row in data)


def _split(file: File, value: Values) -> Iterator[Row]:
    columns = [str(column) for column in value["columns"]]
    for number, cells in enumerate(value["data"], start=1):
        if len(cells) != len(columns):
            raise DataError(
                f"{file.name}, row {number}: the row has {len(cells)} fields, the columns are {len(columns)}.",
                hint="Write the file again, as one list of objects.",
            )
        yield dict(zip(columns, cells, strict=True))


def _lists_of_rows(value: Values) -> list[str]:
    return [
        key
        for key, rows in value.items()
        if isinstance(rows, list) and rows and all(isinstance(row, dict) for row in rows)
    ]


def _is_wrapped(value: Values) -> bool:
    """``{"version": "1.0", "data": [{"text": "..."}]}``."""
    return bool(_lists_of_rows(value))


def _wrapped(file: File, value: Values) -> Iterator[Row]:
    keys = [key for key in _lists_of_rows(value) if key != "schema"]
    if len(keys) > 1:
        raise DataError(
            f"{file.name}: holds several lists of objects: {', '.join(map(repr, keys))}.",
            hint="Write each list into a file of its own.",
        )
    file.say(f"the rows are those under {keys[0]!r}")
    yield from value[keys[0]]


def _is_columns(value: Values) -> bool:
    """``{"text": ["...", "..."], "label": ["...", "..."]}``."""
    return all(isinstance(cells, list) for cells in value.values()) and len({*map(len, value.values())}) == 1


def _columns(_: File, value: Values) -> Iterator[Row]:
    for cells in zip(*value.values(), strict=True):
        yield dict(zip(value, cells, strict=True))


def _is_indexed(value: Values) -> bool:
    """``{"text": {"0": "..."}, "label": {"0": "..."}}``, or ``{"0": {"text": "...", "label": "..."}}``."""
    return all(isinstance(cells, dict) for cells in value.values())


def _indexed(file: File, value: Values) -> Iterator[Row]:
    index = dict.fromkeys(key for cells in value.values() for key in cells)
    # Of columns and rows, the rows have numbers; without numbers there are more rows than columns.
    has_numbers = all(map(str.isdecimal, index)), all(map(str.isdecimal, value))
    is_by_column = has_numbers[0] if has_numbers[0] != has_numbers[1] else len(index) >= len(value)
    file.say(f"read as a table, {'column by column' if is_by_column else 'row by row'}")
    if is_by_column:
        yield from ({column: cells.get(key) for column, cells in value.items()} for key in index)
    else:
        yield from value.values()


#: Whether an object has a shape, and the function that reads its rows; the first that fits is taken.
SHAPES: tuple[tuple[Callable[[Values], bool], Callable[[File, Values], Iterator[Row]]], ...] = (
    (_is_split, _split),
    (_is_wrapped, _wrapped),
    (_is_columns, _columns),
    (_is_indexed, _indexed),
)
