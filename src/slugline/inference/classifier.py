"""`Classifier`: texts in, class names and probabilities out, with the interface of scikit-learn.

A `Predictor` computes the logits. Cleaning, calibration and class names are the same for all kinds of models and are
applied here. This module needs neither torch nor transformers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slugline.core.errors import ModelError
from slugline.core.labels import LabelSet
from slugline.core.memory import memory_errors
from slugline.core.predictions import UNCALIBRATED, Calibration
from slugline.data.preparing.cleaning import clean
from slugline.inference.predictor import Predictor


@dataclass(frozen=True)
class Classifier:
    """A trained model, ready to predict.

    Args:
        labels: the K classes.
        predictor: model that computes logits from texts.
        calibration: calibration of the probabilities; None = uncalibrated.
        cleaning: cleaning steps of the recipe.
        text_columns: columns that the recipe joins into one text; empty = unknown.
        name: name of the run, or of the folder.
    """

    labels: LabelSet
    predictor: Predictor
    calibration: Calibration | None = None
    cleaning: tuple[str, ...] = ()
    text_columns: tuple[str, ...] = ()
    name: str = ""

    @property
    def classes_(self) -> NDArray[np.str_]:
        """(K,) class names, in the order of the columns of `predict_proba`."""
        return np.array(self.labels.names)

    def logits(self, texts: Iterable[str]) -> Iterator[NDArray[np.float32]]:
        """Logits without calibration.

        Args:
            texts: any number of texts, read as they are needed; cleaned here as in training.

        Yields:
            (b, K) logits of the next b texts, in order.

        Raises:
            ModelError: the memory is exhausted.
        """
        with memory_errors(ModelError, "predicting"):
            yield from self.predictor.logits(clean(text, self.cleaning) for text in texts)

    def probabilities(self, texts: Iterable[str]) -> Iterator[NDArray[np.float64]]:
        """Calibrated probabilities, in chunks and in constant memory.

        Args:
            texts: any number of texts, read as they are needed.

        Yields:
            (b, K) probabilities of the next b texts, in order.
        """
        calibration = self.calibration or UNCALIBRATED
        for logits in self.logits(texts):
            yield calibration.probabilities(logits, kind=self.labels.kind)

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Calibrated probability of each class.

        Args:
            texts: N texts.

        Returns:
            (N, K) probabilities, columns as in `classes_`.
        """
        chunks = list(self.probabilities(_texts(texts)))
        return np.concatenate(chunks) if chunks else np.zeros((0, len(self.labels)))

    def predict(self, texts: Sequence[str]) -> list[str]:
        """Name of the most probable class of each text.

        Args:
            texts: N texts.

        Returns:
            N class names.
        """
        return self.labels.decode(self.predict_proba(texts).argmax(axis=1).tolist())


def _texts(texts: Sequence[str]) -> Sequence[str]:
    """Refuse a single string, which would be read as a list of characters."""
    if isinstance(texts, str):
        raise TypeError("give a list of texts, not a single string: predict([text])")
    return texts
