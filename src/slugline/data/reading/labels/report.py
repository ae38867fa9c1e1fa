"""Classes that look like combinations of others, the same as others, or no classes at all."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable

from slugline.core.labels import RowLabels
from slugline.data.findings import MAX_EXAMPLES, Finding
from slugline.data.reading.labels.class_names import NUMBER
from slugline.data.reading.labels.delimiters import CERTAIN_DELIMITERS, LABEL_DELIMITERS, combinations

#: A scale such as 0.5, 1.0, ... 5.0 has few levels; columns with more integers than this may hold counts or ids.
MAX_LEVELS_OF_A_SCALE = 10
MAX_INTEGER_CLASSES = 50


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


def report_no_classes(counts: Counter[str], column: str) -> list[Finding]:
    """Report a label column that looks like numbers or ids: measured values, or one value for nearly every row.

    Args:
        counts: rows of each class, without names from the source.
        column: label column.

    Returns:
        A warning, or nothing.
    """
    n_rows = counts.total()
    if len(counts) <= MAX_LEVELS_OF_A_SCALE:
        return []
    numbers = [float(name) for name in counts if NUMBER.fullmatch(name)]
    are_numbers = len(numbers) == len(counts)
    has_fractions = any(not number.is_integer() for number in numbers)
    is_sparse = 10 * len(counts) > n_rows
    if are_numbers and (has_fractions or (is_sparse and len(counts) > MAX_INTEGER_CLASSES)):
        what = f"numbers between {min(numbers):g} and {max(numbers):g}"
    elif 2 * len(counts) > n_rows:
        what = "ids or texts"
    else:
        return []
    message = (
        f"column {column!r} looks like {what}, not classes: {len(counts):,} different values in {n_rows:,} rows; "
        "choose another column with data.label, or turn the values into a few classes with data.label_map"
    )
    return [Finding("no classes", len(counts), message, tuple(counts)[:MAX_EXAMPLES], is_warning=True)]
