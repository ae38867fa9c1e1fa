"""Texts to tokens. Each text is tokenised once, in full and without special tokens, and the tokens are cached.

`Truncation` is applied when tokens are read from the cache, so that one cache serves every `max_length` and policy, and
the share of truncated texts is known.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from slugline.core.errors import ModelError
from slugline.core.progress import track
from slugline.core.storage import cache_dir, replacing
from slugline.data.batching.tokenizer_properties import special_tokens, tokenizer_fingerprint
from slugline.data.batching.truncation import Truncation

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

#: Texts in one call of the tokenizer, which processes them in parallel.
TOKENISE_AT_ONCE = 4_096

#: Number of the rules by which `_encode` reads texts; a change makes cached tokens invalid.
RULES = 2

#: Quantiles of the lengths of texts in ``data.json``.
QUANTILES = (0.0, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0)


@dataclass(frozen=True)
class Tokens:
    """Tokenised texts. Each item is a text as a list of pieces, with special tokens.

    Args:
        ids: (total,) int32, the tokens of all texts end to end, without special tokens.
        offsets: (N + 1,) int64, start of each text.
        prefix: special tokens before a piece.
        suffix: special tokens after a piece.
        truncation: division of texts longer than `max_length`.
    """

    ids: NDArray[np.int32]
    offsets: NDArray[np.int64]
    prefix: tuple[int, ...]
    suffix: tuple[int, ...]
    truncation: Truncation

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> list[list[int]]:
        ids = self.ids[int(self.offsets[index]) : int(self.offsets[index + 1])]
        return [[*self.prefix, *piece, *self.suffix] for piece in self.truncation.cut(ids, self.capacity)]

    @property
    def capacity(self) -> int:
        """Maximum tokens of a piece, without special tokens."""
        return self.truncation.max_length - len(self.prefix) - len(self.suffix)

    @cached_property
    def full_lengths(self) -> NDArray[np.int64]:
        """(N,) tokens of each text with special tokens, before truncation."""
        return np.diff(self.offsets) + len(self.prefix) + len(self.suffix)

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """(N,) tokens of each text's longest piece."""
        return np.minimum(self.full_lengths, self.truncation.max_length)

    @cached_property
    def pieces(self) -> NDArray[np.int64]:
        """(N,) pieces of each text; 1 unless the policy is ``window``."""
        return self.truncation.pieces(np.diff(self.offsets), self.capacity)

    @cached_property
    def read_lengths(self) -> NDArray[np.int64]:
        """(N,) tokens of each text's pieces; shared tokens and special tokens are counted in every window."""
        before, step = self.pieces - 1, self.capacity - self.truncation.stride
        last = np.minimum(np.diff(self.offsets) - before * step, self.capacity) + len(self.prefix) + len(self.suffix)
        return np.asarray(before * self.truncation.max_length + last)

    @property
    def truncated_share(self) -> float:
        """Share of the texts of which some tokens are in no piece."""
        covered = self.capacity + (self.pieces - 1) * (self.capacity - self.truncation.stride)
        return float((np.diff(self.offsets) > covered).mean()) if len(self) else 0.0

    def length_statistics(self) -> dict[str, Any]:
        """Return quantiles of the full lengths in tokens, and the truncated share, for ``data.json``."""
        quantiles = np.quantile(self.full_lengths, QUANTILES) if len(self) else np.empty(0)
        return {
            "length_quantiles": {f"{q:g}": round(float(v)) for q, v in zip(QUANTILES, quantiles, strict=False)},
            "truncated_share": self.truncated_share,
            "mean_pieces": round(float(self.pieces.mean()), 3) if len(self) else 0.0,
        }


def tokenise(
    texts: Sequence[str], tokenizer: PreTrainedTokenizerBase, truncation: Truncation, *, fingerprint: str = ""
) -> Tokens:
    """Tokenise texts, in parallel if the tokenizer supports it, and cache the tokens.

    Args:
        texts: N cleaned texts.
        tokenizer: tokenizer of the model.
        truncation: division of texts longer than `max_length`.
        fingerprint: identifier of the texts; empty = do not cache.

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
    arrays = _cached(texts, tokenizer, fingerprint) if fingerprint else _encode(texts, tokenizer)
    return Tokens(arrays["ids"], arrays["offsets"], prefix, suffix, truncation)


def _cached(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase, fingerprint: str) -> dict[str, Any]:
    """Tokens from the cache; texts that are not in the cache are tokenised and written to it."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file, save_file

    key = hashlib.sha256(f"{RULES}\n{fingerprint}\n{tokenizer_fingerprint(tokenizer)}".encode()).hexdigest()[:32]
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
    chunks: list[NDArray[np.int32]] = []
    lengths: list[int] = []
    empty_text = _empty_text_tokens(tokenizer)
    for start in range(0, len(texts), TOKENISE_AT_ONCE):
        chunk = list(texts[start : start + TOKENISE_AT_ONCE])
        encoded = [row or empty_text for row in _token_ids(chunk, tokenizer)]
        lengths += [len(row) for row in encoded]
        chunks.append(np.fromiter((token for row in encoded for token in row), np.int32, sum(map(len, encoded))))
        advance(len(chunk))
    ids = np.concatenate(chunks) if chunks else np.empty(0, np.int32)
    return {"ids": ids, "offsets": np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)}


def _token_ids(texts: list[str], tokenizer: PreTrainedTokenizerBase) -> list[list[int]]:
    """Ids of the tokens of each text; names of special tokens in a text, such as ``</s>``, are read as text."""
    options = {"add_special_tokens": False, "return_attention_mask": False, "verbose": False}
    encoded: list[list[int]] = tokenizer(texts, split_special_tokens=True, **options)["input_ids"]
    special = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
    affected = [index for index, row in enumerate(encoded) if not special.isdisjoint(row)]
    if not affected:
        return encoded
    # Vocabularies such as those of sentencepiece have the special tokens as words too.
    names = [str(name) for name in tokenizer.convert_ids_to_tokens(sorted(special))]
    broken = [_break_up(texts[index], names) for index in affected]
    for index, row in zip(affected, tokenizer(broken, split_special_tokens=True, **options)["input_ids"], strict=True):
        encoded[index] = [token for token in row if token not in special]
    return encoded


def _break_up(text: str, names: Sequence[str]) -> str:
    """The text with a blank after the first character of each name."""
    pattern = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    return re.sub(pattern, lambda found: f"{found[0][0]} {found[0][1:]}", text, flags=re.IGNORECASE)


def _empty_text_tokens(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Tokens of an empty text: none if the tokenizer adds special tokens, else its end-of-text token if it has one."""
    if any(special_tokens(tokenizer)):
        return []
    known = (tokenizer.eos_token_id, tokenizer.bos_token_id, tokenizer.unk_token_id, tokenizer.pad_token_id)
    return [next(token for token in known if token is not None)]
