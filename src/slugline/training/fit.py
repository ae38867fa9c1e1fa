"""`fit`: a recipe and a data set to a trained classifier, saved in the run. `FIT` names a function for each kind."""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from slugline.data.dataset import TextDataset
from slugline.metrics import metric
from slugline.models.classifier import Classifier
from slugline.recipe import Recipe
from slugline.run import Run
from slugline.sections import Tracker
from slugline.training.arguments import check_arguments
from slugline.training.tracking import check_trackers, tracking

logger = logging.getLogger("slugline")

Fit = Callable[[Recipe, TextDataset, Run, Path | None], Classifier]

#: Kind -> module and function that train it; torch is imported only for those that need it.
FIT = {
    "encoder": "slugline.training.transformer:fit_transformer",
    "linear": "slugline.training.linear:fit_linear",
}


def check(recipe: Recipe) -> None:
    """Refuse what could only fail after the data has been read.

    Args:
        recipe: about to be executed.

    Raises:
        RecipeError: ``train.select_by`` is no metric, or ``[train.arguments]`` names what does not exist or what the
            recipe owns.
        MissingExtra: a tracker of ``train.track`` is not installed.
    """
    metric(recipe.train.select_by)
    check_arguments(recipe.train.arguments)
    check_trackers(_trackers(recipe))


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


def _trackers(recipe: Recipe) -> list[Tracker]:
    """Those that there is something to tell: the linear kind has no updates."""
    return [] if recipe.model.kind == "linear" else list(dict.fromkeys(recipe.train.track))
