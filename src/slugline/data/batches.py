"""Texts to tokens, tokens to updates, updates to forward passes.

Texts are tokenised once, whole and without special tokens, and cached; cutting to the maximum length happens on the
way out, so that one cache serves every `max_length` and the share of truncated texts is known. Nothing is ever padded
further than to the longest text of its forward pass.

One batch of `UpdateLoader` is one update of the weights. `cheapest_cut` says which of its rows go through the model
together.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from slugline.errors import ModelError
from slugline.progress import track
from slugline.storage import cache_dir, replacing

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

#: Texts handed to the tokenizer at a time; it works on them in parallel.
TOKENISE_AT_ONCE = 4_096

#: Updates whose rows are sorted by length together. More means less padding and less shuffling.
WINDOW, SMALLEST_WINDOW = 32, 4


#: Of the lengths of texts.
QUANTILES = (0.0, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0)


@dataclass(frozen=True)
class Tokens:
    """Tokenised texts: a sequence of token id lists, special tokens added, cut to `max_length`.

    Args:
        ids: (total,) int32, the tokens of all texts end to end, without special tokens.
        offsets: (N + 1,) int64, where each text begins.
        prefix: special tokens before a text.
        suffix: special tokens after a text.
        max_length: tokens of a text that are kept, special tokens included.
    """

    ids: NDArray[np.int32]
    offsets: NDArray[np.int64]
    prefix: tuple[int, ...]
    suffix: tuple[int, ...]
    max_length: int

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> list[int]:
        start, end = int(self.offsets[index]), int(self.offsets[index + 1])
        room = self.max_length - len(self.prefix) - len(self.suffix)
        return [*self.prefix, *self.ids[start : min(end, start + room)].tolist(), *self.suffix]

    @cached_property
    def full_lengths(self) -> NDArray[np.int64]:
        """(N,) tokens of each text with special tokens, before cutting."""
        return np.diff(self.offsets) + len(self.prefix) + len(self.suffix)

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """(N,) tokens of each text as the model reads it."""
        return np.minimum(self.full_lengths, self.max_length)

    @property
    def truncated_share(self) -> float:
        """Share of the texts that are longer than `max_length`."""
        return float((self.full_lengths > self.max_length).mean()) if len(self) else 0.0

    def facts(self) -> dict[str, Any]:
        """Quantiles of the full lengths in tokens, and the truncated share, for ``data.json``."""
        quantiles = np.quantile(self.full_lengths, QUANTILES) if len(self) else np.empty(0)
        return {
            "length_quantiles": {f"{q:g}": round(float(v)) for q, v in zip(QUANTILES, quantiles, strict=False)},
            "truncated_share": self.truncated_share,
        }


def tokenise(
    texts: Sequence[str], tokenizer: PreTrainedTokenizerBase, *, max_length: int, fingerprint: str = ""
) -> Tokens:
    """Tokenise texts, in parallel where the tokenizer can, and remember the result.

    Args:
        texts: N cleaned texts.
        tokenizer: of the model.
        max_length: tokens of a text that are kept, special tokens included.
        fingerprint: identifies the texts; empty = do not cache.

    Returns:
        The N texts as tokens.

    Raises:
        ModelError: `max_length` leaves no room beside the special tokens.
    """
    prefix, suffix = special_tokens(tokenizer)
    if max_length <= len(prefix) + len(suffix):
        raise ModelError(
            f"data.max_length = {max_length} leaves no room beside {len(prefix) + len(suffix)} special tokens.",
            mend="Choose a larger data.max_length.",
        )
    arrays = _remembered(texts, tokenizer, fingerprint) if fingerprint else _encode(texts, tokenizer)
    return Tokens(arrays["ids"], arrays["offsets"], prefix, suffix, max_length)


def _remembered(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase, fingerprint: str) -> dict[str, Any]:
    """Tokens from the cache, where they are put first if need be."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file, save_file

    key = hashlib.sha256(f"{fingerprint}\n{tokenizer_fingerprint(tokenizer)}".encode()).hexdigest()[:32]
    path = cache_dir() / "tokens" / f"{key}.safetensors"
    try:
        return dict(load_file(path))
    except (FileNotFoundError, SafetensorError):
        with track("tokenising", len(texts), unit="texts") as advance:
            arrays = _encode(texts, tokenizer, advance)
        with replacing(path) as temporary:
            save_file(arrays, temporary)
        return arrays


def _encode(
    texts: Sequence[str], tokenizer: PreTrainedTokenizerBase, advance: Callable[[int], None] = lambda _: None
) -> dict[str, NDArray[Any]]:
    pieces: list[NDArray[np.int32]] = []
    lengths: list[int] = []
    for start in range(0, len(texts), TOKENISE_AT_ONCE):
        some = list(texts[start : start + TOKENISE_AT_ONCE])
        encoded = tokenizer(some, add_special_tokens=False, return_attention_mask=False, verbose=False)["input_ids"]
        lengths += [len(row) for row in encoded]
        pieces.append(np.fromiter((token for row in encoded for token in row), np.int32, sum(map(len, encoded))))
        advance(len(some))
    ids = np.concatenate(pieces) if pieces else np.empty(0, np.int32)
    return {"ids": ids, "offsets": np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)}


def special_tokens(tokenizer: PreTrainedTokenizerBase) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """What a tokenizer puts before and after a single text, found by asking it.

    Args:
        tokenizer: of the model.

    Returns:
        Ids before, ids after; both empty for GPT-2.
    """
    bare = tokenizer("a", add_special_tokens=False)["input_ids"]
    whole = tokenizer("a")["input_ids"]
    for start in range(len(whole) - len(bare) + 1):
        if whole[start : start + len(bare)] == bare:
            return tuple(whole[:start]), tuple(whole[start + len(bare) :])
    raise ModelError(f"{type(tokenizer).__name__} changes the text itself when it adds special tokens.")


def tokenizer_fingerprint(tokenizer: PreTrainedTokenizerBase) -> str:
    """Hash of everything that decides how a tokenizer cuts a text."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    # A truncation or padding that somebody set on the backend does not matter here: neither is used.
    facts = json.loads(backend.to_str()) if backend else tokenizer.get_vocab() | tokenizer.init_kwargs
    for passing in ("truncation", "padding"):
        facts.pop(passing, None)
    written = json.dumps([type(tokenizer).__name__, facts], sort_keys=True, default=str)
    return hashlib.sha256(written.encode()).hexdigest()


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
