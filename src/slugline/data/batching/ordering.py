"""The order of the training rows in each epoch: each row once, by weights, or from easy to hard (a curriculum).

An order depends only on its rows, the seed and the epoch, so that a resumed training has the same. Only numpy is needed
here.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from slugline.data.batching.tokens import Tokens

#: Random generator of an epoch and its number to (N,) indices of rows, in order.
RowOrder = Callable[[np.random.Generator, int], NDArray[np.int64]]

#: Share of the rows, the easiest ones, that a curriculum begins with.
FIRST_SHARE = 0.1

#: Share of the epochs until a curriculum draws from all rows.
CURRICULUM_SHARE = 0.5


def each_row_once(count: int) -> RowOrder:
    """Return the order that has each of N rows once in every epoch.

    Args:
        count: number of rows N.

    Returns:
        The order.
    """
    return lambda rng, epoch: rng.permutation(count)


def drawn_by_weight(weights: NDArray[np.float64]) -> RowOrder:
    """Return the order that draws N rows with replacement in every epoch.

    Args:
        weights: (N,) weights with which rows are drawn.

    Returns:
        The order.
    """
    probabilities = weights / weights.sum()
    return lambda rng, epoch: rng.choice(len(weights), len(weights), p=probabilities)


def from_easy_to_hard(difficulty: NDArray[np.float64], *, epochs: float, seed: int) -> RowOrder:
    """Return the order of a curriculum by competence (Platanios et al. 2019).

    Rows are ranked by their difficulty. After t of T epochs, rows are drawn with replacement from the share of the rows
    with the lowest ranks, which is ``min(1, sqrt(t / T * (1 - c**2) + c**2))`` with c = `FIRST_SHARE` and T the
    `CURRICULUM_SHARE` of all epochs. From T on, each epoch has each row once.

    Args:
        difficulty: (N,) difficulty of each row; the order of equal ones is random.
        epochs: epochs of the whole training.
        seed: seed of the order of equal difficulties.

    Returns:
        The order.
    """
    count, length = len(difficulty), CURRICULUM_SHARE * epochs
    by_chance = np.random.default_rng(seed).permutation(count)
    ranked = by_chance[np.argsort(difficulty[by_chance], kind="stable")]

    def order(rng: np.random.Generator, epoch: int) -> NDArray[np.int64]:
        progress = (epoch + np.arange(count) / count) / length
        if epoch >= length:
            return rng.permutation(count)
        share = np.minimum(1.0, np.sqrt(progress * (1 - FIRST_SHARE**2) + FIRST_SHARE**2))
        drawn = rng.random(count) * np.ceil(share * count)
        return np.asarray(ranked[drawn.astype(np.int64)])

    return order


def rarity(tokens: Tokens) -> NDArray[np.float64]:
    """Return how rare the tokens of texts are: the sum of the negative logarithms of their shares among all tokens.

    Args:
        tokens: tokens of N texts.

    Returns:
        (N,); longer texts tend to have more.
    """
    counts: NDArray[np.int64] = np.zeros(1, np.int64)
    for ids in tokens.arrays.chunks():
        added = np.bincount(ids, minlength=len(counts))
        added[: len(counts)] += counts
        counts = added
    surprise = -np.log(np.maximum(counts, 1) / max(1, counts.sum()))
    return np.array([surprise[tokens.arrays[index]].sum() for index in range(len(tokens))], dtype=np.float64)
