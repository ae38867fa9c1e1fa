"""Texts in any form that Python programs hold them in: lists, arrays, series, generators, tables.

`texts_of` reads all of them and refuses what is not text: a number, a missing value, or the name of a column.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from slugline.core.errors import DataError
from slugline.data.reading.formats import replace_surrogates
from slugline.data.reading.texts import join_text

#: Characters of a refused value that a message shows.
SHOWN_CHARACTERS = 40


def texts_of(texts: Any, columns: Sequence[str] = ()) -> Iterator[str]:
    """Read texts, one at a time.

    Args:
        texts: strings in a list, tuple, generator, array, series or column; or a table (pandas, polars, pyarrow,
            `datasets`, or a dict of columns) that has the text columns of the training, or a single column.
        columns: text columns of the training, which are joined as in training; empty = unknown.

    Yields:
        The texts, in order.

    Raises:
        DataError: the input is a single string, has no order, or is a table without these columns; or a value is not a
            text. The message names its row, counted from 0.
    """
    table = _columns_of(texts)
    if table is None:
        for row, text in enumerate(_values_of(texts)):
            yield _checked(text, f"row {row}")
        return
    chosen = _chosen_columns(table, columns)
    values = [_values_of(table[column]) for column in chosen]
    for row, parts in enumerate(zip(*values, strict=True)):
        yield _joined(row, dict(zip(chosen, parts, strict=True)))


def _columns_of(texts: Any) -> dict[str, Any] | None:
    """The columns of a table by name; None for anything else."""
    if isinstance(texts, Mapping):
        return {str(name): values for name, values in texts.items()}
    names = getattr(texts, "column_names", None)  # pyarrow and `datasets`, whose `columns` are not names
    names = getattr(texts, "columns", None) if names is None else names
    if names is None or not hasattr(texts, "__getitem__"):
        return None
    listed = [str(name) for name in names]
    repeated = next((name for name in listed if listed.count(name) > 1), "")
    if repeated:
        raise DataError(f"the table has several columns {repeated!r}.", hint="Give the texts as a list.")
    return {str(name): texts[name] for name in names}


def _chosen_columns(table: Mapping[str, Any], columns: Sequence[str]) -> Sequence[str]:
    if columns and set(columns) <= set(table):
        return columns
    if len(table) == 1:
        return list(table)
    trained = " + ".join(map(repr, columns))
    raise DataError(
        f"the table has the columns {', '.join(map(repr, table)) or '(none)'}; "
        + (f"the model was trained on {trained}." if columns else "the text columns of the training are unknown."),
        hint="Give the column of the texts: predict(table['text'])",
    )


def _values_of(texts: Any) -> Iterable[Any]:
    """The values of a list, array, series or column."""
    if isinstance(texts, (str, bytes)) or getattr(texts, "shape", None) == ():
        raise DataError("one text was given instead of several.", hint="Give a list of texts: predict([text])")
    if isinstance(texts, (set, frozenset)):
        raise DataError(
            "a set has no order, so that predictions cannot be matched to it.", hint="Give a list of texts."
        )
    if len(getattr(texts, "shape", (0,))) > 1:
        raise DataError(f"an array of shape {texts.shape} is not a list of texts.", hint="Give one column: texts[:, 0]")
    if hasattr(texts, "to_pylist"):  # the elements of pyarrow's arrays are not strings
        values: Iterable[Any] = texts.to_pylist()
        return values
    if not isinstance(texts, Iterable):
        raise DataError(f"{_shown(texts)} is not a list of texts.", hint="Give a list of texts: predict([text])")
    return texts


def _joined(row: int, parts: Mapping[str, Any]) -> str:
    """The text columns of a row as one text; of several columns, some may be missing, as in training."""
    present = {name: value for name, value in parts.items() if len(parts) == 1 or not _is_missing(value)}
    if not present:
        raise DataError(f"row {row}: {' and '.join(map(repr, parts))} are missing.", hint="Remove the row.")
    return join_text(
        {name: _checked(value, f"row {row}, column {name!r}") for name, value in present.items()}, [*parts]
    )


def _is_missing(value: Any) -> bool:
    """True for None, NaN, and the missing values of pandas, which are not equal to themselves or to anything."""
    return (
        value is None or type(value).__name__ in ("NAType", "NaTType") or (isinstance(value, float) and value != value)
    )


def _checked(value: Any, where: str) -> str:
    if isinstance(value, str):
        return replace_surrogates(str(value))
    if _is_missing(value):
        raise DataError(
            f"{where}: {value!r} instead of a text.", hint="Remove rows without a text, or give '' for them."
        )
    raise DataError(f"{where}: {_shown(value)} is not a text.", hint="Convert it with str().")


def _shown(value: Any) -> str:
    shown = repr(value)
    shortened = shown if len(shown) <= SHOWN_CHARACTERS else shown[:SHOWN_CHARACTERS] + "..."
    return f"{shortened} ({type(value).__name__})"
