"""`evaluate_on` scores a model on any data; `score_split` adds the scores of a split to a complete run."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from slugline.core.errors import DataError, RecipeError, RunError, nearest
from slugline.core.labels import LabelSet
from slugline.core.messages import visible_messages
from slugline.data.load import load_rows
from slugline.data.reading.formats import GUESSED, Reading
from slugline.evaluation.evaluate import evaluate, predict
from slugline.evaluation.score import Evaluation, score
from slugline.inference.classifier import Classifier
from slugline.inference.load import load, run_of
from slugline.pipeline.learned_rows import leave_out_learned
from slugline.pipeline.out_of_scope import add_abstention
from slugline.pipeline.run_data import own_data
from slugline.pipeline.steps import report_split, reported_split
from slugline.recipe.data_section import DataSection
from slugline.recipe.locations import located_path, short_path
from slugline.recipe.recipe import section_of
from slugline.run.run import Run
from slugline.training.runtime import hardware_for

if TYPE_CHECKING:
    import datasets

logger = logging.getLogger(__name__)


@visible_messages()
def evaluate_on(
    model: Classifier | Run | str | Path,
    data: datasets.Dataset | str | Path = "",
    *,
    split: str = "test",
    text: str | Sequence[str] = (),
    label: str = "",
    label_map: Mapping[str, str] | None = None,
    unlabelled: Literal["refuse", "drop"] = "refuse",
    reading: Reading = GUESSED,
    learned: Literal["drop", "keep"] = "drop",
    dataset: str = "",
    bootstrap: int = 1000,
    seed: int = 13,
) -> Evaluation:
    """Score any model that `load` takes on any data with the same labels; nothing is written.

    Data that a run was trained on is read with the columns, ``label_offset`` and ``label_map`` of its recipe. Unknown
    labels of other data are looked up in the label maps of the recipe.

    Args:
        model: a classifier from `load`, a run or its folder, a model folder, a checkpoint, or a Hub name.
        data: a known set, a path, or rows with columns ``id``, ``text`` and ``label``; empty = the data of the run's
            own recipe.
        split: name of a split of the data; all rows are scored if the data has no given splits.
        text: text column or columns of the data; by default those of the run, or a guess.
        label: label column of the data; guessed when empty.
        label_map: classes of the model by label of the data, for labels that have another name in the model.
        unlabelled: ``drop`` leaves out rows without a label.
        reading: encoding, header and delimiter of the data, as far as they are stated.
        learned: ``drop`` leaves out rows of the given data that the run has learned from; ``keep`` scores them too.
        dataset: name of the data; by default that of its source.
        bootstrap: number of bootstrap resamples for the confidence intervals; 0 = no intervals.
        seed: seed of the bootstrap.

    Returns:
        Predictions, metrics, timing. If rows were left out, the metrics have ``left_out``: their number and first ids.

    Raises:
        DataError: the data cannot be read, has changed since the run, or has labels that are not in the label set; or
            the run has learned from all its rows, or a label map is given without a source to read.
        RunError: no data is given, and the model does not belong to a run.
    """
    if learned not in ("drop", "keep"):
        raise DataError(f"learned is {learned!r}; it can be 'drop' or 'keep'.{nearest(learned, ['drop', 'keep'])}")
    run = _run_of(model)
    classifier = model if isinstance(model, Classifier) else load(model, **(_training_hardware(run) if run else {}))
    keys: dict[str, Any] = {"text": [text] if isinstance(text, str) else text, "label": label, "unlabelled": unlabelled}
    keys |= {"encoding": reading.encoding, "header": reading.header, "delimiter": reading.delimiter}
    read, left_out = _read_rows(data, run, classifier, split=split, label_map=label_map or {}, **keys), None
    rows = read.rows
    if run and learned == "drop" and not read.is_run_data:
        rows, left_out = leave_out_learned(rows, run, is_own_source=read.is_own_source)
    if run is None and classifier.is_copied:
        logger.warning("The rows that %s has learned from are not known: the run knows them.", classifier.name)
    evaluation = evaluate(
        classifier,
        rows,
        split=split,
        dataset=dataset or read.name,
        calibration=classifier.calibration,
        bootstrap=bootstrap,
        seed=seed,
    )
    if left_out is None:
        return evaluation
    return replace(evaluation, metrics=evaluation.metrics | {"left_out": left_out.to_dict()})


class _Rows(NamedTuple):
    """Rows to score, the name of their data, and whether they are the run's own split, or from one of its sources."""

    rows: datasets.Dataset
    name: str = ""
    is_run_data: bool = False
    is_own_source: bool = False


