"""Losses of single examples, and the weights of classes in them.

Logits (B, K) and targets (B,) go in, losses (B,) come out; the caller reduces. For target y, class weight w, focusing
gamma and smoothing eps all of them are

    w[y] * (1 - p[y])^gamma * sum_k t[k] * (-log p[k]),    t = (1 - eps) * onehot(y) + eps / K

so that options combine. torch's own cross entropy differs where weights and smoothing meet: it weights the smoothed
part by every class's weight, not by the true class's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from slugline.core.errors import DataError, RecipeError, nearest

#: Logits (B, K) and targets (B,) to losses (B,).
Loss = Callable[[Tensor, Tensor], Tensor]

#: beta of ``effective`` class weights: rows of a class beyond about 1 / (1 - beta) = 1000 add little that is new.
#: The paper tries 0.9 to 0.9999; with 0.9999 text sets of usual size would be weighted just as by ``balanced``.
EFFECTIVE_BETA = 0.999

#: 1 - p is held above it: the power's gradient at 0 is infinite for gamma below 1.
EPSILON = 1e-12


def cross_entropy(logits: Tensor, targets: Tensor, *, weights: Tensor | None = None, smoothing: float = 0.0) -> Tensor:
    """Cross entropy of each example.

    Args:
        logits: (B, K), unnormalised.
        targets: (B,), class indices below K.
        weights: (K,), of the true class, or None for equal classes.
        smoothing: share of the target that is spread over all classes, in [0, 1).

    Returns:
        (B,), at least single precision whatever the logits have.
    """
    return focal_loss(logits, targets, gamma=0.0, weights=weights, smoothing=smoothing)


def focal_loss(
    logits: Tensor, targets: Tensor, *, gamma: float, weights: Tensor | None = None, smoothing: float = 0.0
) -> Tensor:
    """Cross entropy that fades out examples the model already gets right (Lin et al. 2017, eq. 4).

    Args:
        logits: (B, K), unnormalised.
        targets: (B,), class indices below K.
        gamma: focusing strength, >= 0; 0 is cross entropy.
        weights: (K,), of the true class, or None for equal classes.
        smoothing: share of the target that is spread over all classes, in [0, 1).

    Returns:
        (B,), at least single precision whatever the logits have.
    """
    log_p = torch.log_softmax(logits.to(torch.promote_types(logits.dtype, torch.float32)), dim=-1)  # (B, K)
    log_p_true = log_p.gather(-1, targets.unsqueeze(-1)).squeeze(-1)  # (B,)
    losses = -log_p_true
    if smoothing:
        losses = (1 - smoothing) * losses - smoothing * log_p.mean(dim=-1)
    if gamma:
        one_minus_p = -torch.expm1(log_p_true)  # 1 - p, exact also where p is nearly 1
        losses = losses * one_minus_p.clamp_min(EPSILON) ** gamma
    if weights is not None:
        losses = losses * weights[targets]
    return losses


#: ``train.loss`` -> function.
LOSSES: dict[str, Callable[..., Tensor]] = {"cross_entropy": cross_entropy, "focal": focal_loss}


def build_loss(
    name: str,
    *,
    gamma: float = 2.0,
    weights: NDArray[np.float64] | None = None,
    smoothing: float = 0.0,
    adjustment: NDArray[np.float64] | None = None,
) -> Loss:
    """The loss that a recipe asks for.

    Args:
        name: one of `LOSSES`.
        gamma: focusing strength of the focal loss.
        weights: (K,), as `class_weights` gives them, or None for equal classes.
        smoothing: share of the target that is spread over all classes.
        adjustment: (K,), as `logit_adjustment` gives it, added to the logits; or None.

    Returns:
        Logits (B, K) and targets (B,) to losses (B,), on the logits' device.

    Raises:
        RecipeError: there is no loss of this name.
    """
    if name not in LOSSES:
        raise RecipeError(
            f"train.loss is {name!r}; it can be {' or '.join(map(repr, LOSSES))}.{nearest(name, list(LOSSES))}"
        )
    function = partial(focal_loss, gamma=gamma) if name == "focal" else LOSSES[name]
    table = None if weights is None else torch.as_tensor(weights, dtype=torch.float32)
    priors = None if adjustment is None else torch.as_tensor(adjustment, dtype=torch.float32)

    def loss(logits: Tensor, targets: Tensor) -> Tensor:
        nonlocal table, priors
        # Moved once: the model's device is known only when it speaks.
        table = None if table is None else table.to(logits.device)
        priors = None if priors is None else priors.to(logits.device)
        adjusted = logits if priors is None else logits + priors
        return function(adjusted, targets, weights=table, smoothing=smoothing)

    return loss


def logit_adjustment(counts: NDArray[np.int64], *, tau: float) -> NDArray[np.float64] | None:
    """What is added to the logits in training only, so that rare classes are favoured (Menon et al. 2021, eq. 10).

    Args:
        counts: (K,), training rows of each class; a class without rows counts as one row.
        tau: strength; 1 makes the model fit for classes that are equally frequent.

    Returns:
        (K,), tau times the logarithm of each class's share; None where tau is 0.
    """
    present = np.maximum(counts, 1)
    return tau * np.log(present / present.sum()) if tau else None


def class_weights(
    counts: NDArray[np.int64],
    *,
    scheme: str | Mapping[str, float],
    bounds: tuple[float, float] = (0.0, 0.0),
    names: Sequence[str] = (),
) -> NDArray[np.float64]:
    """Weight of each class in the loss.

    A class without training rows takes no part in the averages and gets 0: nothing is ever multiplied by it.

    Args:
        counts: (K,), training rows of each class.
        scheme: ``none``; ``inverse``, 1 / count with mean 1 over the classes; ``balanced``, N / (K * count), mean 1
            over the examples (scikit-learn's); ``effective``, 1 / effective number of rows (Cui et al. 2019, eq. 2),
            mean 1 over the examples; or a table by class name, in which classes left out weigh 1.
        bounds: lowest and highest weight, applied last; 0 = no bound on that side.
        names: of the K classes; needed for a table.

    Returns:
        (K,).

    Raises:
        DataError: there are no training rows.
        RecipeError: the scheme is unknown, the table names a class that does not exist or holds a weight that is not
            a number >= 0, or the bounds cross.
    """
    present = counts > 0
    if not present.any():
        raise DataError("there are no training rows to weigh classes by.")
    if isinstance(scheme, Mapping):
        weights = _tabled(scheme, names)
    else:
        weights = np.zeros(len(counts))
        weights[present] = _by_count(counts[present], scheme)
    lowest, highest = bounds
    if highest and lowest > highest:
        raise RecipeError(f"train.class_weight_bounds is [{lowest:g}, {highest:g}]: the lowest is above the highest.")
    bounded = np.where(present, np.clip(weights, lowest, highest or np.inf), 0.0)
    if not bounded.any():
        raise RecipeError("train.class_weights is 0 for every class that occurs: nothing would be learnt.")
    return bounded


def _by_count(counts: NDArray[np.int64], scheme: str) -> NDArray[np.float64]:
    """Weights of classes that all occur."""
    if scheme == "none":
        return np.ones(len(counts))
    if scheme == "inverse":
        inverse = 1 / counts
        return np.asarray(inverse / inverse.mean())
    if scheme == "balanced":
        return np.asarray(counts.sum() / (len(counts) * counts))
    if scheme == "effective":
        weights = (1 - EFFECTIVE_BETA) / (1 - EFFECTIVE_BETA**counts)
        return np.asarray(weights * counts.sum() / (weights * counts).sum())
    known = ["none", "inverse", "balanced", "effective"]
    raise RecipeError(
        f"train.class_weights is {scheme!r}; it can be {', '.join(map(repr, known))}, or a table by class name."
        + nearest(scheme, known)
    )


def _tabled(table: Mapping[str, float], names: Sequence[str]) -> NDArray[np.float64]:
    for name, weight in table.items():
        if name not in names:
            raise RecipeError(
                f"train.class_weights names {name!r}, which is no class.{nearest(name, list(names))}",
                hint=f"Classes: {', '.join(names)}.",
            )
        if not (np.isfinite(weight) and weight >= 0):
            raise RecipeError(f"train.class_weights.{name} is {weight}; it must be a number of at least 0.")
    return np.array([table.get(name, 1.0) for name in names])
