"""Classification heads in float32, whatever the precision of the base.

In bfloat16, logits have eight binary digits: two classes then often have exactly the same logit, and the order of the
classes decides. The products of a head are a tiny share of the computation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from slugline.models.architectures.blocks import base_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def compute_head_in_float32(model: PreTrainedModel) -> None:
    """Compute all modules outside the base in float32, in training and in prediction, also under autocast.

    Args:
        model: classifier of any architecture, already adapted; changed in place. What it saves is unchanged.
    """
    base = base_of(model)
    for module in model.children():
        if module is not base:
            module.float()
            module.forward = _in_float32(module.forward)


def _in_float32(forward: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, with its floating-point inputs in float32 and without autocast."""

    def compute(*inputs: Any, **options: Any) -> Any:
        device = next((value.device for value in (*inputs, *options.values()) if isinstance(value, Tensor)), None)
        with torch.autocast((device or torch.device("cpu")).type, enabled=False):
            return forward(*map(_to_float32, inputs), **{name: _to_float32(value) for name, value in options.items()})

    return compute


def _to_float32(value: Any) -> Any:
    return value.float() if isinstance(value, Tensor) and value.is_floating_point() else value
