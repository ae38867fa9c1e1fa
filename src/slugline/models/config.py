"""Configurations of models to be trained: classes, pooling, dropout, and the size of the small decoder.

`slugline.models.build` builds classifiers from them, `slugline.models.language_model` models to be pre-trained.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, cast

from slugline.core.errors import ModelError
from slugline.core.labels import Kind, LabelSet
from slugline.models.pretrained import load_config, resolve_base, sentence_pooling
from slugline.recipe.model_section import Dimensions

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedTokenizerBase

    from slugline.models.architectures.pooled import PooledConfig, Pooling
    from slugline.recipe.model_section import ModelSection

logger = logging.getLogger(__name__)

#: Pooling modes of sentence-transformers -> values of ``model.pooling``.
SENTENCE_POOLING = {"mean": "mean", "cls": "cls", "max": "max", "lasttoken": "last"}

#: Keys of its configurations before version 6, each true or false -> pooling modes.
SENTENCE_POOLING_KEYS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}

#: Kinds of dropout -> their names in the configurations of BERT and similar models, DistilBERT, GPT-2, NeoX, GPT-Neo.
DROPOUT_KEYS = {
    "dropout": (
        *("hidden_dropout_prob", "dropout", "embedding_dropout", "mlp_dropout", "resid_pdrop", "embd_pdrop"),
        *("hidden_dropout", "resid_dropout", "embed_dropout"),
    ),
    "attention_dropout": ("attention_probs_dropout_prob", "attention_dropout", "attn_pdrop"),
    "head_dropout": ("classifier_dropout", "classifier_dropout_prob", "seq_classif_dropout", "cls_dropout"),
}

#: Types whose models read ``cls_dropout`` although their default configuration does not have it.
CLS_DROPOUT_TYPES = ("deberta", "deberta-v2")

#: Dropout before a head of this package if the recipe sets none.
HEAD_DROPOUT = 0.1

#: Tokens of a text for which a small decoder with learned positions has position embeddings.
LEARNED_POSITIONS = 512


#: Kind of a label set -> how transformers computes the loss of such a model, and its pipelines the probabilities.
PROBLEM_TYPES: dict[Kind, str] = {
    "single": "single_label_classification",
    "hierarchical": "single_label_classification",
    "multi": "multi_label_classification",
}


def label_settings(labels: LabelSet) -> dict[str, Any]:
    """Return the keys of a configuration that describe the classes.

    Args:
        labels: K classes.

    Returns:
        The keys of transformers, and ``slugline_label_set``, which has what they cannot express, or None.
    """
    settings = {
        "num_labels": len(labels),
        "id2label": dict(enumerate(labels.names)),
        "label2id": {name: index for index, name in enumerate(labels.names)},
        "problem_type": PROBLEM_TYPES[labels.kind],
    }
    is_complete = labels == LabelSet(labels.names, stated_kind(PROBLEM_TYPES[labels.kind]))
    return settings | {"slugline_label_set": None if is_complete else labels.to_dict()}


def label_set_of(config: PretrainedConfig) -> LabelSet | None:
    """Return the classes that the configuration of a classifier describes.

    Args:
        config: configuration of a classifier, of this package or another one.

    Returns:
        The classes, ordered by their numbers; None if it predicts no classes, but for example a number.

    Raises:
        DataError: two classes have the same name.
    """
    if getattr(config, "slugline_label_set", None):
        return LabelSet.from_dict(config.slugline_label_set)
    names = tuple(str(name) for _, name in sorted((config.id2label or {}).items()))
    kind = stated_kind(config.problem_type)
    has_classes = config.problem_type in (None, PROBLEM_TYPES[kind]) and len(names) >= (1 if kind == "multi" else 2)
    return LabelSet(names, kind) if has_classes else None


def stated_kind(problem_type: str | None) -> Kind:
    """Return the kind of label set that a ``problem_type`` of transformers means."""
    return "multi" if problem_type == PROBLEM_TYPES["multi"] else "single"


def pooling_of(section: ModelSection) -> str:
    """Return the pooling of a classifier.

    Args:
        section: [model] section of the recipe.

    Returns:
        The value in the recipe. ``auto`` becomes the pooling in the configuration of a sentence-transformers base, else
        ``native``, the architecture's own head. If the model cannot have a native head: the mean over the tokens, or
        the last token for decoders.
    """
    if section.pooling != "auto":
        return section.pooling
    if section.head == "native":
        return "native"
    if section.capabilities.default_pooling != "native":
        return section.capabilities.default_pooling
    modes = _sentence_modes(sentence_pooling(resolve_base(section.base)))
    if modes:
        return _nearest_pooling(modes, section.base)
    if section.adapt == "adapter" or section.head in ("linear", "mlp"):
        return "last" if section.capabilities.is_causal else "mean"
    return "native"


def _sentence_modes(stated: dict[str, Any]) -> tuple[str, ...]:
    """The pooling modes in a configuration of sentence-transformers, which joins their vectors."""
    modes = stated.get("pooling_mode") or [mode for key, mode in SENTENCE_POOLING_KEYS.items() if stated.get(key)]
    return (modes,) if isinstance(modes, str) else tuple(modes)


def _nearest_pooling(modes: tuple[str, ...], base: str) -> str:
    """The pooling of a sentence-transformers model, or the mean if it has one that this package lacks."""
    if len(modes) == 1 and modes[0] in SENTENCE_POOLING:
        return SENTENCE_POOLING[modes[0]]
    nearest = next((SENTENCE_POOLING[mode] for mode in modes if mode in SENTENCE_POOLING), "mean")
    logger.warning(
        '%s pools by %s, which is not one of the poolings here: model.pooling = "%s" is used.',
        base,
        " and ".join(modes),
        nearest,
    )
    return nearest


def backbone_config(config: PretrainedConfig) -> PretrainedConfig:
    """Return the configuration of the backbone; that of a model without a head of this package is its own."""
    from slugline.models.architectures.pooled import PooledConfig

    return config.backbone_config() if isinstance(config, PooledConfig) else config


def pooled_config(
    section: ModelSection, labels: LabelSet, backbone: PretrainedConfig, pooling: str, *, width: int
) -> PooledConfig:
    """Configuration of a classifier with a pooling and head of this package.

    Args:
        section: [model] section of the recipe.
        labels: K classes.
        backbone: configuration of the backbone.
        pooling: pooling from `pooling_of`; not native.
        width: width of the states that the backbone returns.

    Returns:
        The configuration.
    """
    from slugline.models.architectures.pooled import PooledConfig

    return PooledConfig(
        backbone=backbone.to_dict(),
        pooling=cast("Pooling", pooling),
        width=width,
        head="mlp" if section.head == "mlp" else "linear",
        head_dropout=HEAD_DROPOUT if section.head_dropout is None else section.head_dropout,
        adapter_width=section.adapter.width if section.adapt == "adapter" else 0,
        pad_token_id=backbone.pad_token_id,
        **label_settings(labels),
    )


def scratch_config(section: ModelSection, tokenizer: PreTrainedTokenizerBase) -> PretrainedConfig:
    """Configuration of a small decoder that starts from random weights.

    Args:
        section: [model] section of the recipe.
        tokenizer: tokenizer of the model; its size is the vocabulary size.

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
    """Configuration of the pre-trained small decoder in ``model.base``; its size overrides the size in the recipe.

    Args:
        section: [model] section of the recipe.

    Returns:
        The configuration, with the recipe's dropout.

    Raises:
        ModelError: the base is not a small decoder, or cannot be loaded.
    """
    from slugline.models.architectures.small_decoder import ScratchConfig

    config = backbone_config(load_config(section.base))
    if not isinstance(config, ScratchConfig):
        raise ModelError(
            f'{section.base} is a {config.model_type}, but model.kind = "scratch" needs a small decoder as its base.',
            hint='Leave model.base out to start from random weights, or choose model.kind = "encoder" or "decoder".',
        )
    found = Dimensions(
        config.num_hidden_layers, config.hidden_size, config.intermediate_size, config.num_attention_heads
    )
    if found != section.dimensions:
        logger.warning(
            "%s has %d blocks of width %d: this size is used, not the size in [model].",
            section.base,
            found.layers,
            found.width,
        )
    set_dropout(config, section)
    return config


