"""The tokenizer of one training: the base's own, another's, or one that is trained on the training texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from slugline.core.storage import replacing_folder
from slugline.models.tokenizers import load_tokenizer, train_tokenizer
from slugline.recipe.sections import TRAINED_TOKENIZERS, ModelSection
from slugline.run.run import Run

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def resolve_tokenizer(section: ModelSection, texts: Callable[[], Sequence[str]], run: Run) -> PreTrainedTokenizerBase:
    """The tokenizer that a recipe means; one that is to be trained is trained once, whatever is resumed.

    Args:
        section: of the recipe.
        texts: gives the training texts, and no others, where they are needed.
        run: open for writing; a trained tokenizer is kept in it.

    Returns:
        The tokenizer, with a padding token.

    Raises:
        ModelError: it cannot be had, or cannot be trained on these texts.
    """
    if section.tokenizer not in TRAINED_TOKENIZERS:
        return pretrained_tokenizer(section)
    if not run.layout.tokenizer.exists():
        trained = train_tokenizer(texts(), section.tokenizer, vocabulary_size=section.vocabulary_size)
        with replacing_folder(run.layout.tokenizer) as folder:
            trained.save_pretrained(folder)
    return load_tokenizer(str(run.layout.tokenizer))


def pretrained_tokenizer(section: ModelSection) -> PreTrainedTokenizerBase:
    """A tokenizer that need not be trained.

    Args:
        section: of the recipe; its ``tokenizer`` is none of those that are trained.

    Returns:
        The tokenizer, with a padding token.

    Raises:
        ModelError: it cannot be had.
    """
    return load_tokenizer(section.base if section.tokenizer == "base" else section.tokenizer)
