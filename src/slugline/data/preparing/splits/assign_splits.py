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
from collections.abc import Collection, Hashable, Mapping, Sequence

from slugline.core.errors import DataError
from slugline.core.labels import RowLabels, Split
from slugline.data.preparing.row_ids import CUT_ORDER
from slugline.data.preparing.splits.group_splits import Strata, assign_groups, share, split_sizes

SplitIndices = dict[Split, list[int]]

#: Stratum of rows without labels in a ``multi`` set.
NO_LABEL = ""


def hash_order(ids: Sequence[str], seed: int) -> list[int]:
    """Return the indices of rows, ordered by the SHA-256 of seed and id."""
    keys = [hashlib.sha256(f"{seed}:{name}".encode("utf-8", "surrogatepass")).digest() for name in ids]
    return sorted(range(len(ids)), key=lambda index: keys[index])


def split_rows(
    ids: Sequence[str],
    labels: Sequence[RowLabels],
    *,
    fractions: Mapping[Split, float],
    seed: int,
    clusters: Sequence[Sequence[int]] = (),
    groups: Sequence[Sequence[int]] = (),
    strata: Sequence[Strata | None] | None = None,
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
    strata = [row or (NO_LABEL,) for row in labels] if strata is None else strata
    divided = {label for row, of_row in zip(labels, strata, strict=True) if of_row is not None for label in row}
    _require_rows_for_splits(labels, divided, n_splits=1 + len(wanted))
    counts = Counter(stratum for row in strata for stratum in row or ())
    sizes = {stratum: split_sizes(count, wanted) for stratum, count in counts.items()}
    order = hash_order(ids, seed)
    kept = _with_whole_groups(kept, groups, strata)
    clustered = {index for cluster in clusters for index in cluster}
    fixed = [*clusters, *([index] for index in kept if index not in clustered)]
    assigned = assign_groups(ids, strata, fixed, order=order, fractions=wanted, sizes=sizes, kept=kept)
    received = Counter((stratum, split) for index, split in assigned.items() for stratum in strata[index] or ())
    units = [unit for unit in _units(ids, order, groups) if unit[0] not in assigned and strata[unit[0]] is not None]
    strata_of = [tuple(stratum for index in unit for stratum in strata[index] or ()) for unit in units]
    by_stratum: dict[Hashable, list[int]] = defaultdict(list)
    for number, stratum in enumerate(_rarest(strata_of, counts)):
        by_stratum[stratum].append(number)
    for stratum, numbers in sorted(by_stratum.items(), key=lambda item: _rarity(item[0], counts)):
        lacking = {split: max(0, sizes[stratum][split] - received[stratum, split]) for split in wanted}
        available = sum(strata_of[number].count(stratum) for number in numbers)
        shares = share(lacking, available - (not received[stratum, "train"]))
        for number in numbers:
            n_rows = strata_of[number].count(stratum)
            chosen: Split = next((split for split in wanted if n_rows <= shares[split]), "train")
            if chosen != "train":
                shares[chosen] -= n_rows
            assigned |= dict.fromkeys(units[number], chosen)
            received.update((other, chosen) for other in strata_of[number])
    splits: SplitIndices = {split: [] for split in ("train", "validation", "test") if split in ("train", *wanted)}
    for index in range(len(ids)):
        splits[assigned.get(index, "train")].append(index)
    return splits


def _with_whole_groups(
    kept: Collection[int], groups: Sequence[Sequence[int]], strata: Sequence[Strata | None]
) -> set[int]:
    """Add the other rows of the groups that have a kept row, or a row without a stratum."""
    kept = set(kept)
    for group in groups:
        if not kept.isdisjoint(group) or any(strata[index] is None for index in group):
            kept.update(group)
    return kept


def _units(ids: Sequence[str], order: Sequence[int], groups: Sequence[Sequence[int]]) -> list[list[int]]:
    """Groups, and the rows in no group, in the hash order of their smallest ids."""
    grouped = {index: min(group, key=ids.__getitem__) for group in groups for index in group}
    members = {min(group, key=ids.__getitem__): sorted(group, key=ids.__getitem__) for group in groups}
    return [members.get(index, [index]) for index in order if grouped.get(index, index) == index]


def _rarest(rows: Sequence[Strata], counts: Mapping[Hashable, int] | None = None) -> list[Hashable]:
    """The rarest label of each row; `NO_LABEL` for a row without labels."""
    counts = counts or Counter(label for row in rows for label in row)
    return [min(row, key=lambda label: _rarity(label, counts), default=NO_LABEL) for row in rows]


def _rarity(label: Hashable, counts: Mapping[Hashable, int]) -> tuple[int, str]:
    return counts.get(label, 0), str(label)


def _are_single(labels: Sequence[RowLabels]) -> bool:
    return all(len(row) == 1 for row in labels)


def _require_rows_for_splits(labels: Sequence[RowLabels], divided: Collection[str], *, n_splits: int) -> None:
    counts = Counter(label for row in labels for label in row)
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


def subset(ids: Sequence[str], labels: Sequence[RowLabels], *, size: float, seed: int) -> list[int]:
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
    rarest = _rarest(labels)
    counts = Counter(rarest)
    number = round(size * len(ids)) if size < 1 else int(size)
    if not size or number >= len(ids):
        return list(range(len(ids)))
    if number < len(counts):
        raise DataError(
            f"data.max_train_examples = {size:g} leaves {number} rows for {len(counts)} classes.",
            hint=f"Set data.max_train_examples to at least {len(counts)}, or drop classes with data.keep_classes.",
        )
    seen: Counter[Hashable] = Counter()
    ranked: list[tuple[float, int, int]] = []
    for position, index in enumerate(hash_order(ids, seed)):
        label = rarest[index]
        ranked.append(((seen[label] + 0.5) / counts[label] if seen[label] else 0.0, position, index))
        seen[label] += 1
    return sorted(index for *_, index in sorted(ranked)[:number])


def assign_folds(
    ids: Sequence[str], labels: Sequence[RowLabels], *, count: int, seed: int, clusters: Sequence[Sequence[str]] = ()
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
        clusters: disjoint groups of ids that stay in one fold; unknown ids are ignored.

    Returns:
        (N,) fold numbers below K. Without clusters, the counts of a class differ by at most one between folds.

    Raises:
        DataError: every row has one label, and a class has fewer rows than there are folds, near duplicates counted
            once.
    """
    index_of = {name: index for index, name in enumerate(ids)}
    members_of: dict[int, list[int]] = {}
    for cluster in clusters:
        members = [index_of[name] for name in cluster if name in index_of]
        members_of |= dict.fromkeys(members, members)
    counts: Counter[Hashable] = Counter(label for row in labels for label in row)
    order = hash_order(ids, seed)
    if _are_single(labels):
        # One entry per label and cluster: a cluster with several labels counts once for each label.
        distinct = {(label, min(members_of.get(index, [index]))) for index, (label,) in enumerate(labels)}
        _require_rows_for_folds(Counter(label for label, _ in distinct), count)
    else:
        rarest = _rarest(labels)
        order.sort(key=lambda index: _rarity(rarest[index], counts))
    folds = [-1] * len(ids)
    class_sizes: dict[str, list[int]] = defaultdict(lambda: [0] * count)
    sizes = [0] * count
    for index in order:
        if folds[index] >= 0:
            continue
        of_labels = [class_sizes[label] for label in sorted(labels[index], key=lambda label: _rarity(label, counts))]
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
