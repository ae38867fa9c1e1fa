"""Row ids, fingerprints, and splits that stay what they are: pure functions of the rows, never of their order.

Everything that looks like chance here is SHA-256 of a seed and the row's id. So repeating a split needs no stored list,
a bigger subset contains the smaller, and a row that is added moves hardly any other.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Mapping, Sequence

from slugline.core.errors import DataError
from slugline.core.labels import Split
from slugline.data.preparing.row_ids import CUT_FIRST

SplitIndices = dict[Split, list[int]]


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


def assign_folds(
    ids: Sequence[str], labels: Sequence[str], *, count: int, seed: int, clusters: Sequence[Sequence[str]] = ()
) -> list[int]:
    """Which fold holds each row out.

    Rows are dealt in hash order, each to the fold that has fewest of its class, and of these to the one with fewest
    rows. A cluster is dealt at once, as its first row.

    Args:
        ids: (N,) unique.
        labels: (N,) class names.
        count: K folds.
        seed: of the hash order.
        clusters: disjoint groups of ids that belong together; ids that are not there are passed over.

    Returns:
        (N,) numbers below K. Without clusters the counts of a class differ by at most one between folds.

    Raises:
        DataError: a class has fewer rows than there are folds, near duplicates counted once.
    """
    place = {name: index for index, name in enumerate(ids)}
    together: dict[int, list[int]] = {}
    for cluster in clusters:
        members = [place[name] for name in cluster if name in place]
        together |= dict.fromkeys(members, members)
    # Of a cluster whose labels differ, each label has a row.
    apart = {(label, min(together.get(index, [index]))) for index, label in enumerate(labels)}
    _require_rows_for_folds(Counter(label for label, _ in apart), count)
    folds = [-1] * len(ids)
    of_class: dict[str, list[int]] = defaultdict(lambda: [0] * count)
    sizes = [0] * count
    for index in hash_order(ids, seed):
        if folds[index] >= 0:
            continue
        held = of_class[labels[index]]
        fold = min(range(count), key=lambda number: (held[number], sizes[number]))
        for member in together.get(index, [index]):
            folds[member] = fold
            of_class[labels[member]][fold] += 1
            sizes[fold] += 1
    return folds


def _require_rows_for_folds(counts: Counter[str], folds: int) -> None:
    small = sorted((count, label) for label, count in counts.items() if count < folds)
    if not small:
        return
    described = ", ".join(f"{label!r} ({count})" for count, label in small[:10])
    more = f" and {len(small) - 10} more" if len(small) > 10 else ""
    names = json.dumps([label for _, label in small], ensure_ascii=False)
    raise DataError(
        f"train.folds = {folds}, but {len(small)} classes have fewer rows, near duplicates counted once: {described}{more}.",
        hint=f"Take fewer folds, or leave such classes out: data.drop_classes = {names}.",
    )
