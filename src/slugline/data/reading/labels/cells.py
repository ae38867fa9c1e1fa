"""The labels in one cell of a label column."""

from __future__ import annotations

import ast
import json
import math
import re
import unicodedata
from collections.abc import Sequence

from slugline.core.errors import DataError
from slugline.core.labels import RowLabels

#: The object around a list of choices: ``{"choices": ["neg"]}`` (Label Studio).
CHOICES = re.compile(r"""\{\s*['"]choices['"]\s*:\s*(\[.*\])\s*\}""", re.DOTALL)


def labels_of(value: object, *, where: str = "") -> RowLabels | None:
    """Convert a cell to its labels.

    Args:
        value: a name, a number, a list of these, or such a list as it is written in a text.
        where: file, row and column, for messages.

    Returns:
        The labels without blanks around them, in the composed form of their accents, without repetitions and empty
        ones; no labels for an empty list; None for a cell without a value.

    Raises:
        DataError: the cell holds an object.
    """
    if isinstance(value, bytes):
        value = value.decode("utf-8", errors="replace")
    if isinstance(value, str):
        value = _written_list(value.strip())
    if isinstance(value, dict) and list(value) == ["choices"]:
        value = value["choices"]
    if is_missing(value):
        return None
    if not isinstance(value, (list, tuple)):
        return (_name(value, where),)
    return tuple(dict.fromkeys(_name(part, where) for part in value if not is_missing(part)))


def is_missing(value: object) -> bool:
    """True for None, NaN, and a text of blanks."""
    return (
        value is None
        or (isinstance(value, float) and math.isnan(value))
        or (isinstance(value, str) and not value.strip())
    )


def _name(value: object, where: str) -> str:
    if isinstance(value, (list, tuple, dict)):
        raise DataError(f"{where} holds an object, not a label.", hint="Choose a column of names or integers.")
    if isinstance(value, bytes):
        value = value.decode("utf-8", errors="replace")
    # 3.0 becomes "3": readers turn integers into floats if a label of the column is missing.
    text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()
    return unicodedata.normalize("NFC", text)


def _written_list(text: str) -> str | Sequence[object]:
    """The list that a text writes in the form of JSON or Python; other texts as they are."""
    if not text.startswith(("[", "{")):
        return text
    choices = CHOICES.fullmatch(text)
    written = choices.group(1) if choices else text
    if not _looks_like_a_list(written):
        return text
    for parse in (json.loads, ast.literal_eval):
        try:
            values = parse(written)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(values, list):
            return values
    return text


def _looks_like_a_list(text: str) -> bool:
    """True for brackets around nothing, quoted names or numbers; the name of a class may be ``[x]``."""
    inner = text[1:-1].strip()
    if not (text.startswith("[") and text.endswith("]")):
        return False
    return not inner or (inner[0] in "'\"" and inner[-1] in "'\"") or not inner.strip("-+.,0123456789 \n\t")


def several_labels(problem: str) -> DataError:
    """Build the error for a row with several labels in a set with one label per row."""
    return DataError(
        f"{problem}.",
        hint='Set data.label_kind = "multi" to learn several labels per text, or choose a column with one label a row.',
    )
