"""Checks of class names: names that differ only in spelling, and label columns of ids."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from slugline.core.labels import PATH_SEPARATOR
from slugline.data.checks.checked_rows import CheckedRows, rows_text
from slugline.data.findings import Finding

#: Letters of a name from which one different letter counts as another spelling; in shorter names it is another word.
MIN_LONG_NAME = 7

#: Classes, and share of them with a single row, from which a label column looks like ids.
MIN_CLASSES, ID_SHARE = 20, 0.5


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
    """Find classes whose names differ only in spelling; in a hierarchy those of each level.

    Args:
        rows: rows to check.

    Returns:
        At most one finding, whose count is the number of pairs.
    """
    pairs: list[tuple[str, str, str]] = []
    counts: dict[str, int] = {}
    for level in range(1, rows.dataset.labels.depth + 1):
        names, class_of_leaf = rows.dataset.labels.at_level(level)
        pairs += _similar_siblings(names, has_parents=level > 1)
        leaves = rows.has_label.sum(axis=0)
        counts |= zip(names, np.bincount(class_of_leaf, weights=leaves).astype(int).tolist(), strict=True)
    if not pairs:
        return []
    excerpts = tuple(
        f"{one!r} ({rows_text(counts[one])}) and {other!r} ({rows_text(counts[other])}): {difference}"
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


def _similar_siblings(names: Sequence[str], *, has_parents: bool) -> Iterator[tuple[str, str, str]]:
    """Similar names below the same parent: the same name below another parent is another class."""
    siblings: dict[str, dict[str, str]] = defaultdict(dict)
    for name in names:
        parent, _, last = name.rpartition(PATH_SEPARATOR) if has_parents else ("", "", name)
        siblings[parent][last] = name
    for own in siblings.values():
        yield from ((own[one], own[other], difference) for one, other, difference in similar_names(list(own)))


def label_ids(rows: CheckedRows) -> list[Finding]:
    """Find label columns that look like ids or free text.

    Args:
        rows: rows to check.

    Returns:
        At most one finding, of level ``error``, because there is nothing to learn.
    """
    names, counts = rows.dataset.labels.names, _counts(rows)
    single = [name for name in names if counts[name] == 1]
    if len(names) < MIN_CLASSES or len(single) < ID_SHARE * len(names):
        return []
    return [
        Finding(
            "no classes",
            len(single),
            f"the labels look like ids or free text: {len(single):,} of {len(names):,} classes have a single row",
            tuple(single[: rows.options.max_examples]),
            level="error",
            advice="Choose the column of classes with data.label, merge labels with data.label_map, or drop rare "
            "classes with data.min_class_examples.",
        )
    ]


def _counts(rows: CheckedRows) -> dict[str, int]:
    """Rows of each class in all splits."""
    return dict(zip(rows.dataset.labels.names, rows.has_label.sum(axis=0).tolist(), strict=True))
