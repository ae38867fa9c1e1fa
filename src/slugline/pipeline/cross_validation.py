"""Cross-validation: a run for each fold, and the ensemble of their models.

Each fold is a run of its own under ``folds/``, resumed or passed over like any run. Where the machine has several GPUs,
or many cores, folds are trained side by side, each in a process with its share.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, as_completed, wait
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np

from slugline.core.hardware import Hardware
from slugline.core.labels import Predictions
from slugline.data.dataset import TextDataset
from slugline.data.folds import folds_of
from slugline.evaluation.evaluate import calibrate, evaluate_predictions
from slugline.inference.classifier import load
from slugline.pipeline.steps import evaluate_splits, fit_and_evaluate, record_evaluations
from slugline.recipe.recipe import Recipe, changed_keys
from slugline.run.run import Run, restore_replaced
from slugline.training.runtime import hardware_for

logger = logging.getLogger("slugline")

#: Name under which the predictions on the held-out rows of all folds are kept.
OUT_OF_FOLD = "out_of_fold"

#: Cores that one training keeps busy; with fewer for each, folds are faster one after the other.
CORES_A_FOLD = 8


def train_folds(recipe: Recipe, dataset: TextDataset, run: Run, *, accept_changes: bool = False) -> None:
    """Train a model for each fold, score all held-out rows, and the ensemble on what else the recipe names.

    Args:
        recipe: complete, with ``train.folds``.
        dataset: without a validation split of its own making.
        run: open for writing; folds that are complete in it are not trained again.
        accept_changes: go on with folds although the recipe has changed.

    Raises:
        DataError: a class has fewer rows than there are folds.
        TrainingError: training cannot go on.
    """
    datasets = folds_of(dataset, recipe.train.folds, seed=recipe.data.split_seed)
    jobs = [
        (recipe, part, run.layout.fold(number), accept_changes, number) for number, part in enumerate(datasets, start=1)
    ]
    at_once = min(folds_at_once(hardware_for(recipe.train)), len(jobs))
    if at_once > 1:
        logger.info("%d folds at a time, each in a process of its own", at_once)
        _side_by_side(jobs, at_once)
    else:
        for job in jobs:
            train_fold(*job)
    _evaluate_ensemble(recipe, dataset, run)


def train_fold(recipe: Recipe, dataset: TextDataset, path: Path, accept_changes: bool, number: int) -> None:
    """Train one fold, or go on with it; a complete one is passed over, unless it held other rows out.

    Args:
        recipe: of the whole.
        dataset: the fold's.
        path: the fold's own run folder.
        accept_changes: go on although the recipe has changed.
        number: of the fold, counted from 1.
    """
    restore_replaced(path)
    name, fold = f"fold {number} of {recipe.train.folds}", Run(path)
    # What an interrupted fold has learnt from may be among the rows that this one holds out.
    is_other = fold.state != "new" and fold.manifest.get("data", {}).get("fingerprint") != dataset.fingerprint
    if fold.state == "complete" and not is_other:
        changes = changed_keys(fold.recipe, recipe)
        if changes:
            logger.warning("%s was completed with another recipe and is kept: %s.", name, "; ".join(changes))
        else:
            logger.info("%s is complete.", name)
        return
    logger.info("%s: %s texts to learn from, %s held out", name, len(dataset["train"]), len(dataset["validation"]))
    with Run.open(path, recipe, resume=fold.state != "new", force=is_other, accept_changes=accept_changes) as run:
        run.record({"data": dataset.facts(), "fold": number})
        run.write_json(run.layout.data, dataset.describe())
        fit_and_evaluate(recipe, dataset, run, splits=["validation"])


def folds_at_once(hardware: Hardware) -> int:
    """How many folds are trained side by side: one a GPU, or one for every `CORES_A_FOLD` cores.

    Args:
        hardware: as `detect` gives it.

    Returns:
        At least 1.
    """
    if hardware.device == "cpu":
        return max(1, hardware.cores // CORES_A_FOLD)
    return max(1, hardware.devices)


def _side_by_side(jobs: Sequence[tuple[Any, ...]], count: int, work: Callable[..., None] = train_fold) -> None:
    context = multiprocessing.get_context("spawn")
    slots = context.Queue()
    for slot in range(count):
        slots.put(slot)
    running: set[Future[None]] = set()
    with ProcessPoolExecutor(count, context, initializer=_take_share, initargs=(slots, count)) as pool:
        for job in jobs:
            if len(running) == count:
                # No job waits in the pool: after an error, or Ctrl-C, it would still be trained.
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()
            running.add(pool.submit(work, *job))
        for future in as_completed(running):
            future.result()


def _take_share(slots: Any, count: int) -> None:
    """Restrict this process to its GPU, or to its share of the cores. Runs before torch looks at either."""
    Thread(target=_end_with_parent, daemon=True).start()
    slot = slots.get()
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, cores[slot::count] or cores)
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    devices = [str(index) for index in range(count)] if visible is None else visible.split(",")
    os.environ["CUDA_VISIBLE_DEVICES"] = devices[slot % len(devices)]


def _end_with_parent() -> None:
    """End this process when the one that started it is gone, killed perhaps: nobody else would."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _evaluate_ensemble(recipe: Recipe, dataset: TextDataset, run: Run) -> None:
    folds = run.folds
    trackers = [name for name in folds[0].manifest["trackers"] if all(name in f.manifest["trackers"] for f in folds)]
    run.record({"tracked": bool(trackers), "trackers": trackers})
    out_of_fold = join_predictions([fold.predictions("validation") for fold in folds])
    calibration = calibrate(out_of_fold, method=recipe.evaluation.calibrate)
    run.write_json(run.layout.calibration, vars(calibration))
    others = [split for split in recipe.evaluation.splits if split != "validation"]
    evaluations = {OUT_OF_FOLD: evaluate_predictions(out_of_fold, bootstrap=0)}
    if others:
        # The precision of the training: another one would give other figures.
        device = hardware_for(recipe.train).device
        ensemble = load(run.path, precision=recipe.train.precision, device=device)
        evaluations |= evaluate_splits(ensemble, dataset, others)
    scored = {
        split: evaluation.calibrated(calibration, bootstrap=recipe.evaluation.bootstrap)
        for split, evaluation in evaluations.items()
    }
    record_evaluations(
        run,
        dataset,
        scored,
        training=_together([fold.manifest["training"] for fold in folds]),
        size=_sum([fold.manifest["size"] for fold in folds]),
        further={"folds": [_fold_row(number, fold) for number, fold in enumerate(folds, start=1)]},
    )


def join_predictions(folds: Sequence[Predictions]) -> Predictions:
    """Predictions on the held-out rows of all folds as one.

    Args:
        folds: with the same labels and no row in common.

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


def _fold_row(number: int, fold: Run) -> dict[str, Any]:
    manifest = fold.manifest
    return {
        "fold": number,
        "best_epoch": manifest["chosen"].get("epoch"),
        "seconds": manifest["training"]["train_seconds"],
        "validation": fold.metrics["validation"],
    }


def _together(folds: Sequence[dict[str, float]]) -> dict[str, float]:
    """Training of all folds: their seconds and tokens are added up, what is a rate or a share is averaged."""
    sums = {key: sum(fold[key] for fold in folds) for key in folds[0]}
    return {key: value if key in ("train_seconds", "tokens") else value / len(folds) for key, value in sums.items()}


def _sum(folds: Sequence[dict[str, int]]) -> dict[str, int]:
    return {key: sum(fold[key] for fold in folds) for key in folds[0]}
