"""Checks: empty texts, texts that are much longer than the others, and texts that the model does not read whole."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from slugline.data.checks.checked_rows import CheckedRows
from slugline.data.findings import Finding

#: Share of truncated texts from which truncation is a warning.
NOTICEABLE_SHARE = 0.1

#: A text is an outlier if it has more than so many times the words of the median text, and at least so many words.
OUTLIER_FACTOR, OUTLIER_WORDS = 50, 500


def blank_rows(rows: CheckedRows) -> list[int]:
    """Return the indices of rows whose text has nothing but white space."""
    return [index for index, text in enumerate(rows.texts) if not text.strip()]


def empty_texts(rows: CheckedRows) -> list[Finding]:
    """Find texts without anything but white space.

    Args:
        rows: rows to check.

    Returns:
        At most one finding.
    """
    empty = blank_rows(rows)
    if not empty:
        return []
    has_no_text = len(set(empty) & set(rows.rows_of("train"))) == len(rows.rows_of("train"))
    return [
        rows.finding(
            "empty text",
            empty,
            "empty texts: {count} ({share} of all rows)",
            level="error" if has_no_text else "warning",
            advice="Train has no text at all: choose the column of the texts with data.text."
            if has_no_text
            else "Check data.text. --fix removes them outside test, as training does.",
        )
    ]


def long_texts(rows: CheckedRows) -> list[Finding]:
    """Find texts that are much longer than the others: often several rows, joined by a quotation mark left open.

    Args:
        rows: rows to check.

    Returns:
        At most one finding.
    """
    words = _word_counts(rows)
    longest = max(OUTLIER_WORDS, OUTLIER_FACTOR * float(np.median(words))) if len(words) else 0
    affected = [int(index) for index in np.argsort(-words, kind="stable") if words[index] > longest]
    if not affected:
        return []
    return [
        rows.finding(
            "long text",
            affected,
            f"texts of more than {longest:,.0f} words, where half of all texts have at most {np.median(words):,.0f}: "
            "{count}",
            level="note",
            advice="Read some of them: several rows become one if a quotation mark in a CSV file is not closed.",
            notes=(f"{words[index]:,} words" for index in affected),
        )
    ]


def truncation(rows: CheckedRows) -> list[Finding]:
    """Find texts that are longer than the model reads, in tokens if there is a tokenizer, otherwise in words.

    Args:
        rows: rows to check.

    Returns:
        At most one finding; none for models that read whole texts.
    """
    limits = rows.options.truncation
    if limits is None:
        return []
    lengths, is_cut = _token_counts(rows)
    affected = [int(index) for index in np.argsort(-lengths, kind="stable") if is_cut[index]]
    if not affected:
        return []
    counted = rows.options.tokenizer is not None
    unit = "tokens" if counted else "words"
    total = int(lengths.max())
    at_least = "" if counted else "; in tokens they are more, because a word has one or several"
    share = len(affected) / len(rows)
    return [
        rows.finding(
            "truncation",
            affected,
            f"texts that the model does not read whole, because they exceed data.max_length = {limits.max_length}: "
            f"{{count}} ({{share}} of all rows; the longest has {total:,} {unit}{at_least})",
            level="warning" if share >= NOTICEABLE_SHARE else "note",
            advice="Set a larger data.max_length, or data.long_texts: tail, head_tail or window.",
            notes=(f"{lengths[index]:,} {unit}" for index in affected),
        )
    ]


def _word_counts(rows: CheckedRows) -> NDArray[np.int64]:
    return np.array([len(text.split()) for text in rows.texts], dtype=np.int64)


def _token_counts(rows: CheckedRows) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """(N,) lengths in tokens, or else in words, and (N,) True for texts that are cut."""
    from slugline.data.batching.tokens import tokenise

    limits = rows.options.truncation
    assert limits is not None
    if rows.options.tokenizer is None:
        words = _word_counts(rows)
        return words, words > limits.max_length
    tokens = tokenise(rows.texts, rows.options.tokenizer, limits)
    return tokens.full_lengths, tokens.truncated
