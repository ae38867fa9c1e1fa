"""Texts packed end to end: sequences of equal length with nearly no padding, and updates of them.

What is to be found in a sequence is decided by an `Labeler`, a pure function of the sequence, the seed, the epoch and
the sequence's number: a resumed training sets the same exercises again, in whatever process they are prepared.
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

#: Label of a position at which nothing is to be found.
IGNORED = -100

#: Ids of a sequence (T,) and a key of integers to what the model reads (T,) and what is to be found (T,), or `IGNORED`.
Labeler = Callable[[NDArray[np.int64], Sequence[int]], tuple[NDArray[np.int64], NDArray[np.int64]]]

#: First number of the keys, so that training and validation never draw the same.
TRAINING, VALIDATION = 1, 2


@dataclass(frozen=True)
class Packed:
    """N sequences out of texts that stand end to end; the last may be shorter.

    Args:
        ids: (total,) int32, tokens of all texts with separators between them.
        prefix: special tokens before a sequence.
        suffix: special tokens after a sequence.
        room: tokens of a sequence beside these.
    """

    ids: NDArray[np.int32]
    prefix: tuple[int, ...]
    suffix: tuple[int, ...]
    room: int

    def __len__(self) -> int:
        return math.ceil(len(self.ids) / self.room)

    def __getitem__(self, index: int) -> NDArray[np.int64]:
        """(T,) a sequence with its special tokens."""
        return np.array([*self.prefix, *self.inside(index).tolist(), *self.suffix], dtype=np.int64)

    def inside(self, index: int) -> NDArray[np.int32]:
        """(T,) a sequence without the special tokens around it."""
        return self.ids[index * self.room : (index + 1) * self.room]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(N,) tokens of each sequence, special tokens included."""
        around = len(self.prefix) + len(self.suffix)
        return np.diff(np.append(np.arange(0, len(self.ids), self.room), len(self.ids))) + around


def pack(tokens: Tokens, *, separator: int | None, length: int) -> Packed:
    """Put texts end to end.

    Args:
        tokens: of the texts.
        separator: token between two texts; None where the tokenizer has none.
        length: tokens of a sequence, special tokens included.

    Returns:
        Sequences that together hold every token of every text, in order.
    """
    ends = tokens.offsets[1:][np.diff(tokens.offsets) > 0][:-1]
    ids = tokens.ids if separator is None else np.insert(tokens.ids, ends, separator)
    room = length - len(tokens.prefix) - len(tokens.suffix)
    return Packed(ids.astype(np.int32), tokens.prefix, tokens.suffix, room)


def sequences_with_targets(packed: Packed, non_special: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Sequences in which there is something to be found.

    Args:
        packed: N sequences.
        non_special: (V,) which ids are words or parts of words, not special tokens.

    Returns:
        Ascending numbers below N.
    """
    if not len(packed.ids):
        return np.empty(0, dtype=np.int64)
    counts = np.add.reduceat(non_special[packed.ids].astype(np.int64), np.arange(0, len(packed.ids), packed.room))
    return np.flatnonzero(counts)


def split_validation(
    packed: Packed, rows: NDArray[np.int64], *, share: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Set a share of the sequences aside, by the hash of what stands in them; equal ones stay on one side.

    Args:
        packed: the sequences.
        rows: which of them.
        share: to be set aside; at least one is.

    Returns:
        The rows that stay and those set aside, both ascending.
    """
    digests = [hashlib.sha256(packed.inside(int(row)).tobytes()).digest() for row in rows]
    if not digests:
        return rows, rows
    last = sorted(digests)[max(1, round(share * len(digests))) - 1]
    is_aside = np.array([digest <= last for digest in digests])
    return rows[~is_aside], rows[is_aside]


class EpochSampler(UpdateSampler):
    """Tells the data set which epoch it is: row r of N becomes ``epoch * N + r``, which worker processes see too."""

    def __iter__(self) -> Iterator[list[int]]:
        begin = self.epoch * len(self.lengths)
        for update in super().__iter__():
            yield [begin + row for row in update]


@dataclass(frozen=True)
class Sequences(Dataset[tuple[NDArray[np.int64], NDArray[np.int64]]]):
    """What the model reads and what is to be found, in N sequences of a training, anew each epoch.

    Args:
        packed: the sequences.
        rows: (N,) which of them.
        labeler: what is to be found.
        key: what its key begins with; epoch and number follow.
    """

    packed: Packed
    rows: NDArray[np.int64]
    labeler: Labeler
    key: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        epoch, place = divmod(index, len(self.rows))
        row = int(self.rows[place])
        return self.labeler(self.packed[row], (*self.key, epoch, row))


@dataclass(frozen=True)
class SequenceCollator:
    """Sequences to tensors; a class, since worker processes need to pickle it.

    Args:
        pad_id: id of the padding token.
    """

    pad_id: int

    def __call__(self, rows: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]]) -> dict[str, Tensor]:
        """``input_ids``, ``attention_mask`` and ``labels``, each (B, T), padded on the right."""
        batch = collate([[read.tolist()] for read, _ in rows], pad_id=self.pad_id)
        batch["labels"] = torch.full_like(batch["input_ids"], IGNORED)
        for row, (_, labels) in enumerate(rows):
            batch["labels"][row, : len(labels)] = torch.from_numpy(labels)
        return batch


def sequence_loader(sequences: Sequences, *, sampler: EpochSampler, pad_id: int, workers: int = 0) -> UpdateLoader:
    """Loader of updates.

    Args:
        sequences: N of them.
        sampler: over the same N.
        pad_id: id of the padding token.
        workers: processes that prepare batches.

    Returns:
        A loader whose batches hold what `collate` gives, and ``labels`` (B, T).
    """
    return build_loader(sequences, sampler, SequenceCollator(pad_id), workers=workers)
