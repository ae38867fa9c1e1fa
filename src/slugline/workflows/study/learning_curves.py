"""Learning curves: what the settings of a study reach with few training rows and with many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from slugline.recipe.toml import to_toml
from slugline.run.run import Run
from slugline.workflows.study.results import SettingResult

#: The key that is varied along a learning curve.
ROWS = "data.max_train_examples"


def learning_curves(settings: Sequence[SettingResult], metric: str) -> dict[str, list[tuple[int, float]]]:
    """Points of every curve that a study has: the settings of a step, one for each number of training rows.

    What else differs between them (few rows may be given more epochs) is no curve of its own, unless it differs at the
    same number of rows.

    Args:
        settings: of the study, in its order; those without a complete member have no point.
        metric: on validation.

    Returns:
        By the name of the curve, (training rows, value) of each seed, by rows; only curves of two numbers
        of rows or more.
    """
    curves: dict[str, list[tuple[int, float]]] = {}
    for setting in settings:
        if ROWS not in setting.setting.overrides:
            continue
        points = curves.setdefault(_name(setting.setting.step, setting.setting.overrides, settings), [])
        for result in setting.members:
            if result.metrics:
                rows = Run(result.member.path).manifest["data"]["rows"]["train"]
                points.append((rows, result.metrics[metric]))
    return {name: sorted(points) for name, points in curves.items() if len({rows for rows, _ in points}) > 1}


def _name(step: str, overrides: Mapping[str, Any], settings: Sequence[SettingResult]) -> str:
    """The step, and what else varies within it at the same number of rows."""
    steps = [setting.setting.overrides for setting in settings if setting.setting.step == step]
    others = [other for other in steps if other.get(ROWS) == overrides[ROWS]]
    varied = [key for key in overrides if any(other.get(key) != overrides[key] for other in others)]
    return " ".join([step, *(to_toml(overrides[key]).strip('"') for key in varied)])
