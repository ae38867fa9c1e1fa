"""The tokenizer of one training: that of the base, another one, or one that is trained on the training texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from slugline.core.storage import replacing_folder
from slugline.models.tokenizers import load_tokenizer, train_tokenizer
from slugline.recipe.model_section import TRAINED_TOKENIZERS, ModelSection
from slugline.run.run import Run

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def resolve_tokenizer(section: ModelSection, texts: Callable[[], Sequence[str]], run: Run) -> PreTrainedTokenizerBase:
    """Return the tokenizer of a recipe; if it has to be trained, train it once and save it in the run.

    Args:
        section: [model] section of the recipe.
        texts: function that returns the training texts; called only if a tokenizer is trained.
        run: run to write to.

    Returns:
        The tokenizer, with a padding token.

    Raises:
        ModelError: the tokenizer cannot be loaded, or cannot be trained on these texts.
    """
    if section.tokenizer not in TRAINED_TOKENIZERS:
        return pretrained_tokenizer(section)
    if not run.layout.tokenizer.exists():
        trained = train_tokenizer(texts(), section.tokenizer, vocabulary_size=section.vocabulary_size)
        with replacing_folder(run.layout.tokenizer) as folder:
            trained.save_pretrained(folder)
    return load_tokenizer(str(run.layout.tokenizer))


def pretrained_tokenizer(section: ModelSection) -> PreTrainedTokenizerBase:
    """Load a tokenizer that does not have to be trained.

    Args:
        section: [model] section of the recipe; its ``tokenizer`` is not one of `TRAINED_TOKENIZERS`.

    Returns:
        The tokenizer, with a padding token.

    Raises:
        ModelError: the tokenizer cannot be loaded.
    """
    return load_tokenizer(section.base if section.tokenizer == "base" else section.tokenizer)
