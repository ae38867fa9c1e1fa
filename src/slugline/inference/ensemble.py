"""Ensembles: several models with the same labels, averaged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from slugline.core.labels import Kind
from slugline.core.predictions import logits_of, probabilities
from slugline.inference.predictor import Predictor, text_chunks

Method = Literal["logits", "probabilities"]


@dataclass(frozen=True)
class EnsemblePredictor:
    """Texts to logits through several models with the same labels.

    Args:
        predictors: the models.
        method: values to average, ``logits`` or ``probabilities``.
        kind: kind of their label set.
    """

    predictors: Sequence[Predictor]
    method: Method = "logits"
    kind: Kind = "single"

    def logits(self, texts: Iterable[str]) -> Iterator[NDArray[np.float32]]:
        """Averaged logits in the order of the texts.

        Args:
            texts: any number of cleaned texts, read as they are needed.

        Yields:
            (b, K) logits of the next b texts.
        """
        for chunk in text_chunks(texts):
            members = [np.concatenate(list(predictor.logits(chunk))) for predictor in self.predictors]
            yield average_logits(members, self.method, kind=self.kind)


def average_logits(
    members: Sequence[NDArray[np.float32]], method: Method = "logits", *, kind: Kind = "single"
) -> NDArray[np.float32]:
    """Average the logits of several models.

    Args:
        members: (N, K) logits of each model, of the same rows.
        method: ``logits``, or ``probabilities``, which returns the logits of the mean probabilities.
        kind: kind of the label set; decides what the probabilities of logits are.

    Returns:
        (N, K) logits.
    """
    if method == "logits":
        return np.asarray(np.mean(members, axis=0, dtype=np.float64), dtype=np.float32)
    return logits_of(np.mean([probabilities(logits, kind=kind) for logits in members], axis=0), kind=kind)
