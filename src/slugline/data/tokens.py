"""Texts to tokens: tokenised once, whole and without special tokens, and remembered.

Cutting to the maximum length happens on the way out, so that one cache serves every `max_length` and the share of
truncated texts is known.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from slugline.errors import ModelError
from slugline.progress import track
from slugline.storage import cache_dir, replacing

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

#: Texts handed to the tokenizer at a time; it works on them in parallel.
TOKENISE_AT_ONCE = 4_096


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
