"""`fit`: a recipe and a data set to a trained classifier, saved in the run. `FIT` names a function for each kind.

`fit_texts`: a recipe and a corpus to a backbone, likewise.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from slugline.core.errors import RecipeError
from slugline.data.corpus import Corpus
from slugline.data.dataset import TextDataset
from slugline.evaluation.metrics import metric
from slugline.inference.classifier import Classifier
from slugline.recipe.recipe import Recipe
from slugline.recipe.sections import Tracker, TrainSection
from slugline.run.run import Run
from slugline.training.loop.arguments import check_arguments
from slugline.training.tracking.environment import check_trackers, tracking

logger = logging.getLogger("slugline")

Fit = Callable[[Recipe, TextDataset, Run, Path | None], Classifier]

#: Kind -> module and function that train it; torch is imported only for those that need it.
FIT = {
    "encoder": "slugline.training.finetune:fit_transformer",
    "decoder": "slugline.training.finetune:fit_transformer",
    "scratch": "slugline.training.finetune:fit_transformer",
    "linear": "slugline.training.linear:fit_linear",
}

#: Module that pre-trains; it needs torch, too.
PRETRAINING = "slugline.training.pretrain"

#: Keys of [train] that speak of classes.
OF_CLASSES = (
    "loss",
    "class_weights",
    "label_smoothing",
    "logit_adjustment",
    "token_dropout",
    "mixup",
    "cutmix",
    "folds",
)


def check(recipe: Recipe) -> None:
    """Refuse what could only fail after the data has been read.

    Args:
        recipe: about to be executed.

    Raises:
        RecipeError: the recipe is one of pre-training, ``train.select_by`` is no metric, or ``[train.arguments]`` names
            what does not exist or what the recipe owns.
        MissingExtra: a tracker of ``train.track`` is not installed.
    """
    if recipe.pretrain:
        raise RecipeError(
            f"{recipe.name}: a recipe with a [pretrain] section is for pre-training.",
            hint="Run it with: slugline pretrain RECIPE; fine-tune with a recipe of its own.",
        )
    metric(recipe.train.select_by)
    check_arguments(recipe.train.arguments)
    check_trackers(_trackers(recipe))


def check_pretraining(recipe: Recipe) -> None:
    """Refuse what could only fail after texts have been read, and keys that pre-training would pass over.

    Args:
        recipe: about to be executed.

    Raises:
        RecipeError: there is no [pretrain] section, a key has no meaning in pre-training, or ``[train.arguments]``
            names what does not exist or what the recipe owns.
        ModelError: the base cannot be pre-trained as the recipe wants.
        MissingExtra: a tracker of ``train.track`` is not installed.
    """
    if not recipe.pretrain:
        raise RecipeError(
            f"{recipe.name}: there is no [pretrain] section.",
            hint="Add one, or train a classifier with: slugline train RECIPE",
        )
    if recipe.model.kind == "linear":
        raise RecipeError(
            'model.kind is "linear", which cannot be pre-trained.', hint='Choose model.kind = "encoder" or "scratch".'
        )
    if recipe.model.adapt != "full":
        raise RecipeError(
            f"model.adapt is {recipe.model.adapt!r}, but pre-training changes the whole base.",
            hint="Leave it out here; adapt when fine-tuning.",
        )
    if recipe.train.select_by != "loss":
        raise RecipeError(
            f"train.select_by is {recipe.train.select_by!r}, but there are no classes to score.",
            hint='Leave it out: pre-training selects by "loss".',
        )
    for key in OF_CLASSES:
        if getattr(recipe.train, key) != TrainSection.model_fields[key].default:
            raise RecipeError(f"train.{key} has no meaning in pre-training.", hint="Leave it out.")
    check_arguments(recipe.train.arguments)
    check_trackers(_trackers(recipe))
    import_module(PRETRAINING).check_base(recipe)


def fit(recipe: Recipe, dataset: TextDataset, run: Run, *, checkpoint: Path | None = None) -> Classifier:
    """Train, and leave model, history and checkpoints in the run.

    Args:
        recipe: complete.
        dataset: with rows in train and validation.
        run: open for writing; whole checkpoints in it are gone on from.
        checkpoint: go on from this one instead of the latest.

    Returns:
        The classifier, loaded from what was saved.

    Raises:
        TrainingError: training cannot go on.
        RunError: the disk is full, or ``checkpoint`` is not whole.
    """
    module, _, name = FIT[recipe.model.kind].partition(":")
    fit_kind: Fit = getattr(import_module(module), name)
    trackers = _trackers(recipe)
    if len(trackers) < len(recipe.train.track):
        logger.info("train.track is left alone: the %s kind trains in one go.", recipe.model.kind)
    with tracking(run, trackers):
        return fit_kind(recipe, dataset, run, checkpoint)


def fit_texts(recipe: Recipe, corpus: Corpus, run: Run) -> dict[str, float]:
    """Pre-train the recipe's base, and leave backbone, history and checkpoints in the run.

    Args:
        recipe: complete, with [pretrain].
        corpus: texts to learn from.
        run: open for writing; whole checkpoints in it are gone on from.

    Returns:
        ``loss``, ``perplexity`` and ``accuracy`` of the tokens that were to be found, on validation.

    Raises:
        DataError: there are too few texts.
        TrainingError: training cannot go on.
        RunError: the disk is full.
    """
    with tracking(run, _trackers(recipe)):
        measured: dict[str, float] = import_module(PRETRAINING).fit_backbone(recipe, corpus, run)
    return measured


def _trackers(recipe: Recipe) -> list[Tracker]:
    """Those that there is something to tell: the linear kind has no updates."""
    return [] if recipe.model.kind == "linear" else list(dict.fromkeys(recipe.train.track))
