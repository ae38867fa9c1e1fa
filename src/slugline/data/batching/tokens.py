"""Texts to tokens: tokenised once, whole and without special tokens, and remembered.

What of a long text is read is decided on the way out (`Truncation`), so that one cache serves every way of reading and the
share of truncated texts is known.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
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

#: Texts handed to the tokenizer at a time; it works on them in parallel.
TOKENISE_AT_ONCE = 4_096


#: Of the lengths of texts.
QUANTILES = (0.0, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0)


#: Share of the room that ``head_tail`` gives to the beginning of a text (Sun et al. 2019: 128 of 510 tokens).
HEAD_SHARE = 0.25


@dataclass(frozen=True)
class Truncation:
    """What a model reads of a text that is longer than it reads at a time.

    Args:
        max_length: tokens at a time, special tokens included.
        policy: ``head``, ``tail``, a quarter from the head and the rest from the tail, or ``window``: all of it, in
            windows.
        stride: tokens that neighbouring windows have in common.
        max_windows: windows of a text, from its beginning.
    """

    max_length: int
    policy: Literal["head", "tail", "head_tail", "window"] = "head"
    stride: int = 0
    max_windows: int = 1

    def pieces(self, lengths: NDArray[np.int64], room: int) -> NDArray[np.int64]:
        """How many pieces texts are read in.

        Args:
            lengths: (N,) tokens of each text, without special tokens.
            room: tokens of a piece, without special tokens.

        Returns:
            (N,), at least 1.
        """
        if self.policy != "window":
            return np.ones_like(lengths)
        step = room - self.stride
        return np.clip(-(-(lengths - self.stride) // step), 1, self.max_windows)

    def cut(self, ids: NDArray[np.int32], room: int) -> list[list[int]]:
        """The pieces of one text.

        Args:
            ids: tokens of the text, without special tokens.
            room: tokens of a piece, without special tokens.

        Returns:
            At least one list of at most ``room`` tokens; together they are the text, or what of it is read.
        """
        if self.policy == "window":
            count, step = int(self.pieces(np.array([len(ids)]), room)[0]), room - self.stride
            return [ids[start : start + room].tolist() for start in range(0, count * step, step)]
        if len(ids) <= room or self.policy == "head":
            return [ids[:room].tolist()]
        head = round(HEAD_SHARE * room) if self.policy == "head_tail" else 0
        return [ids[:head].tolist() + ids[len(ids) - (room - head) :].tolist()]


def truncation_of(section: DataSection, longest: int) -> Truncation:
    """What a recipe wants read of its texts.

    Args:
        section: of the recipe.
        longest: most tokens that the model can read at a time.

    Returns:
        The reading.
    """
    return Truncation(min(section.max_length, longest), section.long_texts, section.stride, section.max_windows)


@dataclass(frozen=True)
class Tokens:
    """Tokenised texts: for each the pieces that the model reads, special tokens added.

    Args:
        ids: (total,) int32, the tokens of all texts end to end, without special tokens.
        offsets: (N + 1,) int64, where each text begins.
        prefix: special tokens before a text.
        suffix: special tokens after a text.
        truncation: what of a long text is read.
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
        return [[*self.prefix, *piece, *self.suffix] for piece in self.truncation.cut(ids, self.room)]

    @property
    def room(self) -> int:
        """Tokens of a piece beside the special ones."""
        return self.truncation.max_length - len(self.prefix) - len(self.suffix)

    @cached_property
    def full_lengths(self) -> NDArray[np.int64]:
        """(N,) tokens of each text with special tokens, before cutting."""
        return np.diff(self.offsets) + len(self.prefix) + len(self.suffix)

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """(N,) tokens of each text's longest piece."""
        return np.minimum(self.full_lengths, self.truncation.max_length)

    @cached_property
    def pieces(self) -> NDArray[np.int64]:
        """(N,) pieces of each text; 1 unless it is read in windows."""
        return self.truncation.pieces(np.diff(self.offsets), self.room)

    @cached_property
    def read_lengths(self) -> NDArray[np.int64]:
        """(N,) tokens that are read of each text; what windows share, and their special tokens, once a window."""
        before, step = self.pieces - 1, self.room - self.truncation.stride
        last = np.minimum(np.diff(self.offsets) - before * step, self.room) + len(self.prefix) + len(self.suffix)
        return np.asarray(before * self.truncation.max_length + last)

    @property
    def truncated_share(self) -> float:
        """Share of the texts that are not read to the end."""
        room = self.room + (self.pieces - 1) * (self.room - self.truncation.stride)
        return float((np.diff(self.offsets) > room).mean()) if len(self) else 0.0

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
    """Tokenise texts, in parallel where the tokenizer can, and remember the result.

    Args:
        texts: N cleaned texts.
        tokenizer: of the model.
        truncation: what of a long text is read.
        fingerprint: identifies the texts; empty = do not cache.

    Returns:
        The N texts as tokens.

    Raises:
        ModelError: `max_length` leaves no room beside the special tokens, or none for windows to move on.
    """
    prefix, suffix = special_tokens(tokenizer)
    n_special = len(prefix) + len(suffix)
    if truncation.max_length <= n_special:
        raise ModelError(
            f"data.max_length = {truncation.max_length} leaves no room beside {n_special} special tokens.",
            hint="Choose a larger data.max_length.",
        )
    if truncation.policy == "window" and truncation.stride >= truncation.max_length - n_special:
        raise ModelError(
            f"data.stride = {truncation.stride}: windows of {truncation.max_length} tokens, {n_special} of them special, "
            "would never move on.",
            hint="Choose a smaller data.stride, a quarter of data.max_length for example.",
        )
    arrays = _remembered(texts, tokenizer, fingerprint) if fingerprint else _encode(texts, tokenizer)
    return Tokens(arrays["ids"], arrays["offsets"], prefix, suffix, truncation)


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
    nothing = _empty_text_tokens(tokenizer)
    for start in range(0, len(texts), TOKENISE_AT_ONCE):
        some = list(texts[start : start + TOKENISE_AT_ONCE])
        encoded = tokenizer(some, add_special_tokens=False, return_attention_mask=False, verbose=False)["input_ids"]
        encoded = [row or nothing for row in encoded]
        lengths += [len(row) for row in encoded]
        pieces.append(np.fromiter((token for row in encoded for token in row), np.int32, sum(map(len, encoded))))
        advance(len(some))
    ids = np.concatenate(pieces) if pieces else np.empty(0, np.int32)
    return {"ids": ids, "offsets": np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)}


def _empty_text_tokens(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """What is read of a text without tokens, where the tokenizer puts none around it: the end of a text."""
    if any(special_tokens(tokenizer)):
        return []
    known = (tokenizer.eos_token_id, tokenizer.bos_token_id, tokenizer.unk_token_id, tokenizer.pad_token_id)
    return [next(token for token in known if token is not None)]


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
