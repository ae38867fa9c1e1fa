"""Values of a column as read, to an Arrow array and back.

A column has the Arrow type of its values. Values of several types, and columns that some rows lack, are stored as JSON.
"""

from __future__ import annotations

import base64
import datetime
import json
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

#: Metadata of a field whose values are JSON; a null is a key that the row lacks.
AS_JSON = {b"slugline": b"json"}

#: Key of objects in JSON that stand for a value of another type.
TYPE_KEY = "\0type"


class _Missing:
    """The value of a key that a row lacks."""


MISSING = _Missing()


def encode(name: str, values: Sequence[Any], known: pa.Field | None) -> tuple[pa.Field, pa.Array]:
    """Convert the values of a column to an Arrow array.

    Args:
        name: name of the column.
        values: N values as read, `MISSING` for a key that a row lacks.
        known: field of the values before; None = there are none.

    Returns:
        The field, which is the known one if the values fit it, and the array of N values.
    """
    import pyarrow as pa

    if known is None or not is_json(known):
        type_ = None if known is None or pa.types.is_null(known.type) else known.type
        encoded = _as_arrow(values, type_)
        if encoded is not None:
            return pa.field(name, encoded.type), encoded
    texts = [None if value is MISSING else _JSON.encode(_to_json(value)) for value in values]
    return pa.field(name, pa.large_string(), metadata=AS_JSON), pa.array(texts, pa.large_string())


def _as_arrow(values: Sequence[Any], type_: pa.DataType | None) -> pa.Array | None:
    """Return values as an array of a type, or of the type that they suggest; None if some would not come back."""
    import pyarrow as pa

    simple: dict[type, pa.DataType] = {
        str: pa.large_string(),
        int: pa.int64(),
        float: pa.float64(),
        bool: pa.bool_(),
        bytes: pa.large_binary(),
    }
    found = set(map(type, values)) - {type(None)}
    suggested = simple.get(next(iter(found))) if len(found) == 1 else None
    if _Missing in found or (suggested is not None and type_ not in (None, suggested)):
        return None
    try:
        encoded = pa.array(values, type_ or suggested)
    except (pa.ArrowException, UnicodeEncodeError, OverflowError, TypeError, ValueError):
        return None
    if isinstance(encoded, pa.ChunkedArray):
        return None
    if suggested is not None or not found:
        return encoded
    return encoded if _are_same(encoded.to_pylist(), list(values)) else None


def _are_same(one: Any, other: Any) -> bool:
    """True if values are equal and of the same types, also inside of lists and objects."""
    if type(one) is not type(other):
        return False
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(_are_same, one, other))
    if isinstance(one, dict):
        return list(one) == list(other) and all(map(_are_same, one.values(), other.values()))
    return bool(one == other) and str(one) == str(other)  # Decimal("1.0") equals Decimal("1.00")


#: Types that JSON lacks, with their conversion to a text and back.
_TO_TEXT: dict[type, tuple[Callable[[Any], str], Callable[[str], Any]]] = {
    bytes: (lambda value: base64.b64encode(value).decode(), base64.b64decode),
    datetime.datetime: (datetime.datetime.isoformat, datetime.datetime.fromisoformat),
    datetime.date: (datetime.date.isoformat, datetime.date.fromisoformat),
    datetime.time: (datetime.time.isoformat, datetime.time.fromisoformat),
    Decimal: (str, Decimal),
}
_FROM_TEXT = {kind.__name__: parse for kind, (_, parse) in _TO_TEXT.items()}

_JSON = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"))


def _to_json(value: Any) -> Any:
    """Return a value of JSON: other types become objects with `TYPE_KEY`, unknown ones texts."""
    if isinstance(value, dict):
        pairs = {str(key): _to_json(each) for key, each in value.items()}
        return {TYPE_KEY: "dict", "value": list(pairs.items())} if TYPE_KEY in pairs else pairs
    if isinstance(value, list):
        return [_to_json(each) for each in value]
    if isinstance(value, tuple):
        return {TYPE_KEY: "tuple", "value": [_to_json(each) for each in value]}
    if value is None or isinstance(value, (str, int, float)):
        return value
    if type(value) in _TO_TEXT:
        return {TYPE_KEY: type(value).__name__, "value": _TO_TEXT[type(value)][0](value)}
    return str(value)


def _from_json(pairs: dict[str, Any]) -> Any:
    kind = pairs.get(TYPE_KEY)
    if kind is None:
        return pairs
    if kind == "dict":
        return dict(pairs["value"])
    return tuple(pairs["value"]) if kind == "tuple" else _FROM_TEXT[kind](pairs["value"])


def decode(field: pa.Field, values: pa.Array) -> list[Any]:
    """Convert the values of a column back.

    Args:
        field: field from `encode`.
        values: N values from `encode`.

    Returns:
        The values as they were read, `MISSING` for a key that a row lacks.
    """
    decoded: list[Any] = values.to_pylist()
    if not is_json(field):
        return decoded
    return [MISSING if text is None else json.loads(text, object_hook=_from_json) for text in decoded]


def is_json(field: pa.Field) -> bool:
    """True if the values of a field are stored as JSON."""
    return bool(field.metadata == AS_JSON)
