"""What is asked and what is answered: `LabelSet`, `Calibration`, and `Predictions`, the narrow waist of the house.

Trainer and evaluation produce `Predictions`; metrics, intervals, tests, plots, comparison and reports take them and
nothing else. Only numpy is needed here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from slugline.core.errors import DataError, nearest

Split = Literal["train", "validation", "test"]
Kind = Literal["single", "multi", "hierarchical"]


@dataclass(frozen=True)
class LabelSet:
    """The ordered class names; a label's index is its position.

    Args:
        names: K distinct names. Hierarchical sets name their leaves by path: ``"sport/tennis"``.
        kind: one label a text (``single``), any number (``multi``), or one leaf of a tree (``hierarchical``).
        levels: names of the levels of a hierarchy, top first.
        descriptions: one sentence per name, or none at all.
    """

    names: tuple[str, ...]
    kind: Kind = "single"
    levels: tuple[str, ...] = ()
    descriptions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(set(self.names)) != len(self.names):
            repeated = sorted({name for name in self.names if self.names.count(name) > 1})
            raise DataError(f"the label set names {', '.join(map(repr, repeated))} more than once.")
        if self.descriptions and len(self.descriptions) != len(self.names):
            raise DataError(f"{len(self.descriptions)} descriptions for {len(self.names)} labels.")

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def _index(self) -> dict[str, int]:
        return {name: index for index, name in enumerate(self.names)}

    def index(self, name: str) -> int:
        """Position of ``name``.

        Args:
            name: one of the class names.

        Returns:
            Its index below K.

        Raises:
            DataError: the name is unknown.
        """
        if name not in self._index:
            raise DataError(
                f"label {name!r} is not in the label set ({len(self)} names)." + nearest(name, list(self.names))
            )
        return self._index[name]

    def encode(self, names: Sequence[str] | Sequence[Sequence[str]]) -> NDArray[np.int64] | NDArray[np.float32]:
        """Names to numbers.

        Args:
            names: (N,) names, or for ``multi`` N lists of names.

        Returns:
            (N,) int64 indices, or for ``multi`` (N, K) float32 of zeros and ones.
        """
        if self.kind != "multi":
            return np.array([self.index(str(name)) for name in names], dtype=np.int64)
        encoded = np.zeros((len(names), len(self)), dtype=np.float32)
        for row, row_names in enumerate(names):
            for name in row_names:
                encoded[row, self.index(name)] = 1.0
        return encoded

    def decode(self, ids: Iterable[int]) -> list[str]:
        """Indices to names."""
        return [self.names[index] for index in ids]


@dataclass(frozen=True)
class Calibration:
    """How logits become honest probabilities; fitted on validation predictions only.

    Args:
        temperature: logits are divided by it (Guo et al. 2017); 1 leaves them alone.
        fitted_on: what it was fitted on, in words: ``"validation"``.
    """

    temperature: float = 1.0
    fitted_on: str = ""


@dataclass(frozen=True)
class Predictions:
    """What one model said about one split, with what was true.

    Args:
        ids: (N,) row ids, unique.
        targets: (N,) int64 class indices, or (N, K) bool for multi-label.
        logits: (N, K) float32, up to a constant per row; for multi-label exact log-odds.
        labels: the K classes.
        split: name of the split.
        dataset: name of the data set.
        calibration: applied by `probabilities`, or None.

    Raises:
        DataError: shapes disagree, a target is out of range, an id repeats, or a logit is not finite.
    """

    ids: NDArray[np.str_]
    targets: NDArray[np.int64] | NDArray[np.bool_]
    logits: NDArray[np.float32]
    labels: LabelSet
    split: str
    dataset: str = ""
    calibration: Calibration | None = None

    def __post_init__(self) -> None:
        count, width = len(self.ids), len(self.labels)
        if self.logits.shape != (count, width):
            raise DataError(f"logits of shape {self.logits.shape} for {count} rows and {width} labels.")
        if self.targets.shape != ((count, width) if self.labels.kind == "multi" else (count,)):
            raise DataError(f"targets of shape {self.targets.shape} for {count} rows and {width} labels.")
        if not np.isfinite(self.logits).all():
            row = int(np.argmin(np.isfinite(self.logits).all(axis=1)))
            raise DataError(f"logits of row {self.ids[row]} are not finite.")
        if len(set(self.ids.tolist())) != count:
            raise DataError("row ids repeat.")
        if self.labels.kind != "multi" and count and not (self.targets.min() >= 0 and self.targets.max() < width):
            raise DataError(f"targets reach from {self.targets.min()} to {self.targets.max()} for {width} labels.")

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def probabilities(self) -> NDArray[np.float64]:
        """(N, K): softmax of the tempered logits, sigmoid for multi-label."""
        temperature = self.calibration.temperature if self.calibration else 1.0
        return probabilities(self.logits, kind=self.labels.kind, temperature=temperature)

    @cached_property
    def predicted(self) -> NDArray[np.int64] | NDArray[np.bool_]:
        """(N,) most probable class; for multi-label (N, K), probability at least one half."""
        if self.labels.kind == "multi":
            return np.asarray(self.logits >= 0)
        return np.asarray(self.logits.argmax(axis=1), dtype=np.int64)

    @cached_property
    def confidence(self) -> NDArray[np.float64]:
        """(N,) probability of the most probable class."""
        return np.asarray(self.probabilities.max(axis=1))


def probabilities(
    logits: NDArray[np.float32], *, kind: Kind = "single", temperature: float = 1.0
) -> NDArray[np.float64]:
    """Logits to probabilities in double precision, without overflow.

    Args:
        logits: (N, K).
        kind: ``multi`` takes the sigmoid of each label, the others the softmax over labels.
        temperature: > 0, divides the logits.

    Returns:
        (N, K), rows sum to one unless ``multi``.
    """
    scaled = logits.astype(np.float64) / temperature
    if kind == "multi":
        return np.asarray(0.5 * (1.0 + np.tanh(0.5 * scaled)))
    scaled -= scaled.max(axis=1, keepdims=True, initial=-np.inf)
    exponentials = np.exp(scaled)
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))
