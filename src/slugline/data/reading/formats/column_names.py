"""Usual names of columns, and columns without a name."""

from __future__ import annotations

import re
from collections.abc import Sequence

#: Column names, likeliest first. Title and description together come before the fallbacks.
TEXT_NAMES = ("text", "content", "body", "article", "sentence", "review", "message", "utterance", "query", "question")
FALLBACK_TEXT_NAMES = ("document", "tweet", "comment", "post", "abstract", "description", "headline", "title")
LABEL_NAMES = (
    *("label", "labels", "category", "class", "target", "topic", "intent", "sentiment", "emotion", "tag"),
    *("genre", "section", "label_text", "category_name", "class_name", "coarse_label"),
)

#: All names that a table is recognised by.
USUAL_NAMES = frozenset({*TEXT_NAMES, *FALLBACK_TEXT_NAMES, *LABEL_NAMES, "id", "date", "name"})

#: Columns without a name, as this package and as pandas call them.
_UNNAMED = re.compile(r"(unnamed:? [0-9]+)?", re.IGNORECASE)


def is_unnamed(column: str) -> bool:
    """True if a column has no name: such columns are skipped where columns are guessed."""
    return bool(_UNNAMED.fullmatch(column.strip()))


def named(cells: Sequence[str]) -> list[str]:
    """Return the names in a header; several columns without a name are numbered: ``unnamed 3``."""
    names = [cell.strip() for cell in cells]
    has_several = names.count("") > 1
    return [name or (f"unnamed {number}" if has_several else "") for number, name in enumerate(names, start=1)]


def numbered(n_columns: int) -> list[str]:
    """Return the names of columns without a header: ``0``, ``1``, ..."""
    return [str(number) for number in range(n_columns)]
