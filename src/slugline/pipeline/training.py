"""A recipe goes in, a run comes out: `train`."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from slugline.data.dataset import TextDataset, load_dataset
from slugline.errors import DataError, RunError
from slugline.evaluation.diagnosis import diagnose
from slugline.evaluation.evaluate import Evaluation, calibrate, evaluate
from slugline.evaluation.mistakes import mistakes
from slugline.evaluation.plots import plot_confusion, plot_curves
from slugline.models.classifier import Classifier
from slugline.recipe import Recipe
from slugline.run import Run
from slugline.storage import replacing_folder
from slugline.training.fit import check, fit
from slugline.training.machine import environment

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
        force: delete what stands in the folder and begin anew.
        accept_changes: resume although the recipe has changed.

    Returns:
        The run, complete.

    Raises:
        SluglineError: what is wrong with recipe, data, base model, folder or disk, and how to mend it.
    """
    check(recipe)
    path = run_dir or Path("runs") / recipe.name
    with Run.open(path, recipe, resume=bool(resume), force=force, accept_changes=accept_changes) as run:
        dataset = load_dataset(recipe.data)
        _check_data(run, dataset, _wanted(recipe), accept_changes=accept_changes)
        run.record({"data": dataset.facts()} | environment())
        run.write_json(run.layout.data, dataset.describe())
        classifier = fit(recipe, dataset, run, checkpoint=resume if isinstance(resume, Path) else None)
        evaluations = _evaluate(recipe, dataset, classifier)
        calibration = calibrate(evaluations["validation"].predictions, method=recipe.evaluation.calibrate)
        run.write_json(run.layout.calibration, vars(calibration))
        for split in recipe.evaluation.splits:
            evaluations[split] = evaluations[split].calibrated(calibration, bootstrap=recipe.evaluation.bootstrap)
        _record_evaluations(run, dataset, {split: evaluations[split] for split in recipe.evaluation.splits})
        _diagnose(run)
    return run


def _check_data(run: Run, dataset: TextDataset, wanted: Sequence[str], *, accept_changes: bool) -> None:
    """Refuse now what would be found after hours of training, or never."""
    for split in ("train", *wanted):
        if not len(dataset[split]):
            raise DataError(f"the {split} split of {dataset.source.name} has no rows.", mend="Check the class filters.")
    before = run.manifest.get("data", {}).get("fingerprint", dataset.fingerprint)
    if before != dataset.fingerprint and not accept_changes:
        raise RunError(
            f"the data has changed since {run.path} was begun: rows that it trained on may be test rows now.",
            mend="Begin anew with --force, or go on all the same with --accept-changes.",
        )


def _evaluate(recipe: Recipe, dataset: TextDataset, classifier: Classifier) -> dict[str, Evaluation]:
    """Every split that is asked for, each predicted once."""
    name = dataset.source.name
    return {
        split: evaluate(classifier, dataset[split], split=split, dataset=name, bootstrap=0) for split in _wanted(recipe)
    }


def _wanted(recipe: Recipe) -> list[str]:
    """The splits to be predicted: those that the recipe names, and validation, on which calibration is fitted."""
    return list(dict.fromkeys(["validation", *recipe.evaluation.splits]))


def _record_evaluations(run: Run, dataset: TextDataset, evaluations: dict[str, Evaluation]) -> None:
    """Write predictions and metrics of every split; mistakes, plots and timing of the last, which is reported."""
    for evaluation in evaluations.values():
        run.save_predictions(evaluation.predictions, fingerprint=dataset.fingerprint)
    reported = list(evaluations.values())[-1]
    manifest = run.manifest
    metrics: dict[str, Any] = {split: evaluation.metrics for split, evaluation in evaluations.items()}
    metrics["timing"] = manifest["training"] | reported.timing
    metrics["size"] = manifest["size"] | {"model_bytes": _bytes_in(run.layout.model)}
    run.write_json(run.layout.metrics, metrics)
    texts = dataset[reported.predictions.split]["text"][:]
    run.write_json(run.layout.errors, mistakes(reported.predictions, texts))
    with replacing_folder(run.layout.plots) as folder:
        if run.history:
            plot_curves(run.history, folder / "curves")
        plot_confusion(reported.metrics["confusion_matrix"], dataset.labels.names, folder / "confusion")


def _diagnose(run: Run) -> None:
    """Write what the run shows, and say it."""
    found = diagnose(run.recipe, history=run.history, metrics=run.metrics, data=run.data, manifest=run.manifest)
    run.write_json(run.layout.diagnosis, {"diagnosis": [asdict(diagnosis) for diagnosis in found]})
    for diagnosis in found:
        logger.log(logging.WARNING if diagnosis.is_warning else logging.INFO, "%s", diagnosis.line)


def _bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
