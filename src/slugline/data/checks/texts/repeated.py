"""Checks: the same or nearly the same text within and across splits, and with different labels."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import TypedDict

from slugline.core.labels import Split, joined_labels
from slugline.data.checks.checked_rows import EXCERPT_CHARACTERS, CheckedRows, rows_text, share_text
from slugline.data.findings import Finding

#: Share of repeated rows from which they are a warning.
NOTICEABLE_SHARE = 0.01

#: Characters from the first difference of two texts on that an excerpt has to show.
SHOWN_DIFFERENCE = 20

#: Rows of a held-out split among which the one with the closest text is searched.
MAX_COMPARED = 20

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
            found += [(index, _closest(rows, index, held_out)) for index in members if held_out]
    return sorted(found)


def _closest(rows: CheckedRows, index: int, others: Sequence[int]) -> int:
    """The first of the rows whose text has the most words in common with that of a row."""
    words = set(rows.keys[index].split())

    def difference(other: int) -> int:
        return len(words ^ set(rows.keys[other].split()))

    return min(others[:MAX_COMPARED], key=difference)


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
                f"groups of nearly the same text within {split}: {{count}}; {rows_text(further)} could be left out "
                f"({share_text(further, len(rows.rows_of(split)))} of {split})",
                level="warning" if share >= 10 * NOTICEABLE_SHARE else "note",
                advice="Nothing has to be done: splits that Slugline cuts keep such texts on one side. If they come "
                "from a template, one row of each is enough.",
                **_side_by_side(rows, [(members[0], members[1]) for members in own]),
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
            **_side_by_side(rows, own),
        )
        for split, own in _by_split(rows, nearly_leaked_rows(rows))
    ]


class _Shown(TypedDict):
    """Arguments of `CheckedRows.finding` about what is shown of each row."""

    notes: list[str]
    places: list[int]


def _side_by_side(rows: CheckedRows, pairs: Sequence[tuple[int, int]]) -> _Shown:
    """Excerpts of pairs that are nearly the same, at the place where they differ first."""
    shown = pairs[: rows.options.max_examples]
    places = [_first_difference(rows.originals[one], rows.originals[other]) for one, other in shown]
    # Beginnings are easier to read, if they show the difference.
    places = [place if place > EXCERPT_CHARACTERS - SHOWN_DIFFERENCE else 0 for place in places]
    notes = [
        f"nearly the same as {rows.excerpt(other, place)}" for (_, other), place in zip(shown, places, strict=True)
    ]
    return {"notes": notes, "places": places}


def _first_difference(one: str, other: str) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))


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
