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

#: Rows with the average distribution of all labels that join the rows of each label when its threshold is tuned. By
#: 5-fold cross-validation on validation, 1 to 10 rows raise the micro F1 of ModApte from 0.79 to 0.88 (half of its
#: topics have two validation rows at most), and leave the macro F1 of GoEmotions as it is (0.45).
SHARED_ROWS = 3

#: Values of F1 that differ by less are equal.
TIE = 1e-12

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
    """Return the threshold of each label with the best F1, judged with a few rows that all labels share.

    A threshold that is tuned on a handful of rows can be far off. Therefore, the rows of each label are joined by
    `SHARED_ROWS` rows with the average distribution of all labels, which decide for a rare label and hardly matter for
    a frequent one. Among equally good thresholds, the one closest to the common one is chosen. A label without rows
    gets the common one.

    Args:
        calibrated: (N, K) calibrated probabilities on validation.
        targets: (N, K), True for the labels of a row.

    Returns:
        K thresholds.
    """
    (common,) = tune_common_threshold(calibrated, targets)
    share = SHARED_ROWS / max(1, int(targets.sum()))
    shared = np.sort(calibrated, axis=None), np.sort(calibrated[targets])
    thresholds = np.full(targets.shape[1], common)
    for label in np.flatnonzero(targets.any(axis=0)):
        own = np.sort(calibrated[:, label]), np.sort(calibrated[targets[:, label], label])
        candidates = np.append(_candidates(own[0]), common)
        counts = _counts(candidates, *own) + share * _counts(candidates, *shared)
        thresholds[label] = _best_threshold(candidates, counts, closest_to=common)
    return tuple(thresholds.tolist())


def tune_common_threshold(calibrated: NDArray[np.float64], targets: NDArray[np.bool_]) -> tuple[float]:
    """Return the threshold for all labels with the best micro F1; one half if no row has a label.

    Args:
        calibrated: (N, K) calibrated probabilities on validation.
        targets: (N, K), True for the labels of a row.

    Returns:
        One threshold.
    """
    if not targets.any():
        return (0.5,)
    values = np.sort(calibrated, axis=None)
    candidates = _candidates(values)
    return (_best_threshold(candidates, _counts(candidates, values, np.sort(calibrated[targets])), closest_to=0.5),)


def _candidates(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Thresholds between different ones of sorted probabilities, and below the smallest."""
    different = np.unique(values)
    previous: NDArray[np.float64] = np.append(0.0, different[:-1])
    return (different + previous) / 2


def _counts(
    thresholds: NDArray[np.float64], values: NDArray[np.float64], positives: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(2, thresholds): twice the true positives, and predicted positives + positives; F1 is their quotient."""
    hits = len(positives) - np.searchsorted(positives, thresholds)
    passed = len(values) - np.searchsorted(values, thresholds)
    return np.array([2 * hits, passed + len(positives)], dtype=np.float64)


def _best_threshold(candidates: NDArray[np.float64], counts: NDArray[np.float64], *, closest_to: float) -> float:
    f1 = counts[0] / np.maximum(counts[1], np.finfo(np.float64).tiny)
    best = candidates[f1 >= f1.max() - TIE]
    return float(best[np.argmin(np.abs(best - closest_to))])


#: ``evaluation.calibrate`` -> function from uncalibrated predictions to their temperature.
TEMPERATURE_OF: dict[str, Callable[[Predictions], float]] = {"temperature": _temperature, "none": lambda _: 1.0}

#: ``evaluation.thresholds`` -> function from calibrated probabilities and targets to thresholds.
THRESHOLDS_OF: dict[str, Callable[[NDArray[np.float64], NDArray[np.bool_]], tuple[float, ...]]] = {
    "per_label": tune_thresholds,
    "common": tune_common_threshold,
}
