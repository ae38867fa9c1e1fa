"""Checks: the same or nearly the same text within and across splits, and with different labels."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from slugline.core.labels import Split, joined_labels
from slugline.data.checks.checked_rows import CheckedRows, share_text
from slugline.data.findings import Finding

#: Share of repeated rows from which they are a warning.
NOTICEABLE_SHARE = 0.01

#: Split -> splits that are held out from it.
HELD_OUT: dict[Split, tuple[Split, ...]] = {"train": ("validation", "test"), "validation": ("test",)}


def repeated_rows(rows: CheckedRows) -> list[tuple[int, int]]:
    """Return rows with the text and the labels of another row of the same split.

    Args:
        rows: rows to search.

    Returns:
        Index of each further row, and of the row that it repeats: the one with the smallest id.
    """
    groups: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for index, values in enumerate(zip(rows.splits, rows.keys, rows.labels, strict=True)):
        groups[values].append(index)
    repeated = []
    for group in groups.values():
        first, *others = sorted(group, key=rows.ids.__getitem__)
        repeated += [(index, first) for index in others if rows.keys[index]]
    return sorted(repeated)


def leaked_rows(rows: CheckedRows) -> list[tuple[int, int]]:
    """Return rows whose text is also in a split that is held out from theirs.

    Args:
        rows: rows to search.

    Returns:
        Index of each row of train or validation, and of a row with the same text in validation or test.
    """
    found = []
    for split, others in HELD_OUT.items():
        held_out = {rows.keys[index]: index for other in others for index in rows.rows_of(other)}
        keys = ((index, rows.keys[index]) for index in rows.rows_of(split))
        found += [(index, held_out[key]) for index, key in keys if key and key in held_out]
    return found


def nearly_leaked_rows(rows: CheckedRows) -> list[tuple[int, int]]:
    """Return rows whose text is nearly, but not exactly, in a split that is held out from theirs.

    Args:
        rows: rows to search.

    Returns:
        Index of each row of train or validation, and of a row with nearly the same text in validation or test.
    """
    exact = {index for index, _ in leaked_rows(rows)}
    found: list[tuple[int, int]] = []
    for cluster in rows.clusters:
        for split, others in HELD_OUT.items():
            held_out = [index for index in cluster if rows.splits[index] in others]
            members = [index for index in cluster if rows.splits[index] == split and index not in exact]
            found += [(index, held_out[0]) for index in members if held_out]
    return sorted(found)


def conflicting_groups(rows: CheckedRows) -> list[list[int]]:
    """Return the rows of each text that has different labels in any splits, empty texts left out."""
    groups: dict[str, list[int]] = defaultdict(list)
    for index, key in enumerate(rows.keys):
        groups[key].append(index)
    groups.pop("", None)
    return [group for group in groups.values() if len({rows.labels[index] for index in group}) > 1]


def repetitions(rows: CheckedRows) -> list[Finding]:
    """Find exact duplicates within a split: same text and same labels.

    Args:
        rows: rows to check.

    Returns:
        One finding for each split that has duplicates.
    """
    repeated = repeated_rows(rows)
    findings = []
    for split, own in _by_split(rows, repeated):
        share = len(own) / len(rows.rows_of(split))
        findings.append(
            rows.finding(
                "repetition",
                [index for index, _ in own],
                f"rows of {split} that repeat the text and the labels of another one: {{count}} "
                f"({share_text(len(own), len(rows.rows_of(split)))} of {split})",
                level="warning" if share >= NOTICEABLE_SHARE else "note",
                advice=_REPETITION_ADVICE[split == "test"],
                notes=[f"repeats {rows.ids[first]}" for _, first in own],
            )
        )
    return findings


_REPETITION_ADVICE = {
    False: "Remove them with --fix, unless their number means something: training sees such a text several times.",
    True: "Test counts such a text several times. It stays as published, unless you correct the source.",
}


def leaks(rows: CheckedRows) -> list[Finding]:
    """Find rows of train or validation whose text is also in a split that is held out from theirs.

    Args:
        rows: rows to check.

    Returns:
        One finding for each split with such rows, of level ``error``.
    """
    return [
        rows.finding(
            "leak",
            [index for index, _ in own],
            f"rows of {split} whose text is also in {_names(rows, HELD_OUT[split])}: {{count}} "
            f"({share_text(len(own), len(rows.rows_of(split)))} of {split})",
            level="error",
            advice=f"Remove them from {split} with --fix; training does so too, unless data.leaks is set. Otherwise "
            "scores are too high, because the model has seen the texts that it is scored on.",
            notes=[f"also {rows.ids[other]} in {rows.splits[other]}" for _, other in own],
        )
        for split, own in _by_split(rows, leaked_rows(rows))
    ]


def conflicts(rows: CheckedRows) -> list[Finding]:
    """Find texts with different labels, in any splits.

    Args:
        rows: rows to check.

    Returns:
        At most one finding, whose count is the number of texts.
    """
    groups = conflicting_groups(rows)
    if not groups:
        return []
    groups.sort(key=len, reverse=True)
    n_rows = sum(map(len, groups))
    return [
        rows.finding(
            "conflict",
            [group[0] for group in groups],
            f"texts with different labels: {{count}} ({n_rows:,} rows, {share_text(n_rows, len(rows))} of all)",
            level="warning",
            advice="Correct the labels in the source. If several labels can be right for one text, give it one row "
            "with all of them, as in a multi-label set. --fix --fix-kinds conflict removes these rows outside test.",
            notes=[f"labels: {_label_counts(rows, group)}" for group in groups],
        )
    ]


def near_duplicates(rows: CheckedRows) -> list[Finding]:
    """Find texts that are nearly, but not exactly, the same within a split.

    Args:
        rows: rows to check.

    Returns:
        One finding for each split that has near duplicates; exact ones are another finding.
    """
    clusters: dict[Split, list[list[int]]] = defaultdict(list)
    for cluster in rows.clusters:
        for split, members in _distinct(rows, cluster).items():
            if len(members) > 1:
                clusters[split].append(members)
    findings = []
    for split, own in clusters.items():
        further = sum(len(members) - 1 for members in own)
        share = further / len(rows.rows_of(split))
        findings.append(
            rows.finding(
                "near duplicate",
                [members[0] for members in own],
                f"groups of nearly the same text within {split}: {{count}}, with {further:,} further texts "
                f"({share_text(further, len(rows.rows_of(split)))} of {split})",
                level="warning" if share >= 10 * NOTICEABLE_SHARE else "note",
                advice="Nothing has to be done: splits that Slugline cuts keep such texts on one side. If they come "
                "from a template, one row of each is enough.",
                notes=[
                    f"nearly the same as {rows.excerpt(members[1])}" for members in own[: rows.options.max_examples]
                ],
            )
        )
    return findings


def near_leaks(rows: CheckedRows) -> list[Finding]:
    """Find rows of train or validation with a near duplicate in a split that is held out from theirs.

    Args:
        rows: rows to check.

    Returns:
        One finding for each split with such rows; rows with exactly the same text are leaks.
    """
    return [
        rows.finding(
            "near leak",
            [index for index, _ in own],
            f"rows of {split} with nearly the same text in {_names(rows, HELD_OUT[split])}: {{count}} "
            f"({share_text(len(own), len(rows.rows_of(split)))} of {split})",
            level="warning",
            advice="Compare some of them. If they are copies of one text, scores are too high: training keeps such "
            f"rows. --fix --fix-kinds near-leak removes them from {split}.",
            notes=[f"nearly the same as {rows.excerpt(other)}" for _, other in own[: rows.options.max_examples]],
        )
        for split, own in _by_split(rows, nearly_leaked_rows(rows))
    ]


def _by_split(rows: CheckedRows, pairs: Sequence[tuple[int, int]]) -> Iterator[tuple[Split, list[tuple[int, int]]]]:
    """Pairs by the split of their first row; only splits that have any."""
    for split in rows.split_names:
        own = [pair for pair in pairs if rows.splits[pair[0]] == split]
        if own:
            yield split, own


def _distinct(rows: CheckedRows, cluster: Sequence[int]) -> dict[Split, list[int]]:
    """One row of each distinct text of a cluster, by split."""
    first: dict[tuple[Split, str], int] = {}
    for index in cluster:
        first.setdefault((rows.splits[index], rows.keys[index]), index)
    members: dict[Split, list[int]] = defaultdict(list)
    for (split, _), index in first.items():
        members[split].append(index)
    return members


def _names(rows: CheckedRows, splits: Sequence[Split]) -> str:
    return " or ".join(split for split in splits if split in rows.split_names)


def _label_counts(rows: CheckedRows, group: Sequence[int]) -> str:
    counts = Counter(joined_labels(rows.labels[index]) for index in group)
    return " / ".join(f"{label} ({count:,})" for label, count in counts.most_common())
