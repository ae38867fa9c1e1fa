"""Corrections of the loss for classes that are not equally frequent: class weights, and adjustment of the logits.

With one label per text, a weight belongs to the texts of a class. With any number of labels, each label is a decision
between two classes, and its weight is that of a text that has the label, relative to 1 for a text that lacks it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from slugline.core.errors import DataError, RecipeError, nearest

#: beta of ``effective`` class weights: beyond about 1 / (1 - beta) = 1000 rows, further rows of a class add little.
#: The paper tries 0.9 to 0.9999; with 0.9999, data sets of usual size would get nearly the weights of ``balanced``.
EFFECTIVE_BETA = 0.999

#: Rows of each class, all at least 1, to its weight.
Scheme = Callable[[NDArray[np.int64]], NDArray[np.float64]]


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
    return _weights(counts, _SCHEMES, scheme=scheme, bounds=bounds, names=names)


def positive_weights(
    counts: NDArray[np.int64],
    *,
    rows: int,
    scheme: str | Mapping[str, float],
    bounds: tuple[float, float] = (0.0, 0.0),
    names: Sequence[str] = (),
) -> NDArray[np.float64]:
    """Return the weight, for each label, of the texts that have it; texts that lack it have weight 1.

    A label without training rows gets 0, which no loss is ever multiplied by.

    Args:
        counts: (K,), training rows that have each label.
        rows: number of training rows N.
        scheme: ``none``; ``inverse``, 1 / count with mean 1 over the labels; ``balanced``, (N - count) / count, so
            that the texts with a label weigh as much as those without it; ``effective``, likewise with the effective
            numbers of rows (Cui et al. 2019, eq. 2); or a table by label, in which missing labels have weight 1.
        bounds: lowest and highest weight, applied last; 0 = no bound on that side.
        names: names of the K labels; needed for a table.

    Returns:
        (K,).

    Raises:
        DataError: no training row has a label.
        RecipeError: as in `class_weights`.
    """

    def others(counts: NDArray[np.int64]) -> NDArray[np.int64]:
        """Rows that lack each label; at least one, since a weight of 0 would leave the label out of the loss."""
        return np.maximum(rows - counts, 1)

    schemes: dict[str, Scheme] = {
        "none": _equal,
        "inverse": _inverse,
        "balanced": lambda counts: np.asarray(others(counts) / counts),
        "effective": lambda counts: np.asarray(_effective_number(others(counts)) / _effective_number(counts)),
    }
    return _weights(counts, schemes, scheme=scheme, bounds=bounds, names=names)


def _weights(
    counts: NDArray[np.int64],
    schemes: Mapping[str, Scheme],
    *,
    scheme: str | Mapping[str, float],
    bounds: tuple[float, float],
    names: Sequence[str],
) -> NDArray[np.float64]:
    """Weights by a scheme or a table, within bounds; 0 for classes without rows."""
    present = counts > 0
    if not present.any():
        raise DataError("there are no training rows to compute class weights from.")
    if isinstance(scheme, Mapping):
        weights = _table_weights(scheme, names)
    elif scheme in schemes:
        weights = np.zeros(len(counts))
        weights[present] = schemes[scheme](counts[present])
    else:
        raise RecipeError(
            f"train.class_weights is {scheme!r}; it can be {', '.join(map(repr, schemes))}, or a table by class name."
            + nearest(scheme, list(schemes))
        )
    lowest, highest = bounds
    if highest and lowest > highest:
        raise RecipeError(f"train.class_weight_bounds is [{lowest:g}, {highest:g}]: the lowest is above the highest.")
    bounded = np.where(present, np.clip(weights, lowest, highest or np.inf), 0.0)
    if not bounded.any():
        raise RecipeError("train.class_weights is 0 for every class with training rows: nothing would be learned.")
    return bounded


def _equal(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.ones(len(counts))


def _inverse(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    inverse = 1 / counts
    return np.asarray(inverse / inverse.mean())


def _balanced(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.asarray(counts.sum() / (len(counts) * counts))


def _effective(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    weights = 1 / _effective_number(counts)
    return np.asarray(weights * counts.sum() / (weights * counts).sum())


def _effective_number(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.asarray((1 - EFFECTIVE_BETA**counts) / (1 - EFFECTIVE_BETA))


#: ``train.class_weights`` -> weights of the classes of texts with one label.
_SCHEMES: dict[str, Scheme] = {
    "none": _equal,
    "inverse": _inverse,
    "balanced": _balanced,
    "effective": _effective,
}


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


def log_odds_adjustment(counts: NDArray[np.int64], *, rows: int, tau: float) -> NDArray[np.float64] | None:
    """Return terms to add to the log-odds of labels in training only, to favour rare labels.

    Args:
        counts: (K,), training rows that have each label; a label counts as present and absent in one row at least.
        rows: number of training rows N.
        tau: strength; with 1, the model is trained as if half of the texts had each label.

    Returns:
        (K,), tau times the log-odds of each label's share; None if tau is 0.
    """
    return tau * np.log(np.maximum(counts, 1) / np.maximum(rows - counts, 1)) if tau else None
