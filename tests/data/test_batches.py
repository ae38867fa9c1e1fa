"""Updates hold every row once; passes keep their budget and cost little; padding is masked."""

from __future__ import annotations

from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from conftest import articles
from slugline.data.batches import (
    UpdateSampler,
    by_length,
    cheapest_cut,
    collate,
    cut,
    split,
    update_loader,
)
from slugline.data.tokens import tokenise
from slugline.models.build import load_tokenizer

TEXTS = [row["text"] for row in articles(40)]
lengths_strategy = st.lists(st.integers(1, 60), min_size=1, max_size=200)


@given(lengths_strategy, st.integers(1, 20), st.integers(1, 300))
def test_passes_cover_all_rows_within_their_budget(lengths: list[int], rows: int, tokens: int) -> None:
    parts = cut(lengths, rows=rows, tokens=tokens)
    assert [parts[0].start, parts[-1].stop] == [0, len(lengths)]
    assert all(before.stop == after.start for before, after in pairwise(parts))
    for part in parts:
        count, longest = part.stop - part.start, max(lengths[part])
        assert count == 1 or (count <= rows and count * longest <= tokens)


@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=12), st.integers(1, 6), st.integers(1, 200), st.integers(0, 90)
)
def test_the_cheapest_cut_is_the_cheapest(lengths: list[int], rows: int, tokens: int, overhead: int) -> None:
    """Against all cuts there are."""

    def cost(parts: list[slice]) -> float:
        total = 0.0
        for part in parts:
            count, longest = part.stop - part.start, max(lengths[part])
            total += count * longest + overhead
            if count > 1 and (count > rows or count * longest > tokens):
                return float("inf")
        return total

    inner = range(1, len(lengths))
    every = (
        [slice(a, b) for a, b in pairwise([0, *cuts, len(lengths)])]
        for size in range(len(lengths))
        for cuts in combinations(inner, size)
    )
    found = cheapest_cut(lengths, rows=rows, tokens=tokens, overhead=overhead)
    assert cost(found) == min(map(cost, every))
    assert [index for part in found for index in range(part.start, part.stop)] == list(range(len(lengths)))


@given(lengths_strategy, st.integers(1, 20), st.integers(1, 300))
def test_prediction_takes_every_row_once_longest_first(lengths: list[int], rows: int, tokens: int) -> None:
    passes = by_length(np.array(lengths), rows=rows, tokens=tokens)
    assert sorted(np.concatenate(passes).tolist()) == list(range(len(lengths)))
    assert lengths[passes[0][0]] == max(lengths)


@given(lengths_strategy, st.integers(1, 40), st.integers(0, 5), st.integers(1, 4))
def test_an_epoch_has_every_row_once_over_all_ranks(lengths: list[int], size: int, epoch: int, world: int) -> None:
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


def test_the_order_follows_from_seed_and_epoch_alone() -> None:
    lengths = np.arange(1, 101)

    def order(seed: int, epoch: int) -> list[list[int]]:
        sampler = UpdateSampler(lengths, size=8, seed=seed)
        sampler.set_epoch(epoch)
        return list(sampler)

    assert order(1, 0) == order(1, 0)
    assert order(1, 0) != order(1, 1)
    assert order(1, 0) != order(2, 0)


def test_grouping_by_length_keeps_padding_low() -> None:
    rng = np.random.default_rng(0)
    lengths = np.clip(rng.lognormal(3.9, 0.5, 20_000), 5, 256).astype(np.int64)
    padded = sum(max(lengths[update]) * len(update) for update in UpdateSampler(lengths, size=32, seed=0))
    assert 1 - lengths.sum() / padded < 0.08


def test_splitting_an_update_loses_nothing_but_padding(tiny_base: Path) -> None:
    tokenizer = load_tokenizer(str(tiny_base))
    tokens = tokenise(TEXTS, tokenizer, max_length=32)
    sampler = UpdateSampler(tokens.lengths, size=16, seed=0)
    loader = update_loader(tokens, np.arange(len(TEXTS)), sampler=sampler, pad_id=0)
    for batch, rows in zip(loader, sampler, strict=True):
        parts = split(batch, rows=5, tokens=60, overhead=20)
        assert torch.cat([part["labels"] for part in parts]).tolist() == rows
        found = [ids[mask.bool()].tolist() for part in parts for ids, mask in _rows(part)]
        assert found == [tokens[row] for row in rows]
        assert all(part["attention_mask"].sum(1).max() == part["input_ids"].shape[1] for part in parts)


def _rows(part: dict[str, torch.Tensor]) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return list(zip(part["input_ids"], part["attention_mask"], strict=True))


def test_padding_stands_on_the_right_and_is_masked() -> None:
    batch = collate([[5, 6], [7, 8, 9]], pad_id=1)
    assert batch["input_ids"].tolist() == [[5, 6, 1], [7, 8, 9]]
    assert batch["attention_mask"].tolist() == [[1, 1, 0], [1, 1, 1]]
