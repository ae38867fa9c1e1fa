"""Tokenizers: loaded with a base, or trained on the texts of a run.

`TOKENIZERS` maps each kind to its training function. Every tokenizer has a padding token afterwards. Training a
byte-pair encoding is reproducible. The other trainers of the tokenizers library visit words in the order of a hash
table, so that ties are broken differently each time; therefore each run stores its tokenizer.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slugline.core.errors import ModelError
from slugline.models.pretrained import from_pretrained, load_config, resolve_base

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerBase

logger = logging.getLogger(__name__)

#: Files of which a folder with a tokenizer holds at least one.
FILES = ("tokenizer.json", "vocab.txt", "vocab.json", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model")

#: Files that name the class of a tokenizer.
TYPED_FILES = ("tokenizer.json", "tokenizer_config.json", "config.json")

#: Special tokens of trained tokenizers.
PADDING, END, UNKNOWN = "<|pad|>", "<|endoftext|>", "<|unk|>"

#: Padding tokens in vocabularies whose tokenizers do not declare a padding token (the first is Pythia's).
KNOWN_PADDING = ("<|padding|>", PADDING, "<pad>", "[PAD]")

#: Minimum frequency of a pair of symbols that is merged into one.
MIN_FREQUENCY = 2


def load_tokenizer(base: str) -> PreTrainedTokenizerBase:
    """Load the tokenizer of a base or of a trained model.

    Args:
        base: value of ``model.base``, or a model folder.

    Returns:
        The tokenizer, with a padding token.

    Raises:
        ModelError: the folder holds no tokenizer, or the base cannot be loaded.
    """
    from transformers import AutoTokenizer

    name_or_path = resolve_base(base)
    folder = Path(name_or_path)
    if folder.is_dir() and not any((folder / name).is_file() for name in FILES):
        raise ModelError(
            f"{name_or_path} holds no tokenizer (none of {', '.join(FILES)}).",
            hint="Copy the tokenizer files of the base model into the folder: tokenizer.json is enough.",
        )
    tokenizer: PreTrainedTokenizerBase = from_pretrained(
        AutoTokenizer.from_pretrained, name_or_path, **_class_options(folder)
    )
    if tokenizer.pad_token_id is None:
        has_model = not folder.is_dir() or (folder / "config.json").is_file()
        add_pad_token(tokenizer, load_config(base).pad_token_id if has_model else None)
    return tokenizer


def _class_options(folder: Path) -> dict[str, Any]:
    """Options of ``AutoTokenizer`` that select the class if a folder holds only a vocabulary; otherwise empty."""
    if any((folder / name).is_file() for name in TYPED_FILES):
        return {}
    if (folder / "merges.txt").is_file() and (folder / "vocab.json").is_file():
        entries = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
        return {"tokenizer_type": "roberta" if "<mask>" in entries else "gpt2"}
    if (folder / "vocab.txt").is_file():
        words = (folder / "vocab.txt").read_text(encoding="utf-8").splitlines()
        is_cased = any(word != word.lower() for word in words if not word.startswith("["))
        return {"tokenizer_type": "bert", "do_lower_case": not is_cased}
    return {}


def add_pad_token(tokenizer: PreTrainedTokenizerBase, known: int | None = None) -> None:
    """Add a padding token to a tokenizer that has none.

    The end-of-text token is not used for padding, because a text may end with it: heads that read the last token before
    the padding would then read the wrong one.

    Args:
        tokenizer: tokenizer without a padding token; changed in place.
        known: id of the padding token in the configuration of its model; None = there is none.
    """
    vocabulary = tokenizer.get_vocab()
    if known is not None and 0 <= known < len(tokenizer):
        tokenizer.pad_token = tokenizer.convert_ids_to_tokens(known)
        return
    tokenizer.add_special_tokens({"pad_token": next((name for name in KNOWN_PADDING if name in vocabulary), PADDING)})


def train_tokenizer(texts: Sequence[str], kind: str, *, vocabulary_size: int) -> PreTrainedTokenizerBase:
    """Train a tokenizer on texts.

    Args:
        texts: cleaned texts of the training split only.
        kind: ``bpe``, ``wordpiece`` or ``unigram``.
        vocabulary_size: maximum number of entries, special tokens included.

    Returns:
        A tokenizer that pads on the right and adds no special tokens to a text. Its vocabulary is smaller if the texts
        do not contain enough entries; this is logged.

    Raises:
        ModelError: the vocabulary is too small for the characters of the texts.
    """
    from transformers import PreTrainedTokenizerFast

    backend, special = TOKENIZERS[kind](texts, vocabulary_size)
    found = backend.get_vocab_size()
    _require_size(vocabulary_size, needed=found)
    if found < vocabulary_size:
        logger.warning(
            "model.vocabulary_size is %s, but the training texts contain only %s entries; this size is used.",
            f"{vocabulary_size:,}",
            f"{found:,}",
        )
    return PreTrainedTokenizerFast(tokenizer_object=backend, padding_side="right", **special)


def _require_size(size: int, *, needed: int) -> None:
    if needed > size:
        raise ModelError(
            f"model.vocabulary_size is {size}, but the characters of the texts alone need {needed} entries.",
            hint=f"Choose model.vocabulary_size = {10 * needed}, for example.",
        )


def _train_bpe(texts: Sequence[str], size: int) -> tuple[Tokenizer, dict[str, str]]:
    """Byte-level byte-pair encoding (Sennrich et al. 2016; Radford et al. 2019); there are no unknown tokens."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    backend = Tokenizer(models.BPE())
    backend.normalizer = normalizers.NFC()
    # The blank makes the first word of a text the same token as in any other place.
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=MIN_FREQUENCY,
        special_tokens=[PADDING, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(texts, trainer)
    return backend, {"pad_token": PADDING, "eos_token": END}


def _train_wordpiece(texts: Sequence[str], size: int) -> tuple[Tokenizer, dict[str, str]]:
    """Greedy longest-match segmentation of words (Schuster and Nakajima 2012; Devlin et al. 2019)."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    backend = Tokenizer(models.WordPiece(unk_token=UNKNOWN))
    backend.normalizer = normalizers.NFC()
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(
        vocab_size=size, min_frequency=MIN_FREQUENCY, special_tokens=[PADDING, END, UNKNOWN], show_progress=False
    )
    backend.train_from_iterator(texts, trainer)
    return backend, {"pad_token": PADDING, "eos_token": END, "unk_token": UNKNOWN}


def _train_unigram(texts: Sequence[str], size: int) -> tuple[Tokenizer, dict[str, str]]:
    """The most likely segmentation under a unigram language model (Kudo 2018)."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    backend = Tokenizer(models.Unigram())
    backend.normalizer = normalizers.NFC()
    # The trainer's own error does not name the number of entries.
    characters = set[str]().union(*map(backend.normalizer.normalize_str, texts))
    _require_size(size, needed=len(characters) + len((PADDING, END, UNKNOWN)))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=size, special_tokens=[PADDING, END, UNKNOWN], unk_token=UNKNOWN, show_progress=False
    )
    backend.train_from_iterator(texts, trainer)
    return backend, {"pad_token": PADDING, "eos_token": END, "unk_token": UNKNOWN}


#: Trained kinds of ``model.tokenizer`` -> function that returns the backend and the special tokens by name.
TOKENIZERS: dict[str, Callable[[Sequence[str], int], tuple[Tokenizer, dict[str, Any]]]] = {
    "bpe": _train_bpe,
    "wordpiece": _train_wordpiece,
    "unigram": _train_unigram,
}
