"""`Method`: loss, learning rates and regularisation that ``TrainingArguments`` has no setting for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from slugline.models.forward import text_logits
from slugline.training.loop.schedules import Schedule, linear
from slugline.training.methods.losses import Loss
from slugline.training.methods.mixup import Mixing

#: A model and a batch to logits (N, K) and targets, (N,) or (N, K), for the N items of the batch.
ForwardFunction = Callable[[nn.Module, dict[str, Tensor]], tuple[Tensor, Tensor]]


def forward_texts(model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Return logits and labels of texts.

    Args:
        model: sequence classifier, as prepared by accelerate.
        batch: inputs of one forward pass, with ``labels`` (B,), or (B, K) for any number of labels per text.

    Returns:
        (B, K) and the labels.
    """
    inputs = dict(batch)
    labels = inputs.pop("labels")
    return text_logits(model, inputs, len(labels)), labels


@dataclass(frozen=True)
class Method:
    """Loss, learning rates and regularisation of one training.

    Args:
        loss: function from logits (N, K) and targets to losses (N,).
        forward: function that computes logits and targets of a batch.
        head_learning_rate: learning rate of the layers outside the base; 0 = the rate of the base.
        layer_decay: learning rate of a block of the base, as a factor of the rate of the block above.
        schedule: schedule of the learning rates.
        pass_overhead: constant cost of a forward pass in tokens; the default makes as few passes as possible.
        token_dropout: share of the tokens of a text that a forward pass masks out.
        mixing: mixup or CutMix of the texts of a forward pass, or None.
    """

    loss: Loss
    forward: ForwardFunction = forward_texts
    head_learning_rate: float = 0.0
    layer_decay: float = 1.0
    schedule: Schedule = linear
    pass_overhead: int = 2**31
    token_dropout: float = 0.0
    mixing: Mixing | None = None
