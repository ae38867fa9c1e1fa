"""Checks of the length of a training: overfitting, underfitting, stopped too early, wasted epochs.

Each check takes the `Evidence` of a run and returns a `Diagnosis` or None. Thresholds take the noise into account: the
number of rows behind a value, and the variation of later evaluations. tests/evaluation/test_diagnosis.py simulates
trainings without these problems, on easy and on hard data: each kind is reported of about 5% of them, at most.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, stdev
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

#: Standard errors from which a difference is above noise.
ABOVE_NOISE = 2.0

#: Evaluations after the best one, and their share of the training, from which they are reported as wasted.
WASTED_EVALUATIONS, WASTED_SHARE = 4, 0.5

#: Standard errors by which the best evaluation must exceed later ones. The best of many equal evaluations is the one
#: with the luckiest noise: 3.5 is exceeded by less than 4% of trainings that stay on one level.
LUCKIEST_NOISE = 3.5

#: Usual dropout of pre-trained models.
USUAL_DROPOUT = 0.1

#: Evaluations without improvement before training stops, as in the guide to AG News.
USUAL_PATIENCE = 3


def overfitting(evidence: Evidence) -> Diagnosis | None:
    """Diagnose training accuracy far above validation accuracy, or rising validation and falling training loss."""
    if not evidence.stages:
        return None
    last, lowest = evidence.stages[-1], min(evidence.stages, key=lambda stage: stage.loss)
    high = interval(last.accuracy, evidence.n_validation)[1]
    has_gap = _is_comparable(evidence.recipe) and last.train_accuracy - high >= ACCURACY_GAP
    # The lowest of many losses is the luckiest one.
    noise = LUCKIEST_NOISE / math.sqrt(evidence.n_validation) if evidence.n_validation else MISSING
    # The last evaluation alone may be unlucky.
    latest = min(stage.loss for stage in evidence.stages[-2:] if stage.step > lowest.step or stage is last)
    rise = latest / lowest.loss - 1 if lowest.loss > 0 else MISSING
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
    """Diagnose low training accuracy that still rises, or that the recipe explains.

    Low accuracy alone is no evidence: hard data may allow no more. An evaluation that was better than the last excludes
    it too.
    """
    if not evidence.stages or not _is_comparable(evidence.recipe) or not _ends_at_best(evidence):
        return None
    last, recipe = evidence.stages[-1], evidence.recipe
    high = interval(last.accuracy, evidence.n_validation)[1]
    if not (last.train_accuracy < LOW_ACCURACY and high < LOW_ACCURACY and last.train_accuracy < high + ACCURACY_GAP):
        return None
    is_rising, settings = _is_rising(evidence), _brakes(recipe)
    if not is_rising and not settings:
        return None
    trend = " and still rising" if is_rising else ""
    return Diagnosis.of(
        "underfitting",
        f"Underfitting: accuracy on the training rows themselves is only {last.train_accuracy:.1%}{trend}; on "
        f"validation it is {last.accuracy:.1%}.",
        {"train.epochs": more_epochs(recipe)} | settings,
        "a larger model.base",
        "slugline data inspect, to check labels and cleaning",
        train_accuracy=last.train_accuracy,
        validation_accuracy=last.accuracy,
        train_accuracy_before=evidence.stages[-2].train_accuracy if len(evidence.stages) > 1 else MISSING,
    )


def _is_rising(evidence: Evidence) -> bool:
    """True if training accuracy has risen since the evaluation before by more than noise."""
    if len(evidence.stages) < 2:
        return False
    before, last = evidence.stages[-2:]
    # Accuracy is measured on the rows of the second half of the updates since the evaluation before.
    rows = (last.step - before.step) / 2 * evidence.recipe.train.batch_size
    return last.train_accuracy - before.train_accuracy >= max(CLEAR_GAIN, _noise(last.train_accuracy, rows))


def _brakes(recipe: Recipe) -> dict[str, Any]:
    """Settings without what keeps a model from learning its training rows: a low rate, much dropout."""
    default = default_rate(recipe)
    settings: dict[str, Any] = {}
    if recipe.train.learning_rate < default:
        settings["train.learning_rate"] = two_digits(min(default, 2 * recipe.train.learning_rate))
    if (recipe.model.dropout or 0.0) > USUAL_DROPOUT:
        settings["model.dropout"] = USUAL_DROPOUT
    return settings


def _noise(share: float, rows: float) -> float:
    """Difference of two shares that chance rarely exceeds; infinite without rows or a valid share."""
    return ABOVE_NOISE * math.sqrt(2 * share * (1 - share) / rows) if rows > 0 and 0 <= share <= 1 else math.inf


def stopped_too_early(evidence: Evidence) -> Diagnosis | None:
    """Diagnose a last evaluation that is the best, and better than the one before by more than noise."""
    if len(evidence.stages) < 2 or not _ends_at_best(evidence):
        return None
    before, last = evidence.stages[-2:]
    gain, recipe, n_rows = last.selected - before.selected, evidence.recipe, evidence.n_validation
    rows = (last.accuracy - before.accuracy) * n_rows
    is_clear = rows >= max(CLEAR_ROWS, _noise(last.accuracy, n_rows) * n_rows)
    if not (gain >= CLEAR_GAIN and is_clear and last.loss < before.loss):
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
    """Diagnose a training that continued for long after the best evaluation, which later ones clearly miss."""
    if not evidence.stages:
        return None
    values = [stage.selected for stage in evidence.stages]
    index, last, recipe = values.index(max(values)), evidence.stages[-1], evidence.recipe
    best, after = evidence.stages[index], len(values) - 1 - index
    share = 1 - best.step / last.step if last.step > 0 else 0.0
    if after < WASTED_EVALUATIONS or after <= recipe.train.patience or share < WASTED_SHARE:
        return None
    if not _exceeds_luck(best.selected, values[index + 1 :], evidence.n_validation):
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


def _exceeds_luck(best: float, later: Sequence[float], n_rows: int) -> bool:
    """True if the best evaluation exceeds the mean of later ones by more than their own variation explains."""
    # One row is the smallest change.
    error = max(stdev(later), 1 / n_rows if n_rows else MISSING) * math.sqrt(1 + 1 / len(later))
    return best - fmean(later) > LUCKIEST_NOISE * error
