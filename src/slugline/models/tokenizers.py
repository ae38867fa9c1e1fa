"""Tokenizers: those that come with a base, and those that are trained on the texts at hand.

`TOKENIZERS` names a trainer for each kind. Whatever the origin, a tokenizer has a padding token afterwards. Byte-pair
encodings come out the same every time; the other trainers of the tokenizers library visit words in the order of a hash
table, so that ties may fall differently, which is why a run keeps the tokenizer it was trained with.
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

#: Files that say which kind of tokenizer a vocabulary is for.
TYPED_FILES = ("tokenizer.json", "tokenizer_config.json", "config.json")

#: The special tokens of tokenizers that are trained here.
PADDING, END, UNKNOWN = "<|pad|>", "<|endoftext|>", "<|unk|>"

#: Padding tokens that vocabularies hold although their tokenizers do not say so (Pythia's is the first).
KNOWN_PADDING = ("<|padding|>", PADDING, "<pad>", "[PAD]")

#: Fewest texts in which two symbols stand side by side before they become one.
MIN_FREQUENCY = 2


def load_tokenizer(base: str) -> PreTrainedTokenizerBase:
    """Tokenizer of a base or of a trained model.

    Args:
        base: as in ``model.base``, or a model folder.

    Returns:
        The tokenizer, with a padding token.

    Raises:
        ModelError: the folder holds no tokenizer, or the base cannot be had.
    """
    from transformers import AutoTokenizer

    place = resolve_base(base)
    if Path(place).is_dir() and not any((Path(place) / name).is_file() for name in FILES):
        raise ModelError(
            f"{place} holds no tokenizer (none of {', '.join(FILES)}).",
            hint="Copy the tokenizer files of the base model into the folder: tokenizer.json is enough.",
        )
    tokenizer: PreTrainedTokenizerBase = from_pretrained(AutoTokenizer.from_pretrained, place, **_kind_of(Path(place)))
    if tokenizer.pad_token_id is None:
        has_model = not Path(place).is_dir() or (Path(place) / "config.json").is_file()
        add_pad_token(tokenizer, load_config(base).pad_token_id if has_model else None)
    return tokenizer


def _kind_of(folder: Path) -> dict[str, Any]:
    """What ``AutoTokenizer`` has to be told of a folder in which only a vocabulary stands; empty for all others."""
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
    """Give a tokenizer the padding token that it lacks.

    The end-of-text token, which many take, may stand at the end of a text as well, and heads that look for the last
    token that is no padding would then look in the wrong place.

    Args:
        tokenizer: changed in place.
        known: what its model already takes for padding; None = nothing.
    """
    vocabulary = tokenizer.get_vocab()
    if known is not None and 0 <= known < len(tokenizer):
        tokenizer.pad_token = tokenizer.convert_ids_to_tokens(known)
        return
    tokenizer.add_special_tokens({"pad_token": next((name for name in KNOWN_PADDING if name in vocabulary), PADDING)})


def train_tokenizer(texts: Sequence[str], kind: str, *, vocabulary_size: int) -> PreTrainedTokenizerBase:
    """Learn a vocabulary from texts.

    Args:
        texts: cleaned training texts, and no others.
        kind: ``bpe``, ``wordpiece`` or ``unigram``.
        vocabulary_size: entries wanted, special tokens included.

    Returns:
        A tokenizer that pads on the right and adds no special tokens to a text; with fewer entries where the texts do
        not hold more, which is logged.

    Raises:
        ModelError: the texts' characters alone are more than the vocabulary may hold, or there is nothing to learn.
    """
    from transformers import PreTrainedTokenizerFast

    backend, special = TOKENIZERS[kind](texts, vocabulary_size)
    found = backend.get_vocab_size()
    _require_room(found, vocabulary_size)
    if found < vocabulary_size:
        logger.warning(
            "model.vocabulary_size is %s, but the training texts hold no more than %s entries: so many are used.",
            f"{vocabulary_size:,}",
            f"{found:,}",
        )
    return PreTrainedTokenizerFast(tokenizer_object=backend, padding_side="right", **special)


def _require_room(needed: int, size: int) -> None:
    if needed > size:
        raise ModelError(
            f"model.vocabulary_size is {size}, but the characters of the texts alone need {needed} entries.",
            hint=f"Choose model.vocabulary_size = {10 * needed}, for example.",
        )


def _train_bpe(texts: Sequence[str], size: int) -> tuple[Tokenizer, dict[str, str]]:
    """Byte-level byte-pair encoding (Sennrich et al. 2016; Radford et al. 2019): no text has unknown parts."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    backend = Tokenizer(models.BPE())
    backend.normalizer = normalizers.NFC()
    # With a blank before it a text's first word is the same token as anywhere else.
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
    """Words cut from the left into the longest known parts (Schuster and Nakajima 2012; Devlin et al. 2019)."""
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
    """The likeliest segmentation under a model of single pieces (Kudo 2018)."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    backend = Tokenizer(models.Unigram())
    backend.normalizer = normalizers.NFC()
    # Its trainer's own error is a bare exception without numbers.
    characters = set[str]().union(*map(backend.normalizer.normalize_str, texts))
    _require_room(len(characters) + len((PADDING, END, UNKNOWN)), size)
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=size, special_tokens=[PADDING, END, UNKNOWN], unk_token=UNKNOWN, show_progress=False
    )
    backend.train_from_iterator(texts, trainer)
    return backend, {"pad_token": PADDING, "eos_token": END, "unk_token": UNKNOWN}


#: Kinds of ``model.tokenizer`` that are trained -> trainer, giving the backend and the names of its special tokens.
TOKENIZERS: dict[str, Callable[[Sequence[str], int], tuple[Tokenizer, dict[str, Any]]]] = {
    "bpe": _train_bpe,
    "wordpiece": _train_wordpiece,
    "unigram": _train_unigram,
}
