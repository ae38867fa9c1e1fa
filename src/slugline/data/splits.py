"""Row ids, fingerprints, and splits that stay what they are: pure functions of the rows, never of their order.

Everything that looks like chance here is SHA-256 of a seed and the row's id. So repeating a split needs no stored list,
a bigger subset contains the smaller, and a row that is added moves hardly any other.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from slugline.errors import DataError, nearest
from slugline.labels import Split

#: Own splits are cut in this order, so that another validation_fraction keeps the test rows.
CUT_FIRST: tuple[Split, ...] = ("test", "validation")

SplitIndices = dict[Split, list[int]]


def row_ids(rows: Mapping[Split, Sequence[Mapping[str, object]]], *, column: str = "") -> dict[Split, list[str]]:
    """Names for rows that depend on their contents only.

    Args:
        rows: by split, as read, with all their columns.
        column: the column that names the rows; empty = made from the contents.

    Returns:
        By split: 16 hex digits of the row's SHA-256, with ``-2``, ``-3`` for its repetitions, counted through test
        first, then validation, then train, so that rows added to train rename no test row.

    Raises:
        DataError: the column does not exist, is empty somewhere, or repeats within a split.
    """
    if column:
        return {split: _ids_from_column(split, some, column) for split, some in rows.items()}
    seen: Counter[str] = Counter()
    ids: dict[Split, list[str]] = {}
    for split in (*CUT_FIRST, "train"):
        if split in rows:
            ids[split] = [_numbered(_digest(row), seen) for row in rows[split]]
    return {split: ids[split] for split in rows}


def _digest(row: Mapping[str, object]) -> str:
    canonical = json.dumps(row, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _numbered(digest: str, seen: Counter[str]) -> str:
    seen[digest] += 1
    return digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"


def _ids_from_column(split: Split, rows: Sequence[Mapping[str, object]], column: str) -> list[str]:
    if rows and column not in rows[0]:
        raise DataError(
            f"data.id is {column!r}, but the {split} rows have no such column.{nearest(column, list(rows[0]))}",
            mend=f"Columns there: {', '.join(rows[0])}.",
        )
    ids = ["" if row.get(column) is None else str(row[column]) for row in rows]
    if "" in ids:
        raise DataError(f"data.id: row {ids.index('') + 1} of {split} has no {column!r}.", mend="Leave data.id out.")
    repeated = [name for name, count in Counter(ids).items() if count > 1]
    if repeated:
        raise DataError(
            f"data.id: {column!r} names {len(repeated):,} {split} rows more than once, among them {repeated[0]!r}.",
            mend="Name a column whose values differ, or leave data.id out.",
        )
    return ids


def fingerprint(ids: Iterable[str], texts: Iterable[str], labels: Iterable[object]) -> str:
    """SHA-256, as hex, of rows in their order."""
    digest = hashlib.sha256()
    for row in zip(ids, texts, labels, strict=True):
        digest.update(json.dumps(row, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n")
    return digest.hexdigest()


def hash_order(ids: Sequence[str], seed: int) -> list[int]:
    """Indices of rows in the order of SHA-256 of seed and id: shuffled, yet the same for the same rows."""
    keys = [hashlib.sha256(f"{seed}:{name}".encode("utf-8", "surrogatepass")).digest() for name in ids]
    return sorted(range(len(ids)), key=lambda index: keys[index])


def split_rows(
    ids: Sequence[str],
    labels: Sequence[str],
    *,
    fractions: Mapping[Split, float],
    seed: int,
    clusters: Sequence[Sequence[int]] = (),
) -> SplitIndices:
    """Cut stratified splits, keeping near duplicates on one side.

    Within each class, rows stand in hash order and the first ``round(fraction * count)``, at least one, go to a split.
    A cluster that would straddle the cut is passed over, and the rows after it fill up. Clusters of several classes
    stay in train, as does a class of one row.

    Args:
        ids: (N,) unique.
        labels: (N,) class names.
        fractions: of ``test`` and ``validation``, each of the class's whole count; 0 and absent = no such split.
        seed: of the order.
        clusters: disjoint groups of indices that belong together.

    Returns:
        ``train`` and every split asked for, each with its indices in ascending order.

    Raises:
        DataError: there are fewer than two classes, or a class has two rows and more but too few for all splits.
    """
    wanted = {split: fractions[split] for split in CUT_FIRST if fractions.get(split, 0) > 0}
    counts = Counter(labels)
    _require_enough(counts, n_splits=1 + len(wanted))
    cluster_of = {index: number for number, cluster in enumerate(clusters) for index in cluster}
    mixed = {number for number, cluster in enumerate(clusters) if len({labels[index] for index in cluster}) > 1}
    by_class: dict[str, list[int]] = defaultdict(list)
    for index in hash_order(ids, seed):
        if cluster_of.get(index) not in mixed and counts[labels[index]] > 1:
            by_class[labels[index]].append(index)
    taken: dict[int, Split] = {}
    for label, order in by_class.items():
        room = counts[label] - 1  # one row stays in train, one is kept for each split still to come
        for place, (split, fraction) in enumerate(wanted.items(), start=1):
            size = min(max(1, round(fraction * counts[label])), room - (len(wanted) - place))
            chosen = _fill([index for index in order if index not in taken], size, cluster_of, clusters)
            taken |= dict.fromkeys(chosen, split)
            room -= len(chosen)
    splits: SplitIndices = {split: [] for split in ("train", "validation", "test") if split in ("train", *wanted)}
    for index in range(len(ids)):
        splits[taken.get(index, "train")].append(index)
    return splits


def _fill(
    order: Sequence[int], size: int, cluster_of: Mapping[int, int], clusters: Sequence[Sequence[int]]
) -> list[int]:
    """The first rows that make ``size`` without breaking a cluster."""
    chosen: list[int] = []
    decided: set[int] = set()
    for index in order:
        if len(chosen) >= size:
            break
        number = cluster_of.get(index)
        if number in decided:
            continue
        together = [index] if number is None else list(clusters[number])
        if number is not None:
            decided.add(number)
        if len(chosen) + len(together) <= size:
            chosen += together
    return chosen


def _require_enough(counts: Mapping[str, int], *, n_splits: int) -> None:
    if len(counts) < 2:
        raise DataError(
            f"there is only one class, {next(iter(counts), '')!r}: nothing to tell apart.",
            mend="Check data.label, data.keep_classes and data.drop_classes.",
        )
    small = {label: count for label, count in counts.items() if 1 < count < n_splits}
    if small:
        label, count = min(small.items())
        more = f", and {len(small) - 1} more classes like it" if len(small) > 1 else ""
        raise DataError(
            f"class {label!r} has {count} rows, too few for {n_splits} splits{more}.",
            mend="Add rows, or leave such classes out with data.min_class_examples or data.drop_classes.",
        )


def subset(ids: Sequence[str], labels: Sequence[str], *, size: float, seed: int) -> list[int]:
    """A stratified part of the rows; a bigger part contains the smaller.

    The row in place i of its class of n is due at (i + 1/2) / n (Webster's apportionment), the first of each class at
    once; those due first are taken.

    Args:
        ids: (N,) unique.
        labels: (N,) class names.
        size: a number of rows, or below 1 a share of them; 0 = all.
        seed: of the hash order.

    Returns:
        Indices in ascending order.

    Raises:
        DataError: `size` is smaller than the number of classes.
    """
    counts = Counter(labels)
    number = round(size * len(ids)) if size < 1 else int(size)
    if not size or number >= len(ids):
        return list(range(len(ids)))
    if number < len(counts):
        raise DataError(
            f"data.max_train_examples = {size:g} leaves {number} rows for {len(counts)} classes.",
            mend=f"Take at least {len(counts)}, or leave classes out with data.keep_classes.",
        )
    places: Counter[str] = Counter()
    due: list[tuple[float, int, int]] = []
    for rank, index in enumerate(hash_order(ids, seed)):
        place = places[labels[index]]
        due.append(((place + 0.5) / counts[labels[index]] if place else 0.0, rank, index))
        places[labels[index]] += 1
    return sorted(index for *_, index in sorted(due)[:number])
