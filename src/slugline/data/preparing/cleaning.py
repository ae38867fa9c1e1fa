"""Cleaning steps of texts, by their names in the recipe."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from slugline.data.preparing.artefacts import remove_artefacts


def clean_texts(texts: Iterable[str], steps: Sequence[str]) -> list[str]:
    """Clean texts, each as `clean` does; plain texts are recognised first, because most texts are plain."""
    if KEEP_PLAIN.issuperset(steps):
        return [text if is_plain(text) else clean(text, steps) for text in texts]
    return [clean(text, steps) for text in texts]


def is_plain(text: str) -> bool:
    """True for printable ASCII without HTML entities, whose words are separated by single blanks."""
    return text.isascii() and text.isprintable() and "&" not in text and "  " not in text and text.strip() == text


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

#: Steps that change no plain text.
KEEP_PLAIN = frozenset({"encoding", "whitespace"})
