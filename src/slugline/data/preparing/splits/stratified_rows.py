"""Assign the rows that are in no cluster of near duplicates, in hash order.

A row with several strata is assigned with the rows of its rarest one.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slugline.core.labels import Split
from slugline.data.preparing.splits.group_splits import Sizes, Strata, share
from slugline.data.tables.coded import Coded
from slugline.data.tables.texts import texts_at

SPLITS: tuple[Split, ...] = ("train", "validation", "test")

#: In place of the position in `SPLITS`: the row is not assigned yet.
UNASSIGNED = -1

#: Stratum of rows without labels in a ``multi`` set.
NO_LABEL = ""


@dataclass(frozen=True)
class Wanted:
    """Rows of each stratum that splits want, and those that they have.

    Args:
        splits: splits to cut, in the order of cutting.
        sizes: rows that each split wants, by stratum.
        counts: rows of each stratum.
        received: rows of each stratum and split; grows.
    """

    splits: tuple[Split, ...]
    sizes: Sizes
    counts: Mapping[Hashable, int]
    received: Counter[tuple[Hashable, Split]]

    def shares(self, stratum: Hashable, available: int) -> dict[Split, int]:
        """Return how many of the available rows of a stratum each split gets."""
        sizes, received = self.sizes[stratum], self.received
        lacking = {split: max(0, sizes[split] - received[stratum, split]) for split in self.splits}
        return share(lacking, available - (not received[stratum, "train"]))


def assign_rows(
    strata: Coded[Strata | None],
    assigned: NDArray[np.int8],
    order: NDArray[np.int64],
    wanted: Wanted,
) -> None:
    """Assign the rows that are not assigned yet; each split gets the first of those that are left.

    Args:
        strata: (N,) strata of each row, or None.
        assigned: (N,) positions in `SPLITS`, or `UNASSIGNED`; changed.
        order: indices of the rows in hash order.
        wanted: what the splits want.
    """
    rarest = Coded.of(rarest_labels([row or () for row in strata.values], wanted.counts))
    remaining = order[assigned[order] == UNASSIGNED]
    numbers = rarest.codes[strata.codes[remaining]]
    remaining, numbers = (each[np.argsort(numbers, kind="stable")] for each in (remaining, numbers))
    present = sorted(np.unique(numbers).tolist(), key=lambda number: rarity(rarest.values[number], wanted.counts))
    for number in present:
        rows = remaining[slice(*np.searchsorted(numbers, [number, number + 1]))]
        start = 0
        for split, size in {**wanted.shares(rarest.values[number], len(rows)), "train": len(rows)}.items():
            chosen = rows[start : start + size]
            assigned[chosen] = SPLITS.index(split)
            for row, count in strata.take(chosen).counts().items():
                for stratum in row or ():
                    wanted.received[stratum, split] += count
            start += size


def assign_units(
    ids: Sequence[str],
    strata: Coded[Strata | None],
    assigned: NDArray[np.int8],
    order: NDArray[np.int64],
    groups: Sequence[Sequence[int]],
    wanted: Wanted,
) -> None:
    """Assign the groups and rows that are not assigned yet; a group that is too large for a split goes to the next.

    Args:
        ids: (N,) unique row ids.
        strata: (N,) strata of each row, or None.
        assigned: (N,) positions in `SPLITS`, or `UNASSIGNED`; changed.
        order: indices of the rows in hash order.
        groups: disjoint groups of indices.
        wanted: what the splits want.
    """
    units = [unit for unit in _units(ids, order, groups) if assigned[unit[0]] == UNASSIGNED]
    strata_of = [tuple(stratum for index in unit for stratum in strata[index] or ()) for unit in units]
    by_stratum: dict[Hashable, list[int]] = defaultdict(list)
    for number, stratum in enumerate(rarest_labels(strata_of, wanted.counts)):
        by_stratum[stratum].append(number)
    for stratum, numbers in sorted(by_stratum.items(), key=lambda item: rarity(item[0], wanted.counts)):
        shares = wanted.shares(stratum, sum(strata_of[number].count(stratum) for number in numbers))
        for number in numbers:
            n_rows = strata_of[number].count(stratum)
            chosen: Split = next((split for split in wanted.splits if n_rows <= shares[split]), "train")
            if chosen != "train":
                shares[chosen] -= n_rows
            assigned[units[number]] = SPLITS.index(chosen)
            wanted.received.update((other, chosen) for other in strata_of[number])


def _units(ids: Sequence[str], order: NDArray[np.int64], groups: Sequence[Sequence[int]]) -> list[list[int]]:
    """Groups, and the rows in no group, in the hash order of their smallest ids."""
    members = [[index for _, index in sorted(zip(texts_at(ids, group), group, strict=True))] for group in groups]
    first_of = {index: group[0] for group in members for index in group}
    by_first = {group[0]: group for group in members}
    return [by_first.get(index, [index]) for index in order.tolist() if first_of.get(index, index) == index]


def rarest_labels(rows: Sequence[Strata], counts: Mapping[Hashable, int] | None = None) -> list[Hashable]:
    """Find the rarest label of each row.

    Args:
        rows: labels of the rows.
        counts: rows of each label; None = those of ``rows``.

    Returns:
        One label for each row; `NO_LABEL` for a row without labels.
    """
    counts = counts or Counter(label for row in rows for label in row)
    return [min(row, key=lambda label: rarity(label, counts), default=NO_LABEL) for row in rows]


def rarity(label: Hashable, counts: Mapping[Hashable, int]) -> tuple[int, str]:
    """Return a key that sorts labels by the number of their rows, and those with equally many by their names."""
    return counts.get(label, 0), str(label)
