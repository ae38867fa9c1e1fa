"""Checks of the learning rate: nothing learned, rate too high or too low, unstable training.

Each check takes the `Evidence` of a run and returns a `Diagnosis` or None. Learning rates are compared with the default
for the model, `default_rate`.
"""

from __future__ import annotations

import math
from statistics import median
from typing import Any

from slugline.evaluation.diagnosis.evidence import MISSING, Diagnosis, Evidence, interval, two_digits
from slugline.evaluation.diagnosis.guessing import loss_of_guessing, no_better_than_guessing
from slugline.evaluation.diagnosis.warmup import LONG_WARMUP, shorter_warmup, warmup_updates
from slugline.recipe.recipe import Recipe

#: Training accuracy below which a model underfits.
LOW_ACCURACY = 0.9

#: Fall of validation accuracy that is too large for a decreasing learning rate.
ACCURACY_FALL = 0.05

#: Relative change of the training loss below which the loss counts as unchanged.
LOSS_TOLERANCE = 0.05

#: An unchanged loss is reported after this many updates.
MIN_UPDATES = 20

#: A training diverged if its final loss is this multiple of the lowest; single lines of the history vary by less.
DIVERGED = 1.5

#: A learning rate of this multiple of the default is probably too high.
HIGH_RATE = 3.0

#: A model learned the training rows if its accuracy on them exceeds validation accuracy by this much.
LEARNED_GAP = 0.2

#: Longest warm-up to advise, and the default one, as shares of the training.
LONGEST_ADVISED, DEFAULT_WARMUP = 0.3, 0.1


def not_learned(evidence: Evidence) -> Diagnosis | None:
    """Diagnose a model that is no better than always predicting one class; the history may show the cause."""
    found = no_better_than_guessing(evidence)
    if found is None:
        return None
    kind, reason, settings = _cause(evidence)
    return Diagnosis.of(
        kind,
        " ".join(part for part in (found.message, reason) if part),
        settings,
        "slugline data inspect, to check labels and text columns",
        is_warning=True,
        **found.numbers,
    )


def _cause(evidence: Evidence) -> tuple[str, str, dict[str, Any]]:
    """Kind, sentence and settings for a model that has learned nothing."""
    losses, recipe = evidence.losses(), evidence.recipe
    if not evidence.stages or not losses:
        return "not_learned", "", {}
    train_accuracy = evidence.stages[-1].train_accuracy
    # Not the accuracy of the result: thresholds of labels may have been tuned for another metric since.
    if train_accuracy >= evidence.stages[-1].accuracy + LEARNED_GAP:
        settings = {"train.weight_averaging": "none"} if recipe.train.weight_averaging != "none" else {}
        return (
            "not_learned",
            f"The model did learn the training rows: accuracy on them is {train_accuracy:.1%}.",
            settings,
        )
    if _has_long_warmup(evidence):
        return (
            "not_learned",
            "The learning rate rose during most of the training, and was too low for most of it.",
            {"train.warmup": shorter_warmup(_planned_updates(evidence))},
        )
    rate, default, guessing = recipe.train.learning_rate, default_rate(recipe), _loss_of_guessing(evidence)
    first, last, n_updates = losses[0], _final_loss(losses), evidence.stages[-1].step
    trend = f"training loss went from {first:.3f} to {last:.3f}" if len(losses) > 1 else f"training loss is {last:.3f}"
    baseline = f"; random guessing has a loss of {guessing:.3f}" if math.isfinite(guessing) else ""
    # With fewer updates, an unchanged loss is no evidence about the rate.
    is_flat = (last > (1 - LOSS_TOLERANCE) * first or last > (1 - LOSS_TOLERANCE) * guessing) and (
        n_updates >= MIN_UPDATES
    )
    # If the loss does not change, the rate is far too high or far too low: compare it with the default rate.
    if last > (1 + LOSS_TOLERANCE) * first or (is_flat and rate >= HIGH_RATE * default):
        return (
            "learning_rate_too_high",
            f"The learning rate of {rate:g} is most likely too high: {trend}{baseline}.",
            lower_rate(evidence),
        )
    if is_flat and rate < default:
        return (
            "learning_rate_too_low",
            f"The learning rate of {rate:g} is most likely too low: {trend}{baseline}.",
            higher_rate(recipe),
        )
    settings = higher_rate(recipe) if rate < default else lower_rate(evidence) if rate > HIGH_RATE * default else {}
    message = f"The {trend} after {n_updates:.0f} updates{baseline}."
    return "not_learned", message, {"train.epochs": more_epochs(recipe)} | settings


