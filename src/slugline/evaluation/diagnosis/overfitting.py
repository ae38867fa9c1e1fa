"""Checks of the length of a training: overfitting, underfitting, stopped too early, wasted epochs.

Each check takes the `Evidence` of a run and returns a `Diagnosis` or None. Thresholds take the number of validation
rows into account, so that noise in a healthy run is not reported.
"""

from __future__ import annotations

import math
from typing import Any

from slugline.evaluation.diagnosis.evidence import MISSING, Diagnosis, Evidence, interval, two_digits
from slugline.evaluation.diagnosis.learning_rate import LOW_ACCURACY, default_rate, more_epochs
from slugline.recipe.recipe import Recipe

#: A model overfits if its training accuracy exceeds the interval of validation accuracy by this much.
ACCURACY_GAP = 0.08

#: A model overfits if validation loss rises by this share of its minimum; a few percent are normal in a last epoch.
LOSS_RISE = 0.25

#: Improvement of accuracy or F1 between two evaluations that justifies more epochs.
CLEAR_GAIN = 0.01

#: Additional correct rows that such an improvement needs; fewer may be chance (4 of 4 discordant rows: p = 0.125).
CLEAR_ROWS = 4

#: Evaluations after the best one, and their share of the training, from which they are reported as wasted.
WASTED_EVALUATIONS, WASTED_SHARE = 4, 0.5

#: Evaluations without improvement before training stops, as in the guide to AG News.
USUAL_PATIENCE = 3


def overfitting(evidence: Evidence) -> Diagnosis | None:
    """Diagnose training accuracy far above validation accuracy, or rising validation and falling training loss."""
    if not evidence.stages:
        return None
    last, lowest = evidence.stages[-1], min(evidence.stages, key=lambda stage: stage.loss)
    high = interval(last.accuracy, evidence.n_validation)[1]
    has_gap = _is_comparable(evidence.recipe) and last.train_accuracy - high >= ACCURACY_GAP
    noise = 2 / math.sqrt(evidence.n_validation) if evidence.n_validation else MISSING
    rise = last.loss / lowest.loss - 1 if lowest.loss > 0 else MISSING
    # If predictions improve while the loss rises, the model is overconfident, which calibration corrects.
    is_rising = rise >= max(LOSS_RISE, noise) and last.train_loss < lowest.train_loss and not _ends_at_best(evidence)
    if not has_gap and not is_rising:
        return None
    symptoms = []
    if has_gap:
        symptoms.append(f"accuracy is {last.train_accuracy:.1%} on training rows but {last.accuracy:.1%} on validation")
    if is_rising:
        symptoms.append(
            f"validation loss rose from {lowest.loss:.3f} (epoch {lowest.epoch:.3g}) to {last.loss:.3f} while training "
            f"loss fell to {last.train_loss:.3f}"
        )
    return Diagnosis.of(
        "overfitting",
        f"Overfitting: {', and '.join(symptoms)}.",
        _regularisation(evidence),
        "a smaller model",
        "more training rows",
        train_accuracy=last.train_accuracy,
        validation_accuracy=last.accuracy,
        lowest_loss=lowest.loss,
        last_loss=last.loss,
    )


def _is_comparable(recipe: Recipe) -> bool:
    """True if training accuracy is that of the evaluated weights, on unchanged rows in their original frequencies."""
    train = recipe.train
    is_plain = not (train.token_dropout or train.mixup or train.cutmix)
    return is_plain and train.weight_averaging == "none" and recipe.data.sampling == "shuffle"


def _ends_at_best(evidence: Evidence) -> bool:
    """True if no evaluation is better than the last."""
    return evidence.stages[-1].selected >= max(stage.selected for stage in evidence.stages)


def _regularisation(evidence: Evidence) -> dict[str, Any]:
    """Settings against overfitting that the recipe does not have yet."""
    recipe, best = evidence.recipe, max(evidence.stages, key=lambda stage: stage.selected).epoch
    settings: dict[str, Any] = {}
    if recipe.train.weight_decay < 0.01:
        settings["train.weight_decay"] = 0.01
    if best < evidence.epochs and math.ceil(best) < recipe.train.epochs:
        settings["train.epochs"] = math.ceil(best)
        if not recipe.train.patience:
            settings["train.patience"] = USUAL_PATIENCE
    if (recipe.model.dropout or 0.0) < 0.2:
        settings["model.dropout"] = 0.2
    if not recipe.train.label_smoothing:
        settings["train.label_smoothing"] = 0.1
    return settings


