"""Tokens to updates, updates to forward passes.

One batch of `UpdateLoader` is one update of the weights. `cheapest_cut` says which of its rows go through the model
together; nothing is ever padded further than to the longest text of its forward pass.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from slugline.data.tokens import Tokens

#: Updates whose rows are sorted by length together. More means less padding and less shuffling.
WINDOW, SMALLEST_WINDOW = 32, 4


def cut(lengths: Sequence[int] | NDArray[np.int64], *, rows: int, tokens: int) -> list[slice]:
    """Cut consecutive texts into forward passes.

    Args:
        lengths: (N,) tokens of each text, in the order in which they are taken.
        rows: most texts in one pass.
        tokens: most padded tokens in one pass: texts times the longest. A single text may exceed it.

    Returns:
        Slices that cover all N texts in order.
    """
    slices: list[slice] = []
    start, longest = 0, 0
    for index, length in enumerate(lengths):
        grown = max(longest, int(length))
        if index > start and (index - start >= rows or (index - start + 1) * grown > tokens):
            slices.append(slice(start, index))
            start, grown = index, int(length)
        longest = grown
    if len(lengths):
        slices.append(slice(start, len(lengths)))
    return slices


def cheapest_cut(lengths: Sequence[int], *, rows: int, tokens: int, overhead: int) -> list[slice]:
    """Cut consecutive texts into the forward passes that cost least: padded tokens, and something for each pass.

    Where a pass costs little besides its tokens, as on a CPU, texts of different lengths are better kept apart.

    Args:
        lengths: (N,) tokens of each text, ascending or descending for the best result.
        rows: most texts in one pass.
        tokens: most padded tokens in one pass. A single text may exceed it.
        overhead: tokens that a pass costs besides its own.

    Returns:
        Slices that cover all N texts in order.
    """
    # cost[end]: of the cheapest cut of the first `end` texts; begin[end]: where its last pass begins.
    cost, begin = [0.0] + [math.inf] * len(lengths), [0] * (len(lengths) + 1)
    for end in range(1, len(lengths) + 1):
        longest = 0
        for start in range(end - 1, -1, -1):
            longest, count = max(longest, lengths[start]), end - start
            if count > 1 and (count > rows or count * longest > tokens):
                break
            if cost[start] + count * longest + overhead < cost[end]:
                cost[end], begin[end] = cost[start] + count * longest + overhead, start
    slices, end = [], len(lengths)
    while end:
        slices.append(slice(begin[end], end))
        end = begin[end]
    return slices[::-1]


def by_length(lengths: NDArray[np.int64], *, rows: int, tokens: int) -> list[NDArray[np.int64]]:
    """Forward passes over texts in any order, longest first, so that memory runs out at once or never.

    Args:
        lengths: (N,) tokens of each text.
        rows: most texts in one pass.
        tokens: most padded tokens in one pass.

    Returns:
        Index arrays that cover all N texts.
    """
    order = np.argsort(-lengths, kind="stable")
    return [order[part] for part in cut(lengths[order], rows=rows, tokens=tokens)]


def collate(rows: Sequence[Sequence[int]], *, pad_id: int) -> dict[str, Tensor]:
    """Pad on the right to the longest.

    Args:
        rows: B lists of token ids.
        pad_id: id of the padding token.

    Returns:
        ``input_ids`` and ``attention_mask``, int64 (B, T), T the longest row.
    """
    longest = max(map(len, rows))
    ids = torch.full((len(rows), longest), pad_id, dtype=torch.int64)
    mask = torch.zeros((len(rows), longest), dtype=torch.int64)
    for index, row in enumerate(rows):
        ids[index, : len(row)] = torch.tensor(row, dtype=torch.int64)
        mask[index, : len(row)] = 1
    return {"input_ids": ids, "attention_mask": mask}


def split(batch: Mapping[str, Tensor], *, rows: int, tokens: int, overhead: int) -> list[dict[str, Tensor]]:
    """Cut an update into forward passes, each no wider than its longest text.

    Args:
        batch: ``input_ids`` and ``attention_mask`` (B, T), padded on the right, and ``labels`` (B, ...).
        rows: most texts in one pass.
        tokens: most padded tokens in one pass.
        overhead: tokens that a pass costs besides its own.

    Returns:
        Parts with the same keys that cover the B rows in order.
    """
    lengths = batch["attention_mask"].sum(dim=1).tolist()
    parts = []
    for part in cheapest_cut(lengths, rows=rows, tokens=tokens, overhead=overhead):
        width = max(lengths[part])
        parts.append({key: value[part] if key == "labels" else value[part, :width] for key, value in batch.items()})
    return parts


class UpdateSampler(Sampler[list[int]]):
    """The rows of each update: shuffled, then grouped by length within windows. A pure function of (seed, epoch).

    Args:
        lengths: (N,) tokens of each text.
        size: rows of an update over all ranks.
        seed: of the order.
        rank: of this process.
        world: number of processes; each takes its share of every update.
    """

    def __init__(self, lengths: NDArray[np.int64], *, size: int, seed: int, rank: int = 0, world: int = 1) -> None:
        self.lengths, self.size, self.seed, self.rank, self.world = lengths, size, seed, rank, world
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of ``epoch``."""
        self.epoch = epoch

    def __len__(self) -> int:
        whole, rest = divmod(len(self.lengths), self.size)
        return max(1, whole + (rest >= self.world))

    def __iter__(self) -> Iterator[list[int]]:
        rng = np.random.default_rng([self.seed, self.epoch])
        order = rng.permutation(len(self.lengths))
        for window in self._windows(order):
            by_length = window[np.argsort(self.lengths[window], kind="stable")]
            updates = self._updates(by_length)
            for index in rng.permutation(len(updates)):
                yield updates[index][self.rank :: self.world].tolist()

    def _windows(self, order: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """Windows of whole updates; small sets get smaller ones, or every epoch would group the same rows."""
        return self._pieces(order, self.size * min(WINDOW, max(SMALLEST_WINDOW, len(self) // 8)))

    def _updates(self, rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        return self._pieces(rows, self.size)

    def _pieces(self, rows: NDArray[np.int64], width: int) -> list[NDArray[np.int64]]:
        """Pieces of ``width`` rows."""
        pieces = [rows[start : start + width] for start in range(0, len(rows), width)]
        # Fewer rows than ranks would leave a rank without work: the piece before takes them.
        if len(pieces) > 1 and len(pieces[-1]) < self.world:
            last = pieces.pop()
            pieces[-1] = np.concatenate([pieces[-1], last])
        return pieces


class UpdateLoader(DataLoader[Any]):
    """One batch is one update: padded to its longest text, rows by ascending length."""

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of ``epoch``; called by ``Trainer``."""
        assert isinstance(self.batch_sampler, UpdateSampler)
        self.batch_sampler.set_epoch(epoch)


class _Rows(Dataset[tuple[list[int], int]]):
    """Token ids and label of each row."""

    def __init__(self, tokens: Tokens, targets: NDArray[np.int64]) -> None:
        self.tokens, self.targets = tokens, targets

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, index: int) -> tuple[list[int], int]:
        return self.tokens[index], int(self.targets[index])


@dataclass(frozen=True)
class _Collator:
    """Rows of an update to tensors; a class, since worker processes need to pickle it."""

    pad_id: int

    def __call__(self, rows: Sequence[tuple[list[int], int]]) -> dict[str, Tensor]:
        batch = collate([ids for ids, _ in rows], pad_id=self.pad_id)
        batch["labels"] = torch.tensor([label for _, label in rows], dtype=torch.int64)
        return batch


def update_loader(
    tokens: Tokens, targets: NDArray[np.int64], *, sampler: UpdateSampler, pad_id: int, workers: int = 0
) -> UpdateLoader:
    """Loader of updates.

    Args:
        tokens: N tokenised texts.
        targets: (N,) class indices.
        sampler: over the same N rows.
        pad_id: id of the padding token.
        workers: processes that prepare batches.

    Returns:
        A loader whose batches hold ``input_ids``, ``attention_mask`` (B, T) and ``labels`` (B,).
    """
    return UpdateLoader(
        _Rows(tokens, targets),
        batch_sampler=sampler,
        collate_fn=_Collator(pad_id),
        num_workers=workers,
        # Its own generator: the global random state belongs to dropout, and to exact resumption.
        generator=torch.Generator(),
        persistent_workers=workers > 0,
    )
