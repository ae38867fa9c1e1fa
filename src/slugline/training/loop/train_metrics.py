"""Running metrics on the training rows, for the lines of the history. With dropout they are slightly too low."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from slugline.evaluation.outcomes.class_counts import ClassCounts, accuracy, confusion_matrix, f1, macro, micro


class RunningMetrics(ABC):
    """Counts the outcomes of forward passes since the last call of `scores`."""

    def __init__(self) -> None:
        #: One entry for each forward pass; those of a pass that is repeated are removed.
        self.cells: list[Tensor] = []

    @abstractmethod
    def add(self, logits: Tensor, labels: Tensor) -> None:
        """Count the predictions of one forward pass.

        Args:
            logits: (B, K).
            labels: (B,), or (B, K) for any number of labels per text.
        """

    @abstractmethod
    def scores(self) -> dict[str, float]:
        """Return metrics for a line of history, and reset the counts."""


class RunningConfusion(RunningMetrics):
    """Counts predictions on training rows with one label each.

    Args:
        n_classes: number of classes, K.
    """

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.n_classes = n_classes

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


class RunningLabels(RunningMetrics):
    """Counts predictions on training rows with any number of labels; a label is predicted if its log-odds are >= 0.

    Args:
        n_labels: number of labels, K.
    """

    def __init__(self, n_labels: int) -> None:
        super().__init__()
        self.n_labels = n_labels

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """Count the predictions of one forward pass.

        Args:
            logits: (B, K), log-odds.
            labels: (B, K), True for the labels of a text.
        """
        true, predicted = labels.bool(), logits.detach() >= 0
        correct = (true == predicted).all(dim=1).sum()
        by_label = [(true & predicted).sum(dim=0), predicted.sum(dim=0), true.sum(dim=0)]
        self.cells.append(torch.cat([*by_label, torch.stack([correct, correct.new_tensor(len(true))])]))

    def scores(self) -> dict[str, float]:
        """Return the share of rows with exactly the right labels, macro and micro F1, and reset the counts."""
        sums = torch.stack(self.cells).sum(dim=0).cpu().numpy() if self.cells else np.zeros(3 * self.n_labels + 2)
        self.cells.clear()
        counts = ClassCounts(*sums[:-2].reshape(3, self.n_labels))
        return {
            "accuracy": float(sums[-2] / max(sums[-1], 1)),
            "f1_macro": float(macro(f1, counts)),
            "f1_micro": float(micro(f1, counts)),
        }


class RunningAccuracy(RunningMetrics):
    """Counts only correct predictions: in pre-training, the confusion matrix of the vocabulary would be too large."""

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
