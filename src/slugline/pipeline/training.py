"""A recipe goes in, a run comes out: `train`."""

from __future__ import annotations

import logging
from dataclasses import asdict
from pathlib import Path

from slugline.core.errors import RunError
from slugline.evaluation.diagnosis import Diagnosis, diagnose, diagnose_folds
from slugline.pipeline.cross_validation import train_folds
from slugline.pipeline.steps import check_data, dataset_of, fit_and_evaluate
from slugline.recipe.recipe import Recipe
from slugline.run.run import Run
from slugline.training.fit import check
from slugline.training.runtime import environment

logger = logging.getLogger("slugline")


def train(
    recipe: Recipe,
    *,
    run_dir: Path | None = None,
    resume: bool | Path = False,
    force: bool = False,
    accept_changes: bool = False,
) -> Run:
    """Execute a recipe and leave its evidence in a run folder.

    Args:
        recipe: complete.
        run_dir: the run's own folder; by default ``runs/<name>``.
        resume: go on with an interrupted run, from its latest whole checkpoint or from the one given.
        force: begin anew in place of what stands in the folder.
        accept_changes: resume although the recipe has changed.

    Returns:
        The run, complete.

    Raises:
        SluglineError: what is wrong with recipe, data, base model, folder or disk, and how to mend it.
    """
    check(recipe)
    path, splits = run_dir or Path("runs") / recipe.name, recipe.evaluation.splits
    checkpoint = resume if isinstance(resume, Path) else None
    if recipe.train.folds and checkpoint is not None:
        raise RunError(
            "a cross-validation has a run for each fold.", hint="Leave --checkpoint out: --resume finds all."
        )
    with Run.open(path, recipe, resume=bool(resume), force=force, accept_changes=accept_changes) as run:
        dataset = dataset_of(recipe)
        held_out = [] if recipe.train.folds else ["validation"]
        needed = ["train", *held_out, *(split for split in splits if split != "validation")]
        check_data(run, dataset, needed, accept_changes=accept_changes)
        run.record({"data": dataset.facts()} | environment(recipe.train))
        run.write_json(run.layout.data, dataset.describe())
        if recipe.train.folds:
            train_folds(recipe, dataset, run, accept_changes=accept_changes)
        else:
            fit_and_evaluate(recipe, dataset, run, splits=splits, checkpoint=checkpoint)
        _diagnose(run)
    return run


def _diagnose(run: Run) -> None:
    """Write what the run shows, and say it."""
    found = _shown_by(run)
    run.write_json(run.layout.diagnosis, {"diagnosis": [asdict(diagnosis) for diagnosis in found]})
    for diagnosis in found:
        logger.log(logging.WARNING if diagnosis.is_warning else logging.INFO, "%s", diagnosis.line)


def _shown_by(run: Run) -> list[Diagnosis]:
    # What was seen of the lengths of texts stands in the folds, as do the curves.
    data = (run.folds[0].data if run.folds else {}) | run.data
    found = diagnose(run.recipe, history=run.history, metrics=run.metrics, data=data, manifest=run.manifest)
    return diagnose_folds(found, [_shown_by(fold) for fold in run.folds]) if run.folds else found
