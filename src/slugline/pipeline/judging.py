"""What reads runs and models: `evaluate_on`, `compare_runs`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from slugline.data.dataset import load_dataset, load_rows
from slugline.errors import DataError
from slugline.evaluation.compare import Comparison, compare
from slugline.evaluation.evaluate import Evaluation, evaluate
from slugline.models.classifier import load, owner_of
from slugline.recipe import section_of
from slugline.run import Run
from slugline.sections import DataSection


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
    classifier = load(model)
    run = owner_of(Path(model)) or Run(Path(model))
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
        dataset = load_dataset(section)
        if dataset.fingerprint != run.manifest["data"]["fingerprint"]:
            raise DataError(
                f"the data of {run.path} has changed since it was trained: its test rows cannot be told any more.",
                mend="Name the data with --data to score it whole.",
            )
        rows = dataset[split]
    name = " + ".join(place.name or place.path or place.hub for place in section.places())
    return evaluate(classifier, rows, split=split, dataset=name, calibration=classifier.calibration)


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
    return compare({path.name if unique else str(path): Run(path).predictions(split) for path in paths})
