"""What a training shows of its learning rate: nothing learned, learned and lost again, hardly moved, up and down.

Each of the first four functions takes the `Evidence` of a run and gives a `Diagnosis`, or None. What a rate is held
against is the rate that a recipe for the same model has when it names none.
"""

from __future__ import annotations

import math
from statistics import median
from typing import Any

from slugline.evaluation.diagnosis.evidence import MISSING, Diagnosis, Evidence, interval, two_digits
from slugline.recipe.recipe import Recipe

#: Training accuracy from which a text set with clear labels counts as learned: the guide to AG News asks for another
#: training below it.
LOW_ACCURACY = 0.9

#: Swing of validation accuracy, up and down, that a falling learning rate should long have calmed.
SWING = 0.05

#: Share of the first loss by which the loss must have fallen to call it learning.
BARELY_MOVED = 0.05

#: Updates before anything is said of a loss that has not moved.
UPDATES_TO_MOVE = 20

#: A loss that comes back to this multiple of its lowest line has been lost again; single lines scatter by less.
LOST_AGAIN = 1.5

#: Factor between a learning rate and the model's own default from which the rate is the first suspect.
UNUSUAL_RATE = 3.0

#: Share of one answer among all from which a model counts as collapsed.
ALL_THE_SAME = 0.99

#: Accuracy on training rows this far above validation's says that something was learned.
LEARNED_ALL_THE_SAME = 0.2

#: How far chance alone may lift macro F1 above that of guessing.
F1_BY_CHANCE = 0.05


def not_learned(evidence: Evidence) -> Diagnosis | None:
    """Validation answers are no better than always the same one; says why where the curves show it."""
    scores, n_rows = evidence.validation, evidence.n_validation
    matrix = scores.get("confusion_matrix", [])
    if not matrix or not n_rows:
        return None
    names, supports = list(scores["per_class"]), [sum(row) for row in matrix]
    share = max(supports) / n_rows
    low, _ = interval(scores["accuracy"], n_rows)
    # Answers drawn at random have a macro F1 of 1 / K at most, and so has always the same answer.
    if len(names) < 2 or low > share or scores["f1_macro"] > 1 / len(names) + F1_BY_CHANCE:
        return None
    answers = [sum(row[column] for row in matrix) for column in range(len(names))]
    most = max(answers)
    message = (
        f"Validation accuracy of {scores['accuracy']:.1%} is not shown to be better than always answering "
        f"{names[supports.index(max(supports))]} ({share:.1%})."
    )
    if most >= ALL_THE_SAME * n_rows:
        message += f" {most / n_rows:.0%} of the answers are {names[answers.index(most)]}: the model has collapsed."
    kind, reason, settings = _cause(evidence)
    return Diagnosis.of(
        kind,
        " ".join(part for part in (message, reason) if part),
        settings,
        "slugline data inspect, to check labels and text columns",
        accuracy=scores["accuracy"],
        majority_share=share,
        largest_answer_share=most / n_rows,
    )


def _cause(evidence: Evidence) -> tuple[str, str, dict[str, Any]]:
    """Kind, sentence and settings for a model that has learned nothing."""
    losses, recipe = evidence.losses(), evidence.recipe
    if not evidence.stages or not losses:
        return "not_learned", "", {}
    seen = evidence.stages[-1].train_accuracy
    if seen >= evidence.validation["accuracy"] + LEARNED_ALL_THE_SAME:
        settings = {"train.weight_averaging": "none"} if recipe.train.weight_averaging != "none" else {}
        return "not_learned", f"The training rows were learned all the same, to {seen:.1%}.", settings
    rate, usual, guessing = recipe.train.learning_rate, usual_rate(recipe), _cost_of_guessing(evidence)
    first, last = losses[0], _late(losses)
    described = (
        f"training loss went from {first:.3f} to {last:.3f}" if len(losses) > 1 else f"training loss is {last:.3f}"
    )
    described += f", and guessing costs {guessing:.3f}" if math.isfinite(guessing) else ""
    # In fewer updates no rate would have shown.
    is_flat = (last > (1 - BARELY_MOVED) * first or last > (1 - BARELY_MOVED) * guessing) and (
        evidence.stages[-1].step >= UPDATES_TO_MOVE
    )
    # A loss that does not move is seen with rates far too high and far too low: the model's usual rate tells which.
    if last > (1 + BARELY_MOVED) * first or (is_flat and rate >= UNUSUAL_RATE * usual):
        return (
            "learning_rate_too_high",
            f"The learning rate of {rate:g} is most likely too high: {described}.",
            lower_rate(recipe),
        )
    if is_flat and rate < usual:
        return (
            "learning_rate_too_low",
            f"The learning rate of {rate:g} is most likely too low: {described}.",
            higher_rate(recipe),
        )
    settings = higher_rate(recipe) if rate < usual else lower_rate(recipe) if rate > UNUSUAL_RATE * usual else {}
    described += f" after {evidence.stages[-1].step:.0f} updates"
    return "not_learned", f"The {described}.", {"train.epochs": more_epochs(recipe)} | settings


