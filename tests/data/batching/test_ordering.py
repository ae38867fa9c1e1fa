"""The order of the rows in each epoch: a curriculum draws the easiest rows first, and later all."""

from __future__ import annotations

import numpy as np
import pytest

from slugline.data.batching.loaders import UpdateSampler
from slugline.data.batching.ordering import CURRICULUM_SHARE, FIRST_SHARE, from_easy_to_hard, rarity
from slugline.data.batching.token_arrays import TokenArrays
from slugline.data.batching.tokens import Tokens, Truncation

DIFFICULTY = np.random.default_rng(0).permutation(1000).astype(np.float64)


def order(epoch: int, *, epochs: float = 4, seed: int = 1) -> np.ndarray:
    return from_easy_to_hard(DIFFICULTY, epochs=epochs, seed=seed)(np.random.default_rng([seed, epoch]), epoch)


def test_rows_are_at_most_as_hard_as_the_competence() -> None:
    length = CURRICULUM_SHARE * 4
    for epoch in (0, 1):
        progress = (epoch + np.arange(1000) / 1000) / length
        competence = np.minimum(1, np.sqrt(progress * (1 - FIRST_SHARE**2) + FIRST_SHARE**2))
        drawn = DIFFICULTY[order(epoch)]
        assert (drawn < np.ceil(competence * 1000)).all()
        # Uniform below the competence: the hardest rows that are allowed are drawn too.
        assert (drawn / (competence * 1000)).mean() == pytest.approx(0.5, abs=0.05)
    assert DIFFICULTY[order(0)[:30]].max() < 1000 * FIRST_SHARE * 1.6


def test_after_the_curriculum_each_epoch_has_each_row_once() -> None:
    assert sorted(order(2)) == sorted(order(3)) == list(range(1000))
    assert not np.array_equal(order(2), order(3))


def test_the_order_depends_on_seed_and_epoch_only() -> None:
    assert np.array_equal(order(1), order(1))
    assert not np.array_equal(order(0), order(1))
    assert not np.array_equal(order(0, seed=1), order(0, seed=2))


def test_equal_difficulties_are_ordered_at_random() -> None:
    equal = from_easy_to_hard(np.zeros(1000), epochs=4, seed=1)(np.random.default_rng(0), 0)
    assert equal[:50].mean() == pytest.approx(500, abs=150)


@pytest.mark.parametrize("epochs", [0.5, 1, 3])
@pytest.mark.parametrize("count", [1, 7, 100])
def test_updates_are_full_for_any_number_of_rows_and_epochs(count: int, epochs: float) -> None:
    curriculum = from_easy_to_hard(np.arange(count, dtype=np.float64), epochs=epochs, seed=1)
    sampler = UpdateSampler(np.full(count, 5), size=8, seed=1, order=curriculum)
    for epoch in range(3):
        sampler.set_epoch(epoch)
        updates = list(sampler)
        assert len(updates) == len(sampler)
        assert sum(map(len, updates)) == count
        assert all(0 <= row < count for update in updates for row in update)


def test_texts_of_rare_tokens_are_rare() -> None:
    ids = np.array([1, 1, 1, 2, 1, 1, 3, 4], dtype=np.int32)
    tokens = Tokens(TokenArrays.end_to_end(ids, np.array([2, 2, 0, 2, 2])), (0,), (9,), Truncation(8))
    shares = {1: 5 / 8, 2: 1 / 8, 3: 1 / 8, 4: 1 / 8}
    expected = [-2 * np.log(5 / 8), -np.log(5 / 8) - np.log(1 / 8), 0, -2 * np.log(5 / 8), -2 * np.log(1 / 8)]
    assert rarity(tokens) == pytest.approx(expected)
    assert sum(shares.values()) == 1
