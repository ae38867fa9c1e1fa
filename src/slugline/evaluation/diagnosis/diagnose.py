"""`diagnose`: problems of a finished run, in plain sentences.

The contents of a run folder go in, sentences come out; no file is read here. `CHECKS` lists all checks, which are in
`learning_rate`, `overfitting` and `results`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from slugline.evaluation.diagnosis import learning_rate, overfitting, results
from slugline.evaluation.diagnosis.evidence import Diagnosis, Evidence, stages, training_lines
from slugline.recipe.recipe import Recipe

#: All checks, the most important first.
CHECKS: tuple[Callable[[Evidence], Diagnosis | None], ...] = (
    learning_rate.not_learned,
    learning_rate.warmup_too_long,
    learning_rate.learning_rate_too_high,
    learning_rate.learning_rate_too_low,
    learning_rate.unstable,
    overfitting.overfitting,
    overfitting.underfitting,
    overfitting.stopped_too_early,
    overfitting.wasted_epochs,
    results.never_predicted,
    results.imbalance,
    results.test_differs,
    results.truncation,
    results.miscalibration,
    results.slow,
)

#: Kinds for a model that has learned nothing; its training is not reported as unstable or too short as well.
NOTHING_LEARNED = ("not_learned", "learning_rate_too_high", "learning_rate_too_low")

#: Checks that read the history of a training; in a cross-validation, only the folds have one.
HISTORY_CHECKS = frozenset(check.__name__ for check in CHECKS if check.__module__ != results.__name__)

#: Kind -> kinds that make it redundant: it is dropped if one of them was diagnosed.
SUPPRESSED_BY = {
    "warmup_too_long": NOTHING_LEARNED[1:],
    "learning_rate_too_high": NOTHING_LEARNED,
    "learning_rate_too_low": (*NOTHING_LEARNED, "warmup_too_long"),
    "unstable": NOTHING_LEARNED,
    "overfitting": NOTHING_LEARNED,
    "underfitting": (*NOTHING_LEARNED, "warmup_too_long"),
    "stopped_too_early": (*NOTHING_LEARNED, "overfitting", "underfitting"),
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
    """Diagnose a finished run.

    Args:
        recipe: recipe of the run, with all defaults.
        history: lines of ``history.jsonl``; empty for the linear kind and for cross-validated runs.
        metrics: contents of ``metrics.json``.
        data: contents of ``data.json``.
        manifest: contents of ``manifest.json``.

    Returns:
        Diagnoses, the most important first; one of kind ``healthy`` if there are no others.
    """
    budget = recipe.train.max_tokens
    if budget:
        # The checks count in epochs; their advice is converted back to tokens below.
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
    found = _without_redundant([diagnosis for check in CHECKS if (diagnosis := check(evidence))])
    if budget:
        found = [_in_tokens(diagnosis, budget / recipe.train.epochs) for diagnosis in found]
    return found or [Diagnosis("healthy", "No problems were found in this run.", is_warning=False)]


def diagnose_folds(overall: Sequence[Diagnosis], folds: Sequence[Sequence[Diagnosis]]) -> list[Diagnosis]:
    """Combine the diagnoses of a cross-validated run and of its folds.

    Args:
        overall: diagnoses of the cross-validated run.
        folds: diagnoses of each fold; only those that come from the history are used.

    Returns:
        Diagnoses, the most important first. Each kind appears once, with the numbers of the first fold that has it.
    """
    count: Counter[str] = Counter(diagnosis.kind for fold in folds for diagnosis in fold)
    known = {diagnosis.kind for diagnosis in overall}
    first = {diagnosis.kind: diagnosis for fold in reversed(folds) for diagnosis in fold}
    from_folds = [
        replace(
            diagnosis,
            message=f"In {count[kind]} of {len(folds)} folds (numbers of the first): {diagnosis.message}",
        )
        for kind, diagnosis in first.items()
        if kind in HISTORY_CHECKS and kind not in known
    ]
    order = [check.__name__ for check in CHECKS]
    found = [diagnosis for diagnosis in [*from_folds, *overall] if diagnosis.kind in order]
    found.sort(key=lambda diagnosis: order.index(diagnosis.kind))
    return _without_redundant(found) or list(overall)


def _without_redundant(found: Sequence[Diagnosis]) -> list[Diagnosis]:
    """The diagnoses without those that a more important one makes redundant."""
    kept: list[Diagnosis] = []
    for diagnosis in found:
        if not {other.kind for other in kept} & set(SUPPRESSED_BY.get(diagnosis.kind, ())):
            kept.append(diagnosis)
    return kept


def _in_tokens(diagnosis: Diagnosis, tokens_per_epoch: float) -> Diagnosis:
    """Replace advice on ``train.epochs`` with ``train.max_tokens``, which takes precedence over epochs."""
    settings = dict(diagnosis.settings)
    if "train.epochs" not in settings:
        return diagnosis
    epochs = settings.pop("train.epochs")
    tokens = round(epochs * tokens_per_epoch)
    advice = diagnosis.advice.replace(f"train.epochs={epochs}", f"train.max_tokens={tokens}")
    return replace(diagnosis, settings={"train.max_tokens": tokens} | settings, advice=advice)