def underfitting(evidence: Evidence) -> Diagnosis | None:
    """Diagnose low training accuracy, unless an evaluation was better than the last."""
    if not evidence.stages or not _is_comparable(evidence.recipe) or not _ends_at_best(evidence):
        return None
    last, recipe = evidence.stages[-1], evidence.recipe
    high = interval(last.accuracy, evidence.n_validation)[1]
    if not (last.train_accuracy < LOW_ACCURACY and high < LOW_ACCURACY and last.train_accuracy < high + ACCURACY_GAP):
        return None
    before = evidence.stages[-2].train_accuracy if len(evidence.stages) > 1 else MISSING
    is_rising = last.train_accuracy - before >= CLEAR_GAIN
    trend = " and still rising" if is_rising else ""
    settings: dict[str, Any] = {"train.epochs": more_epochs(recipe)}
    if not is_rising and recipe.train.learning_rate <= default_rate(recipe):
        settings["train.learning_rate"] = two_digits(2 * recipe.train.learning_rate)
    if (recipe.model.dropout or 0.0) > 0.1:
        settings["model.dropout"] = 0.1
    return Diagnosis.of(
        "underfitting",
        f"Underfitting: accuracy on the training rows themselves is only {last.train_accuracy:.1%}{trend}; on "
        f"validation it is {last.accuracy:.1%}.",
        settings,
        "a larger model.base",
        "slugline data inspect, to check labels and cleaning",
        train_accuracy=last.train_accuracy,
        validation_accuracy=last.accuracy,
        train_accuracy_before=before,
    )


def stopped_too_early(evidence: Evidence) -> Diagnosis | None:
    """Diagnose a last evaluation that is the best, and clearly better than the one before."""
    if len(evidence.stages) < 2 or not _ends_at_best(evidence):
        return None
    before, last = evidence.stages[-2:]
    gain, recipe = last.selected - before.selected, evidence.recipe
    rows = (last.accuracy - before.accuracy) * evidence.n_validation
    if not (gain >= CLEAR_GAIN and rows >= CLEAR_ROWS and last.loss < before.loss):
        return None
    is_early_stop = last.epoch < 0.95 * recipe.train.epochs and recipe.train.patience
    settings: dict[str, Any] = {"train.epochs": more_epochs(recipe)}
    if is_early_stop:
        settings = {"train.patience": max(USUAL_PATIENCE, 2 * recipe.train.patience)}
        if recipe.train.min_delta:
            settings["train.min_delta"] = 0.0
    return Diagnosis.of(
        "stopped_too_early",
        f"Training may have stopped too early: the last evaluation (epoch {last.epoch:.3g}) is the best, and "
        f"{recipe.train.select_by} improved by {gain:.3f} since the evaluation before.",
        settings,
        gain=gain,
        epoch=last.epoch,
        is_warning=False,
    )


def wasted_epochs(evidence: Evidence) -> Diagnosis | None:
    """Diagnose a training that continued for long after the best evaluation."""
    if not evidence.stages:
        return None
    values = [stage.selected for stage in evidence.stages]
    index, last, recipe = values.index(max(values)), evidence.stages[-1], evidence.recipe
    best, after = evidence.stages[index], len(values) - 1 - index
    share = 1 - best.step / last.step if last.step > 0 else 0.0
    if after < WASTED_EVALUATIONS or after <= recipe.train.patience or share < WASTED_SHARE:
        return None
    seconds = share * evidence.timing.get("train_seconds", MISSING)
    duration = f" Training after the best evaluation took about {seconds:,.0f} s." if seconds >= 1 else ""
    settings: dict[str, Any] = {"train.patience": USUAL_PATIENCE}
    if math.ceil(best.epoch) < recipe.train.epochs:
        settings["train.epochs"] = math.ceil(best.epoch)
    return Diagnosis.of(
        "wasted_epochs",
        f"The best evaluation was at epoch {best.epoch:.3g}; the {after} evaluations after it, up to epoch "
        f"{last.epoch:.3g}, brought no improvement.{duration}",
        settings,
        best_epoch=best.epoch,
        last_epoch=last.epoch,
        evaluations_after=after,
        is_warning=False,
    )
