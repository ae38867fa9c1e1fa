"""Losses of single examples: logits (B, K) and targets to losses (B,); the caller reduces them.

For target y, class weight w, focusing strength gamma and smoothing eps, the loss of an example is

    w[y] * (1 - p[y])^gamma * sum_k t[k] * (-log p[k]),    t = (1 - eps) * onehot(y) + eps / K

so that options combine. torch's cross entropy differs if weights and smoothing are combined: it multiplies the smoothed
part by the weight of every class, not by that of the true class.

With any number of labels per example, targets are (B, K), and each label is a decision between two classes, it and its
absence. The loss of a decision has the same form, with K = 2, p[y] the probability of the true side, and w[y] the
weight of the label on the side of its presence and 1 on the other. The loss of an example is the mean over its labels.
With gamma and eps 0 it is torch's ``binary_cross_entropy_with_logits`` with ``pos_weight``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from inspect import signature
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from slugline.core.errors import RecipeError, nearest
from slugline.recipe.kinds import resolve
from slugline.recipe.train_section import LOSSES, TrainSection

#: Logits (B, K) and targets, (B,) or (B, K) bool, to losses (B,).
Loss = Callable[[Tensor, Tensor], Tensor]

#: Arguments that every loss has.
SHARED_ARGUMENTS = ("logits", "targets", "weights", "smoothing")

#: Lower bound of 1 - p: the gradient of the power at 0 is infinite for gamma below 1.
EPSILON = 1e-12


def cross_entropy(logits: Tensor, targets: Tensor, *, weights: Tensor | None = None, smoothing: float = 0.0) -> Tensor:
    """Cross entropy of each example.

    Args:
        logits: (B, K), unnormalised.
        targets: (B,), class indices below K.
        weights: (K,) class weights, applied by true class; None = equal weights.
        smoothing: share of the target that is spread over all classes, in [0, 1).

    Returns:
        (B,), in single precision or higher.
    """
    return focal_loss(logits, targets, gamma=0.0, weights=weights, smoothing=smoothing)


def focal_loss(
    logits: Tensor, targets: Tensor, *, gamma: float, weights: Tensor | None = None, smoothing: float = 0.0
) -> Tensor:
    """Cross entropy that gives less weight to examples with a high probability (Lin et al. 2017, eq. 4).

    Args:
        logits: (B, K), unnormalised.
        targets: (B,), class indices below K.
        gamma: focusing strength, >= 0; 0 is cross entropy.
        weights: (K,) class weights, applied by true class; None = equal weights.
        smoothing: share of the target that is spread over all classes, in [0, 1).

    Returns:
        (B,), in single precision or higher.
    """
    log_p = torch.log_softmax(logits.to(torch.promote_types(logits.dtype, torch.float32)), dim=-1)  # (B, K)
    log_p_true = log_p.gather(-1, targets.unsqueeze(-1)).squeeze(-1)  # (B,)
    losses = -log_p_true
    if smoothing:
        losses = (1 - smoothing) * losses - smoothing * log_p.mean(dim=-1)
    if gamma:
        one_minus_p = -torch.expm1(log_p_true)  # exact even if p is nearly 1
        losses = losses * one_minus_p.clamp_min(EPSILON) ** gamma
    if weights is not None:
        losses = losses * weights[targets]
    return losses


def binary_cross_entropy(
    logits: Tensor, targets: Tensor, *, weights: Tensor | None = None, smoothing: float = 0.0
) -> Tensor:
    """Binary cross entropy of each example, the mean over its labels.

    Args:
        logits: (B, K), log-odds.
        targets: (B, K), True for the labels of an example.
        weights: (K,) weights of the examples that have a label; None = equal weights.
        smoothing: share of each target that is spread over both sides, in [0, 1).

    Returns:
        (B,), in single precision or higher.
    """
    return binary_focal_loss(logits, targets, gamma=0.0, weights=weights, smoothing=smoothing)


def binary_focal_loss(
    logits: Tensor, targets: Tensor, *, gamma: float, weights: Tensor | None = None, smoothing: float = 0.0
) -> Tensor:
    """Binary cross entropy that gives less weight to decisions with a high probability of the true side.

    Args:
        logits: (B, K), log-odds.
        targets: (B, K), True for the labels of an example.
        gamma: focusing strength, >= 0; 0 is binary cross entropy.
        weights: (K,) weights of the examples that have a label; None = equal weights.
        smoothing: share of each target that is spread over both sides, in [0, 1).

    Returns:
        (B,), in single precision or higher.
    """
    has_label = targets.bool()
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    towards_truth = torch.where(has_label, logits, -logits)  # log-odds of the true side
    losses = -functional.logsigmoid(towards_truth)
    if smoothing:
        losses = (1 - smoothing / 2) * losses - smoothing / 2 * functional.logsigmoid(-towards_truth)
    if gamma:
        losses = losses * torch.sigmoid(-towards_truth).clamp_min(EPSILON) ** gamma
    if weights is not None:
        losses = torch.where(has_label, losses * weights, losses)
    return losses.mean(dim=-1)


def check_loss(name: str, arguments: Mapping[str, Any]) -> None:
    """Try a loss with its arguments on two examples.

    Args:
        name: one of `LOSSES`.
        arguments: arguments of the loss, from ``train.loss_arguments``.

    Raises:
        RecipeError: there is no loss of this name, it has no such argument, or it fails with them.
    """
    loss = build_loss(name, arguments=arguments)
    try:
        losses = loss(torch.eye(2), torch.tensor([0, 1]))
    except Exception as error:  # the loss may come from outside of this package
        raise RecipeError(f"train.loss {name!r} fails with train.loss_arguments {dict(arguments)}: {error}.") from error
    if losses.shape != (2,):
        raise RecipeError(f"train.loss {name!r} returns the shape {tuple(losses.shape)} for 2 examples, not (2,).")


def build_loss(
    name: str,
    *,
    losses: Mapping[str, str | Callable[..., Any]] = LOSSES,
    options: Mapping[str, Any] = MappingProxyType({}),
    arguments: Mapping[str, Any] = MappingProxyType({}),
    weights: NDArray[np.float64] | None = None,
    adjustment: NDArray[np.float64] | None = None,
    smoothing: float = 0.0,
) -> Loss:
    """Build the loss of a recipe.

    Args:
        name: one of `LOSSES`.
        losses: functions of the losses by name: `LOSSES`, or `BINARY_LOSSES` for any number of labels per example.
        options: values by name, of which the loss takes those that it has arguments for: ``gamma``.
        arguments: further arguments of the loss, from ``train.loss_arguments``.
        weights: (K,) class weights from `class_weights`; None = equal weights.
        adjustment: (K,) terms from `logit_adjustment` to add to the logits, or None.
        smoothing: share of the target that is spread over all classes.

    Returns:
        Logits (B, K) and targets to losses (B,), on the device of the logits.

    Raises:
        RecipeError: there is no loss of this name, it has no form for these targets, or it has no such argument.
    """
    if name not in LOSSES:
        raise RecipeError(
            f"train.loss is {name!r}; it can be {' or '.join(map(repr, LOSSES))}.{nearest(name, list(LOSSES))}"
        )
    if name not in losses:
        raise RecipeError(
            f"train.loss {name!r} has no form for texts with any number of labels.",
            hint=f"Choose {' or '.join(map(repr, losses))}, or add a function of this name to BINARY_LOSSES.",
        )
    function = resolve(losses[name])
    names = [key for key in signature(function).parameters if key not in SHARED_ARGUMENTS]
    for key in arguments:
        if key in TrainSection.model_fields:
            raise RecipeError(f"train.loss_arguments.{key} has a key of its own.", hint=f"Set train.{key} instead.")
        if key not in names:
            raise RecipeError(
                f"train.loss_arguments.{key} is not an argument of the loss {name!r}.{nearest(key, names)}",
                hint=f"Its arguments: {', '.join(names)}." if names else "It has no further arguments.",
            )
    function = partial(function, **{key: options[key] for key in names if key in options} | dict(arguments))
    weight_tensor = None if weights is None else torch.as_tensor(weights, dtype=torch.float32)
    shift = None if adjustment is None else torch.as_tensor(adjustment, dtype=torch.float32)

    def loss(logits: Tensor, targets: Tensor) -> Tensor:
        nonlocal weight_tensor, shift
        # Moved in the first call, because the device of the model is not known earlier.
        weight_tensor = None if weight_tensor is None else weight_tensor.to(logits.device)
        shift = None if shift is None else shift.to(logits.device)
        adjusted = logits if shift is None else logits + shift
        losses: Tensor = function(adjusted, targets, weights=weight_tensor, smoothing=smoothing)
        return losses

    return loss
