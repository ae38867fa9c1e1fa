"""Batches: updates contain every row once, forward passes keep their limits and are cheap, padding is masked."""

from __future__ import annotations

from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from conftest import articles
from slugline.data.batching.loaders import UpdateSampler, collate, split_update, update_loader
from slugline.data.batching.ordering import drawn_by_weight
from slugline.data.batching.planning import BatchLimits, batches_by_length, cheapest_batches, greedy_batches
from slugline.data.batching.token_arrays import TokenArrays
from slugline.data.batching.tokens import Tokens, tokenise
from slugline.data.batching.truncation import Truncation
from slugline.models.tokenizers import load_tokenizer

TEXTS = [row["text"] for row in articles(40)]
text_strategy = st.tuples(st.integers(1, 60), st.integers(1, 4))  # tokens of a piece, number of pieces
texts_strategy = st.lists(text_strategy, min_size=1, max_size=200)
lengths_strategy = st.lists(st.integers(1, 60), min_size=1, max_size=200)


@given(texts_strategy, st.integers(1, 20), st.integers(1, 300))
def test_passes_cover_all_rows_within_their_limits(texts: list[tuple[int, int]], rows: int, tokens: int) -> None:
    lengths, pieces = map(list, zip(*texts, strict=True))
    parts = greedy_batches(lengths, pieces, limits=BatchLimits(rows, tokens))
    assert [parts[0].start, parts[-1].stop] == [0, len(lengths)]
    assert all(before.stop == after.start for before, after in pairwise(parts))
    for part in parts:
        count, longest = sum(pieces[part]), max(lengths[part])
        assert part.stop - part.start == 1 or (count <= rows and count * longest <= tokens)


@given(st.lists(text_strategy, min_size=1, max_size=10), st.integers(1, 6), st.integers(1, 200), st.integers(0, 90))
def test_no_other_division_is_cheaper(texts: list[tuple[int, int]], rows: int, tokens: int, overhead: int) -> None:
    """The result is compared with all possible divisions."""
    lengths, pieces = map(list, zip(*texts, strict=True))

    def cost(parts: list[slice]) -> float:
        total = 0.0
        for part in parts:
            count, longest = sum(pieces[part]), max(lengths[part])
            total += count * longest + overhead
            if part.stop - part.start > 1 and (count > rows or count * longest > tokens):
                return float("inf")
        return total

    inner = range(1, len(lengths))
    divisions = (
        [slice(a, b) for a, b in pairwise([0, *cuts, len(lengths)])]
        for size in range(len(lengths))
        for cuts in combinations(inner, size)
    )
    found = cheapest_batches(lengths, pieces, limits=BatchLimits(rows, tokens), overhead=overhead)
    assert cost(found) == min(map(cost, divisions))
    assert [index for part in found for index in range(part.start, part.stop)] == list(range(len(lengths)))


@given(lengths_strategy, st.integers(1, 20), st.integers(1, 300))
def test_prediction_contains_every_row_once_longest_first(lengths: list[int], rows: int, budget: int) -> None:
    tokens = Tokens(TokenArrays.end_to_end(np.zeros(sum(lengths), np.int32), np.array(lengths)), (), (), Truncation(64))
    passes = batches_by_length(tokens, limits=BatchLimits(rows, budget))
    assert sorted(np.concatenate(passes).tolist()) == list(range(len(lengths)))
    assert lengths[passes[0][0]] == max(lengths)


@given(lengths_strategy, st.integers(1, 40), st.integers(0, 5), st.integers(1, 4))
def test_the_ranks_of_an_epoch_contain_every_row_once(lengths: list[int], size: int, epoch: int, world: int) -> None:
    seen: list[int] = []
    counts = set()
    for rank in range(world):
        sampler = UpdateSampler(np.array(lengths), size=max(size, world), seed=1, rank=rank, world=world)
        sampler.set_epoch(epoch)
        updates = list(sampler)
        counts.add(len(updates))
        assert len(sampler) == len(updates)
        assert len(lengths) < world or all(updates)
        seen += [row for update in updates for row in update]
    assert sorted(seen) == list(range(len(lengths)))
    assert len(counts) == 1


