"""The small decoder, which is trained from scratch: a pre-norm transformer with a causal mask, as a `PreTrainedModel`.

Importing this module registers the small decoder with the Auto classes, as a backbone and with a head over the
vocabulary. `slugline.models.architectures.pooled` adds a classification head as to any other backbone.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, PretrainedConfig, PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_outputs import BaseModelOutput, CausalLMOutput

Positions = Literal["sinusoidal", "rotary", "learned"]

#: Longest wavelength of position encodings, divided by 2 pi (Vaswani et al. 2017; Su et al. 2021).
LONGEST_WAVELENGTH = 10_000.0

#: Standard deviation of random weights.
INITIAL_STD = 0.02


class ScratchConfig(PretrainedConfig):
    """Configuration of the small decoder.

    Args:
        vocab_size: number of entries of the tokenizer, V.
        hidden_size: width of the states, H.
        num_hidden_layers: number of blocks.
        num_attention_heads: number of attention heads of each block; divides the width.
        intermediate_size: width inside a block's feed-forward layer.
        positions: kind of position encoding.
        max_position_embeddings: tokens of the longest text, for learned positions; the other kinds have no limit.
        dropout: dropout rate of the states.
        attention_dropout: dropout rate of the attention weights.
        **kwargs: arguments common to all configurations: the padding token, dtype.
    """

    model_type = "slugline_scratch"

    def __init__(
        self,
        vocab_size: int = 10_000,
        hidden_size: int = 192,
        num_hidden_layers: int = 3,
        num_attention_heads: int = 4,
        intermediate_size: int = 768,
        positions: Positions = "sinusoidal",
        max_position_embeddings: int | None = None,
        dropout: float = 0.1,
        attention_dropout: float = 0.1,
        **kwargs: Any,
    ) -> None:
        if hidden_size % num_attention_heads:
            raise ValueError(f"{num_attention_heads} heads do not divide a width of {hidden_size}")
        self.vocab_size = vocab_size
        self.hidden_size = hidden_size
        self.num_hidden_layers = num_hidden_layers
        self.num_attention_heads = num_attention_heads
        self.intermediate_size = intermediate_size
        self.positions = positions
        self.max_position_embeddings = max_position_embeddings
        self.dropout = dropout
        self.attention_dropout = attention_dropout
        self.tie_word_embeddings = True
        super().__init__(**kwargs)


class SelfAttention(nn.Module):
    """Causal multi-head attention.

    Args:
        config: configuration of the decoder.
    """

    def __init__(self, config: ScratchConfig) -> None:
        super().__init__()
        self.config, self.heads = config, config.num_attention_heads
        self.query_key_value = nn.Linear(config.hidden_size, 3 * config.hidden_size)
        self.output = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, states: Tensor, allowed: Tensor, rotation: tuple[Tensor, Tensor] | None) -> Tensor:
        """Compute the attention.

        Args:
            states: (B, T, H).
            allowed: (B, 1, T, T) bool, from `causal_mask`.
            rotation: cosines and sines (B, 1, T, H / heads) for rotary positions, or None.

        Returns:
            (B, T, H).
        """
        batch, length, width = states.shape
        split = self.query_key_value(states).view(batch, length, 3, self.heads, width // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4)
        if rotation is not None:
            query, key = rotate(query, *rotation), rotate(key, *rotation)
        dropout = self.config.attention_dropout if self.training else 0.0
        if self.config._attn_implementation == "eager":
            scores = (query / math.sqrt(query.shape[-1])) @ key.transpose(2, 3)
            scores = scores.masked_fill(~allowed, torch.finfo(scores.dtype).min)
            weights = functional.dropout(scores.softmax(dim=-1), dropout, training=dropout > 0)
            mixed = weights.to(value.dtype) @ value
        else:
            mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=allowed, dropout_p=dropout)
        attended: Tensor = self.output(mixed.transpose(1, 2).reshape(batch, length, width))
        return attended


class Block(GradientCheckpointingLayer):
    """Attention and a feed-forward layer, each after a norm and with a residual connection (Xiong et al. 2020).

    Args:
        config: configuration of the decoder.
    """

    def __init__(self, config: ScratchConfig) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(config.hidden_size)
        self.attention = SelfAttention(config)
        self.feed_forward_norm = nn.LayerNorm(config.hidden_size)
        self.feed_forward_up = nn.Linear(config.hidden_size, config.intermediate_size)
        self.feed_forward_down = nn.Linear(config.intermediate_size, config.hidden_size)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, states: Tensor, allowed: Tensor, rotation: tuple[Tensor, Tensor] | None) -> Tensor:
        """Transform states; the arguments are those of `SelfAttention.forward`."""
        states = states + self.dropout(self.attention(self.attention_norm(states), allowed, rotation))
        inner = functional.gelu(self.feed_forward_up(self.feed_forward_norm(states)))
        summed: Tensor = states + self.dropout(self.feed_forward_down(inner))
        return summed


class ScratchPreTrainedModel(PreTrainedModel):
    """Base class of the backbone and the language model."""

    config_class = ScratchConfig
    base_model_prefix = "decoder"
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _input_embed_layer = "embedding"

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=INITIAL_STD)
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=INITIAL_STD)
        elif isinstance(module, nn.LayerNorm):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)


class ScratchModel(ScratchPreTrainedModel):
    """The backbone, which computes the states of tokens.

    Args:
        config: configuration of the decoder.
    """

    def __init__(self, config: ScratchConfig) -> None:
        super().__init__(config)
        self.embedding = nn.Embedding(config.vocab_size, config.hidden_size)
        if config.positions == "learned":
            self.position_embedding = nn.Embedding(config.max_position_embeddings or 512, config.hidden_size)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.num_hidden_layers))
        self.norm = nn.LayerNorm(config.hidden_size)
        self.post_init()  # type: ignore[no-untyped-call]

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None, **kwargs: Any) -> BaseModelOutput:
        """Compute the states of tokens. Positions count tokens only, so that padding on either side changes nothing.

        Args:
            input_ids: (B, T) int64.
            attention_mask: (B, T), 1 for tokens and 0 for padding; None = no padding.
            **kwargs: ignored; transformers passes them.

        Returns:
            ``last_hidden_state`` (B, T, H), after the last norm.
        """
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
        states, rotation = self._embed(input_ids, positions)
        allowed = causal_mask(mask)
        for block in self.blocks:
            states = block(states, allowed, rotation)
        return BaseModelOutput(last_hidden_state=self.norm(states))

    def _embed(self, input_ids: Tensor, positions: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor] | None]:
        """States (B, T, H) before the first block, and the cosines and sines of rotary positions."""
        config, rotation = self.config, None
        embedded = self.embedding(input_ids)
        if config.positions == "learned":
            embedded = embedded + self.position_embedding(positions)
        states = embedded * math.sqrt(config.hidden_size)
        if config.positions == "sinusoidal":
            angles = position_angles(positions.shape[1], config.hidden_size, positions.device)
            table = torch.cat([angles.sin(), angles.cos()], dim=1)[:, : config.hidden_size]
            # The scale of the token embeddings, so that positions do not dominate.
            states = states + table[positions] * INITIAL_STD * math.sqrt(2 * config.hidden_size)
        elif config.positions == "rotary":
            head_width = config.hidden_size // config.num_attention_heads
            angles = position_angles(positions.shape[1], head_width, positions.device)
            table = torch.cat([angles, angles], dim=1)[positions].unsqueeze(1)
            rotation = (table.cos(), table.sin())
        return self.dropout(states), rotation


class ScratchForCausalLM(ScratchPreTrainedModel):
    """The backbone with a projection onto the vocabulary, tied to the embeddings.

    Args:
        config: configuration of the decoder.
    """

    _tied_weights_keys = {"lm_head.weight": "decoder.embedding.weight"}  # noqa: RUF012  # name and type of transformers

    def __init__(self, config: ScratchConfig) -> None:
        super().__init__(config)
        self.decoder = ScratchModel(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()  # type: ignore[no-untyped-call]

    def _init_weights(self, module: nn.Module) -> None:
        if module is not self.lm_head:  # its weights are those of the embeddings
            super()._init_weights(module)

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None, **kwargs: Any) -> CausalLMOutput:
        """Compute the logits of the token after each position.

        Args:
            input_ids: (B, T) int64.
            attention_mask: (B, T), 1 for tokens and 0 for padding; None = no padding.
            **kwargs: ignored; transformers passes them.

        Returns:
            ``logits`` (B, T, V).
        """
        states = self.decoder(input_ids, attention_mask).last_hidden_state
        return CausalLMOutput(logits=self.lm_head(states))


def causal_mask(mask: Tensor) -> Tensor:
    """Return the pairs of positions between which attention is allowed.

    Each position attends to earlier tokens and to itself; padding too, so that no row of the mask is empty.

    Args:
        mask: (B, T), 1 for tokens and 0 for padding.

    Returns:
        (B, 1, T, T) bool: the query's position, then the key's.
    """
    length = mask.shape[1]
    earlier = torch.ones(length, length, dtype=torch.bool, device=mask.device).tril()
    itself = torch.eye(length, dtype=torch.bool, device=mask.device)
    return ((earlier & mask.bool().unsqueeze(1)) | itself).unsqueeze(1)


def position_angles(length: int, width: int, device: torch.device) -> Tensor:
    """Return positions times frequencies.

    Args:
        length: number of positions, T.
        width: width of the states, or of an attention head for rotary positions.
        device: device of the result.

    Returns:
        (T, width / 2, rounded up) in radians.
    """
    exponents = torch.arange(0, width, 2, device=device, dtype=torch.float32) / width
    return torch.arange(length, device=device, dtype=torch.float32).unsqueeze(1) / LONGEST_WAVELENGTH**exponents


def rotate(states: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    """Rotate pairs of components by angles proportional to the position (Su et al. 2021).

    Args:
        states: (B, heads, T, D).
        cosines: (B, 1, T, D).
        sines: (B, 1, T, D).

    Returns:
        (B, heads, T, D).
    """
    first, second = states.chunk(2, dim=-1)
    rotated = states * cosines + torch.cat([-second, first], dim=-1) * sines
    return rotated.to(states.dtype)


AutoConfig.register(ScratchConfig.model_type, ScratchConfig)
AutoModel.register(ScratchConfig, ScratchModel)
AutoModelForCausalLM.register(ScratchConfig, ScratchForCausalLM)
