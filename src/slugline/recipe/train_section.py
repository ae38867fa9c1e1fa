"""[train], [pretrain] and [evaluation]: how a model is trained, pre-trained and evaluated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import Field

from slugline.recipe.data_section import SourceSection
from slugline.recipe.section import Count, Fraction, Positive, Section, Weight, name_in

Tracker = Literal["tensorboard", "wandb", "mlflow", "trackio"]
Frequency = Positive | Annotated[str, Field(pattern=r"^(epoch|[1-9][0-9]* epochs)$")]

#: ``train.loss`` -> its function, or ``module:function``, which is imported when it is used: logits (B, K) and targets
#: (B,) to losses (B,), with keyword arguments ``weights`` and ``smoothing``. Further keyword arguments are given the
#: values of keys of [train] with their name, or of ``train.loss_arguments``.
LOSSES: dict[str, str | Callable[..., Any]] = {
    "cross_entropy": "slugline.training.methods.losses:cross_entropy",
    "focal": "slugline.training.methods.losses:focal_loss",
}

#: ``train.loss`` -> its form for texts with any number of labels: targets are (B, K) bool, and ``weights`` those of the
#: texts that have a label.
BINARY_LOSSES: dict[str, str | Callable[..., Any]] = {
    "cross_entropy": "slugline.training.methods.losses:binary_cross_entropy",
    "focal": "slugline.training.methods.losses:binary_focal_loss",
}


class TrainSection(Section):
    """The training: length, batches, rates, loss, checkpoints, hardware."""

    epochs: Annotated[float, Field(gt=0)] = Field(3, description="passes over the training rows")
    max_tokens: Count = Field(
        0, description="length of the training in tokens instead of epochs, to compare models fairly; 0 = epochs"
    )
    batch_size: Positive = Field(32, description="examples per update")
    micro_batch_size: Count = Field(0, description="examples per forward pass; 0 = chosen for the hardware")
    micro_batch_tokens: Count = Field(0, description="padded tokens per forward pass; 0 = chosen for the hardware")
    eval_batch_size: Positive = Field(64, description="examples per forward pass in prediction")
    learning_rate: Annotated[float, Field(gt=0)] = Field(2e-5, description="maximum, of AdamW")
    head_learning_rate: Annotated[float, Field(ge=0)] = Field(0.0, description="of the new layers; 0 = learning_rate")
    layer_decay: Annotated[float, Field(gt=0, le=1)] = Field(
        1.0, description="learning rate of each layer of the base, as a factor of the rate of the layer above"
    )
    weight_decay: Annotated[float, Field(ge=0)] = Field(0.01, description="never on biases and norms")
    warmup: Annotated[float, Field(ge=0)] = Field(
        0.1, description="below 1: share of the updates; otherwise number of updates"
    )
    schedule: Literal["linear", "cosine", "one_cycle", "constant"] = Field(
        "linear", description="of the learning rate after warm-up"
    )
    max_grad_norm: Annotated[float, Field(ge=0)] = Field(1.0, description="gradients are clipped to it; 0 = never")
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        "auto",
        description="auto: bf16 if the hardware has it natively, else fp16 on GPUs that are fast at it, else fp32; "
        "and fp32 if the model fails in it",
    )
    loss: Annotated[str, name_in(LOSSES, is_needed_to_read=False)] = Field(
        "cross_entropy", description="cross_entropy or focal, which reduces the weight of easy examples"
    )
    gamma: Annotated[float, Field(ge=0)] = Field(2.0, description="focusing parameter of the focal loss")
    loss_arguments: dict[str, Any] = Field({}, description="further arguments of the loss, by name")
    class_weights: Literal["none", "inverse", "balanced", "effective"] | dict[str, float] = Field(
        "none", description="none, inverse, balanced, effective, or a table by class name"
    )
    class_weight_bounds: tuple[Weight, Weight] = Field(
        (0.0, 0.0), description="minimum and maximum weight; 0 = no bound"
    )
    label_smoothing: Fraction = Field(0.0, description="share of the target that is spread over all classes")
    logit_adjustment: Annotated[float, Field(ge=0)] = Field(
        0.0, description="strength (tau) with which rare classes are favoured by their priors; 0 = off"
    )
    token_dropout: Fraction = Field(0.0, description="share of the tokens of a text that each training pass masks out")
    mixup: Annotated[float, Field(ge=0)] = Field(
        0.0, description="mixes hidden states of two texts in a ratio from the distribution Beta(a, a); a = 0: off"
    )
    cutmix: Annotated[float, Field(ge=0)] = Field(
        0.0, description="exchanges a span of hidden states; its share has the distribution Beta(a, a); a = 0: off"
    )
    weight_averaging: Literal["none", "ema", "swa"] = Field(
        "none", description="evaluates and saves averaged weights: ema, exponential moving average; swa, last quarter"
    )
    ema_decay: Fraction = Field(0.999, description="weight of the previous average in each update")
    eval_every: Frequency = Field("epoch", description='"epoch", "2 epochs", or a number of updates')
    save_every: Frequency = Field("epoch", description="likewise; the best checkpoint is always kept")
    keep_checkpoints: Count | None = Field(
        None,
        description="number of checkpoints besides the best, also of a complete run; 0 = all; "
        "unset = 2 during the training, none of a complete run",
    )
    patience: Count = Field(0, description="stops after N evaluations without improvement; 0 = never stops early")
    min_delta: Annotated[float, Field(ge=0)] = Field(0.0, description="smallest change that counts as improvement")
    select_by: str = Field(
        "f1_macro", description="metric on validation that selects the best checkpoint: f1_macro, accuracy, loss, ..."
    )
    folds: Count = Field(
        0, description="stratified folds of a cross-validation; their models form an ensemble; 0 = off"
    )
    ensemble: Literal["logits", "probabilities"] = Field("logits", description="averaged over the models of the folds")
    logging_steps: Positive | None = Field(
        None, description="updates between lines of history; unset = 50, or a twentieth of a training that is shorter"
    )
    profile: Literal["auto", "cpu", "cuda", "cloud", "mps"] = Field(
        "auto", description="hardware profile: micro-batch, workers, precision; never batch_size"
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        "auto", description="to compute on; auto: a GPU if there is one, unless the profile is cpu"
    )
    workers: Count | None = Field(None, description="processes that prepare batches; unset = by profile")
    threads: Count = Field(0, description="CPU threads; 0 = all cores that this process may use")
    report_to: list[Tracker] = Field(
        [], description="experiment trackers, offline by default: tensorboard, wandb, mlflow, trackio"
    )
    arguments: dict[str, Any] = Field(
        {},
        description="further arguments of transformers' TrainingArguments: optim, optim_args, adam_beta1, adam_beta2, "
        "adam_epsilon, logging_first_step",
    )


class PretrainSection(Section):
    """Further pre-training on texts without labels, for `slugline pretrain`."""

    objective: Literal["masked", "causal"] | None = Field(
        None,
        description="masked: predicts masked tokens (BERT); causal: predicts the next token (GPT); "
        "unset = by model.kind",
    )
    texts: list[SourceSection] = Field(
        [], description="[[pretrain.texts]] tables with name, path or hub; empty = the training texts of [data]"
    )
    mask_fraction: Annotated[float, Field(gt=0, lt=1)] = Field(0.15, description="share of the tokens to predict")
    sequence_length: Positive = Field(128, description="tokens per sequence; texts are packed end to end")


class EvaluationSection(Section):
    """The evaluation after training."""

    splits: list[Literal["train", "validation", "test"]] = Field(
        ["validation", "test"],
        min_length=1,
        description="scored once, with the checkpoint selected on validation; validation is always scored",
    )
    calibrate: Literal["temperature", "none"] = Field("temperature", description="fitted on validation")
    thresholds: Literal["per_label", "common", "none"] = Field(
        "per_label",
        description="probabilities from which labels are predicted where a text has any number of them, with the best "
        "F1 on validation: one of each label, or one for all; none = 0.5",
    )
    bootstrap: Count = Field(1000, description="resamples behind the confidence intervals; 0 = no intervals")
