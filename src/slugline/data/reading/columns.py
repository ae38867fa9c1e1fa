"""Which columns hold the text and the label, and what the labels are called.

What the user left out is guessed, and the guess is logged in one line; what the user said must be there.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from slugline.core.errors import DataError, nearest
from slugline.core.labels import Split
from slugline.data.reading.formats import Row
from slugline.data.reading.raw_data import RawData

logger = logging.getLogger(__name__)

#: Column names, likeliest first.
TEXT_NAMES = ("text", "content", "body", "article", "sentence", "review", "message", "utterance", "query", "question")
TEXT_NAMES_AFTER = ("document", "tweet", "comment", "post", "abstract", "description", "headline", "title")
LABEL_NAMES = ("label", "labels", "category", "class", "target", "topic", "intent", "sentiment", "emotion", "tag")
LABEL_NAMES_AFTER = ("genre", "section", "label_text", "category_name", "class_name", "coarse_label")

#: Rows that a guess looks at, and the most values that a column of labels is believed to have.
LOOK_AT_ROWS = 2_000
MOST_CLASSES = 200


def choose_columns(raw: RawData, *, text: Sequence[str], label: str, others: Sequence[str]) -> tuple[list[str], str]:
    """The text columns and the label column: given by the user, named by the source, or guessed.

    Args:
        raw: rows as read.
        text: data.text, may be empty.
        label: data.label, may be empty.
        others: columns that are neither (id, split).

    Returns:
        Names that stand in every split.

    Raises:
        DataError: a column is not there, or nothing can be guessed.
    """
    rows = raw.rows["train"][:LOOK_AT_ROWS]
    text = list(text or raw.columns.get("text", ()))
    label = label or str(raw.columns.get("label", ""))
    free = [column for column in _columns(rows) if column not in others]
    guessed_text, guessed_label = not text, not label
    text = text or _guess_text_by_name([column for column in free if column != label])
    label = label or _guess_label_by_name([column for column in free if column not in text])
    text = text or _guess_text_by_length(rows, [column for column in free if column != label])
    label = label or _guess_label_by_values(raw, rows, [column for column in free if column not in text])
    if not text:
        raise DataError(f"{raw.file('train')}: no column holds text.", hint=f"Columns there: {', '.join(free)}.")
    for split in raw.rows:
        for key, column in [*(("text", name) for name in text), ("label", label)]:
            _require_column(raw, split, key, column)
    if guessed_text:
        logger.info("text column: %s (guessed; set data.text)", " + ".join(map(repr, text)))
    if guessed_label:
        logger.info("label column: %r (guessed; set data.label)", label)
    return text, label


def _columns(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(column for row in rows for column in row))


def _require_column(raw: RawData, split: Split, key: str, column: str) -> None:
    columns = _columns(raw.rows[split][:LOOK_AT_ROWS])
    if column not in columns:
        raise DataError(
            f"{raw.file(split)}: no column {column!r} for data.{key}.{nearest(column, columns)}",
            hint=f"Columns there: {', '.join(columns)}.",
        )


def _guess_text_by_name(columns: Sequence[str]) -> list[str]:
    by_name = {column.lower(): column for column in columns}
    first = next((by_name[name] for name in TEXT_NAMES if name in by_name), "")
    if first:
        return [first]
    if "title" in by_name and "description" in by_name:
        return [by_name["title"], by_name["description"]]
    return next(([by_name[name]] for name in TEXT_NAMES_AFTER if name in by_name), [])


def _guess_label_by_name(columns: Sequence[str]) -> str:
    by_name = {column.lower(): column for column in columns}
    return next((by_name[name] for name in LABEL_NAMES + LABEL_NAMES_AFTER if name in by_name), "")


def _guess_text_by_length(rows: Sequence[Row], columns: Sequence[str]) -> list[str]:
    lengths = {
        column: sum(map(len, texts)) / len(texts)
        for column in columns
        if (texts := [value for row in rows if isinstance(value := row.get(column), str)])
    }
    return [max(lengths, key=lambda column: lengths[column])] if lengths else []


def _guess_label_by_values(raw: RawData, rows: Sequence[Row], columns: Sequence[str]) -> str:
    """The only column with few values, each of them used several times."""
    most = min(MOST_CLASSES, max(2, len(rows) // 2))
    fitting = [
        column for column in columns if 2 <= len({str(row.get(column)) for row in rows if column in row}) <= most
    ]
    if len(fitting) == 1:
        return fitting[0]
    why = f"{', '.join(map(repr, fitting))} all could be" if fitting else "no column has few values"
    raise DataError(
        f"{raw.file('train')}: cannot tell which column is the label ({why}).",
        hint=f"Set data.label; columns there: {', '.join(_columns(rows))}.",
    )


def choose_text_columns(
    rows: Sequence[Row], requested: Sequence[str], trained: Sequence[str], *, where: str, option: str = "--text"
) -> tuple[str, ...]:
    """The text columns of a file to predict on, or to pre-train on, which needs no labels.

    Args:
        rows: the first of the file.
        requested: columns that the user names; they must be there.
        trained: columns that the model was trained on, taken where they are there; empty = not known.
        where: the file, for messages.
        option: what the user chooses them with.

    Returns:
        Columns to be joined.

    Raises:
        DataError: a column is not there, none holds text, or none is known by its name to hold what was trained on.
    """
    columns = _columns(rows)
    for column in requested:
        if column not in columns:
            raise DataError(
                f"{where}: no column {column!r}.{nearest(column, columns)}",
                hint=f"Columns there: {', '.join(columns)}.",
            )
    if requested or (trained and set(trained) <= set(columns)):
        return tuple(requested or trained)
    guessed = _guess_text_by_name(columns)
    if not guessed and trained:  # by length, the text might well be a column of ids
        raise DataError(
            f"{where}: the model was trained on {' + '.join(map(repr, trained))}, which the file does not have.",
            hint=f"Choose with {option}; columns there: {', '.join(columns)}.",
        )
    guessed = guessed or _guess_text_by_length(rows, columns)
    if not guessed:
        raise DataError(f"{where}: no column holds text.", hint=f"Columns there: {', '.join(columns)}.")
    logger.info("text column: %s (guessed; choose with %s)", " + ".join(map(repr, guessed)), option)
    return tuple(guessed)


def join_text(row: Row, columns: Sequence[str]) -> str:
    """The text of a row: its columns joined by a blank, missing ones left out."""
    parts = [str(row[column]) for column in columns if row.get(column) is not None]
    return " ".join(part for part in parts if part) if len(parts) > 1 else "".join(parts)
