"""Abstention: how well the confidence of a model tells texts of its classes from texts out of scope."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from slugline.evaluation.intervals import bootstrap, percentile_interval, wilson_interval

Floats = NDArray[np.float64]

#: Share of the texts in scope that are answered where the false positive rate is measured, as in the literature.
ANSWERED_SHARE = 0.95


def auroc(inside: Floats, outside: Floats) -> float:
    """Return the area under the receiver operating characteristic (Fawcett 2006).

    Args:
        inside: (N,) confidences of texts in scope.
        outside: (M,) confidences of texts out of scope.

    Returns:
        The probability that a text in scope has a higher confidence than a text out of scope; ties count one half.
    """
    ordered = np.sort(outside)
    below, not_above = np.searchsorted(ordered, inside, "left"), np.searchsorted(ordered, inside, "right")
    return float((below + not_above).mean() / (2 * len(outside)))


def choose_threshold(inside: Floats, outside: Floats) -> float:
    """Choose the confidence below which a model abstains, on validation.

    Args:
        inside: (N,) confidences of texts in scope.
        outside: (M,) confidences of texts out of scope.

    Returns:
        The threshold with the largest sum of the share of answered texts in scope and the share of rejected texts out
        of scope (Youden 1950); the lowest of several.
    """
    candidates = np.unique(np.concatenate([inside, outside]))
    answered = 1 - np.searchsorted(np.sort(inside), candidates, "left") / len(inside)
    rejected = np.searchsorted(np.sort(outside), candidates, "left") / len(outside)
    return float(candidates[int(np.argmax(answered + rejected))])


def score_abstention(
    inside: Floats,
    correct: NDArray[np.bool_],
    outside: Floats,
    *,
    threshold: float,
    resamples: int = 1000,
    seed: int = 13,
) -> dict[str, Any]:
    """Score the abstention of a model on one split.

    Args:
        inside: (N,) confidences of texts in scope.
        correct: (N,) True where the answer is right.
        outside: (M,) confidences of texts out of scope.
        threshold: confidence below which the model abstains, chosen on validation.
        resamples: bootstrap resamples for the interval of `auroc`; 0 = no intervals.
        seed: seed of the bootstrap.

    Returns:
        Number of rows out of scope; ``auroc``; ``false_positive_rate``: share of texts out of scope that are answered
        where 95% of the texts in scope are; and, at the threshold, ``answered``: share of texts in scope that are
        answered, ``accuracy``: share of texts in scope with the right answer, abstention counting as wrong, and
        ``rejected``: share of texts out of scope that are rejected. ``confidence_intervals`` has
        95% intervals of these.
    """
    answered = inside >= threshold
    right, rejected = answered & correct, outside < threshold
    values: dict[str, Any] = {
        "rows": len(outside),
        "auroc": auroc(inside, outside),
        "false_positive_rate": float((outside >= np.quantile(inside, 1 - ANSWERED_SHARE)).mean()),
        "abstain_below": threshold,
        "answered": float(answered.mean()),
        "accuracy": float(right.mean()),
        "rejected": float(rejected.mean()),
    }
    if not resamples:
        return values
    proportions = {"answered": answered, "accuracy": right, "rejected": rejected}
    intervals = {name: list(wilson_interval(int(hits.sum()), len(hits))) for name, hits in proportions.items()}
    samples = _resampled_auroc(inside, outside, resamples=resamples, seed=seed)
    return values | {
        "confidence_intervals": {"auroc": list(percentile_interval(samples, values["auroc"])), **intervals}
    }


def _resampled_auroc(inside: Floats, outside: Floats, *, resamples: int, seed: int) -> Floats:
    """(B,): `auroc` of resamples of both kinds of texts, each drawn from its own."""
    confidences = np.concatenate([inside, outside])
    is_outside = np.repeat([0, 1], [len(inside), len(outside)])

    def statistic(rows: NDArray[np.int64], _: Floats) -> Floats:
        """Return (b,) areas of the drawn rows."""
        drawn = [(confidences[row[is_outside[row] == 0]], confidences[row[is_outside[row] == 1]]) for row in rows]
        return np.array([auroc(*parts) for parts in drawn])

    return bootstrap(is_outside, statistic, resamples=resamples, seed=seed)
