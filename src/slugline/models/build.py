"""Building of classifiers to be trained, from the [model] section of a recipe and a label set.

`slugline.recipe.kinds.KINDS` names the function of each kind of model.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from slugline.core.hardware import Device
from slugline.core.labels import LabelSet
from slugline.models.config import (
    label_settings,
    pooled_config,
    pooling_of,
    pretrained_scratch_config,
    require_causal,
    scratch_config,
    set_dropout,
)
from slugline.models.pretrained import from_pretrained, load_config, resolve_base
from slugline.models.saving import size_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from slugline.recipe.model_section import ModelSection

logger = logging.getLogger(__name__)

#: Parameters of a model trained from scratch above which a warning is logged.
LARGEST_SCRATCH = 10_000_000


def build_pretrained(
    section: ModelSection, labels: LabelSet, device: Device, tokenizer: PreTrainedTokenizerBase | None = None
) -> PreTrainedModel:
    """Build a pre-trained transformer with a new classification head.

    Args:
        section: [model] section of the recipe.
        labels: K classes.
        device: training device; decides how attention is computed.
        tokenizer: tokenizer with the padding token to set; None = keep that of the base's configuration.

    Returns:
        A model in float32 whose output has logits (B, K).

    Raises:
        ModelError: the base cannot be loaded, is of another kind, or has no sequence-classification class for native
            pooling.
    """
    from transformers import AutoModel, AutoModelForSequenceClassification

    name_or_path, pooling = resolve_base(section.base), pooling_of(section)
    config = load_config(section.base)
    if section.capabilities.is_causal:
        require_causal(config, section.base)
    set_dropout(config, section)
    options = load_options(device)
    if pooling == "native":
        config.update(label_settings(labels))
        native: PreTrainedModel = from_pretrained(
            AutoModelForSequenceClassification.from_pretrained, name_or_path, config=config, **options
        )
        set_pad_token(native, tokenizer)
        return native
    backbone = from_pretrained(AutoModel.from_pretrained, name_or_path, config=config, **options)
    set_pad_token(backbone, tokenizer)
    return _with_head(section, labels, backbone, pooling)


def build_scratch(
    section: ModelSection, labels: LabelSet, device: Device, tokenizer: PreTrainedTokenizerBase | None = None
) -> PreTrainedModel:
    """Build the small decoder with a new head; its weights are random, or pre-trained if ``model.base`` is set.

    Args:
        section: [model] section of the recipe.
        labels: K classes.
        device: training device; decides how attention is computed.
        tokenizer: tokenizer of the model; sets the vocabulary size if ``model.base`` is empty.

    Returns:
        A model in float32 whose output has logits (B, K).

    Raises:
        ModelError: ``model.base`` is not a pre-trained small decoder.
    """
    from transformers import AutoModel

    assert tokenizer is not None
    if section.base:
        config = pretrained_scratch_config(section)
        backbone = from_pretrained(AutoModel.from_pretrained, section.base, config=config, **load_options(device))
    else:
        backbone = AutoModel.from_config(scratch_config(section, tokenizer), **load_options(device))
    model = _with_head(section, labels, backbone, pooling_of(section))
    count = size_of(model)["parameters"]
    if count > LARGEST_SCRATCH:
        logger.warning(
            "the model has %s parameters: above %s, a small pre-trained model is usually better than training from "
            "scratch.",
            f"{count:,}",
            f"{LARGEST_SCRATCH:,}",
        )
    return model


def load_options(device: Device) -> dict[str, Any]:
    """Return the options with which a model to be trained is loaded.

    Args:
        device: training device; decides how attention is computed.

    Returns:
        Arguments of ``from_pretrained``.
    """
    import torch

    options: dict[str, Any] = {"dtype": torch.float32}
    if device == "cpu":
        # On the CPU the backward pass of the fused kernel is slower than plain products: 86 against 106 texts a second
        # at 54 tokens, 20 against 24 at 256 (22.7M parameters, bfloat16, two cores). Its forward pass is faster.
        options["attn_implementation"] = "eager"
    return options


def set_pad_token(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase | None) -> None:
    """Set the padding token of a model; enlarge its embeddings if they have no row for this token.

    Args:
        model: model whose padding token is set; changed in place.
        tokenizer: tokenizer with a padding token; None = leave the model unchanged.
    """
    if tokenizer is None or tokenizer.pad_token_id is None:
        return
    embeddings: Any = model.get_input_embeddings()
    if tokenizer.pad_token_id >= embeddings.num_embeddings:
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    if model.config.pad_token_id is None:
        model.config.pad_token_id = tokenizer.pad_token_id


def _with_head(section: ModelSection, labels: LabelSet, backbone: PreTrainedModel, pooling: str) -> PreTrainedModel:
    """Backbone with a pooling and head of this package."""
    from slugline.models.architectures.pooled import PooledForSequenceClassification

    return PooledForSequenceClassification(pooled_config(section, labels, backbone.config, pooling), backbone)