def _loss_of_guessing(evidence: Evidence) -> float:
    """Training loss without any knowledge of the texts; NaN if the loss is not plain cross entropy."""
    train = evidence.recipe.train
    changes = (train.label_smoothing, train.logit_adjustment, train.mixup, train.cutmix)
    is_plain = train.loss == "cross_entropy" and train.class_weights == "none" and not any(changes)
    return loss_of_guessing(evidence) if is_plain else MISSING


def _final_loss(losses: list[float]) -> float:
    """Median of the last quarter of the lines, because single lines are noisy."""
    return median(losses[-max(1, len(losses) // 4) :])


def lower_rate(evidence: Evidence) -> dict[str, Any]:
    """Settings that stabilise training: the default rate if it is far lower, else a third of the present one."""
    train, default = evidence.recipe.train, default_rate(evidence.recipe)
    factor = train.learning_rate / default if train.learning_rate > HIGH_RATE * default else 3.0
    settings: dict[str, Any] = {"train.learning_rate": two_digits(train.learning_rate / factor)}
    if train.head_learning_rate > train.learning_rate:
        settings["train.head_learning_rate"] = two_digits(train.head_learning_rate / factor)
    settings |= _longer_warmup(evidence)
    if train.max_grad_norm == 0 or train.max_grad_norm > 1:
        settings["train.max_grad_norm"] = 1.0
    settings["train.batch_size"] = 2 * train.batch_size
    return settings


def _longer_warmup(evidence: Evidence) -> dict[str, Any]:
    """A warm-up of twice the length, but at most `LONGEST_ADVISED` of the training; nothing if it is that long."""
    warmup, planned = evidence.recipe.train.warmup, _planned_updates(evidence)
    # Values below 1 are shares of the training.
    most = LONGEST_ADVISED if warmup < 1 else max(1, int(LONGEST_ADVISED * planned)) if planned else 2 * warmup
    longer = min(most, 2 * warmup or DEFAULT_WARMUP)
    return {"train.warmup": longer} if longer > warmup else {}


def _planned_updates(evidence: Evidence) -> int:
    """Number of updates of the whole training, which may have been stopped early; 0 if unknown."""
    if not evidence.stages or not evidence.stages[-1].epoch:
        return 0
    last = evidence.stages[-1]
    updates = last.step / last.epoch * evidence.recipe.train.epochs
    return round(updates) if math.isfinite(updates) else 0


def _has_long_warmup(evidence: Evidence) -> bool:
    """True if the rate rose during more than `LONG_WARMUP` of the training."""
    planned = _planned_updates(evidence)
    return planned > 0 and warmup_updates(evidence.recipe.train.warmup, planned) > LONG_WARMUP * planned


def warmup_too_long(evidence: Evidence) -> Diagnosis | None:
    """Diagnose a warm-up that takes most of the training, or longer than the training."""
    if not _has_long_warmup(evidence):
        return None
    train, planned, done = evidence.recipe.train, _planned_updates(evidence), evidence.stages[-1].step
    warmup = warmup_updates(train.warmup, planned)
    reached = min(1.0, (done - 1) / warmup)
    return Diagnosis.of(
        "warmup_too_long",
        f"The warm-up takes {warmup} updates, and the training has {planned}: the learning rate reached {reached:.0%} "
        "of train.learning_rate.",
        {"train.warmup": shorter_warmup(planned)},
        warmup_updates=warmup,
        updates=planned,
        reached_share=reached,
    )


def higher_rate(recipe: Recipe) -> dict[str, Any]:
    """Settings with a higher rate: ten times the present one, but at most the default."""
    return {"train.learning_rate": two_digits(min(default_rate(recipe), 10 * recipe.train.learning_rate))}


def learning_rate_too_low(evidence: Evidence) -> Diagnosis | None:
    """Diagnose a training loss that has barely fallen, at a rate below the default."""
    losses, recipe = evidence.losses(), evidence.recipe
    if len(losses) < 2 or not evidence.stages or evidence.stages[-1].step < MIN_UPDATES:
        return None
    first, last, stage = losses[0], _final_loss(losses), evidence.stages[-1]
    has_changed = not (1 - LOSS_TOLERANCE) * first < last <= first
    if has_changed or not stage.train_accuracy < LOW_ACCURACY or recipe.train.learning_rate >= default_rate(recipe):
        return None
    return Diagnosis.of(
        "learning_rate_too_low",
        f"The training loss has barely fallen in {stage.step:.0f} updates: from {first:.3f} to {last:.3f}, at a "
        f"learning rate of {recipe.train.learning_rate:g}.",
        higher_rate(recipe),
        first_loss=first,
        last_loss=last,
        train_accuracy=stage.train_accuracy,
    )


def learning_rate_too_high(evidence: Evidence) -> Diagnosis | None:
    """Diagnose a training that diverged: loss rose and accuracy fell until the end."""
    losses = evidence.losses()
    if len(losses) < 4 or len(evidence.stages) < 2:
        return None
    last, lowest, final = _final_loss(losses), min(losses), evidence.stages[-1]
    best = max(evidence.stages, key=lambda stage: stage.accuracy)
    _, high = interval(final.accuracy, evidence.n_validation)
    if not (last >= DIVERGED * lowest > 0 and best.accuracy - high >= ACCURACY_FALL):
        return None
    norms = [float(line["grad_norm"]) for line in evidence.lines if "grad_norm" in line]
    message = (
        f"Training diverged: training loss fell to {lowest:.3f} but ended at {last:.3f}, and "
        f"validation accuracy fell from {best.accuracy:.1%} to {final.accuracy:.1%}."
    )
    return Diagnosis.of(
        "learning_rate_too_high",
        f"{message} The learning rate is most likely too high.",
        lower_rate(evidence),
        lowest_loss=lowest,
        last_loss=last,
        best_accuracy=best.accuracy,
        last_accuracy=final.accuracy,
        largest_grad_norm=max(norms, default=MISSING),
    )


def unstable(evidence: Evidence) -> Diagnosis | None:
    """Diagnose validation accuracy that falls and recovers at least twice, by more than chance explains."""
    falls, largest = 0, 0.0
    for before, low, after in zip(evidence.stages, evidence.stages[1:], evidence.stages[2:], strict=False):
        least = min(before.accuracy, after.accuracy)
        is_beyond_chance = interval(least, evidence.n_validation)[0] > interval(low.accuracy, evidence.n_validation)[1]
        if is_beyond_chance and least - low.accuracy >= ACCURACY_FALL:
            falls, largest = falls + 1, max(largest, least - low.accuracy)
    if falls < 2:
        return None
    return Diagnosis.of(
        "unstable",
        f"Training was unstable: validation accuracy fell and recovered {falls} times, by up to {largest:.1%}.",
        lower_rate(evidence),
        falls=falls,
        largest_fall=largest,
    )


def more_epochs(recipe: Recipe) -> int:
    """Return twice as many epochs, at least five as in the guide to AG News."""
    return max(5, math.ceil(2 * recipe.train.epochs))


def default_rate(recipe: Recipe) -> float:
    """Return the learning rate of a recipe for this model that does not set one."""
    bare = {"name": "default", "data": {"name": "any"}, "model": recipe.model.model_dump()}
    return Recipe.model_validate(bare).train.learning_rate
