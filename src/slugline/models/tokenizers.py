"""Tokenizers: loaded with a base, or trained on the texts of a run.

`TOKENIZERS` maps each kind to its training function. Every tokenizer has a padding token afterwards. Training a
byte-pair encoding is reproducible. The other trainers of the tokenizers library visit words in the order of a hash
table, so that ties are broken differently each time; therefore each run stores its tokenizer.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slugline.core.errors import ModelError
from slugline.core.model_folders import read_json, require_no_adapter
from slugline.data.batching.tokenizer_properties import special_tokens
from slugline.models.architectures.blocks import embedding_rows
from slugline.models.pretrained import from_pretrained, load_config, resolve_base

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

logger = logging.getLogger(__name__)

#: Models of sentencepiece: file name -> type of the tokenizers with this file, if no other file names a type.
SENTENCEPIECE = {
    "spm.model": "deberta-v2",
    "spiece.model": "t5",
    "sentencepiece.bpe.model": "xlm-roberta",
    "tokenizer.model": "llama",
}

#: Files of which a folder with a tokenizer holds at least one.
FILES = ("tokenizer.json", "vocab.txt", "vocab.json", *SENTENCEPIECE)

#: Files that name the class of a tokenizer -> the key that does.
TYPED_FILES = {"tokenizer_config.json": "tokenizer_class", "config.json": "model_type"}

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
        require_no_adapter(folder)
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
    typed = (read_json(folder / name).get(key) for name, key in TYPED_FILES.items() if (folder / name).is_file())
    if (folder / "tokenizer.json").is_file() or any(typed):
        return {}
    if (folder / "merges.txt").is_file() and (folder / "vocab.json").is_file():
        return {"tokenizer_type": "roberta" if "<mask>" in read_json(folder / "vocab.json") else "gpt2"}
    if (folder / "vocab.txt").is_file():
        words = (folder / "vocab.txt").read_text(encoding="utf-8").splitlines()
        is_cased = any(word != word.lower() for word in words if not word.startswith("["))
        return {"tokenizer_type": "bert", "do_lower_case": not is_cased}
    return next(({"tokenizer_type": _type(folder / name)} for name in SENTENCEPIECE if (folder / name).is_file()), {})


def _type(path: Path) -> str:
    """The type of the tokenizers with a model of sentencepiece; three share the name of T5's, but not its pieces."""
    if SENTENCEPIECE[path.name] != "t5":
        return SENTENCEPIECE[path.name]
    pieces = path.read_bytes()
    return "albert" if b"[CLS]" in pieces else "xlnet" if b"<cls>" in pieces else "t5"


def require_embeddings(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, source: str) -> None:
    """Refuse a tokenizer that gives tokens for which the model has no embedding.

    Special tokens need none, unless they are added to every text: in texts they are read as text.

    Args:
        model: model of any architecture.
        tokenizer: its tokenizer.
        source: folder or Hub name of the model, for the message.

    Raises:
        ModelError: a token has no embedding; the message has both numbers.
    """
    rows, vocabulary = embedding_rows(model), tokenizer.get_vocab()
    if rows is None or max(vocabulary.values()) < rows:
        return
    added = {token for part in special_tokens(tokenizer) for token in part}
    special = {token for token, entry in tokenizer.added_tokens_decoder.items() if entry.special} - added
    missing = [name for name, token in vocabulary.items() if token >= rows and token not in special]
    if missing:
        raise ModelError(
            f"{source}: the tokenizer has {len(tokenizer):,} entries, but the model only {rows:,} embeddings; "
            f"{', '.join(map(repr, sorted(missing)[:3]))} would have none.",
            hint="Use the tokenizer that the model was trained with, or enlarge the model once with "
            "model.resize_token_embeddings(len(tokenizer)).",
        )


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
