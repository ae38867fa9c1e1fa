"""What a recipe may say: its sections, every key with its default, its bounds and what it does.

All defaults stand here, once; `docs/recipe.md`, `slugline recipe new` and the JSON schema are made from these fields.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]
Weight = Annotated[float, Field(ge=0.0)]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
CleaningStep = Literal["encoding", "whitespace", "lowercase", "artefacts"]
Tracker = Literal["tensorboard", "wandb", "mlflow", "trackio"]
Frequency = Positive | Annotated[str, Field(pattern=r"^(epoch|[1-9][0-9]* epochs)$")]


class Section(BaseModel):
    """Part of a recipe: immutable, and closed to unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class SourceSection(Section):
    """One place that rows come from, and what its labels are called here."""

    name: str = Field("", description="a known set (see `slugline data list`); or give path, or hub")
    path: str = Field(
        "",
        description="a file, a glob, a folder of class folders, or a folder with train/validation/test files",
    )
    hub: str = Field("", description="a data set of the Hugging Face Hub: owner/set")
    text: list[str] = Field([], description="text column, or several, joined by a blank; guessed when empty")
    label: str = Field("", description="label column; guessed when empty")
    label_offset: int = Field(0, description="added to integer labels: -1 turns 1..K into 0..K-1")
    label_map: dict[str, str] = Field(
        {},
        description='renames and merges classes: { sport = "Sports" }; has an entry for every label, '
        "and its values are the label order",
    )

    @field_validator("text", mode="before")
    @classmethod
    def _one_column_is_a_list(cls, value: object) -> object:
        return [value] if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        given = [key for key in ("name", "path", "hub") if getattr(self, key)]
        if len(given) != 1 and self._is_one_place():
            found = " and ".join(given) if given else "none of them"
            raise ValueError(f"give exactly one of name, path and hub; found {found}")
        return self

    def _is_one_place(self) -> bool:
        return True


#: Keys of [data] that speak of the rows of one place.
ONE_PLACE_KEYS = ("id", "test_path", "validation_path", "split")


class DataSection(SourceSection):
    """Which texts and labels, how they are cleaned and split."""

    sources: list[SourceSection] = Field(
        [], description="several sets in one, instead of name, path or hub: [[data.sources]] tables with such keys"
    )
    id: str = Field("", description="column that names the rows; made from the row's contents when empty")
    test_path: str = Field("", description="the test rows, when they are a file of their own")
    validation_path: str = Field("", description="the validation rows, when they are a file of their own")
    split: str = Field("", description="column that says train, validation or test")
    validation_fraction: Fraction = Field(
        0.1, description="share of each class set aside, where the source has no validation rows"
    )
    test_fraction: Fraction = Field(0.2, description="share of each class set aside, where the source has no test rows")
    split_seed: int = Field(13, description="of the splits alone: another `seed` keeps the same test rows")
    max_train_examples: Count | Fraction = Field(
        0, description="stratified subset of train: a number, or a share below 1; 0 = all"
    )
    min_class_examples: Count = Field(
        0, description="classes with fewer rows in train leave every split; counted before any other drop or split"
    )
    keep_classes: list[str] = Field([], description="only these classes; empty = all")
    drop_classes: list[str] = Field([], description="without these classes")
    leaks: Literal["drop", "keep", "refuse"] = Field(
        "drop", description="train rows whose text also stands in validation or test"
    )
    clean: list[CleaningStep] = Field(
        ["encoding", "whitespace"],
        description="in the order given: encoding (ftfy), whitespace, lowercase, artefacts ([UNK], quot;, stray \\)",
    )
    min_tokens: Count = Field(
        0, description="texts of fewer words leave train and validation, never a given test split; 0 = none"
    )
    max_length: Positive = Field(256, description="tokens that the model reads at a time, special tokens included")
    long: Literal["head", "tail", "head_tail", "window"] = Field(
        "head", description="what is read of longer texts; window: all of it, in overlapping windows"
    )
    stride: Count = Field(64, description="tokens that neighbouring windows have in common")
    max_windows: Positive = Field(8, description="windows of a text, from its beginning; the rest is not read")
    sampling: Literal["shuffle", "balanced"] = Field(
        "shuffle", description="balanced: every class is drawn equally often, small ones repeatedly"
    )

    def places(self) -> Sequence[SourceSection]:
        """Where rows come from: the sources, or this section itself where it has none."""
        return self.sources or [self]

    def _is_one_place(self) -> bool:
        return not self.sources

    @model_validator(mode="after")
    def _sources_speak_for_themselves(self) -> Self:
        beside = [key for key in (*SourceSection.model_fields, *ONE_PLACE_KEYS) if getattr(self, key)]
        if self.sources and beside:
            described = f"{', '.join(SourceSection.model_fields)} belong into each [[data.sources]] table"
            raise ValueError(
                f"{' and '.join(beside)} cannot stand beside sources; {described}, splits and ids come from there"
            )
        return self

    @model_validator(mode="after")
    def _rows_remain(self) -> Self:
        if self.validation_fraction + self.test_fraction >= 1:
            raise ValueError("validation_fraction and test_fraction leave nothing to train on")
        if self.long == "window" and self.stride >= self.max_length:
            raise ValueError(f"stride is {self.stride}: windows of {self.max_length} tokens would never move on")
        return self


