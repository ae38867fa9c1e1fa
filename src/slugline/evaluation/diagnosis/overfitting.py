"""How far a training went, read off its curves: learned by heart, not learned, too short, too long.

Each function takes the `Evidence` of a run and gives a `Diagnosis`, or None. Thresholds are set so that a healthy run
is left alone: noise of the size that so many validation rows make is never taken for a finding.
"""

from __future__ import annotations

import math
from typing import Any

from slugline.evaluation.diagnosis.evidence import MISSING, Diagnosis, Evidence, interval, two_digits
from slugline.evaluation.diagnosis.learning_rate import LOW_ACCURACY, more_epochs, usual_rate
from slugline.recipe.recipe import Recipe

#: Training accuracy this far above validation's interval is not the usual small gap of a model that has learned.
FAR_ABOVE = 0.08

#: Share by which validation loss must have risen from its lowest: a few percent are usual in a good last epoch.
LOSS_RISE = 0.25

#: Gain in accuracy or F1 between two evaluations that is worth another epoch.
CLEAR_GAIN = 0.01

#: Least rows by which the last evaluation must be ahead: fewer are a coin's work (4 of 4 discordant rows: p = 0.125).
CLEAR_ROWS = 4

#: Evaluations after the best from which the rest counts as wasted, when they are also half of the training.
WASTED_EVALUATIONS, WASTED_SHARE = 4, 0.5

#: Evaluations without improvement after which the guide to AG News stops.
USUAL_PATIENCE = 3


def overfitting(evidence: Evidence) -> Diagnosis | None:
    """Training rows are learned by heart: their accuracy far above validation's, or loss falls here and rises there."""
    if not evidence.stages:
        return None
    last, lowest = evidence.stages[-1], min(evidence.stages, key=lambda stage: stage.loss)
    high = interval(last.accuracy, evidence.n_validation)[1]
    # Averaged weights lag behind those that are trained; mixed or evenly drawn rows are not the rows as they are.
    is_far = _is_comparable(evidence.recipe) and last.train_accuracy - high >= FAR_ABOVE
    noise = 2 / math.sqrt(evidence.n_validation) if evidence.n_validation else MISSING
    rise = last.loss / lowest.loss - 1 if lowest.loss > 0 else MISSING
    # Loss may rise while answers still get better: that is overconfidence, which calibration mends.
    is_rising = rise >= max(LOSS_RISE, noise) and last.train_loss < lowest.train_loss and not _gains(evidence)
    if not is_far and not is_rising:
        return None
    stated = []
    if is_far:
        stated.append(f"accuracy is {last.train_accuracy:.1%} on training rows but {last.accuracy:.1%} on validation")
    if is_rising:
        stated.append(
            f"validation loss rose from {lowest.loss:.3f} (epoch {lowest.epoch:.3g}) to {last.loss:.3f} while training "
            f"loss fell to {last.train_loss:.3f}"
        )
    return Diagnosis.of(
        "overfitting",
        f"Overfitting: {', and '.join(stated)}.",
        _against_overfitting(evidence),
        "a smaller model",
        "more training rows",
        train_accuracy=last.train_accuracy,
        validation_accuracy=last.accuracy,
        lowest_loss=lowest.loss,
        last_loss=last.loss,
    )


def _is_comparable(recipe: Recipe) -> bool:
    """Whether accuracy on the rows as they were trained on speaks of the model that is evaluated."""
    train = recipe.train
    is_plain = not (train.token_dropout or train.mixup or train.cutmix)
    return is_plain and train.weight_averaging == "none" and recipe.data.sampling == "shuffle"


def _gains(evidence: Evidence) -> bool:
    """Whether what selects is still at its best at the end."""
    return evidence.stages[-1].selected >= max(stage.selected for stage in evidence.stages)


def _against_overfitting(evidence: Evidence) -> dict[str, Any]:
    recipe, best = evidence.recipe, _best_epoch(evidence)
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


def _best_epoch(evidence: Evidence) -> float:
    return max(evidence.stages, key=lambda stage: stage.selected).epoch


