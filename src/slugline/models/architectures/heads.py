"""The output layer of a classifier of any architecture: the weights whose shape depends on the number of classes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import deepcopy
from typing import TYPE_CHECKING

import torch
from torch import nn
from transformers import AutoModelForSequenceClassification

if TYPE_CHECKING:
    from transformers import PreTrainedModel

#: Standard deviation of new weights, as in BERT.
INITIAL_STD = 0.02


def output_weights(model: PreTrainedModel) -> frozenset[str]:
    """Return the names of the weights of the output layer.

    Two models without memory, one of them with one class more, show which weights depend on the number of classes.

    Args:
        model: sequence classifier that the Auto classes know.

    Returns:
        Names of weights; their first dimension is the class.
    """
    shapes = []
    for classes in (2, 3):
        config = deepcopy(model.config)
        config.num_labels = classes
        with torch.device("meta"):
            empty = AutoModelForSequenceClassification.from_config(config)
        shapes.append({name: value.shape for name, value in empty.named_parameters()})
    return frozenset(name for name, shape in shapes[0].items() if shapes[1][name] != shape)


def renew_outputs(model: PreTrainedModel, outputs: Iterable[str]) -> None:
    """Give an output layer new random weights.

    Args:
        model: sequence classifier; changed in place.
        outputs: names from `output_weights`.
    """
    for name in sorted(outputs):  # the order decides which random numbers each weight gets
        value = model.get_parameter(name)
        if value.dim() > 1:
            nn.init.normal_(value, std=INITIAL_STD)
        else:
            nn.init.zeros_(value)


def order_outputs(model: PreTrainedModel, outputs: Iterable[str], order: Sequence[int]) -> None:
    """Reorder the classes of an output layer.

    Args:
        model: sequence classifier; changed in place.
        outputs: names from `output_weights`.
        order: (K,) the present class that each class becomes.
    """
    for name in outputs:
        value = model.get_parameter(name)
        value.data = value.data[list(order)]
