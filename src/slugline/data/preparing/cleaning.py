"""."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from slugline.data.preparing.artefacts import remove_artefacts


def clean(text: str, steps: Sequence[str]) -> str:
    """Clean one text. Cleaning a clean text changes nothing, so that training and serving cannot disagree.

    Args:
        text: as read.
        steps: names of `STEPS`, in the order in which they are taken.

    Returns:
        The text after all steps.
    """
    # One step may make work for an earlier one (lower case can undo a composition), hence until nothing changes.
    for _ in range(10):
        cleaned = text
        for step in steps:
            cleaned = STEPS[step](cleaned)
        if cleaned == text:
            return text
        text = cleaned
    return text


def _mend_encoding(text: str) -> str:
    if text.isascii() and "&" not in text and text.replace("\n", "").replace("\t", "").isprintable():
        return text  # nothing that ftfy would touch, and most texts are like that
    import ftfy

    return ftfy.fix_text(text, uncurl_quotes=False)


def _collapse_whitespace(text: str) -> str:
    return " ".join(text.split())


#: Cleaning steps by name.
STEPS: dict[str, Callable[[str], str]] = {
    "encoding": _mend_encoding,
    "whitespace": _collapse_whitespace,
    "lowercase": str.lower,
    "artefacts": remove_artefacts,
}
