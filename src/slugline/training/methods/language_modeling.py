"""What a model learns from texts without labels: `OBJECTIVES` names the head it needs and the exercises it is set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from slugline.core.errors import ModelError
from slugline.data.batching.packing import IGNORED, Labeler
from slugline.models.architectures.language_model import require_masked_head
from slugline.models.build import require_causal

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedTokenizerBase

    from slugline.recipe.recipe import Recipe
    from slugline.recipe.train_section import PretrainSection

#: Of the tokens to be found, the share that is hidden, and the share that another token stands for; the rest is left as
#: it is (Devlin et al. 2019, section 3.1).
HIDDEN, SWAPPED = 0.8, 0.1


@dataclass(frozen=True)
class Masking:
    """Hides some tokens of a sequence, which are to be found: BERT's 80/10/10.

    Args:
        fraction: of the ordinary tokens that are to be found; of each sequence at least one.
        mask_id: stands for a hidden token.
        non_special: (V,) which ids are words or parts of words; all others are never hidden and never stand for others.
    """

    fraction: float
    mask_id: int
    non_special: NDArray[np.bool_]

    @cached_property
    def substitutes(self) -> NDArray[np.int64]:
        """Ids that may stand for another token."""
        return np.flatnonzero(self.non_special)

    def __call__(self, ids: NDArray[np.int64], key: Sequence[int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Hide tokens; a pure function.

        Args:
            ids: (T,) a sequence.
            key: decides which tokens, and what stands for them.

        Returns:
            (T,) what the model reads, and (T,) what is to be found, `IGNORED` elsewhere.
        """
        random = np.random.default_rng(key)
        candidates = np.flatnonzero(self.non_special[ids])
        count = min(len(candidates), max(1, round(self.fraction * len(candidates))))
        places = random.choice(candidates, count, replace=False)
        fate = random.random(count)
        hidden, swapped = places[fate < HIDDEN], places[fate >= 1 - SWAPPED]
        read, labels = ids.copy(), np.full_like(ids, IGNORED)
        labels[places] = ids[places]
        read[hidden] = self.mask_id
        read[swapped] = random.choice(self.substitutes, len(swapped))
        return read, labels


def non_special_tokens(tokenizer: PreTrainedTokenizerBase, vocabulary_size: int) -> NDArray[np.bool_]:
    """Which tokens are words or parts of words.

    Args:
        tokenizer: of the model.
        vocabulary_size: of the model; V.

    Returns:
        (V,) False for special tokens, the unknown one among them, and for ids that the tokenizer never gives.
    """
    non_special = np.arange(vocabulary_size) < len(tokenizer)
    non_special[[token for token in tokenizer.all_special_ids if token < vocabulary_size]] = False
    return non_special


def build_masking(
    section: PretrainSection, tokenizer: PreTrainedTokenizerBase, non_special: NDArray[np.bool_]
) -> Masking:
    """The exercises of masked language modelling.

    Args:
        section: of the recipe.
        tokenizer: of the model.
        non_special: as `non_special_tokens` gives it.

    Returns:
        The masking.

    Raises:
        ModelError: the tokenizer has no token that hides others.
    """
    if tokenizer.mask_token_id is None:
        raise ModelError(
            'the tokenizer has no mask token, which pretrain.objective = "masked" needs.',
            hint="Choose an encoder that was pre-trained with one as model.base, such as BERT.",
        )
    return Masking(section.mask_fraction, int(tokenizer.mask_token_id), non_special)


def shift_labels(ids: NDArray[np.int64], _: Sequence[int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The exercise of causal language modelling: at every token but the last the next one is to be found.

    Args:
        ids: (T,) a sequence.

    Returns:
        (T,) what the model reads, and (T,) what is to be found, `IGNORED` at the end.
    """
    return ids, np.append(ids[1:], IGNORED)


@dataclass(frozen=True)
class Objective:
    """One way of learning from text alone.

    Args:
        auto_class: name of transformers' Auto class of models with the head it needs.
        require: refuses a configuration, of the base that is named, that has no such head.
        build_labeler: recipe, tokenizer and ordinary tokens (V,) to what is to be found. A label stands where the
            state is that finds it.
    """

    auto_class: str
    require: Callable[[PretrainedConfig, str], None]
    build_labeler: Callable[[PretrainSection, PreTrainedTokenizerBase, NDArray[np.bool_]], Labeler]


#: By the name in ``pretrain.objective``.
OBJECTIVES = {
    "masked": Objective("AutoModelForMaskedLM", require_masked_head, build_masking),
    "causal": Objective("AutoModelForCausalLM", require_causal, lambda *_: shift_labels),
}


def objective_of(recipe: Recipe) -> Objective:
    """What a recipe's model learns.

    Args:
        recipe: with [pretrain].

    Returns:
        The objective that it names, or that suits the kind.
    """
    assert recipe.pretrain is not None
    return OBJECTIVES[recipe.pretrain.objective or recipe.model.capabilities.objective]
