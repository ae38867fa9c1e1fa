"""The steps of a run after its data is loaded: train, calibrate, score, write. Also the steps of each fold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from slugline.core.storage import bytes_in, replacing_folder
from slugline.data.dataset import TextDataset
from slugline.data.tables.texts import column_values
from slugline.evaluation.calibration import calibrate
from slugline.evaluation.error_analysis import analyse_errors
from slugline.evaluation.evaluate import evaluate
from slugline.evaluation.metrics import metric
from slugline.evaluation.plots.curves import plot_curves
from slugline.evaluation.plots.split_plots import plot_split
from slugline.evaluation.score import Evaluation
from slugline.inference.classifier import Classifier
from slugline.inference.classifier_config import ClassifierConfig
from slugline.pipeline.out_of_scope import with_abstention
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
        splits: names of the splits to score; validation is always scored, because the diagnosis is based on it.
        checkpoint: checkpoint to resume from instead of the last one.
    """
    result = fit(recipe, dataset, run, checkpoint=checkpoint)
    run.update_manifest({"size": result.size, "training": result.timing, "chosen": result.selected})
    run.write_json(run.layout.data, run.data | dict(result.data))
    evaluations = evaluate_splits(result.classifier, dataset, dict.fromkeys(["validation", *splits]))
    calibration = calibrate(
        evaluations["validation"].predictions,
        method=recipe.evaluation.calibrate,
        thresholds=recipe.evaluation.thresholds,
    )
    run.save_calibration(calibration, dataset.labels)
    ClassifierConfig.of(run, dataset.labels).write(run.layout.model)
    scored = {
        split: evaluation.calibrated(calibration, bootstrap=recipe.evaluation.bootstrap)
        for split, evaluation in evaluations.items()
    }
    scored = with_abstention(result.classifier, dataset, scored, bootstrap=recipe.evaluation.bootstrap)
    record_evaluations(run, dataset, scored, timing=result.timing, size=result.size)


def evaluate_splits(classifier: Classifier, dataset: TextDataset, splits: Iterable[str]) -> dict[str, Evaluation]:
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
    """Write predictions and metrics of every split; errors, plots and inference timing of the split to report.

    Args:
        run: run opened for writing.
        dataset: data set that contains the predicted rows.
        evaluations: evaluations by split.
        timing: timing of the training.
        size: parameter counts.
        further: other keys of ``metrics.json``.
    """
    for evaluation in evaluations.values():
        run.save_predictions(evaluation.predictions, fingerprint=dataset.fingerprint)
    reported = evaluations[reported_split(evaluations)]
    metrics: dict[str, Any] = {split: evaluation.metrics for split, evaluation in evaluations.items()}
    metrics |= further or {}
    metrics["timing"] = {**timing, "split": reported.predictions.split, **reported.timing}
    metrics["size"] = {**size, "model_bytes": sum(map(bytes_in, run.model_dirs))}
    run.write_json(run.layout.metrics, metrics)
    report_split(run, dataset, reported)


def reported_split(splits: Iterable[str]) -> str:
    """Return the split that errors and plots are about: test if it was scored, else the first.

    Args:
        splits: names of the scored splits.

    Returns:
        The name of one of them.
    """
    return next(iter(sorted(splits, key=lambda split: split != "test")))


def report_split(run: Run, dataset: TextDataset, evaluation: Evaluation) -> None:
    """Write the error analysis and the plots of one split; both name it.

    Args:
        run: run opened for writing, with its metrics.
        dataset: data set that contains the predicted rows.
        evaluation: evaluation of the split.
    """
    run.write_json(run.layout.errors, analyse_errors(evaluation.predictions, _texts_of(evaluation, dataset)))
    chosen, metrics = metric(run.recipe.train.select_by, dataset.labels), evaluation.metrics
    name = run.manifest["name"]
    with replacing_folder(run.layout.plots) as folder:
        if run.history:
            plot_curves(
                run.history,
                folder / "curves",
                title=f"{name}: training and validation",
                chosen_epoch=run.manifest["chosen"].get("epoch"),
            )
        plot_split(
            evaluation.predictions,
            folder,
            title=f"{name}: {evaluation.predictions.split}, {metrics['support']:,} rows, "
            f"{chosen.title} {chosen.text(metrics[chosen.name])}",
        )


def _texts_of(evaluation: Evaluation, dataset: TextDataset) -> list[str]:
    """The texts of predictions, in their order, from any split."""
    wanted = set(evaluation.predictions.ids.tolist())
    texts = {
        name: text
        for rows in dataset.splits.values()
        for name, text in zip(column_values(rows, "id"), column_values(rows, "text"), strict=True)
        if name in wanted
    }
    return [texts[name] for name in evaluation.predictions.ids.tolist()]
