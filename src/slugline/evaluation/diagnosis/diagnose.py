"""In plain words what a run shows, and which setting to change: `diagnose`.

The numbers of a run folder go in, sentences come out; nothing is read, nothing computed anew. What is looked for stands
in `CHECKS`; the functions are in `learning_rate`, `overfitting` and `results`, what they look at is in `evidence`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from slugline.evaluation.diagnosis import learning_rate, overfitting, results
from slugline.evaluation.diagnosis.evidence import Diagnosis, Evidence, stages, training_lines
from slugline.recipe.recipe import Recipe

#: What is looked for, the most telling first.
CHECKS: tuple[Callable[[Evidence], Diagnosis | None], ...] = (
    learning_rate.not_learned,
    learning_rate.learning_rate_too_high,
    learning_rate.learning_rate_too_low,
    learning_rate.unstable,
    overfitting.overfitting,
    overfitting.underfitting,
    overfitting.stopped_too_early,
    overfitting.wasted_epochs,
    results.never_predicted,
    results.imbalance,
    results.differing_test,
    results.truncation,
    results.miscalibration,
    results.slow,
)

#: What says everything that follows of learning: a model that has learned nothing is not also unstable and too short.
NOTHING_LEARNED = ("not_learned", "learning_rate_too_high", "learning_rate_too_low")

#: What is read off the curves of a training, which a cross-validation has one of for each fold.
OF_CURVES = frozenset(check.__name__ for check in CHECKS if check.__module__ != results.__name__)

#: Kind -> kinds that say it better.
EXPLAINED_BY = {
    "learning_rate_too_high": NOTHING_LEARNED,
    "learning_rate_too_low": NOTHING_LEARNED,
    "unstable": NOTHING_LEARNED,
    "overfitting": NOTHING_LEARNED,
    "underfitting": NOTHING_LEARNED,
    "stopped_too_early": (*NOTHING_LEARNED, "underfitting"),
    "wasted_epochs": (*NOTHING_LEARNED, "overfitting", "unstable"),
    "never_predicted": NOTHING_LEARNED,
    "imbalance": (*NOTHING_LEARNED, "never_predicted"),
}


def diagnose(
    recipe: Recipe,
    *,
    history: Sequence[Mapping[str, Any]],
    metrics: Mapping[str, Any],
    data: Mapping[str, Any],
    manifest: Mapping[str, Any],
) -> list[Diagnosis]:
    """Say what a finished run shows.

    Args:
        recipe: complete.
        history: of the run; empty for kinds that train in one go, and for ensembles over folds.
        metrics: of the run, as ``metrics.json`` holds them.
        data: description of the data, as ``data.json`` holds it.
        manifest: of the run.

    Returns:
        What was found, the most telling first; where nothing was, one that says so.
    """
    budget = recipe.train.max_tokens
    if budget:
        # What is looked for is counted in epochs, and said in tokens again below.
        epochs = metrics.get("timing", {}).get("epochs", recipe.train.epochs)
        recipe = recipe.model_copy(update={"train": recipe.train.model_copy(update={"epochs": epochs})})
    evidence = Evidence(
        recipe=recipe,
        stages=stages(history, select_by=recipe.train.select_by),
        lines=tuple(line for line, _ in training_lines(history)),
        validation=metrics.get("validation") or metrics.get("out_of_fold") or {},
        test=metrics.get("test") or {},
        data=data,
        timing=metrics.get("timing") or {},
        manifest=manifest,
    )
    found: list[Diagnosis] = []
    for check in CHECKS:
        diagnosis = check(evidence)
        stated = {other.kind for other in found}
        if diagnosis is not None and not stated & set(EXPLAINED_BY.get(diagnosis.kind, ())):
            found.append(diagnosis)
    if budget:
        found = [_in_tokens(diagnosis, budget / recipe.train.epochs) for diagnosis in found]
    return found or [Diagnosis("healthy", "Nothing stands out in this run.", is_warning=False)]


def diagnose_folds(whole: Sequence[Diagnosis], folds: Sequence[Sequence[Diagnosis]]) -> list[Diagnosis]:
    """Say what a cross-validation shows.

    Args:
        whole: what its figures over all rows show.
        folds: what each of its folds shows; only what their curves tell is taken from there.

    Returns:
        What was found, the most telling first; a finding of several folds once, as the first of them has it.
    """
    count: Counter[str] = Counter(found.kind for fold in folds for found in fold)
    known = {found.kind for found in whole}
    first = {found.kind: found for fold in reversed(folds) for found in fold}
    curves = [
        replace(found, message=f"In {count[kind]} of {len(folds)} folds (figures of the first): {found.message}")
        for kind, found in first.items()
        if kind in OF_CURVES and kind not in known
    ]
    order = [check.__name__ for check in CHECKS]
    all_found = [found for found in [*curves, *whole] if found.kind in order]
    return sorted(all_found, key=lambda found: order.index(found.kind)) or list(whole)


def _in_tokens(diagnosis: Diagnosis, tokens_per_epoch: float) -> Diagnosis:
    """The same with a budget of tokens in place of epochs, which the recipe does not read."""
    settings = dict(diagnosis.settings)
    if "train.epochs" not in settings:
        return diagnosis
    epochs = settings.pop("train.epochs")
    tokens = round(epochs * tokens_per_epoch)
    advice = diagnosis.advice.replace(f"train.epochs={epochs}", f"train.max_tokens={tokens}")
    return replace(diagnosis, settings={"train.max_tokens": tokens} | settings, advice=advice)
