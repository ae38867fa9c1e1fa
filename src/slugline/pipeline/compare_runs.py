"""`compare_runs`: comparison of run folders, with a warning if a model from scratch is not clearly the smaller one."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from slugline.core.errors import SluglineError
from slugline.core.predictions import Predictions
from slugline.data.dataset import TextDataset
from slugline.data.tables.texts import column_values
from slugline.evaluation.comparison.compare import Comparison, compare
from slugline.evaluation.comparison.slices import Slice, slices
from slugline.evaluation.metrics import metric as find_metric
from slugline.pipeline.run_data import own_data
from slugline.run.run import Run

logger = logging.getLogger(__name__)

#: What can be compared: a run, the folder of a run, or predictions.
Compared = Run | Predictions | str | Path

#: Costs of a run: keys of ``timing`` and ``size`` in metrics.json, and their titles in tables.
COSTS = {
    "train_seconds": "training, s",
    "inference_seconds_per_1000": "1,000 texts, s",
    "latency_ms_p50": "one text, ms",
    "model_bytes": "model, MB",
    "parameters": "parameters, M",
}

#: A model from scratch is clearly smaller with at most this share of the parameters of a pre-trained model.
CLEARLY_SMALLER = 0.5


def compare_runs(
    *runs: Compared | Sequence[Compared] | Mapping[str, Compared],
    split: str = "test",
    metric: str = "accuracy",
    resamples: int = 1000,
    seed: int = 13,
    with_slices: bool = False,
) -> Comparison:
    """Compare runs by the predictions in their folders.

    Runs that differ only in their seed are compared as one, unless each is given a name.

    Args:
        *runs: two or more runs, folders of runs, or predictions on the same rows: one by one, as a list, or by name.
        split: split of the predictions to compare.
        metric: name of the metric to compare by.
        resamples: number of bootstrap resamples of the metrics of a run.
        seed: seed of the resamples.
        with_slices: also compare by class, length and confidence; of settings with several seeds the first one. Lengths
            need the data of the first run, which is read again.

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
    warn_of_missing_baseline(list(named.values()))
    has_names = len(runs) == 1 and isinstance(runs[0], Mapping)
    settings = {name: [each] for name, each in named.items()} if has_names else _by_setting(named)
    predictions = {
        name: [each.predictions(split) if isinstance(each, Run) else each for each in group]
        for name, group in settings.items()
    }
    without_seed = [name for name, group in settings.items() if not any(map(_has_random_training, group))]
    comparison = compare(predictions, metric=metric, without_seed=without_seed, resamples=resamples, seed=seed)
    compared = [replace(each, costs=_costs(settings[each.name])) for each in comparison.runs]
    found = _slices({name: group[0] for name, group in settings.items()}, split) if with_slices else []
    return replace(comparison, runs=tuple(compared), slices=tuple(found))


def _slices(runs: Mapping[str, Run | Predictions], split: str) -> list[Slice]:
    """Slices of the rows by class and confidence, and by the number of words if the first is a run."""
    predictions = {name: each.predictions(split) if isinstance(each, Run) else each for name, each in runs.items()}
    first, lengths = next(iter(runs.values())), None
    if isinstance(first, Run):
        try:
            words = _words(own_data(first), split)
            lengths = [words[name] for name in next(iter(predictions.values())).ids.tolist()]
        except (SluglineError, KeyError) as error:
            reason = error.message if isinstance(error, SluglineError) else "the data has changed"
            logger.warning("no slices by length: %s", reason)
    return slices(predictions, lengths=lengths)


def _words(dataset: TextDataset, split: str) -> dict[str, int]:
    """Number of words of each text of a split by row id; out-of-fold predictions are those of train."""
    rows = dataset["train" if split == "out_of_fold" else split]
    texts = column_values(rows, "text")
    return {name: len(text.split()) for name, text in zip(column_values(rows, "id"), texts, strict=True)}


def _costs(group: Sequence[Run | Predictions]) -> dict[str, float]:
    """Means over the seeds of what training and prediction cost; only what all runs have measured."""
    measured = [
        each.metrics.get("timing", {}) | each.metrics.get("size", {}) if isinstance(each, Run) else {} for each in group
    ]
    return {
        name: sum(values[name] for values in measured) / len(measured)
        for name in COSTS
        if all(name in values for values in measured)
    }


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


def warn_of_missing_baseline(compared: Sequence[Run | Predictions]) -> None:
    """Log a warning if none of several runs is a linear model, which trains in seconds and is often hard to beat."""
    runs = [each for each in compared if isinstance(each, Run)]
    if runs and len(runs) == len(compared) and all(run.recipe.model.kind != "linear" for run in runs):
        logger.warning(
            "no baseline is among the runs: train TF-IDF + SVM on the same data with model.kind=linear, "
            "and compare it too."
        )


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
