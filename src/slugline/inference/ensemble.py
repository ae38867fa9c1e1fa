"""Several models that answer as one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from slugline.core.labels import probabilities
from slugline.inference.predictor import Predictor, windows

#: Below it a probability's logarithm would not be finite in float32.
SMALLEST_PROBABILITY = 1e-30


@dataclass(frozen=True)
class EnsemblePredictor:
    """Texts to logits through several models with the same labels.

    Args:
        predictors: the models.
        method: ``logits`` averages what they say, ``probabilities`` how probable they hold each class.
    """

    predictors: Sequence[Predictor]
    method: Literal["logits", "probabilities"] = "logits"

    def logits(self, texts: Iterable[str]) -> Iterator[NDArray[np.float32]]:
        """Logits in the order of the texts, a window at a time.

        Args:
            texts: cleaned; any number, read as they are needed.

        Yields:
            (b, K) for the next b texts; with ``probabilities`` the logarithm of their mean.
        """
        for window in windows(texts):
            yield average(
                [np.concatenate(list(predictor.logits(window))) for predictor in self.predictors], self.method
            )


def average(
    members: Sequence[NDArray[np.float32]], method: Literal["logits", "probabilities"] = "logits"
) -> NDArray[np.float32]:
    """What an ensemble says.

    Args:
        members: (N, K) logits of each model, about the same rows.
        method: ``logits`` or ``probabilities``.

    Returns:
        (N, K) logits.
    """
    if method == "logits":
        return np.asarray(np.mean(members, axis=0, dtype=np.float64), dtype=np.float32)
    mean = np.mean([probabilities(logits) for logits in members], axis=0)
    return np.asarray(np.log(np.maximum(mean, SMALLEST_PROBABILITY)), dtype=np.float32)
