"""Models that find tokens: a backbone with a head over the vocabulary, asked only where something is to be found.

The projection onto the vocabulary costs as much as all blocks of a small model together. `PositionLogits` spares it for
all other positions: the head is given the states of the wanted positions alone.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from slugline.core.errors import ModelError
from slugline.core.hardware import Device
from slugline.core.layouts import ModelLayout
from slugline.core.storage import replacing
from slugline.models.architectures.blocks import base_of
from slugline.models.build import (
    load_options,
    pretrained_scratch_config,
    scratch_config,
    set_dropout,
    set_pad_token,
)
from slugline.models.pretrained import from_pretrained, load_config, quietly, resolve_base, sentence_pooling

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

    from slugline.recipe.model_section import ModelSection

logger = logging.getLogger(__name__)

#: Largest difference between logits that count as the same, relative to the largest of them.
SAME = 1e-4


def require_masked_head(config: PretrainedConfig, base: str) -> None:
    """Refuse an architecture that transformers has no head for masked tokens for.

    Args:
        config: of the base.
        base: as in ``model.base``, for the message.

    Raises:
        ModelError: there is none.
    """
    from transformers import MODEL_FOR_MASKED_LM_MAPPING

    if type(config) not in MODEL_FOR_MASKED_LM_MAPPING:
        raise ModelError(
            f"{base or 'the small decoder'} is a {config.model_type}, which has no head for masked pre-training.",
            hint="Choose an encoder like BERT, RoBERTa, DistilBERT or DeBERTa as model.base, or let "
            'it learn to continue texts: pretrain.objective = "causal", with model.kind "decoder" or "scratch".',
        )


def language_config(section: ModelSection, tokenizer: PreTrainedTokenizerBase) -> PretrainedConfig:
    """Configuration of a model that is about to be pre-trained.

    Args:
        section: of the recipe.
        tokenizer: of the model.

    Returns:
        The base's, or that of a small decoder; with the recipe's dropout.

    Raises:
        ModelError: the base cannot be had, or is of another kind.
    """
    if section.capabilities.is_pretrained:
        config = load_config(section.base)
        set_dropout(config, section)
        return config
    return pretrained_scratch_config(section) if section.base else scratch_config(section, tokenizer)


def build_language_model(
    section: ModelSection, auto_class: str, device: Device, tokenizer: PreTrainedTokenizerBase
) -> PreTrainedModel:
    """Backbone with a head over the vocabulary.

    The head is the base's own, or a fresh one tied to the embeddings where it has none; without a base all weights are
    random.

    Args:
        section: of the recipe.
        auto_class: name of transformers' Auto class of models with the head.
        device: on which it will be trained; decides how attention is computed.
        tokenizer: of the model.

    Returns:
        A model in float32 whose output has logits (B, T, V).

    Raises:
        ModelError: the base cannot be had.
    """
    import transformers

    auto, config = getattr(transformers, auto_class), language_config(section, tokenizer)
    if section.base:
        options = load_options(device)
        model: PreTrainedModel = from_pretrained(
            auto.from_pretrained, resolve_base(section.base), config=config, **options
        )
    else:
        model = auto.from_config(config, **load_options(device))
    set_pad_token(model, tokenizer)
    return model


class PositionLogits:
    """Asks a language model about some positions of its input.

    The states that leave the backbone are thinned out to these before the head sees them. Where an architecture's head
    needs its neighbours, which is tried out once, all logits are computed and thinned out afterwards.

    Args:
        model: as `build_language_model` gives it.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        self.wanted: Tensor | None = None
        model.base_model.register_forward_hook(self._select_states)
        self.selects_states = self._is_equivalent(model)
        if not self.selects_states:
            logger.info("%s: logits are computed at all positions.", type(model).__name__)

    def __call__(self, model: nn.Module, inputs: dict[str, Tensor], wanted: Tensor) -> Tensor:
        """Logits at some positions.

        Args:
            model: the same, or what accelerate has wrapped it in.
            inputs: ``input_ids`` and ``attention_mask`` (B, T).
            wanted: (B, T) bool, M of them true.

        Returns:
            (M, V) in the order of rows and positions.
        """
        if not self.selects_states:
            everywhere: Tensor = model(**inputs).logits
            return everywhere[wanted]
        self.wanted = wanted
        try:
            thinned: Tensor = model(**inputs).logits
        finally:
            self.wanted = None
        return thinned[0]

    def _select_states(self, module: nn.Module, _: Any, output: Any) -> Any:
        """(B, T, H) states become (1, M, H)."""
        if self.wanted is None:
            return output
        if isinstance(output, tuple):
            return (output[0][self.wanted].unsqueeze(0), *output[1:])
        output.last_hidden_state = output.last_hidden_state[self.wanted].unsqueeze(0)
        return output

    def _is_equivalent(self, model: PreTrainedModel) -> bool:
        """Whether the head says the same of thinned out states, on a little input of any tokens."""
        ids = torch.arange(12, device=model.device).reshape(2, 6) % int(model.config.vocab_size)
        inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        wanted = ids % 3 == 1
        was_training = model.training
        model.train(False)
        try:
            with torch.inference_mode():
                expected = model(**inputs).logits[wanted]
                self.selects_states = True
                found = self(model, inputs, wanted)
        except (RuntimeError, AttributeError, ValueError, TypeError, IndexError):
            return False
        finally:
            model.train(was_training)
        close = SAME * float(expected.abs().max())
        return found.shape == expected.shape and torch.allclose(found, expected, rtol=0.0, atol=close)


def save_backbone(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, base: str, folder: Path) -> None:
    """Write what was learnt as a base for fine-tuning: without the head, otherwise as the base was.

    Weights of the base that were not trained, such as BERT's pooler, stay as they were; so do its configuration with
    its dropout rates and what it says of its pooling.

    Args:
        model: trained.
        tokenizer: its tokenizer.
        base: as in ``model.base``, what training began with; empty = random weights.
        folder: exists already.
    """
    from transformers import AutoModel

    if not base:
        with quietly():
            base_of(model).save_pretrained(folder)
            tokenizer.save_pretrained(folder)
        return
    place = resolve_base(base)
    backbone, loading = from_pretrained(AutoModel.from_pretrained, place, dtype=torch.float32, output_loading_info=True)
    set_pad_token(backbone, tokenizer)
    trained = {name: value.detach().cpu() for name, value in model.base_model.state_dict().items()}
    untrained = {name: value for name, value in backbone.state_dict().items() if name not in loading["missing_keys"]}
    with quietly():
        backbone.save_pretrained(folder, state_dict=untrained | trained)
        tokenizer.save_pretrained(folder)
    stated = sentence_pooling(place)
    if stated:
        with replacing(ModelLayout(folder).pooling) as temporary:
            temporary.write_text(json.dumps(stated, indent=2) + "\n", encoding="utf-8")
