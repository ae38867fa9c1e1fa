"""Building of classifiers to be trained, from the [model] section of a recipe and a label set.

`slugline.recipe.kinds.KINDS` names the function of each kind of model.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from slugline.core.errors import ModelError
from slugline.core.hardware import Device
from slugline.core.labels import LabelSet
from slugline.models.architectures.blocks import base_of, embedding_rows
from slugline.models.architectures.heads import order_outputs, output_weights, renew_outputs
from slugline.models.config import (
    label_settings,
    pooled_config,
    pooling_of,
    pretrained_scratch_config,
    require_causal,
    scratch_config,
    set_dropout,
    stated_kind,
)
from slugline.models.pretrained import load_config, load_weights, require_shapes, resolve_base
from slugline.models.saving import size_of
from slugline.models.tokenizers import require_embeddings
from slugline.models.trial import require_padding, states_width

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

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
    pooling, config = pooling_of(section), load_config(section.base)
    if section.capabilities.is_causal:
        require_causal(config, section.base)
    if pooling == "native":
        model = _load_classifier(section, labels, config, load_options(device))
    else:
        model = _with_head(section, labels, _load_backbone(section, config, load_options(device)), pooling)
    if tokenizer is not None:
        match_tokenizer(model, tokenizer, section.base)
    return model


def match_tokenizer(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, source: str) -> None:
    """Prepare a classifier for the tokens and the padding of its tokenizer.

    Args:
        model: sequence classifier in float32; changed in place.
        tokenizer: its tokenizer, with a padding token.
        source: folder or Hub name, for messages.

    Raises:
        ModelError: the tokenizer has tokens without embedding, or padding changes the logits on either side.
    """
    require_embeddings(model, tokenizer, source)
    set_pad_token(model, tokenizer)
    require_padding(model, tokenizer)


def _load_classifier(
    section: ModelSection, labels: LabelSet, config: PretrainedConfig, options: dict[str, Any]
) -> PreTrainedModel:
    """The base with the architecture's own head, or with its own head if it is a classifier of the same classes."""
    from transformers import AutoModelForSequenceClassification

    set_dropout(config, section)
    is_multi = stated_kind(config.problem_type) == "multi"
    names = tuple(str(name) for _, name in sorted((config.id2label or {}).items()))
    config.update(label_settings(labels))
    loaded = load_weights(
        AutoModelForSequenceClassification.from_pretrained, resolve_base(section.base), config=config, **options
    )
    outputs = output_weights(loaded.model)
    kept = {name: shape for name, shape in loaded.stored.items() if name not in outputs}
    require_shapes(replace(loaded, stored=kept), section.base)
    if outputs <= loaded.new - loaded.stored.keys():
        return loaded.model
    if is_multi == labels.is_multi and set(names) == set(labels.names):
        order_outputs(loaded.model, outputs, [names.index(name) for name in labels.names])
        logger.info("%s is a classifier of the same classes: its head is kept.", section.base)
    else:
        renew_outputs(loaded.model, outputs)
        logger.info(
            "%s is a classifier of other classes (%s): it gets a new output layer for %d classes.",
            section.base,
            ", ".join(names[:5]) + (" ..." if len(names) > 5 else ""),
            len(labels),
        )
    return loaded.model


def _load_backbone(section: ModelSection, config: PretrainedConfig, options: dict[str, Any]) -> PreTrainedModel:
    """The base without a head; of a classifier of this package, its backbone."""
    from transformers import AutoModelForSequenceClassification

    from slugline.models.architectures.pooled import PooledConfig, backbone_class

    name_or_path = resolve_base(section.base)
    set_dropout(config, section)
    if not isinstance(config, PooledConfig):
        loaded = load_weights(backbone_class(config).from_pretrained, name_or_path, config=config, **options)
        require_shapes(loaded, section.base)
        return loaded.model
    if config.adapter_width:
        raise ModelError(
            f"{section.base} has bottleneck adapters, which belong to its own head.",
            hint='Leave model.pooling, model.head and model.adapt = "adapter" out, or start from its original base.',
        )
    loaded = load_weights(AutoModelForSequenceClassification.from_pretrained, name_or_path, config=config, **options)
    require_shapes(loaded, section.base)
    return base_of(loaded.model)


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
        pretrained_scratch_config(section)  # refuses other bases
        backbone = _load_backbone(section, load_config(section.base), load_options(device))
        require_embeddings(backbone, tokenizer, section.base)
        set_pad_token(backbone, tokenizer)
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
    rows = embedding_rows(model)
    if rows is not None and tokenizer.pad_token_id >= rows:
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    if model.config.pad_token_id is None:
        model.config.pad_token_id = tokenizer.pad_token_id


def _with_head(section: ModelSection, labels: LabelSet, backbone: PreTrainedModel, pooling: str) -> PreTrainedModel:
    """Backbone with a pooling and head of this package."""
    from slugline.models.architectures.pooled import PooledForSequenceClassification

    config = pooled_config(section, labels, backbone.config, pooling, width=states_width(backbone))
    return PooledForSequenceClassification(config, backbone)
