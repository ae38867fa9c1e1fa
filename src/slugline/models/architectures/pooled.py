"""A classifier out of any backbone, with optional adapters, a pooling and a head, as a `PreTrainedModel`.

The classifier has its own ``model_type``, which plain transformers does not know: it raises an error. With the
backbone's type it would load the folder and return wrong logits. Importing this module registers the classifier with
the Auto classes, and also the small decoder, which may be the backbone.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from transformers import (
    MODEL_FOR_TEXT_ENCODING_MAPPING,
    MODEL_MAPPING,
    AutoConfig,
    AutoModel,
    AutoModelForSequenceClassification,
    AutoModelForTextEncoding,
    PretrainedConfig,
    PreTrainedModel,
)
from transformers.modeling_outputs import SequenceClassifierOutput

import slugline.models.architectures.small_decoder  # noqa: F401  # registers the small decoder
from slugline.models.architectures.adapters import insert_adapters

Pooling = Literal["cls", "last", "mean", "max", "attention"]
Head = Literal["linear", "mlp"]


class PooledConfig(PretrainedConfig):
    """Configuration of `PooledForSequenceClassification`.

    Args:
        backbone: configuration of the backbone, as a plain dictionary with its ``model_type``.
        pooling: pooling of the token states into one vector.
        head: type of the classification head.
        head_dropout: dropout rate before each layer of the head.
        adapter_width: width of the bottleneck adapters in the blocks; 0 = no adapters.
        width: width of the states that the backbone returns; 0 = ``hidden_size`` of its configuration.
        **kwargs: arguments common to all configurations: labels, dtype.
    """

    model_type = "slugline_pooled"

    def __init__(
        self,
        backbone: dict[str, Any] | None = None,
        pooling: Pooling = "mean",
        head: Head = "linear",
        head_dropout: float = 0.1,
        adapter_width: int = 0,
        width: int = 0,
        **kwargs: Any,
    ) -> None:
        if pooling not in get_args(Pooling):
            raise ValueError(f"pooling is {pooling!r}; it can be {', '.join(get_args(Pooling))}")
        self.backbone = backbone or {"model_type": "bert"}
        self.pooling = pooling
        self.head = head
        self.head_dropout = head_dropout
        self.adapter_width = adapter_width
        self.width = width
        super().__init__(**kwargs)

    def backbone_config(self) -> PretrainedConfig:
        """Return the configuration of the backbone."""
        values = dict(self.backbone)
        return AutoConfig.for_model(values.pop("model_type"), **values)


class PooledForSequenceClassification(PreTrainedModel):
    """Backbone, pooling over its last hidden states, dropout, head.

    Args:
        config: configuration of the classifier.
        backbone: backbone with its weights; None = build one with random weights from the configuration.
    """

    config_class = PooledConfig
    base_model_prefix = "backbone"
    supports_gradient_checkpointing = True
    #: Losses are computed outside of the model; with this flag ``Trainer`` counts the items of an update.
    accepts_loss_kwargs = True
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_attention_backend = True

    def __init__(self, config: PooledConfig, backbone: PreTrainedModel | None = None) -> None:
        super().__init__(config)
        self.num_labels = config.num_labels
        if backbone is None:
            # Architectures choose fused attention themselves if they support it; DeBERTa would refuse the name.
            attention = None if config._attn_implementation == "sdpa" else config._attn_implementation
            settings = config.backbone_config()
            backbone = backbone_class(settings).from_config(
                settings, dtype=torch.float32, attn_implementation=attention
            )
        # BERT's tanh pooler is not used: it would be saved without having been trained.
        if getattr(backbone, "pooler", None) is not None:
            backbone.pooler = None
        self.backbone = backbone
        if config.adapter_width:
            insert_adapters(backbone, width=backbone.config.hidden_size, bottleneck=config.adapter_width)
        width, classes = config.width or backbone.config.hidden_size, len(config.id2label or {})
        if config.pooling == "attention":
            self.attention_pooling = nn.Linear(width, 1)
        self.dropout = nn.Dropout(config.head_dropout)
        self.classifier = nn.Linear(width, classes) if config.head == "linear" else MLP(width, classes, self.dropout)
        self.post_init()  # type: ignore[no-untyped-call]

    def resize_token_embeddings(self, *args: Any, **kwargs: Any) -> nn.Embedding:
        """Resize the embeddings of the backbone, and record its configuration, from which it is built on loading."""
        embeddings: nn.Embedding = self.backbone.resize_token_embeddings(*args, **kwargs)
        self.config.backbone = self.backbone.config.to_dict()
        return embeddings

    def _init_weights(self, module: nn.Module) -> None:
        own_modules = [*self.classifier.modules(), getattr(self, "attention_pooling", None)]
        if isinstance(module, nn.Linear) and any(module is own for own in own_modules):
            nn.init.normal_(module.weight, std=0.02)
            nn.init.zeros_(module.bias)

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, **kwargs: Any
    ) -> SequenceClassifierOutput:
        """Compute the logits of texts.

        Args:
            input_ids: (B, T) int64.
            attention_mask: (B, T), 1 for tokens and 0 for padding; None = no padding.
            **kwargs: ignored; transformers passes them.

        Returns:
            Logits (B, K), without a loss.
        """
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        states = self.backbone(input_ids=input_ids, attention_mask=mask).last_hidden_state
        if self.config.pooling == "attention":
            pooled = weighted_mean(states, mask, self.attention_pooling(states).squeeze(-1))
        else:
            pooled = pool(states, mask, self.config.pooling)
        return SequenceClassifierOutput(logits=self.classifier(self.dropout(pooled)))


def backbone_class(config: PretrainedConfig) -> Any:
    """Return the Auto class of a backbone: of models such as T5, the encoder without the decoder."""
    kind = type(config)
    has_encoder = kind in MODEL_FOR_TEXT_ENCODING_MAPPING and kind in MODEL_MAPPING
    if has_encoder and MODEL_FOR_TEXT_ENCODING_MAPPING[kind] is not MODEL_MAPPING[kind]:
        return AutoModelForTextEncoding
    return AutoModel


class MLP(nn.Module):
    """A head of two layers.

    Args:
        width: width of the input and between the layers, H.
        classes: number of classes, K.
        dropout: dropout module between the layers.
    """

    def __init__(self, width: int, classes: int, dropout: nn.Dropout) -> None:
        super().__init__()
        self.hidden, self.dropout, self.output = nn.Linear(width, width), dropout, nn.Linear(width, classes)

    def forward(self, pooled: Tensor) -> Tensor:
        """Compute logits (B, K) of pooled states (B, H)."""
        logits: Tensor = self.output(self.dropout(nn.functional.gelu(self.hidden(pooled))))
        return logits


def weighted_mean(states: Tensor, mask: Tensor, scores: Tensor) -> Tensor:
    """Return the mean of the token states, weighted by the softmax of their scores; padding is ignored.

    This is attention pooling with learned scores (Yang et al. 2016).

    Args:
        states: (B, T, H).
        mask: (B, T), 1 for tokens and 0 for padding.
        scores: (B, T), larger for tokens with a larger weight.

    Returns:
        (B, H) in float32.
    """
    weights = scores.float().masked_fill(mask == 0, torch.finfo(torch.float32).min).softmax(dim=1)
    return (weights.unsqueeze(-1) * states.float()).sum(dim=1)


def pool(states: Tensor, mask: Tensor, pooling: Pooling) -> Tensor:
    """Reduce the token states of each text to one vector; padding on either side is ignored.

    Args:
        states: (B, T, H).
        mask: (B, T), 1 for tokens and 0 for padding.
        pooling: first token, last token, mean or maximum over the tokens; `weighted_mean` does ``attention``.

    Returns:
        (B, H) in float32.
    """
    rows = torch.arange(len(states), device=states.device)
    if pooling == "cls":
        return states[rows, mask.argmax(dim=1)].float()
    if pooling == "last":
        positions = torch.arange(mask.shape[1], device=mask.device)
        return states[rows, (mask * positions).argmax(dim=1)].float()
    states, weights = states.float(), mask.unsqueeze(-1).float()
    if pooling == "max":
        return states.masked_fill(weights == 0, torch.finfo(states.dtype).min).amax(dim=1)
    return (states * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)


AutoConfig.register(PooledConfig.model_type, PooledConfig)
AutoModelForSequenceClassification.register(PooledConfig, PooledForSequenceClassification)
