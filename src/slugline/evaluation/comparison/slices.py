"""Slices: in which texts runs differ, by class, by length and by confidence.

Each slice has the share of correct answers of every run. The two best runs are compared by McNemar's test, and the
p-values of one kind of slices are corrected by Holm's method.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slugline.core.predictions import Predictions
from slugline.evaluation.comparison.alignment import align
from slugline.evaluation.comparison.paired_tests import holm, mcnemar
from slugline.evaluation.outcomes.outcomes import outcomes_of

#: Slices of a quantity: quarters of the rows.
QUARTERS = 4

#: Fewer rows are no slice.
MIN_ROWS = 5


@dataclass(frozen=True)
class Slice:
    """Rows with something in common.

    Args:
        kind: ``class``, ``length`` or ``confidence``.
        name: what the rows have in common: the name of a class, or a range such as ``12 to 34``.
        support: number of rows.
        accuracy: share of correct answers by name of the run.
        p_value: p-value of the difference between the two best runs, corrected for the slices of this kind.
    """

    kind: str
    name: str
    support: int
    accuracy: dict[str, float]
    p_value: float


def slices(predictions: Mapping[str, Predictions], *, lengths: Sequence[float] | None = None) -> list[Slice]:
    """Compare runs on slices of their rows.

    Args:
        predictions: predictions of two or more runs on the same rows, by name.
        lengths: (N,) lengths of the texts in the order of the rows of the first run; None = no slices by length.

    Returns:
        Slices by class, by length if lengths are given, and by the mean confidence of the runs. Classes are in label
        order, ranges ascend.

    Raises:
        DataError: the rows or labels of the runs differ.
    """
    aligned = dict(zip(predictions, align(list(predictions.items())), strict=True))
    correct = {name: outcomes_of(each).correct for name, each in aligned.items()}
    first = next(iter(aligned.values()))
    masks = {("class", name): rows for name, rows in _of_classes(first).items()}
    if lengths is not None:
        masks |= {
            ("length", name): rows for name, rows in quarters(np.asarray(lengths, dtype=np.float64), "{:,.0f}").items()
        }
    confidence = np.mean([each.confidence for each in aligned.values()], axis=0)
    masks |= {("confidence", name): rows for name, rows in quarters(confidence, "{:.2f}").items()}
    masks = {key: rows for key, rows in masks.items() if rows.sum() >= MIN_ROWS}
    best, second = sorted(correct, key=lambda name: -correct[name].mean())[:2]
    found = []
    for kind in dict.fromkeys(kind for kind, _ in masks):
        own = {name: rows for (of_kind, name), rows in masks.items() if of_kind == kind}
        p_values = holm([mcnemar(correct[best][rows], correct[second][rows]) for rows in own.values()])
        found += [
            Slice(kind, name, int(rows.sum()), {run: float(of_run[rows].mean()) for run, of_run in correct.items()}, p)
            for (name, rows), p in zip(own.items(), p_values, strict=True)
        ]
    return found


def _of_classes(predictions: Predictions) -> dict[str, NDArray[np.bool_]]:
    """The rows of each class; in a ``multi`` set those that have a label."""
    targets = predictions.targets
    if predictions.labels.is_multi:
        return {name: targets[:, number].astype(np.bool_) for number, name in enumerate(predictions.labels.names)}
    return {name: targets == number for number, name in enumerate(predictions.labels.names)}


def quarters(values: NDArray[np.float64], form: str) -> dict[str, NDArray[np.bool_]]:
    """Divide rows into quarters by a value; equal values stay together, and so do ranges that are written alike.

    Args:
        values: (N,) value of each row.
        form: format of the ends of a range.

    Returns:
        (N,) rows of each range, by its ends in words.
    """
    borders = np.unique(np.quantile(values, np.linspace(0, 1, QUARTERS + 1)[1:-1]))
    parts = np.searchsorted(borders, values, side="left")
    masks: dict[str, NDArray[np.bool_]] = {}
    for part in np.unique(parts):
        rows = parts == part
        low, high = form.format(values[rows].min()), form.format(values[rows].max())
        name = low if low == high else f"{low} to {high}"
        masks[name] = masks[name] | rows if name in masks else rows
    return masks
