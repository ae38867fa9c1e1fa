"""`compare_runs`: comparison of run folders, with a warning if a model from scratch is not clearly the smaller one."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from slugline.core.predictions import Predictions
from slugline.evaluation.compare import Comparison, compare
from slugline.evaluation.metrics import metric as find_metric
from slugline.run.run import Run

logger = logging.getLogger(__name__)

#: What can be compared: a run, the folder of a run, or predictions.
Compared = Run | Predictions | str | Path

#: A model from scratch is clearly smaller with at most this share of the parameters of a pre-trained model.
CLEARLY_SMALLER = 0.5


def compare_runs(
    *runs: Compared | Sequence[Compared] | Mapping[str, Compared],
    split: str = "test",
    metric: str = "accuracy",
    resamples: int = 1000,
    seed: int = 13,
) -> Comparison:
    """Compare runs by the predictions in their folders.

    Runs that differ only in their seed are compared as one, unless each is given a name.

    Args:
        *runs: two or more runs, folders of runs, or predictions on the same rows: one by one, as a list, or by name.
        split: split of the predictions to compare.
        metric: name of the metric to compare by.
        resamples: number of bootstrap resamples; also the minimum number of permutations.
        seed: seed of the resamples and permutations.

    Returns:
        Intervals and paired tests.

    Raises:
        RunError: a folder is not a run, or was not scored on the split.
        DataError: there are fewer than two runs, or they were not scored on the same rows.
        RecipeError: the metric is unknown.
    """
    find_metric(metric)
    named = _named(runs)
    warn_of_sizes({name: each for name, each in named.items() if isinstance(each, Run)})
    has_names = len(runs) == 1 and isinstance(runs[0], Mapping)
    settings = {name: [each] for name, each in named.items()} if has_names else _by_setting(named)
    predictions = {
        name: [each.predictions(split) if isinstance(each, Run) else each for each in group]
        for name, group in settings.items()
    }
    without_seed = [name for name, group in settings.items() if not any(map(_has_random_training, group))]
    return compare(predictions, metric=metric, without_seed=without_seed, resamples=resamples, seed=seed)


def _has_random_training(each: Run | Predictions) -> bool:
    return not isinstance(each, Run) or each.recipe.model.capabilities.has_random_training


def _named(given: Sequence[Compared | Sequence[Compared] | Mapping[str, Compared]]) -> dict[str, Run | Predictions]:
    """Runs and predictions by name; runs are named by their folders, or by their paths if folders have equal names."""
    first = given[0] if len(given) == 1 else given
    if isinstance(first, Mapping):
        return {name: _opened(each) for name, each in first.items()}
    listed = [first] if isinstance(first, (str, Path, Run, Predictions)) else first
    opened = [_opened(each) for each in listed]
    folders = Counter(each.path.name for each in opened if isinstance(each, Run))
    named: dict[str, Run | Predictions] = {}
    for number, each in enumerate(opened, start=1):
        name = f"run {number}"
        if isinstance(each, Run):
            name = each.path.name if folders[each.path.name] == 1 else str(each.path)
        named[name if name not in named else f"{name} ({number})"] = each
    return named


def _opened(each: Any) -> Run | Predictions:
    return each if isinstance(each, (Run, Predictions)) else Run(Path(each))


def _by_setting(named: Mapping[str, Run | Predictions]) -> dict[str, list[Run | Predictions]]:
    """Runs that differ only in their seed, together; each for itself if all belong to one setting, or seeds repeat."""
    settings: dict[str, dict[str, Run | Predictions]] = {}
    seeds: set[tuple[str, int]] = set()
    for name, each in named.items():
        setting = name
        if isinstance(each, Run):
            setting = each.recipe.model_copy(update={"name": "", "seed": 0}).model_dump_json()
            # Two runs of one recipe are repetitions, not seeds.
            setting += name if (setting, each.recipe.seed) in seeds else ""
            seeds.add((setting, each.recipe.seed))
        settings.setdefault(setting, {})[name] = each
    if len(settings) == 1:
        return {name: [each] for name, each in named.items()}
    short = [_setting_name(group) for group in settings.values()]
    return {
        name if short.count(name) == 1 else " + ".join(group): list(group.values())
        for name, group in zip(short, settings.values(), strict=True)
    }


def _setting_name(group: Mapping[str, Run | Predictions]) -> str:
    """The common name without the seed: ``base, 3 seeds`` for ``base-13``, ``base-14`` and ``base-15``."""
    if len(group) == 1:
        return next(iter(group))
    seeds = {name: each.recipe.seed for name, each in group.items() if isinstance(each, Run)}
    bare = {re.sub(rf"[^A-Za-z0-9]+(seed[-_=]?)?{seed}$", "", name) for name, seed in seeds.items()}
    return f"{bare.pop()}, {len(group)} seeds" if len(bare) == 1 else " + ".join(group)


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
