"""The steps of a run after its data is loaded: train, calibrate, score, write. Also the steps of each fold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from slugline.core.storage import bytes_in, replacing_folder
from slugline.data.dataset import TextDataset
from slugline.evaluation.calibration import calibrate
from slugline.evaluation.error_analysis import analyse_errors
from slugline.evaluation.evaluate import evaluate
from slugline.evaluation.plots import plot_confusion, plot_curves
from slugline.evaluation.score import Evaluation
from slugline.inference.classifier import Classifier
from slugline.recipe.recipe import Recipe
from slugline.run.run import Run
from slugline.training.fit import fit


def fit_and_evaluate(
    recipe: Recipe, dataset: TextDataset, run: Run, *, splits: Sequence[str], checkpoint: Path | None = None
) -> None:
    """Train one model, calibrate it on validation, score it, and write the results into the run.

    Args:
        recipe: recipe with all defaults.
        dataset: data set with train and validation.
        run: run opened for writing; training resumes from its last complete checkpoint, if it has one.
        splits: names of the splits to score.
        checkpoint: checkpoint to resume from instead of the last one.
    """
    result = fit(recipe, dataset, run, checkpoint=checkpoint)
    run.update_manifest({"size": result.size, "training": result.timing, "chosen": result.selected})
    run.write_json(run.layout.data, run.data | dict(result.data))
    evaluations = evaluate_splits(result.classifier, dataset, list(dict.fromkeys(["validation", *splits])))
    calibration = calibrate(evaluations["validation"].predictions, method=recipe.evaluation.calibrate)
    run.save_calibration(calibration)
    scored = {
        split: evaluations[split].calibrated(calibration, bootstrap=recipe.evaluation.bootstrap) for split in splits
    }
    record_evaluations(run, dataset, scored, timing=result.timing, size=result.size)


def evaluate_splits(classifier: Classifier, dataset: TextDataset, splits: Sequence[str]) -> dict[str, Evaluation]:
    """Predict each split once, without calibration and intervals.

    Args:
        classifier: trained classifier.
        dataset: data set with these splits.
        splits: names of the splits.

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
    timing: Mapping[str, Any],
    size: Mapping[str, Any],
    further: Mapping[str, Any] | None = None,
) -> None:
    """Write predictions and metrics of every split; error analysis, plots and inference timing of the last split.

    Args:
        run: run opened for writing.
        dataset: data set that contains the predicted rows.
        evaluations: evaluations by split; the last one is the one to report.
        timing: timing of the training.
        size: parameter counts.
        further: other keys of ``metrics.json``.
    """
    for evaluation in evaluations.values():
        run.save_predictions(evaluation.predictions, fingerprint=dataset.fingerprint)
    reported = list(evaluations.values())[-1]
    metrics: dict[str, Any] = {split: evaluation.metrics for split, evaluation in evaluations.items()}
    metrics |= further or {}
    metrics["timing"] = {**timing, **reported.timing}
    metrics["size"] = {**size, "model_bytes": sum(map(bytes_in, run.model_dirs))}
    run.write_json(run.layout.metrics, metrics)
    run.write_json(run.layout.errors, analyse_errors(reported.predictions, _texts_of(reported, dataset)))
    with replacing_folder(run.layout.plots) as folder:
        if run.history:
            plot_curves(run.history, folder / "curves")
        plot_confusion(reported.metrics["confusion_matrix"], dataset.labels.names, folder / "confusion")


def _texts_of(evaluation: Evaluation, dataset: TextDataset) -> list[str]:
    """The texts of predictions, in their order, from any split."""
    texts = {
        name: text
        for rows in dataset.splits.values()
        for name, text in zip(rows["id"][:], rows["text"][:], strict=True)
    }
    return [texts[name] for name in evaluation.predictions.ids.tolist()]
