"""Cross-validation: one run per fold, and the ensemble of their models.

The run of a fold is in ``folds/`` and is resumed or skipped like any run. With several GPUs or many cores, folds are
trained side by side.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from slugline.core.parallel_jobs import jobs_at_once, run_jobs
from slugline.core.predictions import Predictions
from slugline.data.dataset import TextDataset
from slugline.data.folds import folds_of
from slugline.evaluation.calibration import calibrate
from slugline.evaluation.score import score
from slugline.inference.load import load
from slugline.pipeline.learned_rows import learned_table
from slugline.pipeline.out_of_scope import with_abstention
from slugline.pipeline.steps import evaluate_splits, fit_and_evaluate, record_evaluations
from slugline.recipe.changes import changed_keys
from slugline.recipe.recipe import Recipe
from slugline.run.lifecycle import open_run, restore_replaced
from slugline.run.run import Run
from slugline.training.runtime import hardware_for

logger = logging.getLogger(__name__)

#: Name of the predictions on the held-out rows of all folds.
OUT_OF_FOLD = "out_of_fold"


def train_folds(recipe: Recipe, dataset: TextDataset, run: Run, *, accept_changes: bool = False) -> None:
    """Train one model per fold; score the held-out rows of all folds, and the ensemble on the other splits.

    Args:
        recipe: recipe with all defaults and ``train.folds``.
        dataset: data set without a validation split of its own.
        run: run opened for writing; its complete folds are not trained again.
        accept_changes: resume folds although the recipe has changed.

    Raises:
        DataError: a class has fewer rows than there are folds.
        TrainingError: training cannot continue.
    """
    datasets = folds_of(dataset, recipe.train.folds, seed=recipe.data.split_seed)
    jobs = [
        (recipe, part, run.layout.fold(number), accept_changes, number) for number, part in enumerate(datasets, start=1)
    ]
    processes = min(jobs_at_once(hardware_for(recipe.train)), len(jobs))
    if processes > 1:
        logger.info("training %d folds at a time, each in its own process", processes)
    run_jobs(train_fold, jobs, names=[f"fold {number}" for *_, number in jobs], processes=processes)
    _evaluate_ensemble(recipe, dataset, run)


def train_fold(recipe: Recipe, dataset: TextDataset, path: Path, accept_changes: bool, number: int) -> None:
    """Train or resume one fold; skip it if it is complete and held out the same rows.

    Args:
        recipe: recipe of the cross-validation.
        dataset: data set of the fold.
        path: the fold's own run folder.
        accept_changes: resume although the recipe has changed.
        number: number of the fold, counted from 1.
    """
    restore_replaced(path)
    name, fold = f"fold {number} of {recipe.train.folds}", Run(path)
    # With other rows, the interrupted fold may have been trained on rows that this one holds out.
    has_other_rows = fold.state != "new" and not dataset.identity.matches(fold.manifest.get("data", {}))
    if fold.state == "complete" and not has_other_rows:
        changes = changed_keys(fold.recipe, recipe)
        if changes:
            logger.warning("%s was completed with another recipe and is kept: %s.", name, "; ".join(changes))
        else:
            logger.info("%s is complete.", name)
        return
    logger.info("%s: %s texts for training, %s held out", name, len(dataset["train"]), len(dataset["validation"]))
    with open_run(path, recipe, resume=fold.state != "new", force=has_other_rows, accept_changes=accept_changes) as run:
        run.update_manifest({"data": dataset.to_manifest(), "fold": number})
        run.write_json(run.layout.data, dataset.describe())
        run.write_table(run.layout.learned, learned_table(dataset))
        fit_and_evaluate(recipe, dataset, run, splits=["validation"])


def _evaluate_ensemble(recipe: Recipe, dataset: TextDataset, run: Run) -> None:
    folds = run.folds
    trackers = [name for name in folds[0].manifest["trackers"] if all(name in f.manifest["trackers"] for f in folds)]
    run.update_manifest({"tracked": bool(trackers), "trackers": trackers})
    out_of_fold = join_predictions([fold.predictions("validation") for fold in folds])
    calibration = calibrate(out_of_fold, method=recipe.evaluation.calibrate, thresholds=recipe.evaluation.thresholds)
    run.save_calibration(calibration, dataset.labels)
    others = [split for split in recipe.evaluation.splits if split != "validation"]
    evaluations = {OUT_OF_FOLD: score(out_of_fold, bootstrap=0)}
    ensemble = None
    if others:
        # In the precision of the training; another one would give other metrics.
        device, precision = hardware_for(recipe.train).device, folds[0].manifest.get("precision", "auto")
        ensemble = load(run.path, precision=precision, device=device)
        evaluations |= evaluate_splits(ensemble, dataset, others)
    scored = {
        split: evaluation.calibrated(calibration, bootstrap=recipe.evaluation.bootstrap)
        for split, evaluation in evaluations.items()
    }
    if ensemble is not None:
        bootstrap = recipe.evaluation.bootstrap
        scored = with_abstention(ensemble, dataset, scored, chosen_on=OUT_OF_FOLD, bootstrap=bootstrap)
    record_evaluations(
        run,
        dataset,
        scored,
        timing=_total_timing([fold.manifest["training"] for fold in folds]),
        size=_total_size([fold.manifest["size"] for fold in folds]),
        further={"folds": [_fold_metrics(number, fold) for number, fold in enumerate(folds, start=1)]},
    )


def join_predictions(folds: Sequence[Predictions]) -> Predictions:
    """Join the predictions on the held-out rows of all folds.

    Args:
        folds: predictions of each fold, with the same labels and without common rows.

    Returns:
        All rows, those of the first fold first.
    """
    first = folds[0]
    return Predictions(
        ids=np.concatenate([fold.ids for fold in folds]),
        targets=np.concatenate([fold.targets for fold in folds]),
        logits=np.concatenate([fold.logits for fold in folds]),
        labels=first.labels,
        split=OUT_OF_FOLD,
        dataset=first.dataset,
    )


def _fold_metrics(number: int, fold: Run) -> dict[str, Any]:
    manifest = fold.manifest
    return {
        "fold": number,
        "best_epoch": manifest["chosen"].get("epoch"),
        "seconds": manifest["training"]["train_seconds"],
        "validation": fold.metrics["validation"],
    }


def _total_timing(folds: Sequence[dict[str, float]]) -> dict[str, float]:
    """Sum of seconds and tokens, mean of rates and shares."""
    sums = {key: sum(fold[key] for fold in folds) for key in folds[0]}
    return {key: value if key in ("train_seconds", "tokens") else value / len(folds) for key, value in sums.items()}


def _total_size(folds: Sequence[dict[str, int]]) -> dict[str, int]:
    return {key: sum(fold[key] for fold in folds) for key in folds[0]}
