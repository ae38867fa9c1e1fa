"""Tokens to updates, updates to forward passes.

One batch of `UpdateLoader` is one update of the weights. `cheapest_batches` says which of its rows go through the model
together; nothing is ever padded further than to the longest text of its forward pass.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from slugline.data.batching.tokens import Tokens

#: Updates whose rows are sorted by length together. More means less padding and less shuffling.
WINDOW, SMALLEST_WINDOW = 32, 4


def cut(lengths: Sequence[int], pieces: Sequence[int], *, rows: int, tokens: int) -> list[slice]:
    """Cut consecutive texts into forward passes.

    Args:
        lengths: (N,) tokens of each text's longest piece, in the order in which they are taken.
        pieces: (N,) pieces of each text; they stay together.
        rows: most pieces in one pass.
        tokens: most padded tokens in one pass: pieces times the longest. A single text may exceed both.

    Returns:
        Slices that cover all N texts in order.
    """
    slices: list[slice] = []
    start, longest, count = 0, 0, 0
    for index, (length, some) in enumerate(zip(lengths, pieces, strict=True)):
        longest, count = max(longest, length), count + some
        if index > start and (count > rows or count * longest > tokens):
            slices.append(slice(start, index))
            start, longest, count = index, length, some
    if lengths:
        slices.append(slice(start, len(lengths)))
    return slices


def cheapest_batches(
    lengths: Sequence[int], pieces: Sequence[int], *, rows: int, tokens: int, overhead: int
) -> list[slice]:
    """Cut consecutive texts into the forward passes that cost least: padded tokens, and something for each pass.

    Where a pass costs little besides its tokens, as on a CPU, texts of different lengths are better kept apart.

    Args:
        lengths: (N,) tokens of each text's longest piece, ascending or descending for the best result.
        pieces: (N,) pieces of each text; they stay together.
        rows: most pieces in one pass.
        tokens: most padded tokens in one pass. A single text may exceed both.
        overhead: tokens that a pass costs besides its own.

    Returns:
        Slices that cover all N texts in order.
    """
    # cost[end]: of the cheapest cut of the first `end` texts; begin[end]: where its last pass begins.
    cost, begin = [0.0] + [math.inf] * len(lengths), [0] * (len(lengths) + 1)
    for end in range(1, len(lengths) + 1):
        longest = count = 0
        for start in range(end - 1, -1, -1):
            longest, count = max(longest, lengths[start]), count + pieces[start]
            if end - start > 1 and (count > rows or count * longest > tokens):
                break
            if cost[start] + count * longest + overhead < cost[end]:
                cost[end], begin[end] = cost[start] + count * longest + overhead, start
    slices, end = [], len(lengths)
    while end:
        slices.append(slice(begin[end], end))
        end = begin[end]
    return slices[::-1]


def batches_by_length(tokens: Tokens, *, rows: int, budget: int) -> list[NDArray[np.int64]]:
    """Forward passes over texts in any order, longest first, so that memory runs out at once or never.

    Args:
        tokens: N tokenised texts.
        rows: most pieces in one pass.
        budget: most padded tokens in one pass.

    Returns:
        Index arrays that cover all N texts.
    """
    order = np.argsort(-tokens.lengths, kind="stable")
    passes = cut(tokens.lengths[order].tolist(), tokens.pieces[order].tolist(), rows=rows, tokens=budget)
    return [order[part] for part in passes]


def collate(texts: Sequence[Sequence[Sequence[int]]], *, pad_id: int) -> dict[str, Tensor]:
    """Pad on the right to the longest piece.

    Args:
        texts: B texts, each a list of pieces, each a list of token ids.
        pad_id: id of the padding token.

    Returns:
        ``input_ids`` and ``attention_mask``, int64 (P, T), T the longest of the P pieces; and, only where a text has
        several pieces, ``window_of`` (P,): the text below B that each piece belongs to.
    """
    pieces = [piece for text in texts for piece in text]
    longest = max(map(len, pieces))
    ids = torch.full((len(pieces), longest), pad_id, dtype=torch.int64)
    mask = torch.zeros((len(pieces), longest), dtype=torch.int64)
    for index, piece in enumerate(pieces):
        ids[index, : len(piece)] = torch.tensor(piece, dtype=torch.int64)
        mask[index, : len(piece)] = 1
    batch = {"input_ids": ids, "attention_mask": mask}
    if len(pieces) > len(texts):
        batch["window_of"] = torch.tensor([index for index, text in enumerate(texts) for _ in text])
    return batch


def split(batch: Mapping[str, Tensor], *, rows: int, tokens: int, overhead: int) -> list[dict[str, Tensor]]:
    """Cut an update into forward passes, each no wider than its longest text.

    Args:
        batch: ``input_ids`` and ``attention_mask`` (P, T), padded on the right, ``labels`` (B, ...), and ``window_of``
            (P,) where a text has several pieces.
        rows: most pieces in one pass.
        tokens: most padded tokens in one pass.
        overhead: tokens that a pass costs besides its own.

    Returns:
        Parts with the same keys that cover the B texts in order.
    """
    count = len(batch["labels"])
    owners = batch["window_of"].tolist() if "window_of" in batch else range(count)
    lengths, pieces = [0] * count, [0] * count
    for owner, length in zip(owners, batch["attention_mask"].sum(dim=1).tolist(), strict=True):
        lengths[owner], pieces[owner] = max(lengths[owner], length), pieces[owner] + 1
    begins = [0, *accumulate(pieces)]
    parts = []
    for part in cheapest_batches(lengths, pieces, rows=rows, tokens=tokens, overhead=overhead):
        own, width = slice(begins[part.start], begins[part.stop]), max(lengths[part])
        cut_part = {key: value[own, :width] for key, value in batch.items() if key not in ("labels", "window_of")}
        if "window_of" in batch:
            cut_part["window_of"] = batch["window_of"][own] - part.start
        parts.append(cut_part | {"labels": batch["labels"][part]})
    return parts


class UpdateSampler(Sampler[list[int]]):
    """The rows of each update: shuffled, then grouped by length within windows. A pure function of (seed, epoch).

    Args:
        lengths: (N,) tokens of each text, those of all its pieces together.
        size: rows of an update over all ranks.
        seed: of the order.
        weights: (N,) how often rows are drawn, with replacement, N of them an epoch; None = each of them once.
        rank: of this process.
        world: number of processes; each takes its share of every update.
    """

    def __init__(
        self,
        lengths: NDArray[np.int64],
        *,
        size: int,
        seed: int,
        weights: NDArray[np.float64] | None = None,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.lengths, self.size, self.seed, self.rank, self.world = lengths, size, seed, rank, world
        self.shares = None if weights is None else weights / weights.sum()
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of ``epoch``."""
        self.epoch = epoch

    def __len__(self) -> int:
        whole, rest = divmod(len(self.lengths), self.size)
        return max(1, whole + (rest >= self.world))

    def __iter__(self) -> Iterator[list[int]]:
        rng = np.random.default_rng([self.seed, self.epoch])
        count = len(self.lengths)
        order = rng.permutation(count) if self.shares is None else rng.choice(count, count, p=self.shares)
        for window in self._windows(order):
            batches_by_length = window[np.argsort(self.lengths[window], kind="stable")]
            updates = self._updates(batches_by_length)
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


#: The pieces of a text, as token ids, and its label.
Item = tuple[list[list[int]], int]


class _Rows(Dataset[Item]):
    """Pieces and label of each row."""

    def __init__(self, tokens: Tokens, targets: NDArray[np.int64]) -> None:
        self.tokens, self.targets = tokens, targets

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, index: int) -> Item:
        return self.tokens[index], int(self.targets[index])


@dataclass(frozen=True)
class _Collator:
    """Rows of an update to tensors; a class, since worker processes need to pickle it."""

    pad_id: int

    def __call__(self, rows: Sequence[Item]) -> dict[str, Tensor]:
        batch = collate([pieces for pieces, _ in rows], pad_id=self.pad_id)
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
        A loader whose batches hold what `collate` gives, and ``labels`` (B,).
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
