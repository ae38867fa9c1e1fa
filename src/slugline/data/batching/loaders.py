"""Torch loaders of updates, and the division of an update into forward passes.

One batch of `UpdateLoader` is one update of the weights. Nothing is padded beyond the longest text of its forward pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from slugline.core.labels import Targets
from slugline.data.batching.ordering import RowOrder, each_row_once
from slugline.data.batching.planning import BatchLimits, cheapest_batches, pad
from slugline.data.batching.tokens import Tokens

#: Number of updates whose rows are sorted by length together. A larger number reduces padding and also randomness.
SORTED_UPDATES, FEWEST_SORTED_UPDATES = 32, 4


def collate(texts: Sequence[Sequence[Sequence[int]]], *, pad_id: int) -> dict[str, Tensor]:
    """Return what `pad` returns, as tensors."""
    return {name: torch.from_numpy(array) for name, array in pad(texts, pad_id=pad_id).items()}


def split_update(batch: Mapping[str, Tensor], *, limits: BatchLimits, overhead: int) -> list[dict[str, Tensor]]:
    """Divide an update into forward passes, each no wider than its longest text.

    Args:
        batch: ``input_ids`` and ``attention_mask`` (P, T), padded on the right, ``labels`` (B, ...), and ``window_of``
            (P,) if a text has several pieces.
        limits: limits of one forward pass.
        overhead: constant cost of a pass, in tokens.

    Returns:
        Batches with the same keys that cover the B texts in order.
    """
    count = len(batch["labels"])
    owners = batch["window_of"].tolist() if "window_of" in batch else range(count)
    lengths, pieces = [0] * count, [0] * count
    for owner, length in zip(owners, batch["attention_mask"].sum(dim=1).tolist(), strict=True):
        lengths[owner], pieces[owner] = max(lengths[owner], length), pieces[owner] + 1
    first_piece = [0, *accumulate(pieces)]
    passes = []
    for texts in cheapest_batches(lengths, pieces, limits=limits, overhead=overhead):
        own, width = slice(first_piece[texts.start], first_piece[texts.stop]), max(lengths[texts])
        part = {key: value[own, :width] for key, value in batch.items() if key not in ("labels", "window_of")}
        if "window_of" in batch:
            part["window_of"] = batch["window_of"][own] - texts.start
        passes.append(part | {"labels": batch["labels"][texts]})
    return passes


class UpdateSampler(Sampler[list[int]]):
    """The rows of each update: in the order of the epoch, then sorted by length within groups of updates.

    Both depend only on the seed and the epoch.

    Args:
        lengths: (N,) number of tokens of each text, summed over its pieces.
        size: number of rows of an update over all ranks.
        seed: seed of the order.
        order: order of the rows in each epoch; None = each row once, shuffled.
        rank: rank of this process.
        world: number of processes; each takes its share of every update.
    """

    def __init__(
        self,
        lengths: NDArray[np.int64],
        *,
        size: int,
        seed: int,
        order: RowOrder | None = None,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.lengths, self.size, self.seed, self.rank, self.world = lengths, size, seed, rank, world
        self.order = order or each_row_once(len(lengths))
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of ``epoch``."""
        self.epoch = epoch

    def __len__(self) -> int:
        full, rest = divmod(len(self.lengths), self.size)
        return max(1, full + (rest >= self.world))

    def __iter__(self) -> Iterator[list[int]]:
        rng = np.random.default_rng([self.seed, self.epoch])
        for group in self._groups(self.order(rng, self.epoch)):
            by_length = group[np.argsort(self.lengths[group], kind="stable")]
            updates = self._chunks(by_length, self.size)
            for index in rng.permutation(len(updates)):
                yield updates[index][self.rank :: self.world].tolist()

    def _groups(self, order: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """Groups of full updates; smaller for small sets, otherwise every epoch would sort the same rows together."""
        return self._chunks(order, self.size * min(SORTED_UPDATES, max(FEWEST_SORTED_UPDATES, len(self) // 8)))

    def _chunks(self, rows: NDArray[np.int64], width: int) -> list[NDArray[np.int64]]:
        """Chunks of ``width`` rows."""
        chunks = [rows[start : start + width] for start in range(0, len(rows), width)]
        # Some rank would get no rows if the last chunk had fewer rows than there are ranks.
        if len(chunks) > 1 and len(chunks[-1]) < self.world:
            last = chunks.pop()
            chunks[-1] = np.concatenate([chunks[-1], last])
        return chunks


class UpdateLoader(DataLoader[Any]):
    """A loader whose batches are updates: padded to the longest text, rows by ascending length."""

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of ``epoch``; called by ``Trainer``."""
        assert isinstance(self.batch_sampler, UpdateSampler)
        self.batch_sampler.set_epoch(epoch)


def build_loader(rows: Dataset[Any], sampler: UpdateSampler, collator: Any, *, workers: int = 0) -> UpdateLoader:
    """Build a loader of updates.

    Args:
        rows: data set of N rows.
        sampler: sampler over the same N rows.
        collator: callable that converts the rows of an update to tensors; picklable if there are workers.
        workers: number of processes that prepare batches.

    Returns:
        The loader.
    """
    return UpdateLoader(
        rows,
        batch_sampler=sampler,
        collate_fn=collator,
        num_workers=workers,
        # A separate generator, because drawing from the global random state would change dropout after resuming.
        generator=torch.Generator(),
        persistent_workers=workers > 0,
    )


def label_tensor(targets: Sequence[Any]) -> Tensor:
    """Return the targets of B rows as a tensor.

    Args:
        targets: rows of the targets of a label set.

    Returns:
        (B,) int64, or (B, K) bool in a ``multi`` set.
    """
    return torch.from_numpy(np.stack(targets))


#: The pieces of a text, as token ids, and its row of the targets.
Item = tuple[list[list[int]], Any]


class _Rows(Dataset[Item]):
    """Pieces and targets of each row."""

    def __init__(self, tokens: Tokens, targets: Targets) -> None:
        self.tokens, self.targets = tokens, targets

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, index: int) -> Item:
        return self.tokens[index], self.targets[index]


@dataclass(frozen=True)
class _Collator:
    """Rows of an update to tensors; a class, since worker processes need to pickle it."""

    pad_id: int

    def __call__(self, rows: Sequence[Item]) -> dict[str, Tensor]:
        batch = collate([pieces for pieces, _ in rows], pad_id=self.pad_id)
        batch["labels"] = label_tensor([targets for _, targets in rows])
        return batch


def update_loader(
    tokens: Tokens, targets: Targets, *, sampler: UpdateSampler, pad_id: int, workers: int = 0
) -> UpdateLoader:
    """Build a loader of tokenised texts with labels.

    Args:
        tokens: N tokenised texts.
        targets: (N,) class indices, or (N, K) bool in a ``multi`` set.
        sampler: sampler over the same N rows.
        pad_id: id of the padding token.
        workers: number of processes that prepare batches.

    Returns:
        A loader whose batches hold what `collate` returns, and ``labels`` from `label_tensor`.
    """
    return build_loader(_Rows(tokens, targets), sampler, _Collator(pad_id), workers=workers)
