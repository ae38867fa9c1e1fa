"""Objectives of pre-training: masked and causal language modelling, with the head and the labels that each needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from slugline.core.errors import ModelError
from slugline.data.batching.packing import IGNORED, Labeler
from slugline.models.config import require_causal, require_masked_head

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedTokenizerBase

    from slugline.recipe.recipe import Recipe
    from slugline.recipe.train_section import PretrainSection

#: Shares of the selected tokens that the mask token and a random token replace; the others are kept (Devlin et al.
#: 2019, section 3.1).
MASKED, RANDOM = 0.8, 0.1


@dataclass(frozen=True)
class Masking:
    """Labels of masked language modelling: selects tokens to predict and replaces most of them, as BERT does.

    Args:
        fraction: share of the non-special tokens that are selected; at least one per sequence.
        mask_id: id of the mask token.
        non_special: (V,) True for words and parts of words; other tokens are neither selected nor used as replacements.
    """

    fraction: float
    mask_id: int
    non_special: NDArray[np.bool_]

    @cached_property
    def substitutes(self) -> NDArray[np.int64]:
        """Ids that can replace a selected token."""
        return np.flatnonzero(self.non_special)

    def __call__(self, ids: NDArray[np.int64], key: Sequence[int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Select and replace tokens; a pure function.

        Args:
            ids: (T,) a sequence.
            key: seed of the selection and the replacements.

        Returns:
            Input ids (T,), and labels (T,): ids of the selected tokens, `IGNORED` elsewhere.
        """
        random = np.random.default_rng(key)
        candidates = np.flatnonzero(self.non_special[ids])
        count = min(len(candidates), max(1, round(self.fraction * len(candidates))))
        selected = random.choice(candidates, count, replace=False)
        draws = random.random(count)
        masked, replaced = selected[draws < MASKED], selected[draws >= 1 - RANDOM]
        input_ids, labels = ids.copy(), np.full_like(ids, IGNORED)
        labels[selected] = ids[selected]
        input_ids[masked] = self.mask_id
        input_ids[replaced] = random.choice(self.substitutes, len(replaced))
        return input_ids, labels


def non_special_tokens(tokenizer: PreTrainedTokenizerBase, vocabulary_size: int) -> NDArray[np.bool_]:
    """Return a mask of the tokens that are words or parts of words.

    Args:
        tokenizer: tokenizer of the model.
        vocabulary_size: vocabulary size of the model, V.

    Returns:
        (V,) False for special tokens, which include the unknown token, and for ids outside the tokenizer's vocabulary.
    """
    non_special = np.arange(vocabulary_size) < len(tokenizer)
    non_special[[token for token in tokenizer.all_special_ids if token < vocabulary_size]] = False
    return non_special


def build_masking(
    section: PretrainSection, tokenizer: PreTrainedTokenizerBase, non_special: NDArray[np.bool_]
) -> Masking:
    """Build the labeler of masked language modelling.

    Args:
        section: [pretrain] section of the recipe.
        tokenizer: tokenizer of the model.
        non_special: (V,) mask from `non_special_tokens`.

    Returns:
        The labeler.

    Raises:
        ModelError: the tokenizer has no mask token.
    """
    if tokenizer.mask_token_id is None:
        raise ModelError(
            'the tokenizer has no mask token, which pretrain.objective = "masked" needs.',
            hint="Choose an encoder with a mask token as model.base, such as BERT.",
        )
    return Masking(section.mask_fraction, int(tokenizer.mask_token_id), non_special)


def shift_labels(ids: NDArray[np.int64], _: Sequence[int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the labels of causal language modelling: each token's label is the next token.

    Args:
        ids: (T,) a sequence.

    Returns:
        Input ids (T,), and labels (T,), `IGNORED` at the end.
    """
    return ids, np.append(ids[1:], IGNORED)


@dataclass(frozen=True)
class Objective:
    """One objective of pre-training.

    Args:
        auto_class: name of transformers' Auto class of models with the head of the objective.
        require: check of a base's configuration and name; raises ``ModelError`` if the architecture lacks the head.
        build_labeler: function from section, tokenizer and non-special tokens (V,) to the labeler. Each label is at the
            position whose state predicts it.
    """

    auto_class: str
    require: Callable[[PretrainedConfig, str], None]
    build_labeler: Callable[[PretrainSection, PreTrainedTokenizerBase, NDArray[np.bool_]], Labeler]


#: ``pretrain.objective`` -> objective.
OBJECTIVES = {
    "masked": Objective("AutoModelForMaskedLM", require_masked_head, build_masking),
    "causal": Objective("AutoModelForCausalLM", require_causal, lambda *_: shift_labels),
}


def objective_of(recipe: Recipe) -> Objective:
    """Return the objective of a recipe.

    Args:
        recipe: recipe with a [pretrain] section.

    Returns:
        The objective in ``pretrain.objective``, or that of the kind.
    """
    assert recipe.pretrain is not None
    return OBJECTIVES[recipe.pretrain.objective or recipe.model.capabilities.objective]
