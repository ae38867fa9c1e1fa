"""Properties of a tokenizer: the special tokens that it adds to a text, and what determines the tokens of a text."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from slugline.core.errors import ModelError

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerBase

#: In place of the tokens of a text; no vocabulary has it.
TEXT = -1


def special_tokens(tokenizer: PreTrainedTokenizerBase) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the special tokens that a tokenizer adds to a single text.

    No text is tokenised to find them, because a tokenizer may have no token for a given letter: one that was trained on
    Thai texts has none for ``a``.

    Args:
        tokenizer: tokenizer of the model.

    Returns:
        Ids before the text, and ids after it; both empty for GPT-2.

    Raises:
        ModelError: the tokenizer does more than add tokens before and after a text.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    ids = _post_processed(backend) if backend else tokenizer.build_inputs_with_special_tokens([TEXT])
    if ids.count(TEXT) != 1:
        raise ModelError(f"{type(tokenizer).__name__} changes the text itself when it adds special tokens.")
    place = ids.index(TEXT)
    return tuple(ids[:place]), tuple(ids[place + 1 :])


def _post_processed(backend: Tokenizer) -> list[int]:
    """The tokens of a text of one token, `TEXT`, after the post-processor of a tokenizer."""
    from tokenizers import Tokenizer, models

    one_word = Tokenizer(models.WordLevel({"text": 0}))
    if backend.post_processor is not None:
        one_word.post_processor = backend.post_processor
    encoding = one_word.encode("text")
    return [
        token if is_special else TEXT
        for token, is_special in zip(encoding.ids, encoding.special_tokens_mask, strict=True)
    ]


def tokenizer_fingerprint(tokenizer: PreTrainedTokenizerBase) -> str:
    """Return a hash of everything that determines the tokens of a text."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    settings = json.loads(backend.to_str()) if backend else tokenizer.get_vocab() | tokenizer.init_kwargs
    # The backend's truncation and padding are not used.
    for key in ("truncation", "padding"):
        settings.pop(key, None)
    text = json.dumps([type(tokenizer).__name__, settings], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
