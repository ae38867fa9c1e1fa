"""Calibration: fitted on validation predictions, so that probabilities match how often predictions are correct.

Only numpy is needed here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slugline.core.errors import RecipeError
from slugline.core.predictions import Calibration, Predictions, probabilities

#: Smallest and largest temperature that the search considers.
TEMPERATURES = (0.01, 100.0)


def calibrate(predictions: Predictions, *, method: str = "temperature") -> Calibration:
    """Fit a calibration on validation predictions.

    Args:
        predictions: predictions on validation or out of fold, never on test.
        method: ``temperature``, or ``none`` for uncalibrated probabilities.

    Returns:
        The calibration, to be applied to every split. A multi-label set gets a threshold for each label.

    Raises:
        RecipeError: the method is unknown.
    """
    if method == "none":
        return Calibration()
    if method != "temperature":
        raise RecipeError(f"evaluation.calibrate is {method!r}; it can be 'temperature' or 'none'.")
    targets = predictions.targets
    if not predictions.labels.is_multi:
        temperature = fit_temperature(predictions.logits, targets.astype(np.int64))
        return Calibration(temperature=temperature, fitted_on=predictions.split)
    temperature = fit_binary_temperature(predictions.logits, targets.astype(np.bool_))
    calibrated = probabilities(predictions.logits, kind="multi", temperature=temperature)
    thresholds = tune_thresholds(calibrated, targets.astype(np.bool_))
    return Calibration(temperature=temperature, thresholds=thresholds, fitted_on=predictions.split)


def fit_temperature(logits: NDArray[np.floating[Any]], targets: NDArray[np.int64]) -> float:
    """Return the temperature that minimises the negative log-likelihood (Guo et al. 2017).

    One pseudo-row with a uniform target is added to the N rows (after Platt 1999). Without it, a model without a
    single error on its validation rows would get the smallest temperature and probabilities of 1. With it, N correct
    rows give a confidence of about 1 - 1/N. If there are errors among the rows, it has almost no effect.

    Args:
        logits: (N, K) logits.
        targets: (N,), true classes.

    Returns:
        The temperature, within `TEMPERATURES`; 1 if all logits of each row are equal.
    """
    shifted = logits.astype(np.float64)
    shifted -= shifted.max(axis=1, keepdims=True, initial=-np.inf)
    share = 1 / (len(targets) + 1)
    target_means = (1 - share) * shifted[np.arange(len(targets)), targets] + share * shifted.mean(axis=1)

    def slope(inverse: float) -> float:
        """Derivative of the loss with respect to 1 / temperature."""
        weights = np.exp(shifted * inverse)
        expected = (weights * shifted).sum(axis=1) / weights.sum(axis=1)
        return float((expected - target_means).sum())

    return _where_zero(slope) if shifted.any() else 1.0


def fit_binary_temperature(logits: NDArray[np.floating[Any]], targets: NDArray[np.bool_]) -> float:
    """Return the temperature that minimises the negative log-likelihood of all labels, with a pseudo-row as above.

    Args:
        logits: (N, K) log-odds.
        targets: (N, K), True for the labels of a row.

    Returns:
        The temperature, within `TEMPERATURES`; 1 if all logits are 0.
    """
    scores = logits.astype(np.float64)
    share = 1 / (len(targets) + 1)
    shares = (1 - share) * targets + share / 2

    def slope(inverse: float) -> float:
        """Derivative of the loss with respect to 1 / temperature."""
        return float(((probabilities(scores * inverse, kind="multi") - shares) * scores).sum())

    return _where_zero(slope) if scores.any() else 1.0


def _where_zero(slope: Callable[[float], float]) -> float:
    """The temperature at which the slope of a loss over 1 / temperature is 0; it increases, as the loss is convex."""
    low, high = math.log(1 / TEMPERATURES[1]), math.log(1 / TEMPERATURES[0])
    for _ in range(50):  # enough bisections for double precision
        middle = (low + high) / 2
        low, high = (low, middle) if slope(math.exp(middle)) > 0 else (middle, high)
    return math.exp(-(low + high) / 2)


def tune_thresholds(calibrated: NDArray[np.float64], targets: NDArray[np.bool_]) -> tuple[float, ...]:
    """Return the threshold of each label with the best F1 of that label.

    Thresholds are between the probabilities of two rows. Among equally good ones, the one closest to one half is
    chosen. A label without rows has no best threshold; it gets the median of the others, or one half.

    Args:
        calibrated: (N, K) calibrated probabilities on validation.
        targets: (N, K), True for the labels of a row.

    Returns:
        K thresholds.
    """
    has_rows = targets.any(axis=0)
    best = [_best_threshold(calibrated[:, label], targets[:, label]) for label in np.flatnonzero(has_rows)]
    thresholds = np.full(targets.shape[1], np.median(best) if best else 0.5)
    thresholds[has_rows] = best
    return tuple(thresholds.tolist())


def _best_threshold(calibrated: NDArray[np.float64], targets: NDArray[np.bool_]) -> float:
    order = np.argsort(-calibrated, kind="stable")
    ordered = calibrated[order]
    ends = np.flatnonzero(np.append(np.diff(ordered) != 0, True))  # rows of equal probability pass together
    f1 = 2 * np.cumsum(targets[order])[ends] / (ends + 1 + targets.sum())
    below = np.append(ordered[ends[1:]], 0.0)  # the largest probability that does not pass
    candidates = (ordered[ends] + below) / 2
    best = np.flatnonzero(f1 == f1.max())
    return float(candidates[best[np.argmin(np.abs(candidates[best] - 0.5))]])