def language_config(section: ModelSection, tokenizer: PreTrainedTokenizerBase) -> PretrainedConfig:
    """Configuration of a model to be pre-trained.

    Args:
        section: [model] section of the recipe.
        tokenizer: tokenizer of the model.

    Returns:
        The configuration of the base, or of a small decoder; with the recipe's dropout.

    Raises:
        ModelError: the base cannot be loaded, or is of another kind.
    """
    if section.capabilities.is_pretrained:
        config = load_config(section.base)
        set_dropout(config, section)
        return config
    return pretrained_scratch_config(section) if section.base else scratch_config(section, tokenizer)


def require_causal(config: PretrainedConfig, base: str) -> None:
    """Refuse a base that is not a causal language model.

    Args:
        config: configuration of the base.
        base: value of ``model.base``, for the message.

    Raises:
        ModelError: the base is not a causal language model.
    """
    from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, MODEL_FOR_MASKED_LM_MAPPING

    # transformers has causal heads for BERT and similar encoders too, but these bases were not trained with them.
    kind = type(backbone_config(config))
    if kind not in MODEL_FOR_CAUSAL_LM_MAPPING or kind in MODEL_FOR_MASKED_LM_MAPPING:
        raise ModelError(
            f"{base} is a {config.model_type}, which is not a causal language model.",
            hint='Choose model.kind = "encoder", or a base such as gpt2 or EleutherAI/pythia-160m.',
        )


def require_masked_head(config: PretrainedConfig, base: str) -> None:
    """Refuse an architecture for which transformers has no head for masked tokens.

    Args:
        config: configuration of the base.
        base: value of ``model.base``, for the message.

    Raises:
        ModelError: transformers has no such head.
    """
    from transformers import MODEL_FOR_MASKED_LM_MAPPING

    if type(config) not in MODEL_FOR_MASKED_LM_MAPPING:
        raise ModelError(
            f"{base or 'the small decoder'} is a {config.model_type}, which has no head for masked pre-training.",
            hint="Choose an encoder such as BERT, RoBERTa, DistilBERT or DeBERTa as model.base, or causal "
            'pre-training: pretrain.objective = "causal", with model.kind "decoder" or "scratch".',
        )


def set_dropout(config: PretrainedConfig, section: ModelSection) -> None:
    """Set the recipe's dropout rates, under the names that the architecture uses.

    Args:
        config: configuration of a model; changed in place.
        section: [model] section of the recipe.

    Raises:
        ModelError: the architecture has no such dropout.
    """
    from slugline.models.architectures.pooled import PooledConfig

    if isinstance(config, PooledConfig):
        backbone = config.backbone_config()
        set_dropout(backbone, section.model_copy(update={"head_dropout": None}))
        config.backbone = backbone.to_dict()
        config.head_dropout = config.head_dropout if section.head_dropout is None else section.head_dropout
        return
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