def _read_rows(
    data: datasets.Dataset | str | Path,
    run: Run | None,
    classifier: Classifier,
    *,
    split: str,
    label_map: Mapping[str, str],
    **keys: Any,
) -> _Rows:
    if label_map and (not isinstance(data, (str, Path)) or not str(data)):
        raise DataError("a label map is given, but no source to read.", hint="Give a path or a known set: --data.")
    if not isinstance(data, (str, Path)):
        columns = getattr(data, "column_names", [])
        if not {"id", "text", "label"} <= set(columns):
            raise DataError(
                "rows to evaluate are a path, a known set, or a datasets.Dataset with columns id, text and label, not "
                f"{type(data).__name__}.",
                hint="Write the table to a file, and give its path.",
            )
        return _Rows(data)
    if not str(data):
        if run is None:
            raise RunError("the model belongs to no run, which would name its data.", hint="Give data to score.")
        return _Rows(own_data(run)[split], _name_of(run.recipe.data), is_run_data=True)
    section = section_of(str(data), clean=list(classifier.cleaning), **keys | {"text": list(keys["text"])})
    section = section.model_copy(update={"path": located_path(section.path, Path.cwd())})
    trained = run.recipe.data if run else section
    rows = load_rows(
        _with_training_keys(section, trained),
        classifier.labels,
        split=split,
        text=classifier.text_columns,
        label_map=_other_names(trained, classifier.labels) | dict(label_map),
    )
    return _Rows(rows, _name_of(section), is_own_source=run is not None and _is_source_of(section, trained))


def _run_of(model: Classifier | Run | str | Path) -> Run | None:
    """The run that a model belongs to, or None."""
    if isinstance(model, Classifier):
        return Run(model.run_path) if model.run_path else None
    run = model if isinstance(model, Run) else run_of(Path(model)) or Run(Path(model))
    return run if run.layout.is_run() else None


def _name_of(section: DataSection) -> str:
    names = [source.name or short_path(source.path) or source.hub or source.query for source in section.all_sources()]
    return " + ".join(names)


def _is_source_of(section: DataSection, trained: DataSection) -> bool:
    return section.address in [source.address for source in trained.all_sources()]


def score_split(path: str | Path | Run, split: str) -> dict[str, Any]:
    """Score one more split of a complete run, with the result that training would have given. Scored splits are kept.

    Errors and plots are then about this split if it is the one to report.

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
        scores: dict[str, Any] = run.metrics[split]
        return scores
    dataset, recipe = own_data(run), run.recipe
    classifier = load(run, **_training_hardware(run))
    predictions = predict(classifier, dataset[split], split=split, dataset=dataset.source.name)
    evaluation = score(replace(predictions, calibration=classifier.calibration), bootstrap=recipe.evaluation.bootstrap)
    if known := run.metrics.get("validation", {}).get("out_of_scope"):
        threshold, bootstrap = known["abstain_below"], recipe.evaluation.bootstrap
        evaluation = add_abstention(classifier, dataset, evaluation, threshold=threshold, bootstrap=bootstrap)
    run.save_predictions(evaluation.predictions, fingerprint=dataset.fingerprint)
    run.write_json(run.layout.metrics, run.metrics | {split: evaluation.metrics})
    if reported_split(run.scored_splits) == split:
        report_split(run, dataset, evaluation)
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


def _with_training_keys(section: DataSection, trained: DataSection) -> DataSection:
    """The section with columns, offset and label map of the training, if the run was trained on the same source."""
    for source in trained.all_sources():
        if source.address == section.address:
            keys: dict[str, Any] = {"label_offset": source.label_offset, "label_map": source.label_map}
            keys |= {"text": section.text or source.text, "label": section.label or source.label, "id": trained.id}
            keys |= {"label_delimiter": section.label_delimiter or source.label_delimiter}
            keys |= {"header": source.header if section.header is None else section.header}
            keys |= {each: getattr(section, each) or getattr(source, each) for each in ("encoding", "delimiter")}
            return section.model_copy(update=keys)
    return section


def _other_names(trained: DataSection, labels: LabelSet) -> dict[str, str]:
    """The label maps of all sources as one, without labels that are classes, or that the maps rename differently."""
    entries = [entry for source in trained.all_sources() for entry in source.label_map.items()]
    maps = {name: new for name, new in entries if all(other == new for known, other in entries if known == name)}
    return {name: new for name, new in maps.items() if name not in labels.names and new in labels.names}
