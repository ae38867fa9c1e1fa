"""Corrections of the loss for classes that are not equally frequent: class weights, and adjustment of the logits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from slugline.core.errors import DataError, RecipeError, nearest

#: beta of ``effective`` class weights: beyond about 1 / (1 - beta) = 1000 rows, further rows of a class add little.
#: The paper tries 0.9 to 0.9999; with 0.9999, data sets of usual size would get nearly the weights of ``balanced``.
EFFECTIVE_BETA = 0.999


def class_weights(
    counts: NDArray[np.int64],
    *,
    scheme: str | Mapping[str, float],
    bounds: tuple[float, float] = (0.0, 0.0),
    names: Sequence[str] = (),
) -> NDArray[np.float64]:
    """Return the weight of each class in the loss.

    A class without training rows is left out of the averages and gets 0, which no loss is ever multiplied by.

    Args:
        counts: (K,), training rows of each class.
        scheme: ``none``; ``inverse``, 1 / count with mean 1 over the classes; ``balanced``, N / (K * count), mean 1
            over the examples (as in scikit-learn); ``effective``, 1 / effective number of rows (Cui et al. 2019,
            eq. 2), mean 1 over the examples; or a table by class name, in which missing classes have weight 1.
        bounds: lowest and highest weight, applied last; 0 = no bound on that side.
        names: names of the K classes; needed for a table.

    Returns:
        (K,).

    Raises:
        DataError: there are no training rows.
        RecipeError: the scheme is unknown, the table has a class that does not exist or a weight that is not a number
            >= 0, or the lowest bound is above the highest.
    """
    present = counts > 0
    if not present.any():
        raise DataError("there are no training rows to compute class weights from.")
    if isinstance(scheme, Mapping):
        weights = _table_weights(scheme, names)
    else:
        weights = np.zeros(len(counts))
        weights[present] = _count_weights(counts[present], scheme)
    lowest, highest = bounds
    if highest and lowest > highest:
        raise RecipeError(f"train.class_weight_bounds is [{lowest:g}, {highest:g}]: the lowest is above the highest.")
    bounded = np.where(present, np.clip(weights, lowest, highest or np.inf), 0.0)
    if not bounded.any():
        raise RecipeError("train.class_weights is 0 for every class with training rows: nothing would be learned.")
    return bounded


def _count_weights(counts: NDArray[np.int64], scheme: str) -> NDArray[np.float64]:
    """Weights by a scheme, for classes with at least one row."""
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


def _table_weights(table: Mapping[str, float], names: Sequence[str]) -> NDArray[np.float64]:
    for name, weight in table.items():
        if name not in names:
            raise RecipeError(
                f"train.class_weights names {name!r}, which is not a class.{nearest(name, list(names))}",
                hint=f"Classes: {', '.join(names)}.",
            )
        if not (np.isfinite(weight) and weight >= 0):
            raise RecipeError(f"train.class_weights.{name} is {weight}; it must be a number of at least 0.")
    return np.array([table.get(name, 1.0) for name in names])


def logit_adjustment(counts: NDArray[np.int64], *, tau: float) -> NDArray[np.float64] | None:
    """Return terms to add to the logits in training only, to favour rare classes (Menon et al. 2021, eq. 10).

    Args:
        counts: (K,), training rows of each class; a class without rows counts as one row.
        tau: strength; with 1, the model is trained as for classes of equal frequency.

    Returns:
        (K,), tau times the logarithm of each class's share; None if tau is 0.
    """
    present = np.maximum(counts, 1)
    return tau * np.log(present / present.sum()) if tau else None
