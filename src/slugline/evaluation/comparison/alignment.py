"""Predictions of several runs on the same rows: refuse runs that differ, and bring rows and classes into one order."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from slugline.core.errors import DataError
from slugline.core.labels import joined_labels
from slugline.core.predictions import Predictions


def align(named: Sequence[tuple[str, Predictions]]) -> list[Predictions]:
    """Reorder rows and classes of all predictions as in the first.

    Args:
        named: name and predictions of each run, at least one.

    Returns:
        Predictions in the same order, with equal ids, targets and labels.

    Raises:
        DataError: the rows, their labels, or the classes of two runs differ; names both and the numbers of rows.
    """
    (first_name, first), *others = named
    true_class = _true_classes(first)
    aligned = [first]
    for name, other in others:
        _check_comparable(first_name, first, name, other, true_class)
        position = {row_id: row for row, row_id in enumerate(other.ids.tolist())}
        rows = [position[row_id] for row_id in first.ids.tolist()]
        columns = [other.labels.index(label) for label in first.labels.names]
        aligned.append(
            replace(
                other,
                ids=first.ids,
                targets=first.targets,
                logits=other.logits[rows][:, columns],
                labels=first.labels,
                calibration=other.calibration and other.calibration.of_labels(columns),
            )
        )
    return aligned


def rows_digest(predictions: Predictions) -> str:
    """Return a checksum of classes, ids and labels of rows; equal for runs that `align` accepts."""
    rows = sorted(f"{row_id}\t{label}\n" for row_id, label in _true_classes(predictions).items())
    rows += sorted(predictions.labels.names)
    return hashlib.sha256("".join(rows).encode()).hexdigest()[:16]


def _true_classes(predictions: Predictions) -> dict[str, str]:
    """Class name, or names in alphabetical order, by row id: the order of the label set does not matter."""
    labels = [joined_labels(tuple(sorted(each))) for each in predictions.labels.decode(predictions.targets)]
    return dict(zip(predictions.ids.tolist(), labels, strict=True))


def _check_comparable(
    first_name: str, first: Predictions, name: str, other: Predictions, true_class: dict[str, str]
) -> None:
    """Refuse runs with other classes, rows or labels, and name how many differ."""
    refused = f"{first_name!r} and {name!r} are not comparable"
    if first.labels.kind != other.labels.kind:
        raise DataError(
            f"{refused}: the first has a {first.labels.kind} label set, the second a {other.labels.kind} one.",
            hint="Train both with the same keys of [data].",
        )
    if set(first.labels.names) != set(other.labels.names):
        unshared = sorted(set(first.labels.names) ^ set(other.labels.names))
        raise DataError(
            f"{refused}: {len(unshared)} classes are in only one of the two label sets, such as {unshared[0]!r}.",
            hint="Train and evaluate both on one data set with the same classes.",
        )
    others = _true_classes(other)
    shared = true_class.keys() & others.keys()
    relabelled = sum(true_class[row_id] != others[row_id] for row_id in shared)
    if relabelled or len(shared) < max(len(first), len(other)):
        raise DataError(
            f"{refused}: of {len(first)} and {len(other)} rows, {len(first) - len(shared)} are only in {first_name!r}, "
            f"{len(other) - len(shared)} only in {name!r}, and {relabelled} have another label.",
            hint="Train both on the same data with the same keys of [data], above all data.split_seed, and compare the "
            "same split of both.",
        )
