"""The text and label columns. Columns given by the user must exist; others are guessed, and each guess is logged."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from slugline.core.errors import DataError, nearest
from slugline.core.labels import Split
from slugline.data.reading.formats import Row
from slugline.data.reading.raw_data import RawData

logger = logging.getLogger(__name__)

#: Column names, likeliest first. Title and description together come before the fallbacks.
TEXT_NAMES = ("text", "content", "body", "article", "sentence", "review", "message", "utterance", "query", "question")
FALLBACK_TEXT_NAMES = ("document", "tweet", "comment", "post", "abstract", "description", "headline", "title")
LABEL_NAMES = (
    *("label", "labels", "category", "class", "target", "topic", "intent", "sentiment", "emotion", "tag"),
    *("genre", "section", "label_text", "category_name", "class_name", "coarse_label"),
)

#: Rows that a guess is based on, and the largest number of classes in a guessed label column.
SAMPLE_ROWS = 2_000
MAX_CLASSES = 200


def choose_columns(raw: RawData, *, text: Sequence[str], label: str, others: Sequence[str]) -> tuple[list[str], str]:
    """Choose the text columns and the label column: given by the user, named by the source, or guessed.

    Args:
        raw: rows as read.
        text: value of ``data.text``; empty = named by the source, or guessed.
        label: value of ``data.label``; empty = named by the source, or guessed.
        others: columns that hold neither (id, split).

    Returns:
        Text columns and label column; every split has them.

    Raises:
        DataError: a column is missing, or no column fits.
    """
    rows = raw.rows["train"][:SAMPLE_ROWS]
    text = list(text or raw.columns.get("text", ()))
    label = label or str(raw.columns.get("label", ""))
    candidates = [column for column in _columns(rows) if column not in others]
    guessed_text, guessed_label = not text, not label
    text = text or _guess_text_by_name([column for column in candidates if column != label])
    label = label or _guess_label_by_name([column for column in candidates if column not in text])
    text = text or _guess_text_by_length(rows, [column for column in candidates if column != label])
    label = label or _guess_label_by_values(raw, rows, [column for column in candidates if column not in text])
    if not text:
        raise DataError(f"{raw.file_names('train')}: no column holds text.", hint=f"Columns: {', '.join(candidates)}.")
    for split in raw.rows:
        for key, column in [*(("text", name) for name in text), ("label", label)]:
            _check_column(raw, split, key, column)
    if guessed_text:
        logger.info("text column: %s (guessed; set data.text)", " + ".join(map(repr, text)))
    if guessed_label:
        logger.info("label column: %r (guessed; set data.label)", label)
    return text, label


def _columns(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(column for row in rows for column in row))


def _check_column(raw: RawData, split: Split, key: str, column: str) -> None:
    columns = _columns(raw.rows[split][:SAMPLE_ROWS])
    if column not in columns:
        raise DataError(
            f"{raw.file_names(split)}: no column {column!r} for data.{key}.{nearest(column, columns)}",
            hint=f"Columns: {', '.join(columns)}.",
        )


def _guess_text_by_name(columns: Sequence[str]) -> list[str]:
    by_name = {column.lower(): column for column in columns}
    likeliest = next((by_name[name] for name in TEXT_NAMES if name in by_name), "")
    if likeliest:
        return [likeliest]
    if "title" in by_name and "description" in by_name:
        return [by_name["title"], by_name["description"]]
    return next(([by_name[name]] for name in FALLBACK_TEXT_NAMES if name in by_name), [])


def _guess_label_by_name(columns: Sequence[str]) -> str:
    by_name = {column.lower(): column for column in columns}
    return next((by_name[name] for name in LABEL_NAMES if name in by_name), "")


def _guess_text_by_length(rows: Sequence[Row], columns: Sequence[str]) -> list[str]:
    lengths = {
        column: sum(map(len, texts)) / len(texts)
        for column in columns
        if (texts := [value for row in rows if isinstance(value := row.get(column), str)])
    }
    return [max(lengths, key=lambda column: lengths[column])] if lengths else []


def _guess_label_by_values(raw: RawData, rows: Sequence[Row], columns: Sequence[str]) -> str:
    """The only column with at least 2 and at most `MAX_CLASSES` different values."""
    limit = min(MAX_CLASSES, max(2, len(rows) // 2))
    fitting = [
        column for column in columns if 2 <= len({str(row.get(column)) for row in rows if column in row}) <= limit
    ]
    if len(fitting) == 1:
        return fitting[0]
    why = f"candidates: {', '.join(map(repr, fitting))}" if fitting else "no column has few different values"
    raise DataError(
        f"{raw.file_names('train')}: cannot tell which column is the label ({why}).",
        hint=f"Set data.label; columns: {', '.join(_columns(rows))}.",
    )


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
    guessed = _guess_text_by_name(columns)
    if not guessed and trained:  # a guess by length might choose a column of ids
        raise DataError(
            f"{where}: the model was trained on {' + '.join(map(repr, trained))}, which the file does not have.",
            hint=f"Choose with {option}; columns: {', '.join(columns)}.",
        )
    guessed = guessed or _guess_text_by_length(rows, columns)
    if not guessed:
        raise DataError(f"{where}: no column holds text.", hint=f"Columns: {', '.join(columns)}.")
    logger.info("text column: %s (guessed; choose with %s)", " + ".join(map(repr, guessed)), option)
    return tuple(guessed)


def join_text(row: Row, columns: Sequence[str]) -> str:
    """Join the text columns of a row with blanks; missing and empty values are skipped."""
    parts = [str(row[column]) for column in columns if row.get(column) is not None]
    return " ".join(part for part in parts if part) if len(parts) > 1 else "".join(parts)
