"""`plot_split`: the plots of the errors of a split, by label kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from slugline.core.labels import Kind
from slugline.core.predictions import Predictions
from slugline.evaluation.outcomes.multi_label import MultiLabelOutcomes
from slugline.evaluation.outcomes.single_label import SingleLabelOutcomes
from slugline.evaluation.outcomes.tree import Grouping
from slugline.evaluation.plots.confusion import plot_confusion
from slugline.evaluation.plots.label_errors import plot_label_errors


def plot_split(predictions: Predictions, folder: Path, *, title: str = "") -> list[Path]:
    """Plot the errors of a split.

    Args:
        predictions: predictions of N rows, at least one.
        folder: folder to write to.
        title: title above each plot.

    Returns:
        Paths of the written files: ``confusion``, in a hierarchy also ``confusion_LEVEL`` of each level above the
        leaves; ``labels`` of a set with any number of labels a text.
    """
    return PLOTS[predictions.labels.kind](predictions, folder, title)


def _plot_confusions(predictions: Predictions, folder: Path, title: str) -> list[Path]:
    """The confusion of the classes and, in a hierarchy, of the classes of each level above them."""
    labels, confusion = predictions.labels, SingleLabelOutcomes.of(predictions).confusion
    written = plot_confusion(confusion, labels.names, folder / "confusion", title=title)
    for level, name in enumerate(labels.level_names[:-1], start=1):
        classes, _ = labels.at_level(level)
        matrix = Grouping.of(labels, level).confusion(confusion)
        written += plot_confusion(matrix, classes, folder / f"confusion_{_file_name(name)}", title=f"{title}, {name}")
    return written


def _plot_labels(predictions: Predictions, folder: Path, title: str) -> list[Path]:
    counts, labels = MultiLabelOutcomes.of(predictions).class_counts, predictions.labels
    return plot_label_errors(counts, labels.names, folder / "labels", title=title)


def _file_name(level: str) -> str:
    """The name of a level, which may be any name of a column, as a part of a file name."""
    return "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in level)


#: Kind of a label set -> function that plots the errors.
PLOTS: Mapping[Kind, Callable[[Predictions, Path, str], list[Path]]] = {
    "single": _plot_confusions,
    "hierarchical": _plot_confusions,
    "multi": _plot_labels,
}
