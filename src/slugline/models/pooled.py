"""Any backbone with a pooling of our own and a linear head, as a `PreTrainedModel`.

Saved under a ``model_type`` of its own: plain transformers refuses the folder by name instead of loading it under the
backbone's type and answering differently. Importing this module registers it with the Auto classes.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForSequenceClassification,
    PretrainedConfig,
    PreTrainedModel,
)
from transformers.modeling_outputs import SequenceClassifierOutput

Pooling = Literal["cls", "last", "mean", "max"]


class PooledConfig(PretrainedConfig):
    """Configuration of `PooledForSequenceClassification`.

    Args:
        backbone: configuration of the backbone, as a plain dictionary with its ``model_type``.
        pooling: how token states become one vector.
        head_dropout: before the linear layer.
        **kwargs: what every configuration takes: labels, dtype.
    """

    model_type = "slugline_pooled"

    def __init__(
        self,
        backbone: dict[str, Any] | None = None,
        pooling: Pooling = "mean",
        head_dropout: float = 0.1,
        **kwargs: Any,
    ) -> None:
        if pooling not in get_args(Pooling):
            raise ValueError(f"pooling is {pooling!r}; it can be {', '.join(get_args(Pooling))}")
        self.backbone = backbone or {"model_type": "bert"}
        self.pooling = pooling
        self.head_dropout = head_dropout
        super().__init__(**kwargs)

    def backbone_config(self) -> PretrainedConfig:
        """The backbone's own configuration."""
        values = dict(self.backbone)
        return AutoConfig.for_model(values.pop("model_type"), **values)


class PooledForSequenceClassification(PreTrainedModel):
    """Backbone, pooling over its last hidden states, dropout, linear layer.

    Args:
        config: of the whole.
        backbone: with its trained weights; made from the configuration, with random weights, when None.
    """

    config_class = PooledConfig
    base_model_prefix = "backbone"
    supports_gradient_checkpointing = True
    #: Losses are computed outside; this tells ``Trainer`` to count the items of an update.
    accepts_loss_kwargs = True
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_attention_backend = True

    def __init__(self, config: PooledConfig, backbone: PreTrainedModel | None = None) -> None:
        super().__init__(config)
        self.num_labels = config.num_labels
        if backbone is None:
            backbone = AutoModel.from_config(
                config.backbone_config(), dtype=torch.float32, attn_implementation=config._attn_implementation
            )
        # BERT's tanh pooler would be trained by nothing and saved for nothing.
        if getattr(backbone, "pooler", None) is not None:
            backbone.pooler = None
        self.backbone = backbone
        self.dropout = nn.Dropout(config.head_dropout)
        self.classifier = nn.Linear(backbone.config.hidden_size, len(config.id2label or {}))
        self.post_init()  # type: ignore[no-untyped-call]

    def _init_weights(self, module: nn.Module) -> None:
        if module is self.classifier:
            nn.init.normal_(self.classifier.weight, std=0.02)
            nn.init.zeros_(self.classifier.bias)

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, **kwargs: Any
    ) -> SequenceClassifierOutput:
        """Classify.

        Args:
            input_ids: (B, T) int64.
            attention_mask: (B, T), 1 for tokens and 0 for padding; None = no padding.
            **kwargs: taken for transformers' sake; what the backbone does not need is not passed on.

        Returns:
            Logits (B, K); the loss is the trainer's.
        """
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        states = self.backbone(input_ids=input_ids, attention_mask=mask).last_hidden_state
        pooled = pool(states, mask, self.config.pooling)
        return SequenceClassifierOutput(logits=self.classifier(self.dropout(pooled)))


def pool(states: Tensor, mask: Tensor, pooling: Pooling) -> Tensor:
    """Token states to one vector a text; padding never counts, on whichever side it stands.

    Args:
        states: (B, T, H).
        mask: (B, T), 1 for tokens and 0 for padding.
        pooling: first token, last token, mean or maximum over the tokens.

    Returns:
        (B, H).
    """
    rows = torch.arange(len(states), device=states.device)
    if pooling == "cls":
        return states[rows, mask.argmax(dim=1)]
    if pooling == "last":
        positions = torch.arange(mask.shape[1], device=mask.device)
        return states[rows, (mask * positions).argmax(dim=1)]
    weights = mask.unsqueeze(-1).to(states.dtype)
    if pooling == "max":
        return states.masked_fill(weights == 0, torch.finfo(states.dtype).min).amax(dim=1)
    return (states * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)


AutoConfig.register(PooledConfig.model_type, PooledConfig)
AutoModelForSequenceClassification.register(PooledConfig, PooledForSequenceClassification)
