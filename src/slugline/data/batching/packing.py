"""Sequences for pre-training: texts packed end to end with nearly no padding, and updates of these sequences.

A `Labeler` chooses the inputs and labels of a sequence. It is a pure function of the sequence and a key with the seed,
the epoch and the number of the sequence, so that a resumed training has the same labels with any number of workers.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from slugline.data.batching.loaders import UpdateLoader, UpdateSampler, build_loader, collate
from slugline.data.batching.tokens import Tokens

#: Label of a position without a target.
IGNORED = -100

#: Ids of a sequence (T,) and a key of integers -> input ids (T,) and labels (T,), which may be `IGNORED`.
Labeler = Callable[[NDArray[np.int64], Sequence[int]], tuple[NDArray[np.int64], NDArray[np.int64]]]

#: First integer of the keys; training and validation draw different random numbers.
TRAINING, VALIDATION = 1, 2


@dataclass(frozen=True)
class Packed:
    """N sequences of texts packed end to end; the last may be shorter.

    Args:
        ids: (total,) int32, tokens of all texts with separators between them.
        prefix: special tokens before a sequence.
        suffix: special tokens after a sequence.
        capacity: number of tokens of a sequence, without special tokens.
    """

    ids: NDArray[np.int32]
    prefix: tuple[int, ...]
    suffix: tuple[int, ...]
    capacity: int

    def __len__(self) -> int:
        return math.ceil(len(self.ids) / self.capacity)

    def __getitem__(self, index: int) -> NDArray[np.int64]:
        """Return a sequence (T,) with its special tokens."""
        return np.array([*self.prefix, *self.content(index).tolist(), *self.suffix], dtype=np.int64)

    def content(self, index: int) -> NDArray[np.int32]:
        """Return a sequence without its special tokens."""
        return self.ids[index * self.capacity : (index + 1) * self.capacity]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(N,) tokens of each sequence, special tokens included."""
        n_special = len(self.prefix) + len(self.suffix)
        return np.diff(np.append(np.arange(0, len(self.ids), self.capacity), len(self.ids))) + n_special


def pack(tokens: Tokens, *, separator: int | None, length: int) -> Packed:
    """Pack texts end to end.

    Args:
        tokens: tokenised texts.
        separator: token between two texts; None if the tokenizer has none.
        length: number of tokens of a sequence, special tokens included.

    Returns:
        Sequences that together hold every token of every text, in order.
    """
    ids = np.concatenate([np.empty(0, np.int32), *tokens.arrays.chunks()])
    if separator is not None:
        lengths = tokens.arrays.lengths
        ids = np.insert(ids, np.cumsum(lengths[lengths > 0])[:-1], separator)
    return Packed(ids, tokens.prefix, tokens.suffix, length - len(tokens.prefix) - len(tokens.suffix))


def sequences_with_targets(packed: Packed, non_special: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the sequences that contain tokens other than special tokens.

    Args:
        packed: N sequences.
        non_special: (V,) True for ids that are not special tokens.

    Returns:
        Ascending indices below N.
    """
    if not len(packed.ids):
        return np.empty(0, dtype=np.int64)
    counts = np.add.reduceat(non_special[packed.ids].astype(np.int64), np.arange(0, len(packed.ids), packed.capacity))
    return np.flatnonzero(counts)


def split_validation(
    packed: Packed, rows: NDArray[np.int64], *, share: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Divide sequences into training and validation by the hash of their tokens; equal sequences stay together.

    Args:
        packed: the sequences.
        rows: indices of the sequences to divide.
        share: share of the sequences for validation; at least one sequence.

    Returns:
        The indices of training and of validation, both ascending.
    """
    digests = [hashlib.sha256(packed.content(int(row)).tobytes()).digest() for row in rows]
    if not digests:
        return rows, rows
    last = sorted(digests)[max(1, round(share * len(digests))) - 1]
    is_validation = np.array([digest <= last for digest in digests])
    return rows[~is_validation], rows[is_validation]


class EpochSampler(UpdateSampler):
    """Encodes the epoch in the indices, for the data sets of worker processes: row r of N becomes ``epoch * N + r``."""

    def __iter__(self) -> Iterator[list[int]]:
        offset = self.epoch * len(self.lengths)
        for update in super().__iter__():
            yield [offset + row for row in update]


@dataclass(frozen=True)
class Sequences(Dataset[tuple[NDArray[np.int64], NDArray[np.int64]]]):
    """Inputs and labels of N sequences; each epoch has its own.

    Args:
        packed: the sequences.
        rows: (N,) indices of these sequences in `packed`.
        labeler: function that chooses inputs and labels.
        key: first integers of the labeler's key; the epoch and the number of the sequence follow.
    """

    packed: Packed
    rows: NDArray[np.int64]
    labeler: Labeler
    key: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        epoch, position = divmod(index, len(self.rows))
        row = int(self.rows[position])
        return self.labeler(self.packed[row], (*self.key, epoch, row))


@dataclass(frozen=True)
class SequenceCollator:
    """Collates sequences to tensors; a class, since worker processes need to pickle it.

    Args:
        pad_id: id of the padding token.
    """

    pad_id: int

    def __call__(self, rows: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]]) -> dict[str, Tensor]:
        """Return ``input_ids``, ``attention_mask`` and ``labels``, each (B, T), padded on the right."""
        batch = collate([[ids.tolist()] for ids, _ in rows], pad_id=self.pad_id)
        batch["labels"] = torch.full_like(batch["input_ids"], IGNORED)
        for row, (_, labels) in enumerate(rows):
            batch["labels"][row, : len(labels)] = torch.from_numpy(labels)
        return batch


def sequence_loader(sequences: Sequences, *, sampler: EpochSampler, pad_id: int, workers: int = 0) -> UpdateLoader:
    """Build a loader of packed sequences.

    Args:
        sequences: N sequences.
        sampler: sampler over the same N sequences.
        pad_id: id of the padding token.
        workers: number of processes that prepare batches.

    Returns:
        A loader whose batches hold what `collate` returns, and ``labels`` (B, T).
    """
    return build_loader(sequences, sampler, SequenceCollator(pad_id), workers=workers)
