"""`Evidence`, the numbers of a run that checks read, and `Diagnosis`, the result of a check.

Numbers that a run does not have are NaN. All comparisons with NaN are false, so that checks diagnose nothing from
missing numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from slugline.evaluation.intervals import wilson_interval
from slugline.evaluation.metrics import numbers_in
from slugline.recipe.recipe import Recipe
from slugline.recipe.toml import to_toml

#: A number that the run does not have.
MISSING = math.nan


@dataclass(frozen=True)
class Diagnosis:
    """One observation about a run, with advice.

    Args:
        kind: short name, for programs: ``"overfitting"``.
        message: the observation with its numbers, in a sentence or two.
        advice: a sentence with recipe keys and values to try; empty if there is nothing to do.
        settings: recipe keys with the value to try, the most promising first; each to be tried on its own.
        evidence: the numbers behind the message.
        is_warning: True if the result is worse because of it; False if it is only worth knowing.
    """

    kind: str
    message: str
    advice: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    evidence: Mapping[str, float] = field(default_factory=dict)
    is_warning: bool = True

    @classmethod
    def of(
        cls,
        kind: str,
        message: str,
        settings: Mapping[str, Any],
        *alternatives: str,
        is_warning: bool = True,
        **evidence: float,
    ) -> Diagnosis:
        """Build a diagnosis and write its advice from its settings.

        Args:
            kind: short name.
            message: the observation with its numbers.
            settings: recipe keys with the value to try.
            *alternatives: other things to try, as noun phrases.
            is_warning: True if the result is worse because of it.
            **evidence: numbers by name; those that are not finite are dropped.

        Returns:
            The diagnosis.
        """
        options = [", ".join(f"{key}={to_toml(value)}" for key, value in settings.items())] if settings else []
        options += alternatives
        advice = f"Try {'; or '.join(options)}." if options else ""
        numbers = {name: round(value, 6) for name, value in evidence.items() if math.isfinite(value)}
        return cls(kind, message, advice, settings, numbers, is_warning)

    @property
    def line(self) -> str:
        """Message and advice in one line."""
        return f"{self.message} {self.advice}".rstrip()


@dataclass(frozen=True)
class Stage:
    """One stage of a training: the updates between two evaluations, and the evaluation that ends it.

    Args:
        step: number of updates so far.
        epoch: number of epochs so far.
        loss: validation loss.
        accuracy: validation accuracy.
        selected: the metric of ``train.select_by`` on validation, negated if less is better.
        train_loss: loss on training rows, over the second half of the updates of this stage.
        train_accuracy: accuracy on the same rows; slightly too low, because dropout is active.
    """

    step: float
    epoch: float
    loss: float
    accuracy: float
    selected: float
    train_loss: float
    train_accuracy: float


@dataclass(frozen=True)
class Evidence:
    """The numbers of one run.

    Args:
        recipe: recipe of the run, with all defaults.
        stages: one stage for each evaluation, in order; empty for the linear kind.
        lines: training lines of the history, in order.
        validation: metrics on validation, or out of fold. All advice is based on them, because settings must not be
            chosen on test.
        test: metrics on test, or empty.
        data: contents of ``data.json``.
        timing: durations and shares, from ``metrics.json``.
        manifest: contents of ``manifest.json``.
    """

    recipe: Recipe
    stages: tuple[Stage, ...]
    lines: tuple[Mapping[str, Any], ...]
    validation: Mapping[str, Any]
    test: Mapping[str, Any]
    data: Mapping[str, Any]
    timing: Mapping[str, Any]
    manifest: Mapping[str, Any]

    @property
    def where(self) -> str:
        """The rows of `validation`, in a sentence: ``on validation``, or ``out of fold`` of a cross-validation."""
        return "out of fold" if self.recipe.train.folds and not self.lines and not self.stages else "on validation"

    @property
    def n_validation(self) -> int:
        """Number of validation rows; 0 if unknown."""
        known = self.validation.get("support", self.data.get("rows", {}).get("validation", 0))
        return max(0, int(known))

    @property
    def class_rows(self) -> dict[str, int]:
        """Number of training rows of each class."""
        return dict(self.data.get("classes", {}).get("train", {}))

    @property
    def epochs(self) -> float:
        """Number of epochs trained; NaN without history."""
        return self.stages[-1].epoch if self.stages else MISSING

    def losses(self) -> list[float]:
        """Training loss of each line of the history that has one."""
        return [float(line["loss"]) for line in self.lines if "loss" in line]


def stages(history: Sequence[Mapping[str, Any]], *, select_by: str) -> tuple[Stage, ...]:
    """Join each evaluation in a history with the training lines before it.

    Args:
        history: lines of ``history.jsonl``.
        select_by: name of the metric that selects the best evaluation.

    Returns:
        One stage for each evaluation that has a loss, an accuracy and the metric.
    """
    sign = -1.0 if any(not metric.greater_is_better for metric in numbers_in([select_by])) else 1.0
    found: list[Stage] = []
    lines = training_lines(history)
    for line in history:
        scores = line.get("validation", {})
        if not {"loss", "accuracy", select_by} <= set(scores):
            continue
        before, step = found[-1].step if found else 0.0, float(line["step"])
        # Without the first half, because errors made early in a stage say little about the model at its end.
        second_half = [(other, weight) for other, weight in lines if (before + step) / 2 < other["step"] <= step]
        found.append(
            Stage(
                step,
                float(line["epoch"]),
                float(scores["loss"]),
                float(scores["accuracy"]),
                sign * float(scores[select_by]),
                _mean((other.get("loss", MISSING), weight) for other, weight in second_half),
                _mean((other.get("accuracy", MISSING), weight) for other, weight in second_half),
            )
        )
    return tuple(found)


def training_lines(history: Sequence[Mapping[str, Any]]) -> list[tuple[Mapping[str, Any], float]]:
    """Return the training lines of a history, each with the number of updates since the line before."""
    lines, before = [], 0.0
    for line in history:
        if "validation" not in line:
            lines.append((line, max(0.0, line["step"] - before)))
            before = line["step"]
    return lines


def _mean(weighted: Iterable[tuple[float, float]]) -> float:
    pairs = list(weighted)
    total = sum(weight for _, weight in pairs)
    return sum(value * weight for value, weight in pairs) / total if total else MISSING


def interval(share: float, rows: int) -> tuple[float, float]:
    """Return the 95% interval of an accuracy or recall.

    Args:
        share: share of rows that are predicted correctly.
        rows: number of rows.

    Returns:
        (low, high); NaN if there are no rows or the share is not in [0, 1].
    """
    if not rows or not 0 <= share <= 1:
        return MISSING, MISSING
    return wilson_interval(round(share * rows), rows)


def listed(items: Sequence[str]) -> str:
    """Return ``a, b and c``."""
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)


def two_digits(value: float) -> float:
    """Round to two significant digits."""
    return float(f"{value:.1e}")
