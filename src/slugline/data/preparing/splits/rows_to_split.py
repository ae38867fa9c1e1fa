"""`RowsToSplit`: what a split rule knows about the rows that it divides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from slugline.core.labels import RowLabels, Split
from slugline.data.tables.coded import Coded

#: The splits that the rows of each source lack, with their shares of its rows; by number of the source.
Fractions = Sequence[Mapping[Split, float]]

#: (n,) ascending indices of the rows of each new split.
NewSplits = dict[Split, NDArray[np.int64]]


@dataclass(frozen=True)
class RowsToSplit:
    """N rows that splits are cut from, or that are assigned to folds.

    Args:
        ids: (N,) unique row ids.
        labels: (N,) labels of each row.
        origins: (N,) number of the source of each row, from 0.
        clusters: disjoint groups of indices of near duplicates, which stay in one split.
        groups: disjoint groups of indices that ``data.group`` keeps in one split; no row is in a cluster and a group.
        kept: indices of rows that stay in train, because their text has several labels.
        times: value of ``data.time`` by row id; empty without times.
    """

    ids: Sequence[str]
    labels: Coded[RowLabels]
    origins: NDArray[np.int32]
    clusters: Sequence[Sequence[int]] = ()
    groups: Sequence[Sequence[int]] = ()
    kept: Sequence[int] = ()
    times: Mapping[str, float] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    def of_source(self, origin: int) -> NDArray[np.int64]:
        """Return the indices of the rows of a source."""
        return np.flatnonzero(self.origins == origin)

    def free(self) -> NDArray[np.bool_]:
        """Tell which of the N rows may be assigned alone: the others have a cluster or a group, or stay in train."""
        is_free = np.ones(len(self), dtype=np.bool_)
        is_free[[index for group in (*self.clusters, *self.groups, self.kept) for index in group]] = False
        return is_free
