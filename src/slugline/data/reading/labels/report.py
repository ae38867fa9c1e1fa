"""Classes that look like combinations of others, or the same as others."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable

from slugline.core.labels import RowLabels
from slugline.data.findings import MAX_EXAMPLES, Finding
from slugline.data.reading.labels.delimiters import CERTAIN_DELIMITERS, LABEL_DELIMITERS, combinations


def report_combinations(counts: Counter[str], column: str) -> list[Finding]:
    """Report classes that may be combinations of several labels.

    Args:
        counts: rows of each class.
        column: label column.

    Returns:
        One warning for each delimiter whose parts are also classes, or recur in several combinations.
    """
    findings = []
    for delimiter in LABEL_DELIMITERS:
        parts_of = combinations(counts, delimiter)
        known = set(counts) | (_recurring(parts_of.values()) if delimiter in CERTAIN_DELIMITERS else set())
        combined = [name for name, parts in parts_of.items() if parts and known.issuperset(parts)]
        if combined:
            n_rows = sum(counts[name] for name in combined)
            message = (
                f"column {column!r} seems to hold several labels in a cell, with {delimiter!r} between them: "
                f"{n_rows:,} rows ({', '.join(combined[:MAX_EXAMPLES])}). Each combination is taken as a class of its "
                f'own; set data.label_delimiter = "{delimiter}" to learn several labels per text'
            )
            findings.append(Finding("several labels", n_rows, message, tuple(combined[:MAX_EXAMPLES]), True))
    return findings


def _recurring(combined: Iterable[RowLabels]) -> set[str]:
    """Labels of two or more combinations."""
    counts = Counter(part for parts in combined for part in set(parts))
    return {part for part, count in counts.items() if count > 1}


def report_alike(counts: Counter[str]) -> list[Finding]:
    """Report classes that differ only in case, blanks or the form of characters.

    Args:
        counts: rows of each class.

    Returns:
        A warning, or nothing.
    """
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