def underfitting(evidence: Evidence) -> Diagnosis | None:
    """The training rows themselves are not learned, and validation has not turned down."""
    if not evidence.stages or not _is_comparable(evidence.recipe) or not _gains(evidence):
        return None
    last, recipe = evidence.stages[-1], evidence.recipe
    high = interval(last.accuracy, evidence.n_validation)[1]
    if not (last.train_accuracy < LOW_ACCURACY and high < LOW_ACCURACY and last.train_accuracy < high + FAR_ABOVE):
        return None
    before = evidence.stages[-2].train_accuracy if len(evidence.stages) > 1 else MISSING
    is_rising = last.train_accuracy - before >= CLEAR_GAIN
    trend = " and still rising" if is_rising else ""
    settings: dict[str, Any] = {"train.epochs": more_epochs(recipe)}
    if not is_rising and recipe.train.learning_rate <= usual_rate(recipe):
        settings["train.learning_rate"] = two_digits(2 * recipe.train.learning_rate)
    if (recipe.model.dropout or 0.0) > 0.1:
        settings["model.dropout"] = 0.1
    return Diagnosis.of(
        "underfitting",
        f"Underfitting: the training rows themselves are not learned; accuracy is {last.train_accuracy:.1%} on them"
        f"{trend}, {last.accuracy:.1%} on validation.",
        settings,
        "a larger model.base",
        "slugline data inspect, to check labels and cleaning",
        train_accuracy=last.train_accuracy,
        validation_accuracy=last.accuracy,
        train_accuracy_before=before,
    )


def stopped_too_early(evidence: Evidence) -> Diagnosis | None:
    """The last evaluation is the best, and clearly better than the one before."""
    if len(evidence.stages) < 2 or not _gains(evidence):
        return None
    before, last = evidence.stages[-2:]
    gain, recipe = last.selected - before.selected, evidence.recipe
    rows = (last.accuracy - before.accuracy) * evidence.n_validation
    if not (gain >= CLEAR_GAIN and rows >= CLEAR_ROWS and last.loss < before.loss):
        return None
    was_cut = last.epoch < 0.95 * recipe.train.epochs and recipe.train.patience
    settings: dict[str, Any] = {"train.epochs": more_epochs(recipe)}
    if was_cut:
        settings = {"train.patience": max(USUAL_PATIENCE, 2 * recipe.train.patience)}
        if recipe.train.min_delta:
            settings["train.min_delta"] = 0.0
    return Diagnosis.of(
        "stopped_too_early",
        f"Training may have stopped too early: the last evaluation (epoch {last.epoch:.3g}) is the best, and "
        f"{recipe.train.select_by} was still gaining {gain:.3f} an evaluation.",
        settings,
        gain=gain,
        epoch=last.epoch,
        is_warning=False,
    )


def wasted_epochs(evidence: Evidence) -> Diagnosis | None:
    """Most of the training came after the best evaluation."""
    if not evidence.stages:
        return None
    values = [stage.selected for stage in evidence.stages]
    index, last, recipe = values.index(max(values)), evidence.stages[-1], evidence.recipe
    best, after = evidence.stages[index], len(values) - 1 - index
    share = 1 - best.step / last.step if last.step > 0 else 0.0
    if after < WASTED_EVALUATIONS or after <= recipe.train.patience or share < WASTED_SHARE:
        return None
    seconds = share * evidence.timing.get("train_seconds", MISSING)
    spent = f" They took about {seconds:,.0f} s." if seconds >= 1 else ""
    settings: dict[str, Any] = {"train.patience": USUAL_PATIENCE}
    if math.ceil(best.epoch) < recipe.train.epochs:
        settings["train.epochs"] = math.ceil(best.epoch)
    return Diagnosis.of(
        "wasted_epochs",
        f"The best evaluation was at epoch {best.epoch:.3g}; the {after} evaluations after it, to epoch "
        f"{last.epoch:.3g}, brought nothing.{spent}",
        settings,
        best_epoch=best.epoch,
        last_epoch=last.epoch,
        evaluations_after=after,
        is_warning=False,
    )
