"""`Classifier`: texts in, class names and probabilities out, with the methods of scikit-learn.

A `Predictor` computes the logits. Cleaning, calibration and class names are the same for all kinds of models and are
applied here. This module needs neither torch nor transformers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slugline.core.errors import ModelError
from slugline.core.labels import LabelSet, RowLabels
from slugline.core.memory import memory_errors
from slugline.core.predictions import UNCALIBRATED, Calibration
from slugline.data.preparing.cleaning import clean
from slugline.inference.predictor import Predictor
from slugline.inference.text_inputs import texts_of

#: Class names in the representation of a classifier.
SHOWN_CLASSES = 5


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
        run_path: folder of the run that the model belongs to; None for other models.
        is_copied: True for a copy of the model folder of a run.
    """

    labels: LabelSet
    predictor: Predictor
    calibration: Calibration | None = None
    cleaning: tuple[str, ...] = ()
    text_columns: tuple[str, ...] = ()
    name: str = ""
    run_path: Path | None = None
    is_copied: bool = False

    def __repr__(self) -> str:
        names = ", ".join(self.labels.names[:SHOWN_CLASSES]) + (", ..." if len(self.labels) > SHOWN_CLASSES else "")
        calibrated = f"temperature {self.calibration.temperature:.3g}" if self.calibration else "not calibrated"
        kind = type(self.predictor).__name__
        return f"<Classifier {self.name or kind}: {len(self.labels)} classes ({names}), {kind}, {calibrated}>"

    @property
    def classes_(self) -> NDArray[np.str_]:
        """(K,) class names, in the order of the columns of `predict_proba`."""
        return np.array(self.labels.names)

    def logits(self, texts: Any) -> Iterator[NDArray[np.float32]]:
        """Logits without calibration.

        Args:
            texts: any number of texts, as in `predict_proba`, read as they are needed; cleaned here as in training.

        Yields:
            (b, K) logits of the next b texts, in order.

        Raises:
            ModelError: the memory is exhausted.
        """
        checked = texts_of(texts, self.text_columns)
        with memory_errors(ModelError, "predicting"):
            yield from self.predictor.logits(clean(text, self.cleaning) for text in checked)

    def probabilities(self, texts: Any) -> Iterator[NDArray[np.float64]]:
        """Calibrated probabilities, in chunks and in constant memory.

        Args:
            texts: any number of texts, as in `predict_proba`, read as they are needed.

        Yields:
            (b, K) probabilities of the next b texts, in order.
        """
        calibration = self.calibration or UNCALIBRATED
        for logits in self.logits(texts):
            yield calibration.probabilities(logits, kind=self.labels.kind)

    def predict_proba(self, texts: Any) -> NDArray[np.float64]:
        """Calibrated probability of each class.

        Args:
            texts: N texts in any form that `texts_of` reads: a list, an array, a series, a generator, a table with the
                text columns of the training.

        Returns:
            (N, K) probabilities, columns as in `classes_`.

        Raises:
            DataError: a value is not a text, the table has other columns, or a single string is given.
        """
        chunks = list(self.probabilities(texts))
        return np.concatenate(chunks) if chunks else np.zeros((0, len(self.labels)))

    def predict(self, texts: Any) -> NDArray[Any]:
        """Name of the most probable class of each text, or the names of its labels.

        Args:
            texts: N texts, as in `predict_proba`.

        Returns:
            (N,) class names; in a ``multi`` set (N,) tuples of the labels whose probability reaches their threshold.

        Raises:
            DataError: as in `predict_proba`.
        """
        decided = self.decide(self.predict_proba(texts))
        if not self.labels.is_multi:
            return np.array([name for (name,) in decided], dtype=np.str_)
        names = np.empty(len(decided), dtype=object)
        names[:] = decided
        return names

    def decide(self, probabilities: NDArray[np.float64]) -> list[RowLabels]:
        """Return the labels that probabilities mean.

        Args:
            probabilities: (N, K) from `predict_proba`.

        Returns:
            N tuples of names: one name, or any number in a ``multi`` set.
        """
        decided = (self.calibration or UNCALIBRATED).decide(probabilities, kind=self.labels.kind)
        return self.labels.decode(decided)

    def confidence(self, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probability of each decision; see `Calibration.confidence`.

        Args:
            probabilities: (N, K) from `predict_proba`.

        Returns:
            (N,).
        """
        return (self.calibration or UNCALIBRATED).confidence(probabilities, kind=self.labels.kind)
