"""Assign clusters of near duplicates to splits; a cluster is never divided."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from slugline.core.labels import Split
from slugline.data.tables.coded import Coded
from slugline.data.tables.texts import texts_at

#: Strata of one row: one for each of its labels.
Strata = tuple[Hashable, ...]

Sizes = Mapping[Hashable, Mapping[Split, int]]


def split_sizes(count: int, fractions: Mapping[Split, float]) -> dict[Split, int]:
    """Return the rows that each split wants of a stratum; too few rows for all splits stay in train.

    Args:
        count: rows of the stratum.
        fractions: share of each split to cut, in the order of cutting.

    Returns:
        Rows by split, ``train`` included.
    """
    sizes: dict[Split, int] = dict.fromkeys(fractions, 0)
    available = count - 1  # one row stays in train, and one is reserved for each later split
    for number, (split, fraction) in enumerate(fractions.items(), start=1):
        if count > len(fractions):
            sizes[split] = min(max(1, round(fraction * count)), available - (len(fractions) - number))
            available -= sizes[split]
    sizes["train"] = count - sum(sizes.values())
    return sizes


def share(lacking: Mapping[Split, int], available: int) -> dict[Split, int]:
    """Return how many rows each split gets: what it lacks, or its share of the available rows if they are too few."""
    shared: dict[Split, int] = {}
    total, left = sum(lacking.values()), max(0, available)
    for split, size in lacking.items():
        shared[split] = size if total <= left else min(left, -(-size * left // total))
        total -= size
        left -= shared[split]
    return shared


def assign_groups(
    ids: Sequence[str],
    strata: Coded[Strata | None],
    groups: Sequence[Sequence[int]],
    *,
    order: NDArray[np.int64],
    fractions: Mapping[Split, float],
    sizes: Sizes,
    kept: Collection[int] = (),
) -> dict[int, Split]:
    """Assign groups to splits, the largest first.

    A group goes to the split with the largest need of its strata, among the splits that want at least so many rows.
    The need is counted within the groups, so that rows in no group do not move any. A group that is too large for all
    splits goes to train. A group goes to a split that would otherwise get no row of one of its strata. The hash order
    of the smallest id decides between groups of one size. Groups with a kept row, or a row without a stratum, go to
    train.

    Args:
        ids: (N,) unique row ids.
        strata: (N,) strata of each row, or None.
        groups: disjoint groups of indices.
        order: indices of the rows in hash order.
        fractions: share of each split to cut, in the order of cutting.
        sizes: rows that each split wants, by stratum.
        kept: indices whose groups go to train.

    Returns:
        Split of each row in a group.
    """
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    members_of_groups = [index for group in groups for index in group]
    in_group = set(members_of_groups)
    name_of = dict(zip(members_of_groups, texts_at(ids, members_of_groups), strict=True))
    kept = set(kept) | {index for index in in_group if strata[index] is None}
    ordered = sorted(
        groups, key=lambda group: (kept.isdisjoint(group), -len(group), rank[min(group, key=name_of.__getitem__)])
    )
    shares: dict[Split, float] = {"train": 1 - sum(fractions.values()), **fractions}
    grouped = Counter(s for group in groups if kept.isdisjoint(group) for index in group for s in strata[index] or ())
    # Units of each stratum that are not assigned yet: a group is one, and so is a row in no group.
    left: Counter[Hashable] = Counter()
    alone = np.ones(len(strata), dtype=np.bool_)
    alone[members_of_groups] = False
    for row, count in strata.take(np.flatnonzero(alone)).counts().items():
        left.update(dict.fromkeys(row or (), count))
    left.update(stratum for group in groups for stratum in {s for index in group for s in strata[index] or ()})
    received: Counter[tuple[Hashable, Split]] = Counter()
    balanced: Counter[tuple[Hashable, Split]] = Counter()
    assigned: dict[int, Split] = {}
    for group in ordered:
        members = Counter(s for index in sorted(group, key=name_of.__getitem__) for s in strata[index] or ())
        left.subtract(members.keys())
        fitting = [
            split for split in shares if all(n <= sizes[s][split] - received[s, split] for s, n in members.items())
        ]
        starved = _split_without_rows(members, sizes, received, left, tuple(fractions))
        chosen: Split = "train"
        if kept.isdisjoint(group) and (starved or fitting):
            needs = {
                split: round(sum(n * (shares[split] * grouped[s] - balanced[s, split]) for s, n in members.items()), 6)
                for split in fitting
            }
            chosen = starved if starved else max(needs, key=lambda split: needs[split])
        for stratum, count in members.items():
            received[stratum, chosen] += count
            balanced[stratum, chosen] += count if kept.isdisjoint(group) else 0
        assigned |= dict.fromkeys(group, chosen)
    return assigned


def _split_without_rows(
    members: Counter[Hashable],
    sizes: Sizes,
    received: Counter[tuple[Hashable, Split]],
    left: Counter[Hashable],
    splits: Sequence[Split],
) -> Split | None:
    """Return a split that too few groups and rows are left for; None unless train has all strata of the group."""
    if not all(received[stratum, "train"] for stratum in members):
        return None
    for split in splits:
        for stratum in members:
            without = [
                name for name in splits if stratum in sizes and sizes[stratum][name] and not received[stratum, name]
            ]
            if split in without and left[stratum] < len(without):
                return split
    return None
