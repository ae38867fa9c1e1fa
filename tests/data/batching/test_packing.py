"""Packing: no token is lost, only the last sequence is padded, labels are reproducible."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from conftest import articles
from slugline.data.batching.packing import (
    IGNORED,
    EpochSampler,
    Packed,
    Sequences,
    pack,
    sequence_loader,
    sequences_with_targets,
    split_validation,
)
from slugline.data.batching.token_arrays import TokenArrays
from slugline.data.batching.tokens import Tokens, tokenise
from slugline.data.batching.truncation import Truncation
from slugline.models.tokenizers import load_tokenizer

SEPARATOR = 3


def tokens_of(texts: list[list[int]]) -> Tokens:
    ids = np.array([token for text in texts for token in text], dtype=np.int32)
    arrays = TokenArrays.end_to_end(ids, np.array([len(text) for text in texts], dtype=np.int64))
    return Tokens(arrays, (1,), (2,), Truncation(8))


@given(st.lists(st.lists(st.integers(10, 20), max_size=12), max_size=12), st.integers(3, 12))
def test_packing_loses_no_token(texts: list[list[int]], length: int) -> None:
    packed = pack(tokens_of(texts), separator=SEPARATOR, length=length)
    sequences = [packed[index].tolist() for index in range(len(packed))]
    assert all(sequence[0] == 1 and sequence[-1] == 2 for sequence in sequences)
    assert all(len(sequence) == length for sequence in sequences[:-1])
    assert [len(sequence) for sequence in sequences] == packed.lengths.tolist()
    stream = [token for sequence in sequences for token in sequence[1:-1]]
    expected: list[int] = []
    for text in filter(None, texts):
        expected += [SEPARATOR, *text]
    assert stream == expected[1:]


def test_without_separator_texts_are_joined_directly() -> None:
    assert pack(tokens_of([[11, 12], [13]]), separator=None, length=8)[0].tolist() == [1, 11, 12, 13, 2]


def test_there_is_nearly_no_padding(masked_base: Path) -> None:
    tokens = tokenise([row["text"] for row in articles(60)], load_tokenizer(str(masked_base)), Truncation(32))
    packed = pack(tokens, separator=SEPARATOR, length=32)
    assert packed.lengths.sum() > 0.97 * len(packed) * 32


def test_sequences_of_special_tokens_have_no_targets() -> None:
    packed = Packed(np.array([11, 0, 0, 0, 12], dtype=np.int32), (1,), (2,), capacity=2)
    assert sequences_with_targets(packed, np.arange(20) > 9).tolist() == [0, 2]
    assert sequences_with_targets(Packed(np.empty(0, np.int32), (), (), capacity=2), np.arange(20) > 9).tolist() == []


def test_validation_depends_only_on_the_tokens_of_the_sequences() -> None:
    random = np.random.default_rng(0)
    packed = Packed(random.integers(10, 200, 4000).astype(np.int32), (), (), capacity=10)
    rows = np.arange(400)
    train, validation = split_validation(packed, rows, share=0.05)
    assert len(validation) == 20
    assert sorted([*train, *validation]) == list(rows)
    reordered = Packed(packed.ids.reshape(400, 10)[::-1].reshape(-1).copy(), (), (), capacity=10)
    assert set(399 - split_validation(reordered, rows, share=0.05)[1]) == set(validation)


def test_equal_sequences_are_in_the_same_split() -> None:
    packed = Packed(np.repeat(np.arange(10, 14), 10).astype(np.int32), (), (), capacity=2)
    train, validation = split_validation(packed, np.arange(20), share=0.05)
    assert {int(packed[row][0]) for row in validation}.isdisjoint({int(packed[row][0]) for row in train})


def label_second_token(ids: NDArray[np.int64], key: object) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """A labeler whose only target is the second token; the first input is the epoch of the key."""
    labels = np.full_like(ids, IGNORED)
    labels[1] = ids[1]
    inputs = ids.copy()
    inputs[0] = tuple(key)[-2]  # type: ignore[call-overload]
    return inputs, labels


@pytest.mark.parametrize("workers", [0, 1])
def test_every_epoch_has_its_own_labels_in_worker_processes_too(workers: int) -> None:
    packed = Packed(np.arange(10, 60, dtype=np.int32), (0,), (1,), capacity=5)
    sequences = Sequences(packed, np.arange(9), label_second_token, (1, 13))
    sampler = EpochSampler(packed.lengths[:9], size=4, seed=13)
    loader = sequence_loader(sequences, sampler=sampler, pad_id=0, workers=workers)
    for epoch in (0, 3, 1):
        loader.set_epoch(epoch)
        updates = list(loader)
        assert [len(update["labels"]) for update in updates] in ([4, 4, 1], [4, 1, 4], [1, 4, 4])
        assert {int(first) for update in updates for first in update["input_ids"][:, 0]} == {epoch}
        assert sorted(int(row[1]) for update in updates for row in update["labels"]) == [*range(10, 55, 5)]


def test_labels_are_padded_with_ignored_positions() -> None:
    packed = Packed(np.arange(10, 17, dtype=np.int32), (0,), (1,), capacity=5)
    loader = sequence_loader(
        Sequences(packed, np.arange(2), label_second_token, ()),
        sampler=EpochSampler(packed.lengths, size=2, seed=0),
        pad_id=9,
    )
    update = next(iter(loader))
    assert update["input_ids"][update["attention_mask"] == 0].tolist() == [9, 9, 9]
    assert (update["labels"] != IGNORED).sum().item() == 2
