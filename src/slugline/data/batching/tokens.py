"""Texts to tokens. Each text is tokenised once, in full and without special tokens, and the tokens are cached.

`Truncation` is applied when tokens are read from the cache, so that one cache serves every `max_length` and policy, and
the share of truncated texts is known.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from slugline.core.errors import ModelError
from slugline.core.progress import track
from slugline.core.storage import cache_dir, replacing

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from slugline.recipe.data_section import DataSection

#: Texts in one call of the tokenizer, which processes them in parallel.
TOKENISE_AT_ONCE = 4_096

#: Number of the rules by which `_encode` reads texts; a change makes cached tokens invalid.
RULES = 2

#: Quantiles of the lengths of texts in ``data.json``.
QUANTILES = (0.0, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0)

#: Share of the tokens that ``head_tail`` takes from the beginning of a text (Sun et al. 2019: 128 of 510 tokens).
HEAD_SHARE = 0.25


@dataclass(frozen=True)
class Truncation:
    """Division of texts that are longer than `max_length`.

    Args:
        max_length: maximum number of tokens of a piece, special tokens included.
        policy: ``head`` or ``tail`` keeps the beginning or the end of a text; ``head_tail`` takes a quarter from the
            beginning and the rest from the end; ``window`` divides the text into overlapping pieces.
        stride: number of tokens that neighbouring windows share.
        max_windows: maximum number of windows of a text, from its beginning.
    """

    max_length: int
    policy: Literal["head", "tail", "head_tail", "window"] = "head"
    stride: int = 0
    max_windows: int = 1

    def limited_to(self, longest: int | None) -> Truncation:
        """Return the truncation for a model that reads at most ``longest`` tokens at once; None = there is no limit."""
        return self if longest is None else replace(self, max_length=min(self.max_length, longest))

    def pieces(self, lengths: NDArray[np.int64], capacity: int) -> NDArray[np.int64]:
        """Return the number of pieces of texts.

        Args:
            lengths: (N,) number of tokens of each text, without special tokens.
            capacity: maximum number of tokens of a piece, without special tokens.

        Returns:
            (N,) number of pieces of each text, at least 1.
        """
        if self.policy != "window":
            return np.ones_like(lengths)
        step = capacity - self.stride
        return np.clip(-(-(lengths - self.stride) // step), 1, self.max_windows)

    def cut(self, ids: NDArray[np.int32], capacity: int) -> list[list[int]]:
        """Divide one text into pieces.

        Args:
            ids: tokens of the text, without special tokens.
            capacity: maximum number of tokens of a piece, without special tokens.

        Returns:
            At least one list of at most ``capacity`` tokens.
        """
        if self.policy == "window":
            count, step = int(self.pieces(np.array([len(ids)]), capacity)[0]), capacity - self.stride
            return [ids[start : start + capacity].tolist() for start in range(0, count * step, step)]
        if len(ids) <= capacity or self.policy == "head":
            return [ids[:capacity].tolist()]
        head = round(HEAD_SHARE * capacity) if self.policy == "head_tail" else 0
        return [ids[:head].tolist() + ids[len(ids) - (capacity - head) :].tolist()]


def truncation_of(section: DataSection) -> Truncation:
    """Return the truncation that a recipe configures."""
    return Truncation(section.max_length, section.long_texts, section.stride, section.max_windows)


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
    def truncated(self) -> NDArray[np.bool_]:
        """(N,) True for texts of which some tokens are in no piece."""
        covered = self.capacity + (self.pieces - 1) * (self.capacity - self.truncation.stride)
        return np.asarray(np.diff(self.offsets) > covered)

    @property
    def truncated_share(self) -> float:
        """Share of the texts of which some tokens are in no piece."""
        return float(self.truncated.mean()) if len(self) else 0.0

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


def special_tokens(tokenizer: PreTrainedTokenizerBase) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the special tokens that a tokenizer adds to a single text, found by tokenising a short text.

    Args:
        tokenizer: tokenizer of the model.

    Returns:
        Ids before the text, and ids after it; both empty for GPT-2.

    Raises:
        ModelError: the tokenizer splits the text differently when it adds special tokens.
    """
    plain = tokenizer("a", add_special_tokens=False)["input_ids"]
    with_special = tokenizer("a")["input_ids"]
    for start in range(len(with_special) - len(plain) + 1):
        if with_special[start : start + len(plain)] == plain:
            return tuple(with_special[:start]), tuple(with_special[start + len(plain) :])
    raise ModelError(f"{type(tokenizer).__name__} changes the text itself when it adds special tokens.")


def tokenizer_fingerprint(tokenizer: PreTrainedTokenizerBase) -> str:
    """Return a hash of everything that determines the tokens of a text."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    settings = json.loads(backend.to_str()) if backend else tokenizer.get_vocab() | tokenizer.init_kwargs
    # The backend's truncation and padding are not used.
    for key in ("truncation", "padding"):
        settings.pop(key, None)
    text = json.dumps([type(tokenizer).__name__, settings], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
