"""Learning curves of a study: scores of its settings by number of training rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from slugline.recipe.toml import to_toml
from slugline.run.run import Run
from slugline.workflows.study.results import SettingResult

#: The key that varies along a learning curve.
ROWS = "data.max_train_examples"


def learning_curves(settings: Sequence[SettingResult], metric: str) -> dict[str, list[tuple[int, float]]]:
    """Return the points of all learning curves of a study.

    The settings of a step form one curve, even if other keys vary with the number of rows (few rows may need more
    epochs). Settings with the same number of rows belong to different curves.

    Args:
        settings: results of the study's settings, in its order; settings without a complete member have no point.
        metric: name of the validation metric.

    Returns:
        By name of the curve: sorted points (training rows, value) of each seed, without curves with one number of rows.
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
    """The step, and the values of all other keys that vary at the same number of rows."""
    steps = [setting.setting.overrides for setting in settings if setting.setting.step == step]
    others = [other for other in steps if other.get(ROWS) == overrides[ROWS]]
    varied = [key for key in overrides if any(other.get(key) != overrides[key] for other in others)]
    return " ".join([step, *(to_toml(overrides[key]).strip('"') for key in varied)])
