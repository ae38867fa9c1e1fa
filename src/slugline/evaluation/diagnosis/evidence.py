"""What a diagnosis looks at, and what it says: the numbers of one run in, `Diagnosis` out.

`Stage` joins what the history says of training and of validation, evaluation by evaluation. A number that a run does
not have is NaN here: every comparison with it is false, so that nothing is said of what was not measured.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from slugline.evaluation.intervals import wilson_interval
from slugline.evaluation.metrics import METRICS
from slugline.recipe.recipe import Recipe
from slugline.recipe.toml import to_toml

#: A number that the run does not have.
MISSING = math.nan


@dataclass(frozen=True)
class Diagnosis:
    """One thing that a run shows.

    Args:
        kind: short name, for programs: ``"overfitting"``.
        message: what was seen, with its numbers, in a sentence or two.
        advice: what to do about it; names recipe keys with values. Empty where there is nothing to do.
        settings: recipe keys with the value to try, the most promising first; each is meant by itself.
        evidence: the numbers behind the message.
        is_warning: whether the result suffers from it; otherwise it is worth knowing.
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
        *besides: str,
        is_warning: bool = True,
        **evidence: float,
    ) -> Diagnosis:
        """A diagnosis whose advice is written from its settings.

        Args:
            kind: short name.
            message: what was seen.
            settings: recipe keys with the value to try.
            *besides: other things to try, as they stand after "or".
            is_warning: whether the result suffers from it.
            **evidence: numbers by name; those that are not finite are left out.

        Returns:
            The diagnosis.
        """
        things = [", ".join(f"{key}={to_toml(value)}" for key, value in settings.items())] if settings else []
        advice = f"Try {'; or '.join([*things, *besides])}." if things or besides else ""
        numbers = {name: round(value, 6) for name, value in evidence.items() if math.isfinite(value)}
        return cls(kind, message, advice, settings, numbers, is_warning)

    @property
    def line(self) -> str:
        """Message and advice in one line."""
        return f"{self.message} {self.advice}".rstrip()


@dataclass(frozen=True)
class Stage:
    """One evaluation, and the training that led to it.

    Args:
        step: updates so far.
        epoch: passes over the training rows so far.
        loss: on validation.
        accuracy: on validation.
        selected: the metric that selects, on validation, turned so that more is better.
        train_loss: on training rows, over the second half of the updates since the evaluation before.
        train_accuracy: likewise; with dropout, so a little too modest.
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
        recipe: complete.
        stages: one for each evaluation, in order; empty for kinds that train in one go.
        lines: history of the training rows, in order.
        validation: metrics of the validation rows, or of the rows out of fold; everything that leads to advice is
            read off them, for test is not there to choose by.
        test: metrics of the test rows, or empty.
        data: description of the data.
        timing: durations and shares.
        manifest: of the run.
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
    def n_validation(self) -> int:
        """Validation rows; 0 where unknown."""
        known = self.validation.get("support", self.data.get("rows", {}).get("validation", 0))
        return max(0, int(known))

    @property
    def class_rows(self) -> dict[str, int]:
        """Training rows of each class."""
        return dict(self.data.get("classes", {}).get("train", {}))

    @property
    def epochs(self) -> float:
        """Passes over the training rows that were made; NaN without history."""
        return self.stages[-1].epoch if self.stages else MISSING

    def losses(self) -> list[float]:
        """Training loss of every line of history that has one."""
        return [float(line["loss"]) for line in self.lines if "loss" in line]


def stages(history: Sequence[Mapping[str, Any]], *, select_by: str) -> tuple[Stage, ...]:
    """Join the lines of training with the evaluations that follow them.

    Args:
        history: of a run.
        select_by: metric that selects.

    Returns:
        One stage for each evaluation that has a loss, an accuracy and the metric.
    """
    sign = 1.0 if select_by not in METRICS or METRICS[select_by].greater_is_better else -1.0
    found: list[Stage] = []
    lines = training_lines(history)
    for line in history:
        scores = line.get("validation", {})
        if not {"loss", "accuracy", select_by} <= set(scores):
            continue
        before, step = found[-1].step if found else 0.0, float(line["step"])
        # The first half is left out: what the model got wrong while it learned says little about what it knows.
        late = [(other, weight) for other, weight in lines if (before + step) / 2 < other["step"] <= step]
        found.append(
            Stage(
                step,
                float(line["epoch"]),
                float(scores["loss"]),
                float(scores["accuracy"]),
                sign * float(scores[select_by]),
                _mean((other.get("loss", MISSING), weight) for other, weight in late),
                _mean((other.get("accuracy", MISSING), weight) for other, weight in late),
            )
        )
    return tuple(found)


def training_lines(history: Sequence[Mapping[str, Any]]) -> list[tuple[Mapping[str, Any], float]]:
    """Lines about training rows, each with the number of updates that it speaks of."""
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
    """95% interval of a share of right answers.

    Args:
        share: as measured.
        rows: that it was measured on.

    Returns:
        (low, high); NaN where there is nothing to compute it from.
    """
    if not rows or not 0 <= share <= 1:
        return MISSING, MISSING
    return wilson_interval(round(share * rows), rows)


def listed(things: Sequence[str]) -> str:
    """``a, b and c``."""
    return " and ".join([", ".join(things[:-1]), things[-1]] if len(things) > 1 else things)


def two_digits(value: float) -> float:
    """A rate or loss as people write it: two significant digits."""
    return float(f"{value:.1e}")
