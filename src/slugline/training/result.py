"""`FitResult` and `PretrainResult`: what training returns. The pipeline writes them into the run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from slugline.inference.classifier import Classifier


@dataclass(frozen=True)
class FitResult:
    """A trained classifier and statistics of its training.

    Args:
        classifier: classifier loaded from the saved model.
        timing: durations and speeds, for ``timing`` in ``metrics.json``.
        size: parameter counts, for ``size`` in ``metrics.json``.
        selected: the checkpoint or the value of C that validation selected, for ``chosen`` in ``manifest.json``.
        data: additions to ``data.json``: lengths in tokens, findings of the tokenisation.
    """

    classifier: Classifier
    timing: Mapping[str, float]
    size: Mapping[str, int]
    selected: Mapping[str, Any]
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PretrainResult:
    """Scores and statistics of a pre-training.

    Args:
        scores: ``loss``, ``perplexity`` and ``accuracy`` of the predicted tokens on the validation sequences.
        timing: durations and speeds, for ``timing`` in ``metrics.json``.
        size: parameter counts of the backbone, for ``size`` in ``metrics.json``.
        selected: the checkpoint that validation selected, for ``chosen`` in ``manifest.json``.
        data: additions to ``data.json``: number and length of the sequences, findings of the tokenisation.
    """

    scores: Mapping[str, float]
    timing: Mapping[str, float]
    size: Mapping[str, int]
    selected: Mapping[str, Any]
    data: Mapping[str, Any]
