"""Figures of a run by path, such as ``test.accuracy.low``: one language for acceptance, conditions and reports.

| path | figure |
| --- | --- |
| ``SPLIT.METRIC`` | a metric of a split: ``test.f1_macro``; ``.low`` and ``.high`` are the ends of its 95% interval |
| ``SPLIT.per_class.CLASS.f1`` | precision, recall, F1 or support of a class |
| ``SPLIT.per_class.min.recall`` | smallest value over the classes; also ``max``, ``mean`` and ``range`` (max - min) |
| ``timing.KEY``, ``size.KEY`` | seconds, milliseconds, bytes and parameters in metrics.json |
| ``manifest.KEY``, ``data.KEY`` | values of manifest.json and data.json: ``data.imbalance``, ``manifest.tracked`` |
| ``bundle.KEY`` | values of the bundle that was exported from the run |
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from slugline.core.errors import RecipeError, nearest
from slugline.run.run import Run

#: Ends of intervals.
ENDS = ("low", "high")

#: Summaries over the classes of a split.
OVER_CLASSES: dict[str, Callable[[Sequence[float]], float]] = {
    "min": min,
    "max": max,
    "mean": lambda values: sum(values) / len(values),
    "range": lambda values: max(values) - min(values),
}

#: Splits that a run may be scored on.
SPLITS = ("validation", "test", "train", "out_of_fold")

#: Beginnings of paths beside splits, and where their values are.
FILES: dict[str, Callable[[Run], Path]] = {
    "timing": lambda run: run.layout.metrics,
    "size": lambda run: run.layout.metrics,
    "manifest": lambda run: run.layout.manifest,
    "data": lambda run: run.layout.data,
    "bundle": lambda run: run.path / "bundle.json",
}

#: Beginnings of paths whose values are under this name in their file.
WITHIN = frozenset({"timing", "size"})


class MissingFigure(RecipeError):
    """A run does not have a figure that others may have, such as a metric of a split that it was not scored on."""


def figure(run: Run, path: str) -> Any:
    """Return a figure of a run.

    Args:
        run: the run.
        path: path of the figure, see above. The names of classes may contain dots.

    Returns:
        A number, a text, or True or False.

    Raises:
        MissingFigure: the run was not scored on the split, has no interval, or lacks the file.
        RecipeError: no run has such a figure; the nearest path is named.
    """
    first, *parts = path.split(".")
    if first in SPLITS:
        return _of_split(run, first, parts, path)
    if first not in FILES:
        raise _unknown(path, first, [*SPLITS, *FILES])
    source = FILES[first](run)
    if not source.is_file():
        raise MissingFigure(f"{path}: {run.path} has no {source.name}.")
    values = json.loads(source.read_text(encoding="utf-8"))
    return _walk(values.get(first, {}) if first in WITHIN else values, parts, path)


def _of_split(run: Run, split: str, parts: Sequence[str], path: str) -> Any:
    metrics = run.metrics
    if split not in metrics:
        raise MissingFigure(f"{path}: {run.path} was not scored on {split}.")
    scores = metrics[split]
    if len(parts) == 2 and parts[1] in ENDS:
        intervals = scores.get("confidence_intervals", {})
        if parts[0] in scores and parts[0] not in intervals:
            raise MissingFigure(f"{path}: {parts[0]} has no interval (evaluation.bootstrap = 0?).")
        return intervals[parts[0]][ENDS.index(parts[1])] if parts[0] in intervals else _walk(scores, parts[:1], path)
    if len(parts) == 3 and parts[0] == "per_class" and parts[1] in OVER_CLASSES:
        classes = [each for each in scores["per_class"].values() if each["support"]]
        return OVER_CLASSES[parts[1]]([_walk(each, parts[2:], path) for each in classes])
    return _walk(scores, parts, path)


def _walk(values: Any, parts: Sequence[str], path: str) -> Any:
    """Follow the parts of a path; a key of several parts is the longest that exists."""
    while parts:
        keys = [".".join(parts[:count]) for count in range(len(parts), 0, -1)]
        key = next((key for key in keys if isinstance(values, Mapping) and key in values), None)
        if key is None:
            raise _unknown(path, parts[0], list(values) if isinstance(values, Mapping) else [])
        values, parts = values[key], parts[len(key.split(".")) :]
    if isinstance(values, (Mapping, list)):
        keys = list(values) if isinstance(values, Mapping) else []
        raise RecipeError(f"{path} is no single figure.", hint=f"Add one of: {', '.join(map(str, keys[:20]))}.")
    return values


def _unknown(path: str, part: str, known: Sequence[str]) -> RecipeError:
    return RecipeError(
        f"{path}: there is no figure {part!r}.{nearest(part, list(known))}",
        hint=f"Known here: {', '.join(known[:30])}.",
    )