def _cost_of_guessing(evidence: Evidence) -> float:
    """Training loss of a model that thinks every class equally likely; NaN where the loss is not the plain one."""
    train, classes = evidence.recipe.train, len(evidence.validation["per_class"])
    changes = (train.gamma if train.loss == "focal" else 0.0, train.label_smoothing, train.logit_adjustment)
    is_plain = not any(changes) and train.class_weights == "none" and not (train.mixup or train.cutmix)
    return math.log(classes) if is_plain else MISSING


def _late(losses: list[float]) -> float:
    """Middle of the last quarter of the lines: one line may be off."""
    return median(losses[-max(1, len(losses) // 4) :])


def lower_rate(recipe: Recipe) -> dict[str, Any]:
    """What holds a wild training down; the usual rate where that is far lower, else a third, as is often advised."""
    train, usual = recipe.train, usual_rate(recipe)
    times = train.learning_rate / usual if train.learning_rate > UNUSUAL_RATE * usual else 3.0
    settings: dict[str, Any] = {"train.learning_rate": two_digits(train.learning_rate / times)}
    if train.head_learning_rate > train.learning_rate:
        settings["train.head_learning_rate"] = two_digits(train.head_learning_rate / times)
    # Below 1 it is a share, and more than a third of the training would hardly be warm-up any more.
    settings["train.warmup"] = 2 * train.warmup if train.warmup >= 1 else min(0.3, 2 * train.warmup) or 0.1
    if train.max_grad_norm == 0 or train.max_grad_norm > 1:
        settings["train.max_grad_norm"] = 1.0
    settings["train.batch_size"] = 2 * train.batch_size
    return settings


def higher_rate(recipe: Recipe) -> dict[str, Any]:
    """A higher rate, by ten at most and to the usual one at most."""
    return {"train.learning_rate": two_digits(min(usual_rate(recipe), 10 * recipe.train.learning_rate))}


def learning_rate_too_low(evidence: Evidence) -> Diagnosis | None:
    """The training loss has hardly fallen in all that time."""
    losses, recipe = evidence.losses(), evidence.recipe
    if len(losses) < 2 or not evidence.stages or evidence.stages[-1].step < UPDATES_TO_MOVE:
        return None
    first, last, stage = losses[0], _late(losses), evidence.stages[-1]
    has_moved = not (1 - BARELY_MOVED) * first < last <= first
    if has_moved or not stage.train_accuracy < LOW_ACCURACY or recipe.train.learning_rate >= usual_rate(recipe):
        return None
    return Diagnosis.of(
        "learning_rate_too_low",
        f"The training loss has barely moved in {stage.step:.0f} updates: from {first:.3f} to {last:.3f}, at a "
        f"learning rate of {recipe.train.learning_rate:g}.",
        higher_rate(recipe),
        first_loss=first,
        last_loss=last,
        train_accuracy=stage.train_accuracy,
    )


def learning_rate_too_high(evidence: Evidence) -> Diagnosis | None:
    """What had been learned was lost again: loss up, accuracy down, for good."""
    losses = evidence.losses()
    if len(losses) < 4 or len(evidence.stages) < 2:
        return None
    last, lowest, ended = _late(losses), min(losses), evidence.stages[-1]
    best = max(evidence.stages, key=lambda stage: stage.accuracy)
    _, high = interval(ended.accuracy, evidence.n_validation)
    if not (last >= LOST_AGAIN * lowest > 0 and best.accuracy - high >= SWING):
        return None
    norms = [float(line["grad_norm"]) for line in evidence.lines if "grad_norm" in line]
    message = (
        f"What had been learned was lost again: training loss came down to {lowest:.3f} and ended at {last:.3f}, "
        f"validation accuracy fell from {best.accuracy:.1%} to {ended.accuracy:.1%}."
    )
    return Diagnosis.of(
        "learning_rate_too_high",
        f"{message} The learning rate is most likely too high.",
        lower_rate(evidence.recipe),
        lowest_loss=lowest,
        last_loss=last,
        best_accuracy=best.accuracy,
        last_accuracy=ended.accuracy,
        largest_grad_norm=max(norms, default=MISSING),
    )


def unstable(evidence: Evidence) -> Diagnosis | None:
    """Validation accuracy goes down and up again, twice at least, by more than chance would have it."""
    falls, largest = 0, 0.0
    for before, low, after in zip(evidence.stages, evidence.stages[1:], evidence.stages[2:], strict=False):
        least = min(before.accuracy, after.accuracy)
        is_beyond_chance = interval(least, evidence.n_validation)[0] > interval(low.accuracy, evidence.n_validation)[1]
        if is_beyond_chance and least - low.accuracy >= SWING:
            falls, largest = falls + 1, max(largest, least - low.accuracy)
    if falls < 2:
        return None
    return Diagnosis.of(
        "unstable",
        f"Training was unstable: validation accuracy fell {falls} times and came back, by up to {largest:.1%}.",
        lower_rate(evidence.recipe),
        falls=falls,
        largest_fall=largest,
    )


def more_epochs(recipe: Recipe) -> int:
    """Five, as the guide to AG News has it, or twice as many."""
    return max(5, math.ceil(2 * recipe.train.epochs))


def usual_rate(recipe: Recipe) -> float:
    """The learning rate that a recipe for this model has when it names none."""
    bare = {"name": "default", "data": {"name": "any"}, "model": recipe.model.model_dump()}
    return Recipe.model_validate(bare).train.learning_rate
