"""What happens to one data set on its way to evidence; a run takes these steps once, a cross-validation once a fold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from slugline.core.errors import DataError, RunError
from slugline.core.storage import replacing_folder
from slugline.data.dataset import TextDataset, load_dataset
from slugline.data.folds import folds_of
from slugline.evaluation.error_analysis import analyse_errors
from slugline.evaluation.evaluate import Evaluation, calibrate, evaluate
from slugline.evaluation.plots import plot_confusion, plot_curves
from slugline.inference.classifier import Classifier
from slugline.recipe.recipe import Recipe
from slugline.run.run import Run
from slugline.training.fit import fit


def dataset_of(recipe: Recipe, *, fold: int = 0) -> TextDataset:
    """The data set of a recipe; where folds are to be held out in turn, it has no validation rows of its own.

    Args:
        recipe: complete.
        fold: number of a fold, counted from 1, whose own data set is meant; 0 = that of the whole.

    Returns:
        The data set.

    Raises:
        DataError: the data cannot be had, read, or used as they are.
    """
    section = recipe.data
    if recipe.train.folds:
        section = section.model_copy(update={"validation_fraction": 0.0})
    dataset = load_dataset(section, pooled=bool(recipe.train.folds))
    return folds_of(dataset, recipe.train.folds, seed=section.split_seed)[fold - 1] if fold else dataset


def fit_and_evaluate(
    recipe: Recipe, dataset: TextDataset, run: Run, *, splits: Sequence[str], checkpoint: Path | None = None
) -> None:
    """Train one model, calibrate it on validation, score it, and leave the evidence in the run.

    Args:
        recipe: complete.
        dataset: with train and validation.
        run: open for writing; its whole checkpoints are gone on from.
        splits: to be scored.
        checkpoint: go on from this one instead of the latest.
    """
    classifier = fit(recipe, dataset, run, checkpoint=checkpoint)
    evaluations = evaluate_splits(classifier, dataset, list(dict.fromkeys(["validation", *splits])))
    calibration = calibrate(evaluations["validation"].predictions, method=recipe.evaluation.calibrate)
    run.write_json(run.layout.calibration, vars(calibration))
    scored = {
        split: evaluations[split].calibrated(calibration, bootstrap=recipe.evaluation.bootstrap) for split in splits
    }
    manifest = run.manifest
    record_evaluations(run, dataset, scored, training=manifest["training"], size=manifest["size"])


def evaluate_splits(classifier: Classifier, dataset: TextDataset, splits: Sequence[str]) -> dict[str, Evaluation]:
    """Each split predicted once, before calibration and without intervals.

    Args:
        classifier: trained.
        dataset: that has the splits.
        splits: by name.

    Returns:
        Evaluations by split.
    """
    name = dataset.source.name
    return {split: evaluate(classifier, dataset[split], split=split, dataset=name, bootstrap=0) for split in splits}


def record_evaluations(
    run: Run,
    dataset: TextDataset,
    evaluations: Mapping[str, Evaluation],
    *,
    training: Mapping[str, Any],
    size: Mapping[str, Any],
    further: Mapping[str, Any] | None = None,
) -> None:
    """Write predictions and metrics of every split; mistakes, plots and timing of the last, which is reported.

    Args:
        run: open for writing.
        dataset: whose rows they are about.
        evaluations: by split, the reported one last.
        training: durations and speeds, for ``timing``.
        size: parameter counts.
        further: other keys of ``metrics.json``.
    """
    for evaluation in evaluations.values():
        run.save_predictions(evaluation.predictions, fingerprint=dataset.fingerprint)
    reported = list(evaluations.values())[-1]
    metrics: dict[str, Any] = {split: evaluation.metrics for split, evaluation in evaluations.items()}
    metrics |= further or {}
    metrics["timing"] = {**training, **reported.timing}
    metrics["size"] = {**size, "model_bytes": sum(map(bytes_in, run.model_dirs))}
    run.write_json(run.layout.metrics, metrics)
    run.write_json(run.layout.errors, analyse_errors(reported.predictions, _texts_of(reported, dataset)))
    with replacing_folder(run.layout.plots) as folder:
        if run.history:
            plot_curves(run.history, folder / "curves")
        plot_confusion(reported.metrics["confusion_matrix"], dataset.labels.names, folder / "confusion")


def check_data(run: Run, dataset: TextDataset, wanted: Sequence[str], *, accept_changes: bool) -> None:
    """Refuse now what would be found after hours of training, or never.

    Args:
        run: open for writing.
        dataset: as loaded.
        wanted: splits that will be needed.
        accept_changes: whether data may have changed since the run was begun.

    Raises:
        DataError: a split is missing or empty.
        RunError: the data has changed.
    """
    for split in wanted:
        if not len(dataset[split]):
            raise DataError(f"the {split} split of {dataset.source.name} has no rows.", hint="Check the class filters.")
    check_unchanged(run, dataset.fingerprint, accept_changes=accept_changes)


def check_unchanged(run: Run, fingerprint: str, *, accept_changes: bool) -> None:
    """Refuse to go on with other data than a run was begun with.

    Args:
        run: open for writing.
        fingerprint: of the data.
        accept_changes: whether data may have changed.

    Raises:
        RunError: the data has changed.
    """
    before = run.manifest.get("data", {}).get("fingerprint", fingerprint)
    if before != fingerprint and not accept_changes:
        raise RunError(
            f"the data has changed since {run.path} was begun: rows that it trained on may be test rows now.",
            hint="Begin anew with --force, or go on all the same with --accept-changes.",
        )


def _texts_of(evaluation: Evaluation, dataset: TextDataset) -> list[str]:
    """The texts that predictions are about, in their order, from whatever split."""
    texts = {
        name: text
        for rows in dataset.splits.values()
        for name, text in zip(rows["id"][:], rows["text"][:], strict=True)
    }
    return [texts[name] for name in evaluation.predictions.ids.tolist()]


def bytes_in(folder: Path) -> int:
    """Size of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
