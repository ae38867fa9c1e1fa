"""Running metrics on the training rows, for the lines of the history. With dropout they are slightly too low."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from slugline.evaluation.outcomes.class_counts import ClassCounts, accuracy, confusion_matrix, f1, macro


class RunningConfusion:
    """Counts predictions on training rows since the last call of `scores`.

    Args:
        n_classes: number of classes, K.
    """

    def __init__(self, n_classes: int) -> None:
        self.n_classes = n_classes
        self.cells: list[Tensor] = []

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """Count the predictions of one forward pass.

        Args:
            logits: (B, K).
            labels: (B,).
        """
        self.cells.append(labels * self.n_classes + logits.detach().argmax(dim=1))

    def take(self) -> NDArray[np.int64]:
        """Return the confusion matrix (K, K), true classes in rows, and reset the counts."""
        cells = torch.cat(self.cells).cpu().numpy() if self.cells else np.empty(0, dtype=np.int64)
        self.cells.clear()
        return confusion_matrix(cells // self.n_classes, cells % self.n_classes, self.n_classes)

    def scores(self) -> dict[str, float]:
        """Return accuracy and macro F1 for a line of history, and reset the counts."""
        confusion = self.take()
        return {"accuracy": float(accuracy(confusion)), "f1_macro": float(macro(f1, ClassCounts.of(confusion)))}


class RunningAccuracy(RunningConfusion):
    """Counts only correct predictions: in pre-training, the confusion matrix of the vocabulary would be too large."""

    def __init__(self) -> None:
        super().__init__(n_classes=0)

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """Count the predictions of one forward pass.

        Args:
            logits: (N, K).
            labels: (N,).
        """
        self.cells.append(logits.detach().argmax(dim=1) == labels)

    def scores(self) -> dict[str, float]:
        """Return the accuracy for a line of history, and reset the counts."""
        hits = torch.cat(self.cells) if self.cells else torch.zeros(1)
        self.cells.clear()
        return {"accuracy": float(hits.float().mean())}
