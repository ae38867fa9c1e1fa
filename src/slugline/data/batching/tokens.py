"""Texts to tokens. Each text is tokenised once, in full and without special tokens, and the tokens are cached.

`Truncation` is applied when tokens are read from the cache, so that one cache serves every `max_length` and policy, and
the share of truncated texts is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from slugline.core.errors import ModelError
from slugline.data.batching.token_arrays import TokenArrays
from slugline.data.batching.token_cache import cached_tokens, tokens_in_memory
from slugline.data.batching.tokenizer_properties import special_tokens
from slugline.data.batching.truncation import Truncation

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

#: Quantiles of the lengths of texts in ``data.json``.
QUANTILES = (0.0, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0)


@dataclass(frozen=True)
class Tokens:
    """Tokenised texts. Each item is a text as a list of pieces, with special tokens.

    Args:
        arrays: tokens of the N texts, without special tokens.
        prefix: special tokens before a piece.
        suffix: special tokens after a piece.
        truncation: division of texts longer than `max_length`.
    """

    arrays: TokenArrays
    prefix: tuple[int, ...]
    suffix: tuple[int, ...]
    truncation: Truncation

    def __len__(self) -> int:
        return len(self.arrays)

    def __getitem__(self, index: int) -> list[list[int]]:
        pieces = self.truncation.cut(self.arrays[index], self.capacity)
        return [[*self.prefix, *piece, *self.suffix] for piece in pieces]

    @property
    def capacity(self) -> int:
        """Maximum tokens of a piece, without special tokens."""
        return self.truncation.max_length - len(self.prefix) - len(self.suffix)

    @cached_property
    def full_lengths(self) -> NDArray[np.int64]:
        """(N,) tokens of each text with special tokens, before truncation."""
        return self.arrays.lengths + len(self.prefix) + len(self.suffix)

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """(N,) tokens of each text's longest piece."""
        return np.minimum(self.full_lengths, self.truncation.max_length)

    @cached_property
    def pieces(self) -> NDArray[np.int64]:
        """(N,) pieces of each text; 1 unless the policy is ``window``."""
        return self.truncation.pieces(self.arrays.lengths, self.capacity)

    @cached_property
    def read_lengths(self) -> NDArray[np.int64]:
        """(N,) tokens of each text's pieces; shared tokens and special tokens are counted in every window."""
        before, step = self.pieces - 1, self.capacity - self.truncation.stride
        last = np.minimum(self.arrays.lengths - before * step, self.capacity) + len(self.prefix) + len(self.suffix)
        return np.asarray(before * self.truncation.max_length + last)

    @property
    def truncated_share(self) -> float:
        """Share of the texts of which some tokens are in no piece."""
        covered = self.capacity + (self.pieces - 1) * (self.capacity - self.truncation.stride)
        return float((self.arrays.lengths > covered).mean()) if len(self) else 0.0

    def length_statistics(self) -> dict[str, Any]:
        """Return quantiles of the full lengths in tokens, and the truncated share, for ``data.json``."""
        quantiles = np.quantile(self.full_lengths, QUANTILES) if len(self) else np.empty(0)
        return {
            "length_quantiles": {f"{q:g}": round(float(v)) for q, v in zip(QUANTILES, quantiles, strict=False)},
            "truncated_share": self.truncated_share,
            "mean_pieces": round(float(self.pieces.mean()), 3) if len(self) else 0.0,
        }


def tokenise(
    texts: Sequence[str], tokenizer: PreTrainedTokenizerBase, truncation: Truncation, *, cached: bool = False
) -> Tokens:
    """Tokenise texts, in parallel if the tokenizer supports it, and cache the tokens on disk if desired.

    Args:
        texts: N cleaned texts; a column of a data set is read batch by batch.
        tokenizer: tokenizer of the model.
        truncation: division of texts longer than `max_length`.
        cached: read the tokens from the cache, and add the texts that it lacks.

    Returns:
        The N texts as tokens.

    Raises:
        ModelError: `max_length` leaves no tokens for the text beside the special tokens, or `stride` is too large.
    """
    prefix, suffix = special_tokens(tokenizer)
    n_special = len(prefix) + len(suffix)
    if truncation.max_length <= n_special:
        raise ModelError(
            f"data.max_length = {truncation.max_length} leaves no tokens for the text beside "
            f"{n_special} special tokens.",
            hint="Choose a larger data.max_length.",
        )
    capacity = truncation.max_length - n_special
    if truncation.policy == "window" and truncation.stride >= capacity:
        raise ModelError(
            f"data.stride = {truncation.stride}: windows of {truncation.max_length} tokens, {n_special} of them "
            f"special, can share at most {capacity - 1}.",
            hint="Choose a smaller data.stride, for example a quarter of data.max_length.",
        )
    arrays = cached_tokens(texts, tokenizer) if cached else tokens_in_memory(texts, tokenizer)
    return Tokens(arrays, prefix, suffix, truncation)
