"""`evaluate_on` scores a model on any data; `score_split` adds the scores of a split to a complete run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from slugline.core.errors import DataError, RecipeError, RunError
from slugline.core.messages import visible_messages
from slugline.data.dataset import TextDataset, load_rows
from slugline.evaluation.evaluate import evaluate, predict
from slugline.evaluation.score import Evaluation, score
from slugline.inference.load import load, run_of
from slugline.pipeline.run_data import dataset_of
from slugline.recipe.data_section import DataSection
from slugline.recipe.locations import located_path
from slugline.recipe.recipe import section_of
from slugline.run.run import Run
from slugline.training.runtime import hardware_for


@visible_messages()
def evaluate_on(
    model: str | Path | Run, *, data: str | Path = "", split: str = "test", text: Sequence[str] = (), label: str = ""
) -> Evaluation:
    """Score any model that `load` takes on any data with the same labels; nothing is written.

    Data that a run was trained on is read with the columns, ``label_offset`` and ``label_map`` of its recipe. Unknown
    labels of other data are looked up in the label maps of the recipe.

    Args:
        model: a run or its folder, a model folder, a checkpoint, or a Hub name.
        data: a known set or a path; empty = the data of the run's own recipe.
        split: name of a split of the data; all rows are scored if the data has no given splits.
        text: text columns of the data; by default those of the run, or a guess.
        label: label column of the data; guessed when empty.

    Returns:
        Predictions, metrics, timing.

    Raises:
        DataError: the data cannot be read, has changed since the run, or has labels that are not in the label set.
        RunError: no data is given, and the model does not belong to a run.
    """
    model = model.path if isinstance(model, Run) else model
    run = run_of(Path(model)) or Run(Path(model))
    classifier = load(model, **(_training_hardware(run) if run.layout.is_run() else {}))
    if data:
        section = section_of(str(data), clean=list(classifier.cleaning), text=list(text), label=label)
        section = section.model_copy(update={"path": located_path(section.path, Path.cwd())})
        trained = run.recipe.data if run.layout.is_run() else section
        rows = load_rows(
            _with_training_keys(section, trained),
            classifier.labels,
            split=split,
            text=classifier.text_columns,
            label_map=_joined_label_map(trained),
        )
    else:
        section = run.recipe.data
        rows = _own_data(run)[split]
    name = " + ".join(source.name or source.path or source.hub for source in section.all_sources())
    return evaluate(classifier, rows, split=split, dataset=name, calibration=classifier.calibration)


def score_split(path: str | Path | Run, split: str) -> dict[str, Any]:
    """Score one more split of a complete run, with the result that training would have given. Scored splits are kept.

    Args:
        path: the run, or its folder.
        split: name of a split of the run's own data: ``test``.

    Returns:
        The metrics of the split, which are added to ``metrics.json``; its predictions are saved too.

    Raises:
        RunError: the run is not complete, or the disk is full.
        DataError: the data has changed since the run, or lacks the split.
    """
    run = path if isinstance(path, Run) else Run(Path(path))
    if run.state != "complete":
        raise RunError(f"{run.path} is {run.state}; only a complete run can be scored.", hint="Finish it first.")
    if split in run.metrics:
        known: dict[str, Any] = run.metrics[split]
        return known
    dataset, recipe = _own_data(run), run.recipe
    classifier = load(run, **_training_hardware(run))
    predictions = predict(classifier, dataset[split], split=split, dataset=dataset.source.name)
    evaluation = score(replace(predictions, calibration=classifier.calibration), bootstrap=recipe.evaluation.bootstrap)
    run.save_predictions(evaluation.predictions, fingerprint=dataset.fingerprint)
    run.write_json(run.layout.metrics, run.metrics | {split: evaluation.metrics})
    return evaluation.metrics


def _training_hardware(run: Run) -> dict[str, str]:
    """Device and precision of the training if the device is available here; others would give other metrics."""
    section, manifest = run.recipe.train, run.manifest
    try:
        device = hardware_for(section).device
    except RecipeError:
        return {}
    is_same = manifest.get("hardware", {}).get("device") == device
    return {"device": device, "precision": manifest.get("precision", section.precision) if is_same else "auto"}


def _own_data(run: Run) -> TextDataset:
    """The data that a run was trained on, if it has not changed."""
    dataset = dataset_of(run.recipe, fold=run.manifest.get("fold", 0))
    if dataset.fingerprint != run.manifest["data"]["fingerprint"]:
        raise DataError(
            f"the data of {run.path} has changed since its training: its test rows can no longer be identified.",
            hint="Give the data with --data to score all of it.",
        )
    return dataset


def _with_training_keys(section: DataSection, trained: DataSection) -> DataSection:
    """The section with columns, offset and label map of the training, if the run was trained on the same source."""
    for source in trained.all_sources():
        if (source.name, source.path, source.hub) == (section.name, section.path, section.hub):
            keys = {"label_offset": source.label_offset, "label_map": source.label_map}
            keys |= {"text": section.text or source.text, "label": section.label or source.label}
            return section.model_copy(update=keys)
    return section


def _joined_label_map(trained: DataSection) -> dict[str, str]:
    """The label maps of all sources as one, without the labels that they map differently."""
    entries = [entry for source in trained.all_sources() for entry in source.label_map.items()]
    return {name: new for name, new in entries if all(other == new for known, other in entries if known == name)}
