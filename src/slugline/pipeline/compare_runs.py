"""`compare_runs`: comparison of run folders, with a warning if a model from scratch is not clearly the smaller one."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from slugline.evaluation.compare import Comparison, compare
from slugline.evaluation.metrics import metric as find_metric
from slugline.run.run import Run

logger = logging.getLogger(__name__)

#: A model from scratch is clearly smaller with at most this share of the parameters of a pre-trained model.
CLEARLY_SMALLER = 0.5


def compare_runs(paths: Sequence[Path], *, split: str = "test", metric: str = "accuracy") -> Comparison:
    """Compare runs by the predictions in their folders. Runs that differ only in their seed are compared as one.

    Args:
        paths: folders of two or more runs that were scored on the same rows.
        split: split of the predictions to compare.
        metric: name of the metric to compare by.

    Returns:
        Intervals and paired tests.

    Raises:
        RecipeError: the metric is unknown.
        RunError: a folder is not a run, or was not scored on the split.
        DataError: the runs were not scored on the same rows.
    """
    find_metric(metric)
    names = [path.name for path in paths]
    unique = len(set(names)) == len(names)
    runs = {path.name if unique else str(path): Run(path) for path in paths}
    warn_of_sizes(runs)
    settings = _by_setting(runs)
    return compare({name: [run.predictions(split) for run in group] for name, group in settings.items()}, metric=metric)


def _by_setting(runs: Mapping[str, Run]) -> dict[str, list[Run]]:
    """Runs that differ only in their seed, together; each run for itself if all belong to one setting."""
    settings: dict[str, dict[str, Run]] = {}
    for name, run in runs.items():
        setting = run.recipe.model_copy(update={"name": "", "seed": 0}).model_dump_json()
        settings.setdefault(setting, {})[name] = run
    if len(settings) == 1:
        return {name: [run] for name, run in runs.items()}
    return {_setting_name(group): list(group.values()) for group in settings.values()}


def _setting_name(group: Mapping[str, Run]) -> str:
    """The common name without the seed: ``base, 3 seeds`` for ``base-13``, ``base-14`` and ``base-15``."""
    if len(group) == 1:
        return next(iter(group))
    bare = {re.sub(rf"[^A-Za-z0-9]*(seed)?[-_=]?{run.recipe.seed}$", "", name) for name, run in group.items()}
    return f"{bare.pop() or 'seeds' if len(bare) == 1 else ' + '.join(group)}, {len(group)} seeds"


def warn_of_sizes(runs: Mapping[str, Run]) -> None:
    """Log a warning for each model from scratch that is not clearly smaller than the smallest pre-trained model.

    Args:
        runs: runs to compare, by name; incomplete runs are ignored.
    """
    complete = {name: run for name, run in runs.items() if run.state == "complete"}
    sizes = {name: run.metrics["size"]["parameters"] for name, run in complete.items()}
    kinds = {name: run.recipe.model.capabilities for name, run in complete.items()}
    pretrained = [name for name, kind in kinds.items() if kind.is_pretrained]
    if not pretrained:
        return
    smallest = min(pretrained, key=lambda name: sizes[name])
    for name in (name for name, kind in kinds.items() if kind.is_from_scratch):
        if sizes[name] > CLEARLY_SMALLER * sizes[smallest]:
            logger.warning(
                "%s, trained from scratch, has %s parameters, which is not clearly fewer than the %s of %s.",
                name,
                f"{sizes[name]:,}",
                f"{sizes[smallest]:,}",
                smallest,
            )
