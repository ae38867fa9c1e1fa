"""Cleaning steps of texts, by their names in the recipe."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from slugline.data.preparing.artefacts import remove_artefacts


def clean(text: str, steps: Sequence[str]) -> str:
    """Clean one text. Cleaning a clean text changes nothing, so that training and inference read the same text.

    Args:
        text: text as read.
        steps: names of `STEPS`, applied in this order.

    Returns:
        The cleaned text.
    """
    # A step can make an earlier step necessary again: lowercase can undo a Unicode composition. Repeat until stable.
    for _ in range(10):
        cleaned = text
        for step in steps:
            cleaned = STEPS[step](cleaned)
        if cleaned == text:
            return text
        text = cleaned
    return text


def _fix_encoding(text: str) -> str:
    if text.isascii() and "&" not in text and text.replace("\n", "").replace("\t", "").isprintable():
        return text  # ftfy changes nothing in such texts, and most texts are such
    import ftfy

    return ftfy.fix_text(text, uncurl_quotes=False)


def _collapse_whitespace(text: str) -> str:
    return " ".join(text.split())


#: Cleaning steps by name.
STEPS: dict[str, Callable[[str], str]] = {
    "encoding": _fix_encoding,
    "whitespace": _collapse_whitespace,
    "lowercase": str.lower,
    "artefacts": remove_artefacts,
}
