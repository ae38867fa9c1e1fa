"""Checks of class names: names that differ only in spelling, and names that look like numbers or ids."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from slugline.data.checks.checked_rows import CheckedRows
from slugline.data.findings import Finding

#: Letters of a name from which one different letter counts as another spelling; in shorter names it is another word.
MIN_LONG_NAME = 7

#: Classes from which names are checked for being numbers or ids.
MIN_CLASSES = 20

#: Share of classes with a single row from which a label column looks like ids; of numbers, like a measured value.
ID_SHARE = 0.5

NUMBER = re.compile(r"-?\d+(?:[.,]\d+)?(?:[eE][-+]?\d+)?")


def plain_name(name: str) -> str:
    """Return a name without case, accents, blanks and punctuation."""
    decomposed = unicodedata.normalize("NFKD", name).casefold()
    return "".join(character for character in decomposed if character.isalnum())


def singular(name: str) -> str:
    """Return a plain name without a plural ending of English: ``"categories"`` becomes ``"category"``."""
    if len(name) > 5 and name.endswith("ies"):
        return name[:-3] + "y"
    return name[:-1] if len(name) > 3 and name.endswith("s") and not name.endswith("ss") else name


def similar_names(names: Sequence[str]) -> list[tuple[str, str, str]]:
    """Find pairs of names that differ only in spelling.

    Args:
        names: distinct class names.

    Returns:
        Pairs with the difference: ``"case, accents or punctuation"``, ``"plural"``, ``"one letter"``. Names that
        differ in a digit are different classes.
    """
    found: dict[tuple[str, str], str] = {}
    plain = {name: plain_name(name) for name in names}
    forms = (
        ("case, accents or punctuation", plain),
        ("plural", {name: singular(form) for name, form in plain.items()}),
    )
    for difference, form in forms:
        groups: dict[str, list[str]] = defaultdict(list)
        for name in names:
            groups[form[name]].append(name)
        groups.pop("", None)
        for one, other in _pairs(groups.values()):
            found.setdefault((one, other), difference)
    for one, other in _one_letter_apart(plain):
        found.setdefault((one, other), "one letter")
    return [(one, other, difference) for (one, other), difference in found.items()]


def _one_letter_apart(plain: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Pairs of long names, by their plain names, that are the same but for one letter."""
    order = {name: number for number, name in enumerate(plain)}
    whole = {form: name for name, form in plain.items()}
    variants: dict[tuple[int, str], list[str]] = defaultdict(list)
    for name, form in plain.items():
        if len(form) < MIN_LONG_NAME:
            continue
        for position, character in enumerate(form):
            if character.isdigit():
                continue
            rest = form[:position] + form[position + 1 :]
            variants[position, rest].append(name)
            if rest in whole:  # the other name lacks this letter
                one, other = sorted((whole[rest], name), key=order.__getitem__)
                yield one, other
    yield from _pairs(variants.values())


def _pairs(groups: Iterable[Sequence[str]]) -> Iterator[tuple[str, str]]:
    """The first name of each group with each other one."""
    for group in groups:
        for other in group[1:]:
            yield group[0], other


def similar_classes(rows: CheckedRows) -> list[Finding]:
    """Find classes whose names differ only in spelling.

    Args:
        rows: rows to check.

    Returns:
        At most one finding, whose count is the number of pairs.
    """
    pairs = similar_names(rows.dataset.labels.names)
    if not pairs:
        return []
    counts = _counts(rows)
    excerpts = tuple(
        f"{one!r} ({counts[one]:,} rows) and {other!r} ({counts[other]:,} rows): {difference}"
        for one, other, difference in pairs[: rows.options.max_examples]
    )
    return [
        Finding(
            "similar classes",
            len(pairs),
            f"pairs of classes whose names differ only in spelling: {len(pairs):,}",
            tuple(f"{one} / {other}" for one, other, _ in pairs[: rows.options.max_examples]),
            level="warning",
            advice="If they mean the same, merge them with data.label_map or correct the source.",
            excerpts=excerpts,
        )
    ]


def label_ids(rows: CheckedRows) -> list[Finding]:
    """Find label columns that look like ids or like measured numbers.

    Args:
        rows: rows to check.

    Returns:
        At most one finding: of level ``error`` for ids, because there is nothing to learn.
    """
    names, counts = rows.dataset.labels.names, _counts(rows)
    if len(names) < MIN_CLASSES:
        return []
    single = [name for name in names if counts[name] == 1]
    numbers = [name for name in names if NUMBER.fullmatch(name.strip())]
    shown = rows.options.max_examples
    if len(single) >= ID_SHARE * len(names):
        return [
            Finding(
                "label ids",
                len(single),
                f"the labels look like ids or free text: {len(single):,} of {len(names):,} classes have a single row",
                tuple(single[:shown]),
                level="error",
                advice="Check that data.label names the column of classes. data.min_class_examples drops rare classes.",
            )
        ]
    integers = sorted(int(name) for name in numbers if name.strip().lstrip("-").isdigit())
    is_index = len(integers) == len(names) and integers == list(range(integers[0], integers[0] + len(names)))
    if len(numbers) == len(names) and not is_index:
        return [
            Finding(
                "numeric labels",
                len(numbers),
                f"all {len(numbers):,} class names are numbers with gaps between them, as in a column of measured "
                "values, years or prices",
                tuple(numbers[:shown]),
                level="warning",
                advice="Check that data.label names the column of classes. A number that is to be predicted as such "
                "has to be divided into ranges first.",
            )
        ]
    return []


def _counts(rows: CheckedRows) -> dict[str, int]:
    """Rows of each class in all splits."""
    return dict(zip(rows.dataset.labels.names, rows.has_label.sum(axis=0).tolist(), strict=True))