def test_the_order_depends_only_on_seed_and_epoch() -> None:
    lengths = np.arange(1, 101)

    def order(seed: int, epoch: int) -> list[list[int]]:
        sampler = UpdateSampler(lengths, size=8, seed=seed)
        sampler.set_epoch(epoch)
        return list(sampler)

    assert order(1, 0) == order(1, 0)
    assert order(1, 0) != order(1, 1)
    assert order(1, 0) != order(2, 0)


def test_weights_draw_every_class_equally_often() -> None:
    """Each of three classes with 450, 40 and 10 rows fills a third of every epoch; rows of small classes repeat."""
    targets = np.repeat([0, 1, 2], [450, 40, 10])
    weights = 1 / np.bincount(targets)[targets]

    def drawn(epoch: int, *, rank: int = 0, world: int = 1) -> list[list[int]]:
        sampler = UpdateSampler(
            np.full(500, 9), size=20, seed=3, order=drawn_by_weight(weights), rank=rank, world=world
        )
        sampler.set_epoch(epoch)
        return list(sampler)

    rows = [row for epoch in range(20) for update in drawn(epoch) for row in update]
    assert len(rows) == 20 * 500
    assert np.bincount(targets[rows]) / len(rows) == pytest.approx([1 / 3] * 3, abs=0.02)
    assert drawn(1) == drawn(1) != drawn(2)
    assert set(rows) == set(range(500))
    ranks = [drawn(4, rank=rank, world=2) for rank in range(2)]
    for update, *parts in zip(drawn(4), *ranks, strict=True):
        assert sorted(update) == sorted(row for part in parts for row in part)


def test_grouping_by_length_keeps_padding_low() -> None:
    rng = np.random.default_rng(0)
    lengths = np.clip(rng.lognormal(3.9, 0.5, 20_000), 5, 256).astype(np.int64)
    padded = sum(max(lengths[update]) * len(update) for update in UpdateSampler(lengths, size=32, seed=0))
    assert 1 - lengths.sum() / padded < 0.08


@pytest.mark.parametrize("truncation", [Truncation(32), Truncation(8, "window", 2, 3)])
def test_splitting_an_update_removes_only_padding(tiny_base: Path, truncation: Truncation) -> None:
    tokenizer = load_tokenizer(str(tiny_base))
    tokens = tokenise(TEXTS, tokenizer, truncation)
    sampler = UpdateSampler(tokens.lengths * tokens.pieces, size=16, seed=0)
    loader = update_loader(tokens, np.arange(len(TEXTS)), sampler=sampler, pad_id=0)
    for batch, rows in zip(loader, sampler, strict=True):
        parts = split_update(batch, limits=BatchLimits(5, 60), overhead=20)
        assert torch.cat([part["labels"] for part in parts]).tolist() == rows
        found = [text for part in parts for text in _texts(part)]
        assert found == [tokens[row] for row in rows]
        assert all(part["attention_mask"].sum(1).max() == part["input_ids"].shape[1] for part in parts)


def _texts(part: dict[str, torch.Tensor]) -> list[list[list[int]]]:
    """The pieces of each text, without padding."""
    texts: list[list[list[int]]] = [[] for _ in part["labels"]]
    owners = part["window_of"].tolist() if "window_of" in part else range(len(texts))
    for owner, ids, mask in zip(owners, part["input_ids"], part["attention_mask"], strict=True):
        texts[owner].append(ids[mask.bool()].tolist())
    return texts


def test_padding_is_on_the_right_and_masked() -> None:
    batch = collate([[[5, 6]], [[7, 8, 9]]], pad_id=1)
    assert batch["input_ids"].tolist() == [[5, 6, 1], [7, 8, 9]]
    assert batch["attention_mask"].tolist() == [[1, 1, 0], [1, 1, 1]]
