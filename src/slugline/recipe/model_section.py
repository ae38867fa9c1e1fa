"""[model]: the kind of model, its base, how the base is adapted, its head."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from slugline.recipe.kinds import KINDS, Kind
from slugline.recipe.section import Count, Fraction, Positive, Section, name_in


class Dimensions(NamedTuple):
    """Dimensions of the small decoder: blocks, width of the states, width inside a block, attention heads."""

    layers: int
    width: int
    ffn: int
    heads: int


#: ``model.size`` -> dimensions; with a vocabulary of 10,000 these are 1.7, 3.3, 4.9 and 8.1 million parameters.
SIZES = {
    "tiny": Dimensions(2, 128, 512, 4),
    "small": Dimensions(3, 192, 768, 4),
    "medium": Dimensions(3, 256, 1024, 4),
    "large": Dimensions(4, 320, 1280, 4),
}

#: Tokenizers that are trained on the training texts.
TRAINED_TOKENIZERS = ("bpe", "wordpiece", "unigram")

#: Keys that belong to one value of ``adapt``, which has the same name.
ADAPT_KEYS = ("lora", "adapter", "gradual")


class LoraSection(Section):
    """Low-rank matrices beside the weights of the base."""

    variant: Literal["lora", "rslora", "dora", "loha", "lokr"] = Field("lora", description="method of PEFT")
    r: Positive = Field(16, description="rank")
    alpha: Positive = Field(32, description="scale: the update is multiplied by alpha / r")
    dropout: Fraction = Field(0.1, description="on the input of the matrices")
    targets: Literal["auto"] | list[str] = Field("auto", description="layers by name; auto: the attention layers")


class AdapterSection(Section):
    """Bottleneck adapters after each block of the base."""

    width: Positive = Field(64, description="width of the bottleneck")


class GradualSection(Section):
    """Gradual unfreezing: the head first, then block after block from the top."""

    epochs_per_stage: Annotated[float, Field(gt=0)] = Field(1, description="epochs before the next block is trained")


class ModelSection(Section):
    """The model: its kind, its base, the adaptation of the base, its head."""

    kind: Annotated[str, name_in(KINDS)] = Field(
        "encoder", description="; ".join(f"{name}: {kind.title}" for name, kind in KINDS.items())
    )
    base: str = Field(
        "embedded",
        description="Hub name, folder, or the embedded encoder (all-MiniLM-L6-v2); for scratch empty, or a model of "
        "`slugline pretrain`",
    )
    adapt: Literal["full", "lora", "adapter", "frozen", "gradual"] = Field(
        "full",
        description="trained weights: full: all; lora, adapter: small additions; frozen: only the head; "
        "gradual: the head first, then block after block",
    )
    pooling: Literal["auto", "native", "cls", "last", "mean", "max", "attention"] = Field(
        "auto",
        description="auto: the pooling that the base configures, or native; native: the architecture's own head with "
        "its pooling",
    )
    head: Literal["auto", "native", "linear", "mlp"] = Field(
        "auto", description="auto: native with native pooling, else linear"
    )
    dropout: Fraction | None = Field(None, description="of hidden states; unset = as configured in the base")
    attention_dropout: Fraction | None = Field(
        None, description="of attention weights; unset = as configured in the base"
    )
    head_dropout: Fraction | None = Field(
        None, description="before the classification layer; unset = as configured in the base"
    )
    gradient_checkpointing: bool = Field(
        False, description="saves memory: recomputes the states in the backward pass, which takes time"
    )
    size: Literal["tiny", "small", "medium", "large"] = Field(
        "small", description="scratch: tiny 2 x 128, small 3 x 192, medium 3 x 256, large 4 x 320 (blocks x width)"
    )
    layers: Count = Field(0, description="scratch: number of blocks; 0 = by size")
    width: Count = Field(0, description="scratch: width of the states; 0 = by size")
    ffn: Count = Field(0, description="scratch: width inside a block; 0 = by size")
    heads: Count = Field(0, description="scratch: number of attention heads; divides the width; 0 = by size")
    positions: Literal["sinusoidal", "rotary", "learned"] = Field(
        "sinusoidal", description="scratch: position encoding"
    )
    tokenizer: str = Field(
        "base",
        description="base: the tokenizer of the base; scratch: bpe, wordpiece or unigram, trained on the training "
        "texts, or a Hub name or folder",
    )
    vocabulary_size: Positive = Field(10_000, description="scratch: entries of a trained tokenizer")
    lora: LoraSection = Field(LoraSection(), description="variant (lora, rslora, dora, loha, lokr), rank, scale")
    adapter: AdapterSection = Field(AdapterSection(), description="width of the bottleneck")
    gradual: GradualSection = Field(GradualSection(), description="epochs before the next block is trained")

    @property
    def capabilities(self) -> Kind:
        """The row of `KINDS` for this kind."""
        return KINDS[self.kind]

    @property
    def dimensions(self) -> Dimensions:
        """Dimensions of the small decoder: the given values, and the values of `size` for keys that are 0."""
        given = Dimensions(self.layers, self.width, self.ffn, self.heads)
        return Dimensions(*(value or default for value, default in zip(given, SIZES[self.size], strict=True)))

    @model_validator(mode="after")
    def _keys_belong_to_the_kind(self) -> Self:
        fields = type(self).model_fields
        for name, kind in KINDS.items():
            foreign = [key for key in kind.keys if key not in self.capabilities.keys]
            given = [key for key in foreign if getattr(self, key) != fields[key].default]
            if given:
                raise ValueError(f'{" and ".join(given)} cannot be set for {self.kind!r}, only for kind = "{name}"')
        if not self.capabilities.has_updates and self.adapt != "full":
            raise ValueError(f"adapt is {self.adapt!r}, but a {self.kind} model has no base to adapt")
        for key in ADAPT_KEYS:
            if self.adapt != key and getattr(self, key) != fields[key].default:
                raise ValueError(f'{key} is set, but adapt is {self.adapt!r}; it belongs to adapt = "{key}"')
        return self

    @model_validator(mode="after")
    def _pooling_and_head_agree(self) -> Self:
        own_pooling, own_head = self.pooling not in ("auto", "native"), self.head not in ("auto", "native")
        lacks_native = self.capabilities.has_updates and not self.capabilities.has_native_head
        if self.pooling == "native" and own_head:
            raise ValueError(f"head is {self.head!r}, but pooling = 'native' has its own head")
        if self.head == "native" and (own_pooling or lacks_native):
            raise ValueError(f'head is "native", which needs pooling = "native", not {self.pooling!r}')
        if self.adapt == "adapter" and "native" in (self.pooling, self.head):
            raise ValueError('adapt is "adapter", which native heads do not support; leave pooling and head out')
        if self.pooling == "native" and lacks_native:
            raise ValueError('pooling is "native", but the small decoder has no head of its own')
        return self

    @model_validator(mode="after")
    def _scratch_is_valid(self) -> Self:
        if not self.capabilities.is_from_scratch:
            return self
        size = self.dimensions
        if size.width % size.heads:
            known = ", ".join(str(count) for count in range(1, 17) if size.width % count == 0)
            raise ValueError(f"heads is {size.heads}, which does not divide width = {size.width}; {known} do")
        if self.positions == "rotary" and size.width // size.heads % 2:
            raise ValueError(f"rotary positions need heads of even width, not {size.width // size.heads}")
        if self.base and self.tokenizer != "base":
            raise ValueError(f"tokenizer is {self.tokenizer!r}, but a pre-trained base has its own; leave it out")
        if not self.base and self.tokenizer == "base":
            raise ValueError('tokenizer is "base", but there is no base; "bpe" trains a tokenizer')
        if self.base == "embedded":
            raise ValueError('base is "embedded", an encoder; leave it out, or give a model of `slugline pretrain`')
        if not self.base and self.adapt != "full":
            raise ValueError(f"adapt is {self.adapt!r}, but with random weights all weights have to be trained")
        return self
