"""Assign rows to splits, subsets and folds, at random but reproducibly.

Rows are ordered by the SHA-256 of a seed and the row id. So the assignment needs no stored list and does not depend on
the order in which rows are read, larger subsets contain smaller ones, and an added row moves few others.

A row with several labels counts for each of them. Such rows are assigned label by label, the rarest label first,
because rows of a frequent label can make up for what is missing later: iterative stratification (Sechidis et al. 2011),
with the hash order in place of chance.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slugline.core.errors import DataError
from slugline.core.labels import RowLabels, Split
from slugline.data.preparing.row_ids import CUT_ORDER
from slugline.data.preparing.splits.group_splits import Strata, assign_groups, split_sizes
from slugline.data.preparing.splits.stratified_rows import (
    NO_LABEL,
    SPLITS,
    UNASSIGNED,
    Wanted,
    assign_rows,
    assign_units,
    rarest_labels,
    rarity,
)
from slugline.data.tables.coded import Coded
from slugline.data.tables.digests import order_of
from slugline.data.tables.table import BATCH_ROWS

SplitIndices = dict[Split, NDArray[np.int64]]


def hash_order(ids: Iterable[str], seed: int) -> NDArray[np.int64]:
    """Return the indices of rows, ordered by the SHA-256 of seed and id."""
    sha256 = hashlib.sha256
    hashed = bytearray()
    iterator = iter(ids)
    while batch := list(islice(iterator, BATCH_ROWS)):
        names = [f"{seed}:{name}".encode("utf-8", "surrogatepass") for name in batch]
        hashed += b"".join([sha256(name).digest()[:16] for name in names])
    halves = np.frombuffer(hashed, dtype=">u8").reshape(-1, 2).astype(np.uint64)
    return order_of(halves)  # ids are unique, and no two have the same first 128 bits


def split_rows(
    ids: Sequence[str],
    labels: Iterable[RowLabels],
    *,
    fractions: Mapping[Split, float],
    seed: int,
    clusters: Sequence[Sequence[int]] = (),
    groups: Sequence[Sequence[int]] = (),
    strata: Iterable[Strata | None] | None = None,
    kept: Collection[int] = (),
) -> SplitIndices:
    """Assign rows to stratified splits; clusters of near duplicates are not divided.

    A split wants ``round(fraction * count)`` rows of each stratum, and at least one. Clusters are assigned first, see
    `group_splits`. Then each split gets the rows that it still lacks from those in no cluster,
    in hash order. If they are too few, because a cluster is larger than a split, the splits share them. Strata of one
    row, and strata with too few rows for all splits if their class has enough, stay in train.

    Args:
        ids: (N,) unique row ids.
        labels: (N,) labels of each row.
        fractions: shares of ``test`` and ``validation``, relative to the whole stratum; 0 or absent = no such split.
        seed: seed of the hash order.
        clusters: disjoint groups of indices, assigned first, the largest first.
        groups: disjoint groups of indices, assigned like rows in hash order, so that an added group moves few others;
            no row is in a cluster and a group.
        strata: (N,) strata of each row, one for each label; None for rows that stay in train with their clusters. By
            default the labels.
        kept: indices that stay in train with their clusters, and count as rows of their stratum.

    Returns:
        Indices of ``train`` and of every split with a fraction, in ascending order.

    Raises:
        DataError: there are fewer than two classes, or, if every row has one label, a class has at least two rows but
            too few for all splits.
    """
    wanted = {split: fractions[split] for split in CUT_ORDER if fractions.get(split, 0) > 0}
    coded = Coded.of(labels)
    of_rows: Coded[Strata | None] = Coded.of(strata or ())
    if strata is None:
        of_rows = coded.change(lambda row: row or (NO_LABEL,))
    _require_rows_for_splits(coded, _divided(coded, of_rows), n_splits=1 + len(wanted))
    counts = count_labels(of_rows)
    sizes = {stratum: split_sizes(count, wanted) for stratum, count in counts.items()}
    order = hash_order(ids, seed)
    kept = _with_whole_groups(kept, groups, of_rows)
    clustered = {index for cluster in clusters for index in cluster}
    fixed = [*clusters, *([index] for index in kept if index not in clustered)]
    assigned = np.full(len(ids), UNASSIGNED, dtype=np.int8)
    in_groups = assign_groups(ids, of_rows, fixed, order=order, fractions=wanted, sizes=sizes, kept=kept)
    for index, split in in_groups.items():
        assigned[index] = SPLITS.index(split)
    received = Counter((stratum, split) for index, split in in_groups.items() for stratum in of_rows[index] or ())
    assigned[of_rows.where(lambda row: row is None)] = SPLITS.index("train")
    state = Wanted(tuple(wanted), sizes, counts, received)
    if groups:
        assign_units(ids, of_rows, assigned, order, groups, state)
    else:
        assign_rows(of_rows, assigned, order, state)
    return {split: np.flatnonzero(assigned == SPLITS.index(split)) for split in SPLITS if split in ("train", *wanted)}


def _divided(labels: Coded[RowLabels], strata: Coded[Strata | None]) -> set[str]:
    """Labels of rows that have a stratum."""
    rows = strata.where(lambda row: row is not None)
    return {label for row in labels.take(rows).counts() for label in row}


def count_labels(rows: Coded[Any]) -> Counter[Any]:
    """Count the rows of each label or stratum; None has none."""
    counts: Counter[Any] = Counter()
    for row, count in rows.counts().items():
        for label in row or ():
            counts[label] += count
    return counts


def _with_whole_groups(
    kept: Collection[int], groups: Sequence[Sequence[int]], strata: Coded[Strata | None]
) -> set[int]:
    """Add the other rows of the groups that have a kept row, or a row without a stratum."""
    kept = set(kept)
    for group in groups:
        if not kept.isdisjoint(group) or any(strata[index] is None for index in group):
            kept.update(group)
    return kept


def _are_single(labels: Coded[RowLabels]) -> bool:
    return all(len(row) == 1 for row in labels.counts())


def _require_rows_for_splits(labels: Coded[RowLabels], divided: Collection[str], *, n_splits: int) -> None:
    counts = count_labels(labels)
    if len(counts) < 2:
        raise DataError(
            f"there is only one class, {next(iter(counts), '')!r}; a classifier needs two or more.",
            hint="Check data.label, data.keep_classes and data.drop_classes.",
        )
    small = {label: count for label, count in counts.items() if 1 < count < n_splits and label in divided}
    if small and _are_single(labels):
        label, count = min(small.items())
        more = f", and {len(small) - 1} more classes like it" if len(small) > 1 else ""
        raise DataError(
            f"class {label!r} has {count} rows, too few for {n_splits} splits{more}.",
            hint="Add rows, or drop such classes with data.min_class_examples or data.drop_classes.",
        )


def subset(ids: Sequence[str], labels: Iterable[RowLabels], *, size: float, seed: int) -> NDArray[np.int64]:
    """Choose a stratified subset of the rows; a larger subset contains the smaller ones.

    The n rows of a class are numbered from 0 in hash order. Row i has the rank (i + 1/2) / n (Webster's apportionment);
    row 0 has the rank 0. The rows with the lowest ranks are chosen. A row with several labels counts for the
    rarest one.

    Args:
        ids: (N,) unique row ids.
        labels: (N,) labels of each row.
        size: number of rows, or a share of them if below 1; 0 = all.
        seed: seed of the hash order.

    Returns:
        Indices in ascending order.

    Raises:
        DataError: `size` is smaller than the number of classes.
    """
    coded = Coded.of(labels)
    rarest = Coded.of(rarest_labels(coded.values, count_labels(coded)))
    codes = rarest.codes[coded.codes]
    counts = np.bincount(codes, minlength=len(rarest.values))
    n_classes = int((counts > 0).sum())
    number = round(size * len(ids)) if size < 1 else int(size)
    if not size or number >= len(ids):
        return np.arange(len(ids))
    if number < n_classes:
        raise DataError(
            f"data.max_train_examples = {size:g} leaves {number} rows for {n_classes} classes.",
            hint=f"Set data.max_train_examples to at least {n_classes}, or drop classes with data.keep_classes.",
        )
    order = hash_order(ids, seed)
    by_class = np.argsort(codes[order], kind="stable")
    seen = np.empty(len(ids), dtype=np.int64)  # rows of the class before each row in hash order
    seen[by_class] = np.arange(len(ids)) - (np.cumsum(counts) - counts)[codes[order][by_class]]
    ranks = np.where(seen > 0, (seen + 0.5) / counts[codes[order]], 0.0)
    return np.sort(order[np.argsort(ranks, kind="stable")[:number]])


def assign_folds(
    ids: Sequence[str], labels: Sequence[RowLabels], *, count: int, seed: int, clusters: Sequence[Sequence[int]] = ()
) -> list[int]:
    """Assign each row to the fold that holds it out.

    In hash order, each row goes to the fold with the fewest rows of its class, and of these to the one with the fewest
    rows. A cluster goes to the fold of its first row. If rows have several labels, the rows of the rarest label come
    first, and the fold with the fewest rows of the rarest label of the row is chosen, then of the next.

    Args:
        ids: (N,) unique row ids.
        labels: (N,) labels of each row.
        count: number of folds K.
        seed: seed of the hash order.
        clusters: disjoint groups of indices that stay in one fold.

    Returns:
        (N,) fold numbers below K. Without clusters, the counts of a class differ by at most one between folds.

    Raises:
        DataError: every row has one label, and a class has fewer rows than there are folds, near duplicates counted
            once.
    """
    members_of: dict[int, Sequence[int]] = {index: cluster for cluster in clusters for index in cluster}
    counts: Counter[Hashable] = Counter(label for row in labels for label in row)
    order = hash_order(ids, seed).tolist()
    if _are_single(Coded.of(labels)):
        # One entry per label and cluster: a cluster with several labels counts once for each label.
        distinct = {(label, min(members_of.get(index, [index]))) for index, (label,) in enumerate(labels)}
        _require_rows_for_folds(Counter(label for label, _ in distinct), count)
    else:
        rarest = rarest_labels(labels)
        order.sort(key=lambda index: rarity(rarest[index], counts))
    folds = [-1] * len(ids)
    class_sizes: dict[str, list[int]] = defaultdict(lambda: [0] * count)
    sizes = [0] * count
    for index in order:
        if folds[index] >= 0:
            continue
        of_labels = [class_sizes[label] for label in sorted(labels[index], key=lambda label: rarity(label, counts))]
        fold = min(range(count), key=lambda number: (*(of_label[number] for of_label in of_labels), sizes[number]))
        for member in members_of.get(index, [index]):
            folds[member] = fold
            sizes[fold] += 1
            for label in labels[member]:
                class_sizes[label][fold] += 1
    return folds


def _require_rows_for_folds(counts: Counter[str], folds: int) -> None:
    small = sorted((count, label) for label, count in counts.items() if count < folds)
    if not small:
        return
    described = ", ".join(f"{label!r} ({count})" for count, label in small[:10])
    more = f" and {len(small) - 10} more" if len(small) > 10 else ""
    names = json.dumps([label for _, label in small], ensure_ascii=False)
    raise DataError(
        f"train.folds = {folds}, but {len(small)} classes have fewer rows, near duplicates counted once: "
        f"{described}{more}.",
        hint=f"Use fewer folds, or drop such classes: data.drop_classes = {names}.",
    )
