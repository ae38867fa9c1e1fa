"""Calibration: fitted on validation predictions, so that probabilities match how often predictions are correct.

Only numpy is needed here.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from slugline.core.errors import RecipeError
from slugline.core.predictions import UNCALIBRATED, Calibration, Predictions, probabilities

logger = logging.getLogger(__name__)

Thresholds = Literal["per_label", "common", "none"]

#: Smallest and largest temperature that the search considers.
TEMPERATURES = (0.01, 100.0)

#: Largest number of labels that a message names.
MAX_NAMED = 5


def calibrate(
    predictions: Predictions, *, method: str = "temperature", thresholds: Thresholds = "per_label"
) -> Calibration:
    """Fit a calibration.

    Args:
        predictions: uncalibrated predictions on validation.
        method: ``temperature``, or ``none`` for uncalibrated probabilities.
        thresholds: of a multi-label set: ``per_label``, ``common``, or ``none`` for one half; other sets have none.

    Returns:
        The calibration, to be applied to every split.

    Raises:
        RecipeError: the method is unknown.
    """
    if method not in TEMPERATURE_OF:
        raise RecipeError(f"evaluation.calibrate is {method!r}; it can be 'temperature' or 'none'.")
    targets, is_multi = predictions.targets, predictions.labels.is_multi
    fitted = Calibration(temperature=TEMPERATURE_OF[method](predictions))
    if is_multi and thresholds != "none":
        probabilities = fitted.probabilities(predictions.logits, kind="multi")
        tuned = THRESHOLDS_OF[thresholds](probabilities, targets.astype(np.bool_))
        fitted = replace(fitted, thresholds=tuned)
        _warn_of_absent_labels(predictions, thresholds)
    is_fitted = method != "none" or fitted.thresholds
    return replace(fitted, fitted_on=predictions.split) if is_fitted else UNCALIBRATED


def _temperature(predictions: Predictions) -> float:
    logits, targets = predictions.logits, predictions.targets
    if predictions.labels.is_multi:
        return fit_binary_temperature(logits, targets.astype(np.bool_))
    return fit_temperature(logits, targets.astype(np.int64))


def _warn_of_absent_labels(predictions: Predictions, thresholds: Thresholds) -> None:
    """Name the labels without rows, whose thresholds are those of other labels."""
    has_rows: list[bool] = np.asarray(predictions.targets.any(axis=0)).tolist()
    absent = [name for name, has in zip(predictions.labels.names, has_rows, strict=True) if not has]
    if absent and thresholds == "per_label":
        listed = ", ".join(absent[:MAX_NAMED]) + (f" and {len(absent) - MAX_NAMED} more" if absent[MAX_NAMED:] else "")
        logger.warning(
            "%d of %d labels have no %s rows (%s): their threshold is the common one of all labels.",
            len(absent),
            len(has_rows),
            predictions.split,
            listed,
        )


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
    chosen. A label without rows has no best threshold; it gets the common one.

    Args:
        calibrated: (N, K) calibrated probabilities on validation.
        targets: (N, K), True for the labels of a row.

    Returns:
        K thresholds.
    """
    has_rows = targets.any(axis=0)
    thresholds = np.full(targets.shape[1], tune_common_threshold(calibrated, targets)[0])
    for label in np.flatnonzero(has_rows):
        thresholds[label] = _best_threshold(calibrated[:, label], targets[:, label])
    return tuple(thresholds.tolist())


def tune_common_threshold(calibrated: NDArray[np.float64], targets: NDArray[np.bool_]) -> tuple[float]:
    """Return the threshold for all labels with the best micro F1; one half if no row has a label.

    Args:
        calibrated: (N, K) calibrated probabilities on validation.
        targets: (N, K), True for the labels of a row.

    Returns:
        One threshold.
    """
    return (_best_threshold(calibrated.ravel(), targets.ravel()) if targets.any() else 0.5,)


def _best_threshold(calibrated: NDArray[np.float64], targets: NDArray[np.bool_]) -> float:
    order = np.argsort(-calibrated, kind="stable")
    ordered = calibrated[order]
    ends = np.flatnonzero(np.append(np.diff(ordered) != 0, True))  # rows of equal probability pass together
    f1 = 2 * np.cumsum(targets[order])[ends] / (ends + 1 + targets.sum())
    below = np.append(ordered[ends[1:]], 0.0)  # the largest probability that does not pass
    candidates = (ordered[ends] + below) / 2
    best = np.flatnonzero(f1 == f1.max())
    return float(candidates[best[np.argmin(np.abs(candidates[best] - 0.5))]])


#: ``evaluation.calibrate`` -> function from uncalibrated predictions to their temperature.
TEMPERATURE_OF: dict[str, Callable[[Predictions], float]] = {"temperature": _temperature, "none": lambda _: 1.0}

#: ``evaluation.thresholds`` -> function from calibrated probabilities and targets to thresholds.
THRESHOLDS_OF: dict[str, Callable[[NDArray[np.float64], NDArray[np.bool_]], tuple[float, ...]]] = {
    "per_label": tune_thresholds,
    "common": tune_common_threshold,
}
