"""From a recipe's [model] and a label set to a model that can be trained: `BUILD` names a function for each kind."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, cast

from slugline.core.errors import ModelError
from slugline.core.hardware import Device
from slugline.core.labels import LabelSet
from slugline.models.pretrained import from_pretrained, load_config, resolve_base, sentence_pooling
from slugline.models.saving import size_of
from slugline.recipe.model_section import Dimensions

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

    from slugline.models.architectures.pooled import Pooling
    from slugline.recipe.model_section import ModelSection

logger = logging.getLogger(__name__)

#: Keys of a sentence-transformers pooling configuration -> our names.
SENTENCE_POOLING = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_lasttoken": "last",
}

#: Names under which the architectures keep each kind of dropout: BERT and its kin, DistilBERT, GPT-2, NeoX, GPT-Neo.
DROPOUT_KEYS = {
    "dropout": (
        *("hidden_dropout_prob", "dropout", "embedding_dropout", "mlp_dropout", "resid_pdrop", "embd_pdrop"),
        *("hidden_dropout", "resid_dropout", "embed_dropout"),
    ),
    "attention_dropout": ("attention_probs_dropout_prob", "attention_dropout", "attn_pdrop"),
    "head_dropout": ("classifier_dropout", "classifier_dropout_prob", "seq_classif_dropout", "cls_dropout"),
}

#: Types whose configurations take ``cls_dropout`` without having it from the start.
CLS_DROPOUT_TYPES = ("deberta", "deberta-v2")

#: Dropout before a head of our own where neither recipe nor base says one.
HEAD_DROPOUT = 0.1

#: Parameters of a model to be trained from scratch beyond which there is a warning.
LARGEST_SCRATCH = 10_000_000

#: Tokens of a text for which a small decoder with learned positions has any.
LEARNED_POSITIONS = 512


def pooling_of(section: ModelSection) -> str:
    """Pooling that a recipe means.

    Args:
        section: of the recipe.

    Returns:
        What it says; for ``auto`` what a sentence-transformers base says of itself, else the architecture's own
        (``native``), or where that cannot be, the mean, and for decoders the last token.
    """
    if section.pooling != "auto":
        return section.pooling
    if section.head == "native":
        return "native"
    if section.capabilities.default_pooling != "native":
        return section.capabilities.default_pooling
    stated = sentence_pooling(resolve_base(section.base))
    known = next((ours for key, ours in SENTENCE_POOLING.items() if stated.get(key)), None)
    if known:
        return known
    if section.adapt == "adapter" or section.head in ("linear", "mlp"):
        return "last" if section.capabilities.is_causal else "mean"
    return "native"


def build_pretrained(
    section: ModelSection, labels: LabelSet, device: Device, tokenizer: PreTrainedTokenizerBase | None = None
) -> PreTrainedModel:
    """Pre-trained transformer with a fresh classification head.

    Args:
        section: of the recipe.
        labels: K classes.
        device: on which it will be trained; decides how attention is computed.
        tokenizer: whose padding token the model is told; None = the base's configuration knows it.

    Returns:
        A model in float32 whose output has logits (B, K).

    Raises:
        ModelError: the base cannot be had, is of another kind, or has no sequence-classification class for native
            pooling.
    """
    from transformers import AutoModel, AutoModelForSequenceClassification

    place, pooling = resolve_base(section.base), pooling_of(section)
    config = load_config(section.base)
    if section.capabilities.is_causal:
        require_causal(config, section.base)
    set_dropout(config, section)
    options = load_options(device)
    if pooling == "native":
        config.update(_facts(labels))
        native: PreTrainedModel = from_pretrained(
            AutoModelForSequenceClassification.from_pretrained, place, config=config, **options
        )
        set_pad_token(native, tokenizer)
        return native
    backbone = from_pretrained(AutoModel.from_pretrained, place, config=config, **options)
    set_pad_token(backbone, tokenizer)
    return _pooled(section, labels, backbone, pooling)


def build_scratch(
    section: ModelSection, labels: LabelSet, device: Device, tokenizer: PreTrainedTokenizerBase | None = None
) -> PreTrainedModel:
    """The small decoder with random weights, or as a pre-training left it, and a fresh head.

    Args:
        section: of the recipe.
        labels: K classes.
        device: on which it will be trained; decides how attention is computed.
        tokenizer: decides the size of the vocabulary.

    Returns:
        A model in float32 whose output has logits (B, K).

    Raises:
        ModelError: ``model.base`` is not what a pre-training of the small decoder left.
    """
    from transformers import AutoModel

    assert tokenizer is not None
    if section.base:
        config = pretrained_scratch_config(section)
        backbone = from_pretrained(AutoModel.from_pretrained, section.base, config=config, **load_options(device))
    else:
        backbone = AutoModel.from_config(scratch_config(section, tokenizer), **load_options(device))
    model = _pooled(section, labels, backbone, pooling_of(section))
    count = size_of(model)["parameters"]
    if count > LARGEST_SCRATCH:
        logger.warning(
            "%s parameters are many to be trained from scratch: beyond %s a small pre-trained model is usually better.",
            f"{count:,}",
            f"{LARGEST_SCRATCH:,}",
        )
    return model


def load_options(device: Device) -> dict[str, Any]:
    """How a model that will be trained is loaded.

    Args:
        device: on which it will be trained; decides how attention is computed.

    Returns:
        Arguments of ``from_pretrained``.
    """
    import torch

    options: dict[str, Any] = {"dtype": torch.float32}
    if device == "cpu":
        # The fused kernel's backward pass is slower than the plain products: 86 against 106 texts a second at 54
        # tokens, 20 against 24 at 256 (22.7M parameters, bfloat16, two cores). For prediction it is the faster one.
        options["attn_implementation"] = "eager"
    return options


def scratch_config(section: ModelSection, tokenizer: PreTrainedTokenizerBase) -> PretrainedConfig:
    """Configuration of a small decoder that begins with random weights.

    Args:
        section: of the recipe.
        tokenizer: decides the size of the vocabulary.

    Returns:
        A configuration that the Auto classes know.
    """
    from slugline.models.architectures.small_decoder import ScratchConfig

    size = section.dimensions
    config = ScratchConfig(
        vocab_size=len(tokenizer),
        hidden_size=size.width,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        intermediate_size=size.ffn,
        positions=section.positions,
        max_position_embeddings=LEARNED_POSITIONS if section.positions == "learned" else None,
        pad_token_id=tokenizer.pad_token_id,
    )
    set_dropout(config, section)
    return config


def pretrained_scratch_config(section: ModelSection) -> PretrainedConfig:
    """Configuration of the small decoder that ``model.base`` names; its size counts, whatever the recipe's.

    Args:
        section: of the recipe.

    Returns:
        The configuration, with the recipe's dropout.

    Raises:
        ModelError: what lies there is no small decoder, or cannot be had.
    """
    from slugline.models.architectures.small_decoder import ScratchConfig

    config = load_config(section.base)
    if not isinstance(config, ScratchConfig):
        raise ModelError(
            f'{section.base} is a {config.model_type}, but model.kind = "scratch" goes on only from its own kind.',
            hint='Leave model.base out to begin with random weights, or choose model.kind = "encoder" or "decoder".',
        )
    found = Dimensions(
        config.num_hidden_layers, config.hidden_size, config.intermediate_size, config.num_attention_heads
    )
    if found != section.dimensions:
        logger.warning(
            "%s has %d blocks of width %d: they count, not the size in [model].",
            section.base,
            found.layers,
            found.width,
        )
    set_dropout(config, section)
    return config


def require_causal(config: PretrainedConfig, base: str) -> None:
    """Refuse a base that was not trained to continue texts.

    Args:
        config: of the base.
        base: as in ``model.base``, for the message.

    Raises:
        ModelError: it is no causal language model.
    """
    from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, MODEL_FOR_MASKED_LM_MAPPING

    # BERT and its kin have a causal head too, which nobody trained.
    if type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING or type(config) in MODEL_FOR_MASKED_LM_MAPPING:
        raise ModelError(
            f"{base} is a {config.model_type}, which is no causal language model.",
            hint='Choose model.kind = "encoder", or a base such as gpt2 or EleutherAI/pythia-160m.',
        )


def set_pad_token(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase | None) -> None:
    """Tell a model which token is padding, and give it a row for it where its vocabulary ends before.

    Args:
        model: changed in place.
        tokenizer: with a padding token; None = leave the model as it is.
    """
    if tokenizer is None or tokenizer.pad_token_id is None:
        return
    embeddings: Any = model.get_input_embeddings()
    if tokenizer.pad_token_id >= embeddings.num_embeddings:
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    if model.config.pad_token_id is None:
        model.config.pad_token_id = tokenizer.pad_token_id


def _pooled(section: ModelSection, labels: LabelSet, backbone: PreTrainedModel, pooling: str) -> PreTrainedModel:
    """A backbone under a pooling and head of our own."""
    from slugline.models.architectures.pooled import PooledConfig, PooledForSequenceClassification

    config = PooledConfig(
        backbone=backbone.config.to_dict(),
        pooling=cast("Pooling", pooling),
        head="mlp" if section.head == "mlp" else "linear",
        head_dropout=HEAD_DROPOUT if section.head_dropout is None else section.head_dropout,
        adapter_width=section.adapter.width if section.adapt == "adapter" else 0,
        pad_token_id=backbone.config.pad_token_id,
        **_facts(labels),
    )
    return PooledForSequenceClassification(config, backbone)


def _facts(labels: LabelSet) -> dict[str, Any]:
    """What a configuration says of the classes."""
    return {
        "num_labels": len(labels),
        "id2label": dict(enumerate(labels.names)),
        "label2id": {name: index for index, name in enumerate(labels.names)},
        "problem_type": "single_label_classification",
    }


def set_dropout(config: PretrainedConfig, section: ModelSection) -> None:
    """Set the dropout rates that the recipe names, under whatever name the architecture knows them.

    Args:
        config: changed in place.
        section: of the recipe.

    Raises:
        ModelError: the architecture has no such dropout.
    """
    for key, names in DROPOUT_KEYS.items():
        rate = getattr(section, key)
        known = [name for name in names if hasattr(config, name)]
        if key == "head_dropout" and config.model_type in CLS_DROPOUT_TYPES:
            known = ["cls_dropout"]
        if rate is None:
            continue
        if rate and not known and (key != "head_dropout" or pooling_of(section) == "native"):
            raise ModelError(f"model.{key} is set, but {config.model_type} has no such dropout.", hint="Leave it out.")
        for name in known:
            setattr(config, name, rate)
