"""Language models for pre-training: a backbone with a head over the vocabulary.

The projection onto the vocabulary costs as much as all blocks of a small model together. `PositionLogits` computes it
only at the positions that have a target.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from slugline.core.hardware import Device
from slugline.core.layouts import ModelLayout
from slugline.core.storage import replacing
from slugline.models.architectures.blocks import base_of
from slugline.models.build import load_options, set_pad_token
from slugline.models.config import language_config
from slugline.models.pretrained import from_pretrained, quietly, resolve_base, sentence_pooling
from slugline.models.tokenizers import require_embeddings

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from slugline.recipe.model_section import ModelSection

logger = logging.getLogger(__name__)

#: Largest difference between logits that count as equal, relative to the largest of them.
TOLERANCE = 1e-4


def build_language_model(
    section: ModelSection, auto_class: str, device: Device, tokenizer: PreTrainedTokenizerBase
) -> PreTrainedModel:
    """Build a backbone with a head over the vocabulary.

    The head is the base's own. If the base has none, a new head is tied to the embeddings. Without a base all weights
    are random.

    Args:
        section: [model] section of the recipe.
        auto_class: name of transformers' Auto class for models with this head.
        device: training device; decides how attention is computed.
        tokenizer: tokenizer of the model.

    Returns:
        A model in float32 whose output has logits (B, T, V).

    Raises:
        ModelError: the base cannot be loaded, or is of another kind.
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
    require_embeddings(model, tokenizer, section.base)
    set_pad_token(model, tokenizer)
    return model


class PositionLogits:
    """Computes the logits of a language model at selected positions.

    A hook selects the states of these positions before they reach the head. Some heads also need the states of
    neighbouring positions; a test at the start detects them. For these, all logits are computed and then selected.

    Args:
        model: language model from `build_language_model`.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        self.wanted: Tensor | None = None
        model.base_model.register_forward_hook(self._select_states)
        self.selects_states = self._is_equivalent(model)
        if not self.selects_states:
            logger.info("%s: logits are computed at all positions.", type(model).__name__)

    def __call__(self, model: nn.Module, inputs: dict[str, Tensor], wanted: Tensor) -> Tensor:
        """Return the logits at selected positions.

        Args:
            model: the same model, possibly wrapped by accelerate.
            inputs: ``input_ids`` and ``attention_mask`` (B, T).
            wanted: (B, T) bool, M of them true.

        Returns:
            (M, V) in the order of rows and positions.
        """
        if not self.selects_states:
            all_logits: Tensor = model(**inputs).logits
            return all_logits[wanted]
        self.wanted = wanted
        try:
            selected: Tensor = model(**inputs).logits
        finally:
            self.wanted = None
        return selected[0]

    def _select_states(self, module: nn.Module, _: Any, output: Any) -> Any:
        """Reduce the states (B, T, H) to (1, M, H)."""
        if self.wanted is None:
            return output
        if isinstance(output, tuple):
            return (output[0][self.wanted].unsqueeze(0), *output[1:])
        output.last_hidden_state = output.last_hidden_state[self.wanted].unsqueeze(0)
        return output

    def _is_equivalent(self, model: PreTrainedModel) -> bool:
        """True if the head computes the same logits from selected states, on a small input of arbitrary tokens."""
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
        tolerance = TOLERANCE * float(expected.abs().max())
        return found.shape == expected.shape and torch.allclose(found, expected, rtol=0.0, atol=tolerance)


def save_backbone(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, base: str, folder: Path) -> None:
    """Write the trained backbone, without the head, as a base for fine-tuning.

    Weights of the base that were not trained, such as BERT's pooler, are copied from the base. So are its configuration
    with the dropout rates, and its pooling configuration.

    Args:
        model: trained model.
        tokenizer: its tokenizer.
        base: value of ``model.base`` from which training started; empty = random weights.
        folder: existing folder.
    """
    from transformers import AutoModel

    if not base:
        with quietly():
            base_of(model).save_pretrained(folder)
            tokenizer.save_pretrained(folder)
        return
    name_or_path = resolve_base(base)
    backbone, loading = from_pretrained(
        AutoModel.from_pretrained, name_or_path, dtype=torch.float32, output_loading_info=True
    )
    set_pad_token(backbone, tokenizer)
    trained = {name: value.detach().cpu() for name, value in model.base_model.state_dict().items()}
    untrained = {name: value for name, value in backbone.state_dict().items() if name not in loading["missing_keys"]}
    with quietly():
        backbone.save_pretrained(folder, state_dict=untrained | trained)
        tokenizer.save_pretrained(folder)
    pooling = sentence_pooling(name_or_path)
    if pooling:
        with replacing(ModelLayout(folder).pooling) as temporary:
            temporary.write_text(json.dumps(pooling, indent=2) + "\n", encoding="utf-8")
