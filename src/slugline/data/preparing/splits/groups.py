"""Groups of rows that stay in one split: all rows of one author, story or customer, joined with near duplicates."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from slugline.core.labels import Split
from slugline.data.findings import Finding
from slugline.data.preparing.examples import SPLIT_ORDER, Examples, SplitExamples


def groups_of(ids: Sequence[str], group_of: Mapping[str, str]) -> list[list[int]]:
    """Return the rows of each group.

    Args:
        ids: (N,) row ids.
        group_of: group of each row, by id; rows that are missing belong to no group.

    Returns:
        Indices of the groups with two or more rows.
    """
    groups: dict[str, list[int]] = defaultdict(list)
    for index, name in enumerate(ids):
        if name in group_of:
            groups[group_of[name]].append(index)
    return [group for group in groups.values() if len(group) > 1]


def joined_groups(groups: Iterable[Sequence[int]]) -> list[list[int]]:
    """Join groups that share a row.

    Args:
        groups: groups of indices; a row may be in several.

    Returns:
        Disjoint groups of ascending indices, in the order of their first index.
    """
    parent: dict[int, int] = {}

    def root(index: int) -> int:
        """Return the representative of an index, and shorten the way to it."""
        while parent.setdefault(index, index) != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    for group in groups:
        for index in group:
            first, other = sorted((root(group[0]), root(index)))
            parent[other] = first
    joined: dict[int, list[int]] = defaultdict(list)
    for index in sorted(parent):
        joined[root(index)].append(index)
    return list(joined.values())


def report_groups(splits: SplitExamples, group_of: Mapping[str, str], column: str) -> list[Finding]:
    """Report groups whose rows stand in several given splits, and classes with all rows in one group.

    Args:
        splits: examples by split, before any split is cut.
        group_of: group of each row, by id.
        column: value of ``data.group``.

    Returns:
        The findings, all of them warnings; none without groups.
    """
    if not group_of:
        return []
    found: dict[Split, set[str]] = {
        split: {group_of[name] for name in examples.ids if name in group_of} for split, examples in splits.items()
    }
    findings = []
    for split in SPLIT_ORDER[1:]:
        shared = sorted(found["train"] & found.get(split, set()))
        if shared:
            message = f"groups of column {column!r} with rows in both train and {split}: {{count}} (kept)"
            findings.append(Finding.of("group leak", shared, message, is_warning=True))
    whole = _classes_in_one_group(splits["train"], group_of)
    if whole:
        message = (
            f"classes with all rows of train in one group of column {column!r}, which stay together: {{count}} "
            "({names})"
        )
        findings.append(Finding.of("class in one group", whole, message, is_warning=True))
    return findings


def _classes_in_one_group(train: Examples, group_of: Mapping[str, str]) -> list[str]:
    groups: dict[str, set[str]] = defaultdict(set)
    for name, labels in zip(train.ids, train.labels, strict=True):
        for label in labels:
            groups[label].add(group_of.get(name, name))
    rows = train.class_counts
    return sorted(label for label, names in groups.items() if len(names) == 1 and rows[label] > 1)
