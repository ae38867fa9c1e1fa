"""One label from the cell of a label column; cells with several labels are refused or reported."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from slugline.core.errors import DataError
from slugline.core.labels import Split
from slugline.data.findings import MAX_EXAMPLES, Finding

#: Delimiters between the labels of a cell.
LABEL_DELIMITERS = ("#", "|", ";", ",", "/", "+", "&", "\n")

#: Lists that were written as texts: ``['neg', 'urgent']`` (pandas), ``{"choices": ["neg"]}`` (Label Studio).
QUOTED_LIST = re.compile(r"""\[\s*(?P<quote>['"])(?P<labels>.*)(?P=quote)\s*\]""", re.DOTALL)
CHOICES = re.compile(r"""\{\s*['"]choices['"]\s*:\s*(\[.*\])\s*\}""", re.DOTALL)


def label_of(value: object, *, where: str) -> str:
    """Convert a cell to its label.

    Args:
        value: a name, a number, a list of one label, or such a list as it is written in a text.
        where: file, row and column, for messages.

    Returns:
        The label without blanks around it, in the composed form of its accents; empty for a cell without a label.

    Raises:
        DataError: the cell holds several labels, or an object.
    """
    if isinstance(value, dict) and list(value) == ["choices"]:
        value = value["choices"]
    if isinstance(value, (list, tuple)):
        if len(value) > 1:
            raise several_labels(f"{where} holds several labels: {', '.join(map(str, value[:MAX_EXAMPLES]))}")
        value = value[0] if value else None
    if isinstance(value, (list, tuple, dict)):
        raise DataError(f"{where} holds an object, not a label.", hint="Choose a column of names or integers.")
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bytes):
        value = value.decode("utf-8", errors="replace")
    # 3.0 becomes "3": readers turn integers into floats if a label of the column is missing.
    text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()
    return unicodedata.normalize("NFC", _from_written_list(text, where))


def _from_written_list(text: str, where: str) -> str:
    """The label in a list that was written as a text; other texts as they are."""
    if not text.startswith(("[", "{")):
        return text
    choices = CHOICES.fullmatch(text)
    found = QUOTED_LIST.fullmatch(choices.group(1) if choices else text)
    if not found:
        return text
    if found["quote"] in found["labels"]:
        raise several_labels(f"{where} holds several labels: {text[:80]}")
    return found["labels"].strip()


def several_labels(problem: str) -> DataError:
    """Build the error for data with several labels a text."""
    return DataError(
        f"{problem}; this version trains on one label a text.",
        hint="Choose a single-label set, or a column with one label a row.",
    )


def report_labels(labels: Mapping[Split, Sequence[str]], column: str) -> list[Finding]:
    """Report classes that may be combinations of others, or the same as others.

    Args:
        labels: class names of the rows, by split.
        column: label column.

    Returns:
        Findings, all of them warnings.
    """
    counts = Counter(name for names in labels.values() for name in names if name)
    return [*_report_combinations(counts, column), *_report_alike(counts)]


def _report_combinations(counts: Counter[str], column: str) -> list[Finding]:
    findings = []
    for delimiter in LABEL_DELIMITERS:
        parts = {name: [part.strip() for part in name.split(delimiter)] for name in counts if delimiter in name}
        combined = [name for name, labels in parts.items() if all(label in counts for label in labels)]
        if combined:
            n_rows = sum(counts[name] for name in combined)
            listed = ", ".join(combined[:MAX_EXAMPLES])
            message = (
                f"column {column!r} seems to hold several labels in a cell, with {delimiter!r} between them: "
                f"{n_rows:,} rows ({listed}); this version trains on one label a text and takes each "
                "combination as a class of its own; data.label_map or data.drop_classes changes them"
            )
            findings.append(Finding("several labels", n_rows, message, tuple(combined[:MAX_EXAMPLES]), True))
    return findings


def _report_alike(counts: Counter[str]) -> list[Finding]:
    groups: dict[str, list[str]] = defaultdict(list)
    for name in counts:
        groups["".join(unicodedata.normalize("NFKC", name).casefold().split())].append(name)
    alike = [" / ".join(f"{name!r} ({counts[name]:,})" for name in sorted(g)) for g in groups.values() if len(g) > 1]
    if not alike:
        return []
    message = (
        f"classes that differ only in case, blanks or the form of characters: {', '.join(alike[:MAX_EXAMPLES])}; "
        "data.label_map merges them"
    )
    return [Finding.of("similar classes", alike, message, is_warning=True)]
