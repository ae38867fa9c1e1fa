"""Statistics of a hierarchy: confusion at a level, the nodes that two leaves share, hierarchical F1.

A path that ends above the lowest level has the part `NO_PART` below, which is no node. Only numpy is needed here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from slugline.core.labels import NO_PART, LabelSet
from slugline.evaluation.outcomes.statistics import Counts, Floats, Ints, ratio


@dataclass(frozen=True)
class Grouping:
    """The classes of one level.

    Args:
        membership: (K, G), 1 where a leaf belongs to a class of the level.
    """

    membership: Ints

    @classmethod
    @lru_cache(maxsize=32)
    def of(cls, labels: LabelSet, level: int) -> Grouping:
        """Return the grouping of a level, from 1 for the top."""
        names, group = labels.at_level(level)
        return cls(np.eye(len(names), dtype=np.int64)[group])

    def confusion(self, confusion: Counts) -> Counts:
        """Return the confusion (..., G, G) at the level of confusion matrices (..., K, K) of the leaves."""
        return np.asarray(self.membership.T @ confusion @ self.membership)


@lru_cache(maxsize=32)
def shared_nodes(labels: LabelSet) -> Ints:
    """Return (K, K) numbers of nodes that are on the paths of both leaves; on the diagonal the lengths of the paths."""
    shared = np.zeros((len(labels), len(labels)), dtype=np.int64)
    for level in range(1, labels.depth + 1):
        _, group = labels.at_level(level)
        is_node = np.array([path[level - 1] != NO_PART for path in labels.paths])
        shared += (group[:, None] == group[None]) & is_node[:, None] & is_node[None]
    return shared


def hierarchical_f1(confusion: Counts, labels: LabelSet) -> Floats:
    """Return the F1 of the nodes on the paths of true and predicted leaves (Kiritchenko et al. 2005), over all rows.

    Args:
        confusion: (..., K, K), true leaves in rows.
        labels: the K leaves.

    Returns:
        (...), twice the number of shared nodes over the number of true and predicted nodes.
    """
    shared = shared_nodes(labels)
    lengths = np.diagonal(shared)
    hits = (confusion * shared).sum(axis=(-2, -1))
    nodes = (confusion.sum(axis=-1) * lengths).sum(axis=-1) + (confusion.sum(axis=-2) * lengths).sum(axis=-1)
    return ratio(2 * hits, nodes)


def errors_by_level(confusions: Ints, labels: LabelSet) -> dict[str, int]:
    """Count errors by the highest level that is wrong: the further up, the further apart the leaves are in the tree.

    Args:
        confusions: (K, K) errors, true leaves in rows, zeros on the diagonal.
        labels: the K leaves.

    Returns:
        Number of errors by name of the level, top first.
    """
    counts, right_above = {}, int(confusions.sum())
    for level, name in enumerate(labels.level_names, start=1):
        right = int(np.trace(Grouping.of(labels, level).confusion(confusions)))
        counts[name], right_above = right_above - right, right
    return counts
