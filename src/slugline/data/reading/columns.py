"""The text and label columns. Columns given by the user must exist; others are guessed, and each guess is logged."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime

from slugline.core.errors import DataError, nearest
from slugline.core.labels import Split
from slugline.data.reading.formats import Row
from slugline.data.reading.formats.column_names import (
    FALLBACK_TEXT_NAMES,
    LABEL_NAMES,
    TEXT_NAMES,
    is_unnamed,
    numbered,
)
from slugline.data.reading.raw_data import RawData
from slugline.recipe.messages import new_recipe_command

logger = logging.getLogger(__name__)

#: Rows that a guess is based on, and the largest number of classes in a guessed label column.
SAMPLE_ROWS = 2_000
MAX_CLASSES = 200

#: Values of a candidate for the label column that a message shows, and their characters.
SHOWN_VALUES, SHOWN_CHARACTERS = 4, 20

_MONTH = (
    r"(jan(uary)?|feb(ruary)?|mar(ch)?|apr(il)?|may|june?|july?|aug(ust)?|sept?(ember)?|oct(ober)?|nov(ember)?"
    r"|dec(ember)?)\.?"
)
_TIME = r"\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?( ?[ap]m)?"
_DAYS = (
    r"\d{1,4}[./-]\d{1,2}[./-]\d{1,4}",  # 31/12/2024
    r"\d{4}[./-]\d{1,2}",  # 2024-12
    rf"([a-z]+,? )?\d{{1,2}}[. ] ?{_MONTH},?( \d{{2,4}})?",  # Tue, 31 Dec 2024
    rf"([a-z]+,? )?{_MONTH} \d{{1,2}}(,? \d{{2,4}})?",  # Tuesday, December 31, 2024
    rf"{_MONTH} \d{{4}}",  # December 2024
)
#: Dates and times in usual forms beside ISO 8601.
DATE = re.compile(rf"({'|'.join(_DAYS)})([T ,]+{_TIME}.*)?|{_TIME}", re.IGNORECASE)


def choose_columns(
    raw: RawData, *, text: Sequence[str], label: Sequence[str], others: Sequence[str], address: str = ""
) -> tuple[list[str], list[str]]:
    """Choose the text columns and the label columns: given by the user, named by the source, or guessed.

    Args:
        raw: rows as read.
        text: value of ``data.text``; empty = named by the source, or guessed.
        label: value of ``data.label``; empty = named by the source, or guessed.
        others: columns that hold neither (id, split).
        address: path or name of the source, for the command in a hint; empty = no command.

    Returns:
        Text columns and label columns; every file of every split has them.

    Raises:
        DataError: a column is missing, or no column fits.
    """
    rows = list(raw.rows["train"][:SAMPLE_ROWS])
    text = list(text or raw.columns.get("text", ()))
    label = list(label or _columns_named_by(raw, "label"))
    candidates = [column for column in _columns(rows) if column not in others and not is_unnamed(column)]
    guessed_text, guessed_label = not text, not label
    text = text or _guess_text_by_name([column for column in candidates if column not in label])
    label = label or _guess_label_by_name([column for column in candidates if column not in text])
    text = text or _guess_text_by_length(rows, [column for column in candidates if column not in label])
    remaining = [column for column in candidates if column not in text]
    label = label or [_guess_label_by_values(raw, rows, remaining, address)]
    if not text:
        raise DataError(f"{raw.file_names('train')}: no column holds text.", hint=f"Columns: {', '.join(candidates)}.")
    for split in raw.rows:
        for key, column in [*(("text", name) for name in text), *(("label", name) for name in label)]:
            check_column(raw, split, key, column)
    if guessed_text:
        logger.info("text column: %s (guessed; set data.text)", " + ".join(map(repr, text)))
    if guessed_label:
        logger.info("label column: %r (guessed; set data.label)", label[0])
    return text, label


def _columns_named_by(raw: RawData, key: str) -> list[str]:
    """The columns that the source names: one, or a list."""
    named = raw.columns.get(key) or []
    return [named] if isinstance(named, str) else list(map(str, named))


def _columns(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(column for row in rows for column in row))


def check_column(raw: RawData, split: Split, key: str, column: str) -> None:
    """Refuse a split with a file that lacks a column: its texts would be empty, its labels missing.

    Args:
        raw: rows as read.
        split: name of the split.
        key: key of the data section that names the column.
        column: name of the column.

    Raises:
        DataError: a file of the split has no such column.
    """
    for name, rows in raw.rows_by_file(split):
        columns = _columns(rows[:SAMPLE_ROWS])
        if column not in columns:
            raise DataError(
                f"{name}: no column {column!r} for data.{key}.{nearest(column, columns)}",
                hint=f"Columns: {', '.join(columns)}.{_other_columns_hint(raw, split)}",
            )


def _other_columns_hint(raw: RawData, split: Split) -> str:
    if len(raw.files[split]) < 2:
        return ""
    return (
        " Files of one glob need the same columns: rename them, or give files with other columns as [[data.sources]]."
    )


def _guess_text_by_name(columns: Sequence[str]) -> list[str]:
    by_name = {column.lower(): column for column in columns}
    likeliest = next((by_name[name] for name in TEXT_NAMES if name in by_name), "")
    if likeliest:
        return [likeliest]
    if "title" in by_name and "description" in by_name:
        return [by_name["title"], by_name["description"]]
    return next(([by_name[name]] for name in FALLBACK_TEXT_NAMES if name in by_name), [])


def _guess_label_by_name(columns: Sequence[str]) -> list[str]:
    by_name = {column.lower(): column for column in columns}
    return next(([by_name[name]] for name in LABEL_NAMES if name in by_name), [])


def _guess_text_by_length(rows: Sequence[Row], columns: Sequence[str]) -> list[str]:
    lengths = {
        column: sum(map(len, texts)) / len(texts)
        for column in columns
        if (texts := [value for row in rows if isinstance(value := row.get(column), (str, bytes))])
    }
    return [max(lengths, key=lambda column: lengths[column])] if lengths else []


def _guess_label_by_values(raw: RawData, rows: Sequence[Row], columns: Sequence[str], address: str) -> str:
    """The only column with at least 2 and at most `MAX_CLASSES` different values that are not dates."""
    limit = min(MAX_CLASSES, max(2, len(rows) // 2))
    values = {column: Counter(shown for row in rows if (shown := _shown(row.get(column)))) for column in columns}
    fitting = [column for column in columns if 2 <= len(values[column]) <= limit and not _are_dates(values[column])]
    if len(fitting) == 1:
        return fitting[0]
    if not fitting:
        counted = ", ".join(f"{column} ({len(values[column]):,} values)" for column in columns)
        raise DataError(
            f"{raw.file_names('train')}: cannot tell which column is the label: none has 2 to {limit} different values "
            f"that are not dates: {counted or 'there is no other column'}.",
            hint=f"Set data.label; columns: {', '.join(_columns(rows))}.",
        )
    width = max(map(len, fitting))
    listed = [f"  {column.ljust(width)}  {_described_values(values[column])}" for column in fitting]
    key = f"data.label={fitting[0]}"
    raise DataError(
        "\n".join([f"{raw.file_names('train')}: cannot tell which column is the label. Candidates:", *listed]),
        hint=f"Choose one, for example: {new_recipe_command(address, [key]) if address else key}",
    )


def _shown(value: object) -> str:
    return "" if value is None else str(value).strip()


def _described_values(values: Counter[str]) -> str:
    """``3 values: sport, business, tech``, the most frequent ones first, shortened."""
    names = [
        name if len(name) <= SHOWN_CHARACTERS else name[:SHOWN_CHARACTERS] + "..." for name, _ in values.most_common()
    ]
    more = ", ..." if len(names) > SHOWN_VALUES else ""
    return f"{len(names):,} values: {', '.join(names[:SHOWN_VALUES])}{more}"


def _are_dates(values: Iterable[str]) -> bool:
    """True if all values are dates or times."""
    return all(_is_date(value) for value in values)


def _is_date(value: str) -> bool:
    if DATE.fullmatch(value):
        return True
    try:
        # Numbers below 8 digits would be read as years and times of the day.
        return len(value) >= 8 and bool(datetime.fromisoformat(value))
    except ValueError:
        return False


def choose_text_columns(
    rows: Sequence[Row], requested: Sequence[str], trained: Sequence[str], *, where: str, option: str = "--text"
) -> tuple[str, ...]:
    """Choose the text columns of a file without labels, for prediction or pre-training.

    Args:
        rows: the first rows of the file.
        requested: columns given by the user; they must exist.
        trained: columns that the model was trained on, used if the file has them all; empty = unknown.
        where: the file, for messages.
        option: the option or key that sets the columns, for messages.

    Returns:
        Text columns to join.

    Raises:
        DataError: a requested column is missing, no column holds text, or the columns that the model was trained on are
            missing and no column has the name of a text column.
    """
    columns = _columns(rows)
    for column in requested:
        if column not in columns:
            raise DataError(
                f"{where}: no column {column!r}.{nearest(column, columns)}", hint=f"Columns: {', '.join(columns)}."
            )
    if requested or (trained and set(trained) <= set(columns)):
        return tuple(requested or trained)
    guessed = columns if columns == numbered(1) else _guess_text_by_name(columns)
    if not guessed and trained:  # a guess by length might choose a column of ids
        raise DataError(
            f"{where}: the model was trained on {' + '.join(map(repr, trained))}, which the file does not have.",
            hint=f"Choose with {option}; columns: {', '.join(columns)}.{_no_header_hint(columns, option)}",
        )
    guessed = guessed or _guess_text_by_length(rows, [column for column in columns if not is_unnamed(column)])
    if not guessed:
        raise DataError(f"{where}: no column holds text.", hint=f"Columns: {', '.join(columns)}.")
    logger.info("text column: %s (guessed; choose with %s)", " + ".join(map(repr, guessed)), option)
    return tuple(guessed)


def _no_header_hint(columns: Sequence[str], option: str) -> str:
    """A hint to keep the first row of a file without a header, whose columns would be named by that row."""
    if option != "--text" or columns == numbered(len(columns)):
        return ""
    return " If they are the first row of a file without a header, add --no-header."
