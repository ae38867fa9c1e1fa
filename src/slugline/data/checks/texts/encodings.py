"""Checks: texts that were read in a wrong encoding, and characters that are no text."""

from __future__ import annotations

import re

from slugline.data.checks.checked_rows import CheckedRows
from slugline.data.findings import Finding

#: Characters before and after a repair that a finding shows.
SHOWN_AROUND = 12

#: Stands for bytes that could not be read.
REPLACEMENT = "\ufffd"

#: Control characters except tabulator and line breaks; also halves of surrogate pairs, which no file can hold.
CONTROL = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff]")


def repaired(text: str) -> str:
    """Return a text with its mojibake repaired; other texts as they are.

    Args:
        text: any text.

    Returns:
        The text with ``Ã©`` as ``é``; nothing else is changed.
    """
    if text.isascii():
        return text
    import ftfy
    from ftfy.badness import is_bad

    return ftfy.fix_encoding(text) if is_bad(text) else text


def without_control_characters(text: str) -> str:
    """Return a text without the characters of `CONTROL`."""
    return CONTROL.sub("", text)


def broken_encodings(rows: CheckedRows) -> list[Finding]:
    """Find mojibake: UTF-8 that was read in another encoding, such as ``Ã©`` in place of ``é``.

    Args:
        rows: rows to check.

    Returns:
        At most one finding.
    """
    affected = [index for index, text in enumerate(rows.originals) if repaired(text) != text]
    if not affected:
        return []
    is_cleaned = "encoding" in rows.options.clean
    advice = (
        "Training repairs them, because data.clean has 'encoding'; --fix repairs the data."
        if is_cleaned
        else "Repair them with --fix, or add 'encoding' to data.clean."
    )
    return [
        rows.finding(
            "mojibake",
            affected,
            "texts with characters of a wrong encoding: {count} ({share} of all rows)",
            level="note" if is_cleaned else "warning",
            advice=advice,
            notes=(f"-> {_repaired_part(rows.originals[index])!r}" for index in affected),
            places=(_first_repair(rows.originals[index]) for index in affected),
        )
    ]


def _first_repair(text: str) -> int:
    """The first character of a text that is repaired."""
    pairs = zip(text, repaired(text), strict=False)
    return next((place for place, (before, after) in enumerate(pairs) if before != after), 0)


def _repaired_part(text: str) -> str:
    """The first repair of a text, with the characters around it."""
    better, place = repaired(text), _first_repair(text)
    return better[max(0, place - SHOWN_AROUND) : place + SHOWN_AROUND]


def lost_characters(rows: CheckedRows) -> list[Finding]:
    """Find the replacement character U+FFFD, which stands for bytes that could not be read.

    Args:
        rows: rows to check.

    Returns:
        At most one finding.
    """
    affected = [index for index, text in enumerate(rows.originals) if REPLACEMENT in text]
    if not affected:
        return []
    return [
        rows.finding(
            "lost character",
            affected,
            "texts with the replacement character U+FFFD, whose original character is lost: {count} ({share} of all "
            "rows)",
            level="warning",
            advice="Write the file again from its source, as UTF-8. Nothing can restore these characters from the "
            "file itself.",
            places=(rows.originals[index].index(REPLACEMENT) for index in affected),
        )
    ]


def control_characters(rows: CheckedRows) -> list[Finding]:
    r"""Find control characters other than tabulators and line breaks.

    Those that come from a wrong encoding, such as ``\x92`` for an apostrophe, belong to `broken_encodings`.

    Args:
        rows: rows to check.

    Returns:
        At most one finding.
    """
    affected = [index for index, text in enumerate(rows.originals) if _has_control(text)]
    if not affected:
        return []
    is_cleaned = "encoding" in rows.options.clean
    return [
        rows.finding(
            "control character",
            affected,
            "texts with control characters: {count} ({share} of all rows)",
            level="note" if is_cleaned else "warning",
            advice="Training removes them, because data.clean has 'encoding'; --fix removes them from the data."
            if is_cleaned
            else "Remove them with --fix, or add 'encoding' to data.clean.",
            places=(_first_control(rows.originals[index]) for index in affected),
        )
    ]


def _has_control(text: str) -> bool:
    """True if control characters are left after the repair of the encoding."""
    return bool(CONTROL.search(text) and CONTROL.search(repaired(text)))


def _first_control(text: str) -> int:
    match = CONTROL.search(text)
    return match.start() if match else 0
