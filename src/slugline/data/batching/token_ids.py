"""Token ids of texts, without special tokens: names of special tokens in a text are read as text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from slugline.data.batching.tokenizer_properties import special_tokens

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

#: Texts, and about the characters, in one call of the tokenizer, which processes texts in parallel.
TEXTS_AT_ONCE, CHARACTERS_AT_ONCE = 4_096, 2_000_000

#: Number of the rules by which `encode` reads texts; a change makes cached tokens invalid.
RULES = 3

#: Tokens of some texts end to end (total,), and the number of tokens of each text.
Encoded = tuple[NDArray[np.int32], NDArray[np.int64]]


def each_of(texts: Sequence[str]) -> Iterator[str]:
    """Yield texts one by one; a column of a data set is read some thousand rows at a time.

    Args:
        texts: texts, in memory or read on access.

    Yields:
        The next text.
    """
    for start in range(0, len(texts), TEXTS_AT_ONCE):
        yield from texts[start : start + TEXTS_AT_ONCE]


def encode(texts: Iterable[str], tokenizer: PreTrainedTokenizerBase) -> Iterator[Encoded]:
    """Tokenise texts, some thousand at a time, so that the memory does not grow with the number of texts.

    Args:
        texts: texts.
        tokenizer: tokenizer of the model.

    Yields:
        Tokens of the next texts, in order. An empty text has none if the tokenizer adds special tokens, else its
        end-of-text token.
    """
    empty_text = _empty_text_tokens(tokenizer)
    for batch in _batches(texts):
        rows = [row or empty_text for row in _token_ids(batch, tokenizer)]
        lengths = np.fromiter(map(len, rows), np.int64, len(rows))
        yield np.fromiter(chain.from_iterable(rows), np.int32, int(lengths.sum())), lengths


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    characters = 0
    for text in texts:
        if batch and (len(batch) == TEXTS_AT_ONCE or characters + len(text) > CHARACTERS_AT_ONCE):
            yield batch
            batch, characters = [], 0
        batch.append(text)
        characters += len(text)
    if batch:
        yield batch


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
