"""Row ids, fingerprints, and splits that stay what they are: pure functions of the rows, never of their order.

Everything that looks like chance here is SHA-256 of a seed and the row's id. So repeating a split needs no stored list,
a bigger subset contains the smaller, and a row that is added moves hardly any other.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence

from slugline.core.errors import DataError, nearest
from slugline.core.labels import Split

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
    return joint_row_ids([("", rows, column)])[0]


def joint_row_ids(
    sources: Sequence[tuple[str, Mapping[Split, Sequence[Mapping[str, object]]], str]],
) -> list[dict[Split, list[str]]]:
    """`row_ids` of several sources, unique over all of them.

    Args:
        sources: of each its address, its rows by split, and the column that names them, if one does. Repetitions are
            counted in the order of addresses, so that the order of the sources renames nothing.

    Returns:
        By source and split, as `row_ids`. Names from a column get ``-2`` as well where another source has the name.

    Raises:
        DataError: a column does not exist, is empty somewhere, or repeats within a split.
    """
    _, rows, column = sources[0]
    if column and len(sources) == 1:
        return [{split: _ids_from_column(split, some, column) for split, some in rows.items()}]
    ids: list[dict[Split, list[str]]] = [{} for _ in sources]
    seen: Counter[str] = Counter()
    for split in (*CUT_FIRST, "train"):
        for number in sorted(range(len(sources)), key=lambda number: sources[number][0]):
            _, rows, column = sources[number]
            if split in rows:
                some = rows[split]
                names = _ids_from_column(split, some, column) if column else map(_digest, some)
                ids[number][split] = [_numbered(name, seen) for name in names]
    return [{split: some[split] for split in source[1]} for source, some in zip(sources, ids, strict=True)]


def _digest(row: Mapping[str, object]) -> str:
    canonical = json.dumps(row, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _numbered(name: str, seen: Counter[str]) -> str:
    """The name itself the first time, then with a number that no other name ends in."""
    numbered = name
    while numbered in seen:
        seen[name] += 1
        numbered = f"{name}-{seen[name]}"
    seen[numbered] = 1
    return numbered


def _ids_from_column(split: Split, rows: Sequence[Mapping[str, object]], column: str) -> list[str]:
    if rows and column not in rows[0]:
        raise DataError(
            f"data.id is {column!r}, but the {split} rows have no such column.{nearest(column, list(rows[0]))}",
            hint=f"Columns there: {', '.join(rows[0])}.",
        )
    ids = ["" if row.get(column) is None else str(row[column]) for row in rows]
    if "" in ids:
        raise DataError(f"data.id: row {ids.index('') + 1} of {split} has no {column!r}.", hint="Leave data.id out.")
    repeated = [name for name, count in Counter(ids).items() if count > 1]
    if repeated:
        raise DataError(
            f"data.id: {column!r} names {len(repeated):,} {split} rows more than once, among them {repeated[0]!r}.",
            hint="Name a column whose values differ, or leave data.id out.",
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
    strata: Sequence[Hashable | None] | None = None,
) -> SplitIndices:
    """Cut stratified splits, keeping near duplicates on one side.

    Within each stratum, rows stand in hash order and the first ``round(fraction * count)``, at least one, go to a
    split. A cluster that would straddle the cut is passed over, and the rows after it fill up. Clusters of several
    strata stay in train, as does a stratum of one row, or of too few for all splits while its class has enough.

    Args:
        ids: (N,) unique.
        labels: (N,) class names.
        fractions: of ``test`` and ``validation``, each of the stratum's whole count; 0 and absent = no such split.
        seed: of the order.
        clusters: disjoint groups of indices that belong together.
        strata: (N,) what is cut evenly, None for rows that stay in train; the classes when left out.

    Returns:
        ``train`` and every split asked for, each with its indices in ascending order.

    Raises:
        DataError: there are fewer than two classes, or a class has two rows and more but too few for all splits.
    """
    wanted = {split: fractions[split] for split in CUT_FIRST if fractions.get(split, 0) > 0}
    strata = labels if strata is None else strata
    concerned = {label for label, stratum in zip(labels, strata, strict=True) if stratum is not None}
    _require_enough(Counter(labels), concerned, n_splits=1 + len(wanted))
    counts = Counter(strata)
    cluster_of = {index: number for number, cluster in enumerate(clusters) for index in cluster}
    mixed = {number for number, cluster in enumerate(clusters) if len({strata[index] for index in cluster}) > 1}
    by_stratum: dict[Hashable, list[int]] = defaultdict(list)
    for index in hash_order(ids, seed):
        stratum = strata[index]
        if stratum is not None and cluster_of.get(index) not in mixed and counts[stratum] > len(wanted):
            by_stratum[stratum].append(index)
    taken: dict[int, Split] = {}
    for stratum, order in by_stratum.items():
        room = counts[stratum] - 1  # one row stays in train, one is kept for each split still to come
        for place, (split, fraction) in enumerate(wanted.items(), start=1):
            size = min(max(1, round(fraction * counts[stratum])), room - (len(wanted) - place))
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


def _require_enough(counts: Mapping[str, int], concerned: Collection[str], *, n_splits: int) -> None:
    if len(counts) < 2:
        raise DataError(
            f"there is only one class, {next(iter(counts), '')!r}: nothing to tell apart.",
            hint="Check data.label, data.keep_classes and data.drop_classes.",
        )
    small = {label: count for label, count in counts.items() if 1 < count < n_splits and label in concerned}
    if small:
        label, count = min(small.items())
        more = f", and {len(small) - 1} more classes like it" if len(small) > 1 else ""
        raise DataError(
            f"class {label!r} has {count} rows, too few for {n_splits} splits{more}.",
            hint="Add rows, or leave such classes out with data.min_class_examples or data.drop_classes.",
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
            hint=f"Take at least {len(counts)}, or leave classes out with data.keep_classes.",
        )
    places: Counter[str] = Counter()
    due: list[tuple[float, int, int]] = []
    for rank, index in enumerate(hash_order(ids, seed)):
        place = places[labels[index]]
        due.append(((place + 0.5) / counts[labels[index]] if place else 0.0, rank, index))
        places[labels[index]] += 1
    return sorted(index for *_, index in sorted(due)[:number])
