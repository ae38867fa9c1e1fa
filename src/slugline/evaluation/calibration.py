"""Calibration: fitted on validation predictions, so that probabilities match how often predictions are correct.

Only numpy is needed here.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slugline.core.errors import DataError, RecipeError
from slugline.core.predictions import Calibration, Predictions

#: Smallest and largest temperature that the search considers.
TEMPERATURES = (0.01, 100.0)


def calibrate(predictions: Predictions, *, method: str = "temperature") -> Calibration:
    """Fit a calibration on validation predictions.

    Args:
        predictions: predictions on validation or out of fold, never on test.
        method: ``temperature``, or ``none`` for uncalibrated probabilities.

    Returns:
        The calibration, to be applied to every split.

    Raises:
        RecipeError: the method is unknown.
        DataError: the predictions are multi-label.
    """
    if method == "none":
        return Calibration()
    if method != "temperature":
        raise RecipeError(f"evaluation.calibrate is {method!r}; it can be 'temperature' or 'none'.")
    if predictions.labels.kind == "multi":
        raise DataError(
            "this version calibrates sets with one label a text.", hint="Set evaluation.calibrate = 'none'."
        )
    temperature = fit_temperature(predictions.logits, predictions.targets.astype(np.int64))
    return Calibration(temperature=temperature, fitted_on=predictions.split)


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
        """Derivative of the loss with respect to 1 / temperature; it increases, since the loss is convex."""
        weights = np.exp(shifted * inverse)
        expected = (weights * shifted).sum(axis=1) / weights.sum(axis=1)
        return float((expected - target_means).sum())

    if not shifted.any():
        return 1.0
    low, high = math.log(1 / TEMPERATURES[1]), math.log(1 / TEMPERATURES[0])
    for _ in range(50):  # enough bisections for double precision
        middle = (low + high) / 2
        low, high = (low, middle) if slope(math.exp(middle)) > 0 else (middle, high)
    return math.exp(-(low + high) / 2)
