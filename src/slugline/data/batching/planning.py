"""Planning of forward passes: which texts go through the model together, and their padded arrays.

A text consists of one or several pieces (windows), and the pieces of a text stay together. `BatchLimits` bounds the
size of a forward pass. Only numpy is needed; `slugline.data.batching.loaders` has the torch side.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slugline.data.batching.tokens import Tokens

#: A padded batch, as `pad` returns it.
Arrays = dict[str, NDArray[np.int64]]

#: A padded batch and its number of texts B to logits (B, K): one forward pass of any runtime.
BatchForward = Callable[[Mapping[str, NDArray[np.int64]], int], NDArray[np.float32]]


@dataclass(frozen=True)
class BatchLimits:
    """Upper bounds of one forward pass. A single text may exceed both.

    Args:
        max_pieces: maximum number of pieces.
        max_tokens: maximum number of padded tokens: pieces times the length of the longest.
    """

    max_pieces: int
    max_tokens: int

    def allow(self, n_pieces: int, longest: int) -> bool:
        """True if pieces of this number, padded to the longest, are within the limits."""
        return n_pieces <= self.max_pieces and n_pieces * longest <= self.max_tokens

    def halved(self) -> BatchLimits:
        """Half of both limits, at least 1."""
        return BatchLimits(max(1, self.max_pieces // 2), max(1, self.max_tokens // 2))

    def lowered_to(self, other: BatchLimits) -> BatchLimits:
        """The element-wise minimum of two limits."""
        return BatchLimits(min(self.max_pieces, other.max_pieces), min(self.max_tokens, other.max_tokens))


def greedy_batches(lengths: Sequence[int], pieces: Sequence[int], *, limits: BatchLimits) -> list[slice]:
    """Divide consecutive texts into forward passes, each as large as the limits allow.

    Args:
        lengths: (N,) number of tokens of each text's longest piece.
        pieces: (N,) number of pieces of each text.
        limits: limits of one forward pass.

    Returns:
        Slices that cover all N texts in order.
    """
    slices: list[slice] = []
    start, longest, count = 0, 0, 0
    for index, (length, n_pieces) in enumerate(zip(lengths, pieces, strict=True)):
        longest, count = max(longest, length), count + n_pieces
        if index > start and not limits.allow(count, longest):
            slices.append(slice(start, index))
            start, longest, count = index, length, n_pieces
    if lengths:
        slices.append(slice(start, len(lengths)))
    return slices


def cheapest_batches(
    lengths: Sequence[int], pieces: Sequence[int], *, limits: BatchLimits, overhead: int
) -> list[slice]:
    """Divide consecutive texts into the forward passes with the smallest total cost, by dynamic programming.

    The cost of a pass is its number of padded tokens plus a constant. With a small constant, as on a CPU, texts of
    different lengths go into different passes.

    Args:
        lengths: (N,) number of tokens of each text's longest piece; sorted lengths give the best result.
        pieces: (N,) number of pieces of each text.
        limits: limits of one forward pass.
        overhead: constant cost of a pass, in tokens.

    Returns:
        Slices that cover all N texts in order.
    """
    # cost[end]: smallest cost of the first `end` texts; begin[end]: first text of their last pass.
    cost, begin = [0.0] + [math.inf] * len(lengths), [0] * (len(lengths) + 1)
    for end in range(1, len(lengths) + 1):
        longest = count = 0
        for start in range(end - 1, -1, -1):
            longest, count = max(longest, lengths[start]), count + pieces[start]
            if end - start > 1 and not limits.allow(count, longest):
                break
            if cost[start] + count * longest + overhead < cost[end]:
                cost[end], begin[end] = cost[start] + count * longest + overhead, start
    slices, end = [], len(lengths)
    while end:
        slices.append(slice(begin[end], end))
        end = begin[end]
    return slices[::-1]


def batches_by_length(tokens: Tokens, *, limits: BatchLimits) -> list[NDArray[np.int64]]:
    """Divide texts into forward passes, the longest texts first, so that memory runs out in the first pass or never.

    Args:
        tokens: N tokenised texts.
        limits: limits of one forward pass.

    Returns:
        Index arrays that cover all N texts.
    """
    order = np.argsort(-tokens.lengths, kind="stable")
    passes = greedy_batches(tokens.lengths[order].tolist(), tokens.pieces[order].tolist(), limits=limits)
    return [order[part] for part in passes]


def pad(texts: Sequence[Sequence[Sequence[int]]], *, pad_id: int) -> Arrays:
    """Pad pieces on the right to the longest of them.

    Args:
        texts: B texts, each a list of pieces, each a list of token ids.
        pad_id: id of the padding token.

    Returns:
        ``input_ids`` and ``attention_mask``, int64 (P, T), where T is the length of the longest of the P pieces. If a
        text has several pieces, also ``window_of`` (P,): the text, below B, of each piece.
    """
    pieces = [piece for text in texts for piece in text]
    longest = max(map(len, pieces))
    ids = np.full((len(pieces), longest), pad_id, dtype=np.int64)
    mask = np.zeros((len(pieces), longest), dtype=np.int64)
    for index, piece in enumerate(pieces):
        ids[index, : len(piece)] = piece
        mask[index, : len(piece)] = 1
    batch = {"input_ids": ids, "attention_mask": mask}
    if len(pieces) > len(texts):
        batch["window_of"] = np.array([index for index, text in enumerate(texts) for _ in text], dtype=np.int64)
    return batch


def padded_batches(tokens: Tokens, *, pad_id: int, limits: BatchLimits) -> Iterator[tuple[NDArray[np.int64], Arrays]]:
    """Yield the forward passes over texts: the indices of their texts and their padded arrays.

    Args:
        tokens: N tokenised texts.
        pad_id: id of the padding token.
        limits: limits of one forward pass.

    Yields:
        (B,) indices below N, and what `pad` returns for these texts.
    """
    for indices in batches_by_length(tokens, limits=limits):
        yield indices, pad([tokens[index] for index in indices], pad_id=pad_id)


def batched_logits(
    forward: BatchForward, tokens: Tokens, *, n_labels: int, pad_id: int, limits: BatchLimits
) -> NDArray[np.float32]:
    """Run a model over texts in batches.

    Args:
        forward: function that runs one forward pass.
        tokens: N tokenised texts.
        n_labels: number of classes K.
        pad_id: id of the padding token.
        limits: limits of one forward pass.

    Returns:
        (N, K) logits in the order of the texts.
    """
    logits = np.zeros((len(tokens), n_labels), dtype=np.float32)
    for indices, batch in padded_batches(tokens, pad_id=pad_id, limits=limits):
        logits[indices] = forward(batch, len(indices))
    return logits
