"""What reads runs and models: `evaluate_on`, `score_split`, `compare_runs`, `warn_of_sizes`."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from slugline.core.errors import DataError, RecipeError, RunError
from slugline.data.dataset import TextDataset, load_rows
from slugline.evaluation.compare import Comparison, compare
from slugline.evaluation.evaluate import Evaluation, evaluate, evaluate_predictions, predict
from slugline.inference.classifier import load, run_of
from slugline.pipeline.steps import dataset_of
from slugline.recipe.recipe import section_of
from slugline.recipe.sections import DataSection
from slugline.run.run import Run
from slugline.training.runtime import hardware_for

logger = logging.getLogger("slugline")

#: Share of a pre-trained model's parameters up to which one from scratch is clearly the smaller.
CLEARLY_SMALLER = 0.5


def evaluate_on(
    model: str, *, data: str = "", split: str = "test", text: Sequence[str] = (), label: str = ""
) -> Evaluation:
    """Score any model that `load` takes on any data whose labels it knows; nothing is written.

    Args:
        model: a run, a model folder, a checkpoint, or a Hub name.
        data: a known set or a path; empty = the data of the run's own recipe.
        split: of the data; data without given splits is scored whole.
        text: text columns of the data; by default those of the run, or a guess.
        label: label column of the data; a guess when empty. A set or file that a run was trained on is read with the
            columns, ``label_offset`` and ``label_map`` that its recipe gives for it; labels of other data that the
            model does not know are looked up in the recipe's label maps.

    Returns:
        Predictions, metrics, timing.

    Raises:
        DataError: the data cannot be read, has changed since the run, or has labels that the model does not know.
        RunError: no data is named, and the model is no run's.
    """
    run = run_of(Path(model)) or Run(Path(model))
    classifier = load(model, **(_as_trained(run) if run.layout.is_run() else {}))
    if data:
        section = section_of(data, clean=list(classifier.cleaning), text=list(text), label=label)
        trained = run.recipe.data if run.layout.is_run() else section
        rows = load_rows(
            _as_in(trained, section),
            classifier.labels,
            split=split,
            text=classifier.text_columns,
            label_map=_label_maps(trained),
        )
    else:
        section = run.recipe.data
        rows = _own_data(run)[split]
    name = " + ".join(place.name or place.path or place.hub for place in section.places())
    return evaluate(classifier, rows, split=split, dataset=name, calibration=classifier.calibration)


def score_split(path: Path, split: str) -> dict[str, Any]:
    """Add the figures of one more split to a complete run, as training would have written them; once.

    Args:
        path: the run's folder.
        split: of the run's own data: ``test``.

    Returns:
        What ``metrics.json`` holds of the split. Its predictions are kept as well.

    Raises:
        RunError: the run is not complete, or the disk is full.
        DataError: the data has changed since the run, or lacks the split.
    """
    run = Run(path)
    if run.state != "complete":
        raise RunError(f"{path} is {run.state}; only a complete run is scored.", hint="Finish it first.")
    if split in run.metrics:
        known: dict[str, Any] = run.metrics[split]
        return known
    dataset, recipe = _own_data(run), run.recipe
    classifier = load(path, **_as_trained(run))
    predictions = predict(classifier, dataset[split], split=split, dataset=dataset.source.name)
    evaluation = evaluate_predictions(
        replace(predictions, calibration=classifier.calibration), bootstrap=recipe.evaluation.bootstrap
    )
    run.save_predictions(evaluation.predictions, fingerprint=dataset.fingerprint)
    run.write_json(run.layout.metrics, run.metrics | {split: evaluation.metrics})
    return evaluation.metrics


def _as_trained(run: Run) -> dict[str, str]:
    """Device and precision of the training, where its device is here: others would give other figures."""
    section, manifest = run.recipe.train, run.manifest
    try:
        device = hardware_for(section).device
    except RecipeError:
        return {}
    is_same = manifest.get("hardware", {}).get("device") == device
    return {"device": device, "precision": manifest.get("precision", section.precision) if is_same else "auto"}


def _own_data(run: Run) -> TextDataset:
    """The data that a run was trained on, where they are still the same."""
    dataset = dataset_of(run.recipe, fold=run.manifest.get("fold", 0))
    if dataset.fingerprint != run.manifest["data"]["fingerprint"]:
        raise DataError(
            f"the data of {run.path} has changed since it was trained: its test rows cannot be told any more.",
            hint="Name the data with --data to score it whole.",
        )
    return dataset


def _as_in(trained: DataSection, section: DataSection) -> DataSection:
    """A place that the run was trained on is read as it was then, where the user does not say otherwise."""
    for place in trained.places():
        if (place.name, place.path, place.hub) == (section.name, section.path, section.hub):
            keys = {"label_offset": place.label_offset, "label_map": place.label_map}
            keys |= {"text": section.text or place.text, "label": section.label or place.label}
            return section.model_copy(update=keys)
    return section


def _label_maps(trained: DataSection) -> dict[str, str]:
    """The label maps of all sources as one, without the labels that they map differently."""
    entries = [entry for place in trained.places() for entry in place.label_map.items()]
    return {name: new for name, new in entries if all(other == new for known, other in entries if known == name)}


def compare_runs(paths: Sequence[Path], *, split: str = "test") -> Comparison:
    """Compare runs by the predictions in their folders.

    Args:
        paths: two runs or more, evaluated on the same rows.
        split: which of their predictions.

    Returns:
        Intervals and paired tests.

    Raises:
        RunError: a folder is no run, or was not evaluated on the split.
        DataError: the runs were not evaluated on the same rows.
    """
    names = [path.name for path in paths]
    unique = len(set(names)) == len(names)
    runs = {path.name if unique else str(path): Run(path) for path in paths}
    warn_of_sizes(runs)
    return compare({name: run.predictions(split) for name, run in runs.items()})


def warn_of_sizes(runs: Mapping[str, Run]) -> None:
    """Say so where a model that was trained from scratch is not clearly smaller than every pre-trained one beside it.

    Args:
        runs: that are compared, by the names they go by; those that are not complete are passed over.
    """
    complete = {name: run for name, run in runs.items() if run.state == "complete"}
    sizes = {name: run.metrics["size"]["parameters"] for name, run in complete.items()}
    kinds = {name: run.recipe.model.kind for name, run in complete.items()}
    tuned = [name for name, kind in kinds.items() if kind in ("encoder", "decoder")]
    if not tuned:
        return
    smallest = min(tuned, key=lambda name: sizes[name])
    for scratch in (name for name, kind in kinds.items() if kind == "scratch"):
        if sizes[scratch] > CLEARLY_SMALLER * sizes[smallest]:
            logger.warning(
                "%s, trained from scratch, has %s parameters, which is not clearly fewer than the %s of %s.",
                scratch,
                f"{sizes[scratch]:,}",
                f"{sizes[smallest]:,}",
                smallest,
            )
