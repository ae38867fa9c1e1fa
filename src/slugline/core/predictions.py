"""`Predictions`: logits and targets of one split, the central type of the package; and `Calibration`.

Training and evaluation produce `Predictions`. Metrics, intervals, tests, plots and comparisons take
`Predictions` and nothing else. Only numpy is needed here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slugline.core.errors import DataError
from slugline.core.labels import Kind, LabelSet, Targets

#: Smaller probabilities are raised to it, so that their logarithm is finite in float32.
SMALLEST_PROBABILITY = 1e-30


@dataclass(frozen=True)
class Calibration:
    """Parameters that turn logits into probabilities and decisions; fitted on validation predictions only.

    Args:
        temperature: divisor of the logits (Guo et al. 2017); 1 leaves them unchanged.
        thresholds: smallest calibrated probability at which a label of a ``multi`` set is predicted: one of each of the
            K labels, or one for all; empty = one half for all.
        fitted_on: name of the split it was fitted on: ``"validation"``.
    """

    temperature: float = 1.0
    thresholds: tuple[float, ...] = ()
    fitted_on: str = ""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Calibration:
        """Read what `to_dict` wrote, also in a version without thresholds."""
        return cls(
            temperature=values["temperature"],
            thresholds=tuple(values.get("thresholds") or ()),
            fitted_on=values["fitted_on"],
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, as ``calibration.json`` and the predictions' files hold them."""
        return {**asdict(self), "thresholds": list(self.thresholds) or None}

    def of_labels(self, columns: Sequence[int]) -> Calibration:
        """Return the calibration of the same labels in another order.

        Args:
            columns: position of each label in the present order.

        Returns:
            The calibration with its thresholds in the new order.
        """
        if len(self.thresholds) < 2:
            return self
        return replace(self, thresholds=tuple(self.thresholds[column] for column in columns))

    def probabilities(self, logits: NDArray[np.float32], *, kind: Kind = "single") -> NDArray[np.float64]:
        """Probabilities of the logits divided by the temperature; see the function `probabilities`."""
        return probabilities(logits, kind=kind, temperature=self.temperature)

    def decide(self, probabilities: NDArray[np.float64], *, kind: Kind = "single") -> Targets:
        """Return the predicted classes.

        Args:
            probabilities: (N, K) calibrated probabilities.
            kind: kind of the label set.

        Returns:
            (N,) int64, the most probable class; in a ``multi`` set (N, K) bool, the labels whose probability reaches
            their threshold.
        """
        if kind == "multi":
            return np.asarray(probabilities >= (np.array(self.thresholds) if self.thresholds else 0.5))
        return np.asarray(probabilities.argmax(axis=1), dtype=np.int64)

    def confidence(self, probabilities: NDArray[np.float64], *, kind: Kind = "single") -> NDArray[np.float64]:
        """Return the probability of each decision.

        Args:
            probabilities: (N, K) calibrated probabilities.
            kind: kind of the label set.

        Returns:
            (N,), of the most probable class; in a ``multi`` set of the least certain decision about a label.
        """
        if kind == "multi":
            decided = self.decide(probabilities, kind=kind)
            return np.asarray(np.where(decided, probabilities, 1 - probabilities).min(axis=1))
        return np.asarray(probabilities.max(axis=1))


#: Leaves probabilities uncalibrated.
UNCALIBRATED = Calibration()


@dataclass(frozen=True)
class Predictions:
    """Logits of one model on one split, with the true labels.

    Args:
        ids: (N,) row ids, unique; converted to an array of Python strings, because an array of numpy strings takes the
            memory of the longest one for each.
        targets: (N,) int64 class indices; in a ``multi`` set (N, K) bool.
        logits: (N, K) float32, defined up to a constant per row; for multi-label exact log-odds.
        labels: the K classes.
        split: name of the split.
        dataset: name of the data set.
        calibration: calibration that `probabilities` applies, or None.

    Raises:
        DataError: shapes disagree, a target is out of range, an id repeats, or a logit is not finite.
    """

    ids: NDArray[np.object_]
    targets: Targets
    logits: NDArray[np.float32]
    labels: LabelSet
    split: str
    dataset: str = ""
    calibration: Calibration | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "ids", np.asarray(self.ids, dtype=object))
        count, width = len(self.ids), len(self.labels)
        if self.logits.shape != (count, width):
            raise DataError(f"logits of shape {self.logits.shape} for {count} rows and {width} labels.")
        if self.targets.shape != ((count, width) if self.labels.is_multi else (count,)):
            raise DataError(f"targets of shape {self.targets.shape} for {count} rows and {width} labels.")
        if not np.isfinite(self.logits).all():
            row = int(np.argmin(np.isfinite(self.logits).all(axis=1)))
            raise DataError(f"logits of row {self.ids[row]} are not finite.")
        if len(set(self.ids.tolist())) != count:
            raise DataError("row ids repeat.")
        if not self.labels.is_multi and count and not (self.targets.min() >= 0 and self.targets.max() < width):
            raise DataError(f"targets reach from {self.targets.min()} to {self.targets.max()} for {width} labels.")

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def probabilities(self) -> NDArray[np.float64]:
        """(N, K): softmax of the calibrated logits; sigmoid for multi-label."""
        return (self.calibration or UNCALIBRATED).probabilities(self.logits, kind=self.labels.kind)

    @property
    def calibrated_logits(self) -> NDArray[np.floating[Any]]:
        """(N, K): logits divided by the temperature."""
        return np.asarray(self.logits / (self.calibration or UNCALIBRATED).temperature)

    @cached_property
    def predicted(self) -> Targets:
        """(N,) most probable class; in a ``multi`` set (N, K), True for labels that reach their threshold."""
        return (self.calibration or UNCALIBRATED).decide(self.probabilities, kind=self.labels.kind)

    @cached_property
    def confidence(self) -> NDArray[np.float64]:
        """(N,) probability of the predicted class; in a ``multi`` set of the least certain decision about a label."""
        return (self.calibration or UNCALIBRATED).confidence(self.probabilities, kind=self.labels.kind)


def probabilities(
    logits: NDArray[np.floating[Any]], *, kind: Kind = "single", temperature: float = 1.0
) -> NDArray[np.float64]:
    """Return probabilities of logits, in double precision and without overflow.

    Args:
        logits: (N, K).
        kind: ``multi`` applies the sigmoid to each label, the others the softmax over labels.
        temperature: divisor of the logits, > 0.

    Returns:
        (N, K); rows sum to one unless ``multi``.
    """
    scaled = logits.astype(np.float64) / temperature
    if kind == "multi":
        return np.asarray(0.5 * (1.0 + np.tanh(0.5 * scaled)))
    scaled -= scaled.max(axis=1, keepdims=True, initial=-np.inf)
    exponentials = np.exp(scaled)
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))


def logits_of(probabilities: NDArray[np.floating[Any]], *, kind: Kind = "single") -> NDArray[np.float32]:
    """Return logits whose probabilities are the given ones: the inverse of the function `probabilities`.

    Args:
        probabilities: (N, K).
        kind: ``multi`` returns the log-odds of each label, the others logarithms.

    Returns:
        (N, K), finite.
    """
    likely = np.log(np.maximum(probabilities, SMALLEST_PROBABILITY))
    if kind != "multi":
        return np.asarray(likely, dtype=np.float32)
    return np.asarray(likely - np.log(np.maximum(1 - probabilities, SMALLEST_PROBABILITY)), dtype=np.float32)
