"""`train`: a recipe in, a run out."""

from __future__ import annotations

import logging
from dataclasses import asdict
from pathlib import Path

from slugline.core.errors import RunError
from slugline.core.messages import visible_messages
from slugline.evaluation.diagnosis.diagnose import diagnose, diagnose_folds
from slugline.evaluation.diagnosis.evidence import Diagnosis
from slugline.evaluation.metrics import metric
from slugline.pipeline.cross_validation import train_folds
from slugline.pipeline.learned_rows import learned_table
from slugline.pipeline.run_data import check_data, dataset_of
from slugline.pipeline.steps import fit_and_evaluate
from slugline.recipe.recipe import Recipe, read, with_absolute_paths
from slugline.run.lifecycle import open_run
from slugline.run.run import Run
from slugline.training.fit import check, check_model
from slugline.training.runtime import environment

logger = logging.getLogger(__name__)


@visible_messages()
def train(
    recipe: Recipe | str | Path,
    *,
    run_dir: str | Path | None = None,
    resume: bool | str | Path = False,
    force: bool = False,
    accept_changes: bool = False,
) -> Run:
    """Execute a recipe and write the results into a run folder.

    Args:
        recipe: recipe, or its file.
        run_dir: the run's own folder; by default ``runs/<name>``.
        resume: continue an interrupted run, from its last complete checkpoint or from the given one.
        force: start over and replace the contents of the folder.
        accept_changes: resume although the recipe has changed.

    Returns:
        The complete run.

    Raises:
        SluglineError: recipe, data, base model, folder or disk cannot be used.
    """
    recipe = with_absolute_paths(recipe if isinstance(recipe, Recipe) else read(recipe))
    check(recipe)
    path, splits = Path(run_dir or Path("runs") / recipe.name), recipe.evaluation.splits
    checkpoint = None if isinstance(resume, bool) else Path(resume)
    if recipe.train.folds and checkpoint is not None:
        raise RunError(
            "a cross-validation has one run per fold.", hint="Leave --checkpoint out: --resume resumes all folds."
        )
    with open_run(path, recipe, resume=bool(resume), force=force, accept_changes=accept_changes) as run:
        check_model(recipe)
        dataset = dataset_of(recipe)
        held_out = [] if recipe.train.folds else ["validation"]
        needed = ["train", *held_out, *(split for split in splits if split != "validation")]
        check_data(run, dataset, needed, accept_changes=accept_changes)
        metric(recipe.train.select_by, dataset.labels)  # refuses a metric of another kind of labels
        run.update_manifest({"data": dataset.to_manifest()} | environment(recipe.train))
        run.write_json(run.layout.data, dataset.describe())
        run.write_table(run.layout.learned, learned_table(dataset))
        if recipe.train.folds:
            train_folds(recipe, dataset, run, accept_changes=accept_changes)
        else:
            fit_and_evaluate(recipe, dataset, run, splits=splits, checkpoint=checkpoint)
        _diagnose(run)
    return run


def _diagnose(run: Run) -> None:
    """Write the diagnosis and log it."""
    findings = _findings(run)
    run.write_json(run.layout.diagnosis, {"diagnosis": [asdict(finding) for finding in findings]})
    for finding in findings:
        logger.log(logging.WARNING if finding.is_warning else logging.INFO, "%s", finding.line)


def _findings(run: Run) -> list[Diagnosis]:
    # The lengths in tokens and the curves are in the folds.
    data = (run.folds[0].data if run.folds else {}) | run.data
    findings = diagnose(run.recipe, history=run.history, metrics=run.metrics, data=data, manifest=run.manifest)
    return diagnose_folds(findings, [_findings(fold) for fold in run.folds]) if run.folds else findings