class Dimensions(NamedTuple):
    """Of the small decoder that is trained from scratch: blocks, width of states, width inside a block, heads."""

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

#: Keys of [model] that only the small decoder knows.
SCRATCH_KEYS = ("size", "layers", "width", "ffn", "heads", "positions", "tokenizer", "vocabulary_size")

#: Ways to adapt -> the keys that only they know.
ADAPT_KEYS = ("lora", "adapter", "gradual")


class LoraSection(Section):
    """Low-rank matrices beside the base's weights."""

    variant: Literal["lora", "rslora", "dora", "loha", "lokr"] = Field("lora", description="PEFT's method")
    r: Positive = Field(16, description="rank")
    alpha: Positive = Field(32, description="scale: what is learnt counts alpha / r times")
    dropout: Fraction = Field(0.1, description="of what goes through the matrices")
    targets: Literal["auto"] | list[str] = Field("auto", description="layers by name; auto: those of the attention")


class AdapterSection(Section):
    """Small residual networks after each block of the base."""

    width: Positive = Field(64, description="components in between")


class GradualSection(Section):
    """The head first, then block after block from the top."""

    epochs_per_stage: Annotated[float, Field(gt=0)] = Field(1, description="epochs until the next block is trained")


class ModelSection(Section):
    """Which kind of model, and what it starts from."""

    kind: Literal["encoder", "decoder", "scratch", "linear"] = Field(
        "encoder",
        description="encoder, decoder: fine-tuned transformer; scratch: small decoder with random weights; "
        "linear: TF-IDF and a linear SVM",
    )
    base: str = Field(
        "embedded",
        description="Hub name, folder, or the embedded encoder (all-MiniLM-L6-v2); empty for scratch, or what "
        "`slugline pretrain` left",
    )
    adapt: Literal["full", "lora", "adapter", "frozen", "gradual"] = Field(
        "full",
        description="what is trained: full: everything; lora, adapter: small additions; frozen: the head alone; "
        "gradual: head first, block after block",
    )
    pooling: Literal["auto", "native", "cls", "last", "mean", "max", "attention"] = Field(
        "auto", description="auto: what the base says of itself, else the architecture's own head (native)"
    )
    head: Literal["auto", "native", "linear", "mlp"] = Field(
        "auto", description="auto: native where the pooling is, else linear"
    )
    dropout: Fraction | None = Field(None, description="of hidden states; unset = the base's own")
    attention_dropout: Fraction | None = Field(None, description="of attention weights; unset = the base's own")
    head_dropout: Fraction | None = Field(None, description="before the classification layer; unset = the base's own")
    gradient_checkpointing: bool = Field(False, description="less memory for more time: states are computed twice")
    size: Literal["tiny", "small", "medium", "large"] = Field(
        "small", description="scratch: tiny 2 x 128, small 3 x 192, medium 3 x 256, large 4 x 320 (blocks x width)"
    )
    layers: Count = Field(0, description="scratch: blocks; 0 = as size says")
    width: Count = Field(0, description="scratch: of the states; 0 = as size says")
    ffn: Count = Field(0, description="scratch: width inside a block; 0 = as size says")
    heads: Count = Field(0, description="scratch: attention heads, which divide the width; 0 = as size says")
    positions: Literal["sinusoidal", "rotary", "learned"] = Field(
        "sinusoidal", description="scratch: how a token's place is told"
    )
    tokenizer: str = Field(
        "base",
        description="base: the base's own; scratch: bpe, wordpiece or unigram, trained on the training texts, or a "
        "Hub name or folder",
    )
    vocabulary_size: Positive = Field(10_000, description="scratch: entries of a tokenizer that is trained")
    lora: LoraSection = Field(LoraSection(), description="variant (lora, rslora, dora, loha, lokr), rank, scale")
    adapter: AdapterSection = Field(AdapterSection(), description="width of the bottleneck")
    gradual: GradualSection = Field(GradualSection(), description="epochs until the next block is trained")

    @property
    def dimensions(self) -> Dimensions:
        """Of the small decoder: what is given, and the rest as its size says."""
        given = Dimensions(self.layers, self.width, self.ffn, self.heads)
        return Dimensions(*(mine or theirs for mine, theirs in zip(given, SIZES[self.size], strict=True)))

    @model_validator(mode="after")
    def _keys_belong_to_the_kind(self) -> Self:
        fields = type(self).model_fields
        if self.kind != "scratch":
            self._refuse_set([key for key in SCRATCH_KEYS if getattr(self, key) != fields[key].default], "scratch")
        if self.kind == "linear" and self.adapt != "full":
            raise ValueError(f"adapt is {self.adapt!r}, but a linear model has no base to adapt")
        for key in ADAPT_KEYS:
            if self.adapt != key and getattr(self, key) != fields[key].default:
                raise ValueError(f'{key} is set, but adapt is {self.adapt!r}; it belongs to adapt = "{key}"')
        return self

    def _refuse_set(self, keys: list[str], kind: str) -> None:
        if keys:
            raise ValueError(f'{" and ".join(keys)} cannot be set for {self.kind!r}; only kind = "{kind}" knows them')

    @model_validator(mode="after")
    def _pooling_and_head_agree(self) -> Self:
        own_pooling, own_head = self.pooling not in ("auto", "native"), self.head not in ("auto", "native")
        if self.pooling == "native" and own_head:
            raise ValueError(f"head is {self.head!r}, but pooling is 'native', which brings its own head")
        if self.head == "native" and (own_pooling or self.kind == "scratch"):
            raise ValueError(f'head is "native", which belongs to pooling = "native", not to {self.pooling!r}')
        if self.adapt == "adapter" and "native" in (self.pooling, self.head):
            raise ValueError('adapt is "adapter", which no native head knows; leave pooling and head out')
        if self.kind == "scratch" and self.pooling == "native":
            raise ValueError('pooling is "native", but the small decoder has no head of its own')
        return self

    @model_validator(mode="after")
    def _scratch_is_sound(self) -> Self:
        if self.kind != "scratch":
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
            raise ValueError('tokenizer is "base", but there is none; "bpe" trains one')
        if self.base == "embedded":
            raise ValueError('base is "embedded", an encoder; leave it out, or name what a pre-training left')
        if not self.base and self.adapt != "full":
            raise ValueError(f"adapt is {self.adapt!r}, but random weights have to be trained all")
        return self


