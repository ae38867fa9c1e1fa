"""Properties of a tokenizer: the special tokens that it adds to a text, and what determines the tokens of a text."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from slugline.core.errors import ModelError

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerBase

#: In place of the tokens of a text; no vocabulary has it.
TEXT = -1

#: Special tokens that are read by their names.
NAMED_SPECIAL = ("unk_token_id", "eos_token_id", "bos_token_id", "pad_token_id")

#: Settings of tokenizers that do not change the tokens of a text, and may change when a tokenizer is saved and loaded.
NO_RULES = frozenset(
    {"padding_side", "truncation_side", "model_max_length", "chat_template", "_processor_class", "_commit_hash"}
    | {"is_local", "verbose", "backend", "clean_up_tokenization_spaces"}
    | {
        "local_files_only",
        "total_vocab_size",
        "_in_target_context_manager",
        "auto_map",
        "tokenizer_class",
        "token",
        "revision",
        "max_len",
    }
)


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
    """Return a hash of everything that determines the tokens of a text.

    Args:
        tokenizer: any tokenizer. A backend of the tokenizers library states all its rules. A tokenizer in Python is
            described by its vocabulary (words, merges, model of sentencepiece), its settings, and those of its parts.

    Returns:
        The hash, which is the same for a tokenizer that was saved and loaded.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    rules = _rules_of_backend(backend) if backend else _rules_in_python(tokenizer)
    special = [tokenizer.all_special_ids, *(getattr(tokenizer, name) for name in NAMED_SPECIAL)]
    added = {token: repr(entry) for token, entry in sorted(tokenizer.added_tokens_decoder.items())}
    settings = [type(tokenizer).__name__, rules, special, added, bool(tokenizer.split_special_tokens)]
    return hashlib.sha256(json.dumps(settings, sort_keys=True, default=repr).encode()).hexdigest()


def _rules_of_backend(backend: Tokenizer) -> dict[str, Any]:
    rules: dict[str, Any] = json.loads(backend.to_str())
    # The backend's truncation and padding are not used.
    return {key: value for key, value in rules.items() if key not in ("truncation", "padding")}


def _rules_in_python(tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    parts = {name: part for name, part in vars(tokenizer).items() if hasattr(part, "__dict__")}
    return {
        "vocabulary": tokenizer.get_vocab(),
        "merges": sorted(map(repr, getattr(tokenizer, "bpe_ranks", {}).items())),
        "files": _vocabulary_files(tokenizer),
        "options": {key: repr(value) for key, value in tokenizer.init_kwargs.items() if _is_rule(key)},
        "settings": _settings(tokenizer),
        "parts": {name: [type(part).__name__, _settings(part)] for name, part in parts.items()},
    }


def _vocabulary_files(tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Hashes of the files in which a tokenizer saves its vocabulary, in their order."""
    with TemporaryDirectory() as folder:
        try:
            paths = tokenizer.save_vocabulary(folder)
        except NotImplementedError:
            return []
        return [hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in paths if path]


def _settings(part: object) -> dict[str, Any]:
    """Attributes that are numbers, texts or truth values."""
    return {
        name: value
        for name, value in vars(part).items()
        if _is_rule(name) and isinstance(value, (bool, int, float, str, type(None)))
    }


def _is_rule(name: str) -> bool:
    """False for paths, special tokens (they are added tokens too), and settings that do not change tokens."""
    return not name.endswith(("_file", "_path", "_dir", "_token", "_tokens")) and name not in NO_RULES
