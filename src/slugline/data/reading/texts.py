"""The text of a row, from one or several columns of any type."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from slugline.core.errors import DataError
from slugline.data.reading.formats import Row


def join_text(row: Row, columns: Sequence[str], *, locate: Callable[[], str] = lambda: "a row") -> str:
    """Join the text columns of a row with blanks; missing and empty values are skipped.

    Args:
        row: values by column.
        columns: text columns. Bytes are decoded, lists of words are joined with blanks, numbers become digits.
        locate: returns the file and number of the row, for messages.

    Returns:
        The text; empty if all values are missing.

    Raises:
        DataError: a value is an object, a list of objects, or bytes that are not UTF-8.
    """
    parts = []
    for column in columns:
        value = row.get(column)
        if not isinstance(value, str):
            value = _as_text(value, column, locate)
        parts.append(value)
    return " ".join(part for part in parts if part) if len(parts) > 1 else "".join(parts)


def _as_text(value: object, column: str, locate: Callable[[], str]) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError as error:
            raise DataError(
                f"{locate()}: column {column!r} holds bytes that are not UTF-8 text.",
                hint="Choose another column with data.text, or write the texts as UTF-8.",
            ) from error
    if isinstance(value, (list, tuple)) and not any(isinstance(each, (list, tuple, dict)) for each in value):
        return " ".join(text for each in value if (text := _as_text(each, column, locate)))
    if isinstance(value, (list, tuple, dict)):
        kind = "an object" if isinstance(value, dict) else "a list of lists or objects"
        raise DataError(
            f"{locate()}: column {column!r} holds {kind}, not a text.",
            hint="Write the text into a column of its own; data.text names it.",
        )
    return str(value)