class TrainSection(Section):
    """How the model is trained."""

    epochs: Annotated[float, Field(gt=0)] = Field(3, description="passes over the training rows")
    max_tokens: Count = Field(
        0, description="tokens to learn from, in place of epochs: one budget for all in a comparison; 0 = epochs"
    )
    batch_size: Positive = Field(32, description="examples an update")
    micro_batch_size: Count = Field(0, description="examples a forward pass; 0 = chosen for the hardware")
    micro_batch_tokens: Count = Field(0, description="padded tokens a forward pass; 0 = chosen for the hardware")
    eval_batch_size: Positive = Field(64, description="examples a forward pass when predicting")
    learning_rate: Annotated[float, Field(gt=0)] = Field(2e-5, description="peak, of AdamW")
    head_learning_rate: Annotated[float, Field(ge=0)] = Field(0.0, description="of the new layers; 0 = learning_rate")
    layer_decay: Annotated[float, Field(gt=0, le=1)] = Field(
        1.0, description="each layer of the base learns this much slower than the one above it"
    )
    weight_decay: Annotated[float, Field(ge=0)] = Field(0.01, description="never on biases and norms")
    warmup: Annotated[float, Field(ge=0)] = Field(0.1, description="below 1: share of the updates; otherwise updates")
    schedule: Literal["linear", "cosine", "one_cycle", "constant"] = Field("linear", description="after warm-up")
    max_grad_norm: Annotated[float, Field(ge=0)] = Field(1.0, description="gradients are clipped to it; 0 = never")
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        "auto", description="auto: bf16 where it is native, else fp16 on GPUs that are fast at it, else fp32"
    )
    loss: Literal["cross_entropy", "focal"] = Field("cross_entropy", description="focal fades out easy examples")
    gamma: Annotated[float, Field(ge=0)] = Field(2.0, description="of the focal loss")
    class_weights: Literal["none", "inverse", "balanced", "effective"] | dict[str, float] = Field(
        "none", description="none, inverse, balanced, effective, or a table by class name"
    )
    class_weight_bounds: tuple[Weight, Weight] = Field(
        (0.0, 0.0), description="lowest and highest weight; 0 = no bound"
    )
    label_smoothing: Fraction = Field(0.0, description="share of the target spread over all classes")
    logit_adjustment: Annotated[float, Field(ge=0)] = Field(
        0.0, description="how much rare classes are favoured through their priors (tau); 0 = not at all"
    )
    token_dropout: Fraction = Field(0.0, description="share of a text's tokens hidden in each training pass")
    mixup: Annotated[float, Field(ge=0)] = Field(0.0, description="Beta(a, a) of mixing hidden states; 0 = off")
    cutmix: Annotated[float, Field(ge=0)] = Field(0.0, description="likewise, of exchanging a span of them; 0 = off")
    average: Literal["none", "ema", "swa"] = Field(
        "none", description="weights that are evaluated and kept: a moving average, or that of the last quarter"
    )
    ema_decay: Fraction = Field(0.999, description="share of the old average in the new, each update")
    eval_every: Frequency = Field("epoch", description='"epoch", "2 epochs", or a number of updates')
    save_every: Frequency = Field("epoch", description="likewise; the best is always kept")
    keep_checkpoints: Count = Field(2, description="besides the best; 0 = all")
    patience: Count = Field(0, description="evaluations without improvement before stopping; 0 = never stop early")
    min_delta: Annotated[float, Field(ge=0)] = Field(0.0, description="smallest change that counts as improvement")
    select_by: str = Field(
        "f1_macro", description="what chooses the best model, on validation: f1_macro, f1_weighted, accuracy, loss, ..."
    )
    folds: Count = Field(0, description="of a stratified cross-validation whose models form an ensemble; 0 = none")
    ensemble: Literal["logits", "probabilities"] = Field("logits", description="what the folds' models average")
    logging_steps: Positive = Field(50, description="updates between lines of history")
    profile: Literal["auto", "cpu", "cuda", "cloud", "mps"] = Field(
        "auto", description="hardware profile: micro-batch, workers, precision; never batch_size"
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        "auto", description="where to compute; auto: the GPU where there is one, unless the profile is cpu"
    )
    workers: Count | None = Field(None, description="processes that prepare batches; unset = as the profile has it")
    threads: Count = Field(0, description="CPU threads; 0 = all cores that this process may use")
    track: list[Tracker] = Field(
        [], description="trackers told as well, on this machine by default: tensorboard, wandb, mlflow, trackio"
    )
    arguments: dict[str, Any] = Field({}, description="anything else for transformers' TrainingArguments")


class PretrainSection(Section):
    """Further pre-training on texts without labels: for `slugline pretrain`."""

    objective: Literal["masked", "causal"] | None = Field(
        None,
        description="masked: hidden tokens are to be found (BERT); causal: the next one (GPT); unset = by model.kind",
    )
    texts: list[SourceSection] = Field(
        [], description="[[pretrain.texts]] tables with name, path or hub; empty = the training texts of [data]"
    )
    mask_fraction: Annotated[float, Field(gt=0, lt=1)] = Field(0.15, description="share of the tokens to be found")
    sequence_length: Positive = Field(128, description="tokens of a sequence; texts are packed end to end")


class EvaluationSection(Section):
    """What is measured after training."""

    splits: list[Literal["train", "validation", "test"]] = Field(
        ["validation", "test"], min_length=1, description="scored once, with the model chosen on validation"
    )
    calibrate: Literal["temperature", "none"] = Field("temperature", description="fitted on validation")
    bootstrap: Count = Field(1000, description="resamples behind the confidence intervals; 0 = no intervals")
