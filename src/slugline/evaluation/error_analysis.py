"""Errors of a model, for ``errors.json``: confused classes, and the errors with the highest confidence.

Many confident errors are wrong labels or texts that fit both classes: reading them is the cheapest way to improve the
data. `Predictions` and texts go in, plain values for JSON come out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slugline.core.errors import DataError
from slugline.core.labels import Kind, joined_labels
from slugline.core.predictions import Predictions
from slugline.evaluation.outcomes.outcomes import Outcomes, outcomes_of
from slugline.evaluation.outcomes.statistics import Ints
from slugline.evaluation.outcomes.tree import errors_by_level

#: Largest number of entries of each list, and of characters of a text.
MAX_ENTRIES, TEXT_CHARACTERS = 100, 500


def analyse_errors(predictions: Predictions, texts: Sequence[str]) -> dict[str, Any]:
    """Return the most confused classes and the most confident errors.

    In a ``multi`` set, a row that misses a label and wrongly gets another confuses the two.

    Args:
        predictions: N rows, with their calibration.
        texts: N texts, in the same order.

    Returns:
        Plain values for JSON: ``split``, ``support`` (N), ``errors`` (number of wrong rows), ``most_confused`` (true
        and predicted class), ``most_confused_pairs`` (both directions summed), ``most_confident`` (single texts); in a
        hierarchical set also ``by_highest_wrong_level``, in a ``multi`` set ``missed`` and ``added`` (counts of single
        labels). Lists are sorted, largest count or confidence first, and have at most `MAX_ENTRIES` entries.

    Raises:
        DataError: the numbers of texts and rows differ, or there are no rows.
    """
    if len(texts) != len(predictions):
        raise DataError(f"{len(texts)} texts for {len(predictions)} predictions.")
    outcomes = outcomes_of(predictions)
    names, confused = predictions.labels.names, outcomes.confusions
    return {
        "split": predictions.split,
        "support": len(predictions),
        "errors": int((~outcomes.correct).sum()),
        **ERRORS_OF[predictions.labels.kind](predictions, outcomes),
        "most_confused": [
            {"true": names[true], "predicted": names[predicted], "count": count}
            for true, predicted, count in largest_confusions(confused)[:MAX_ENTRIES]
        ],
        "most_confused_pairs": [
            {"labels": [names[first], names[second]], "count": count}
            for first, second, count in largest_confusions(np.triu(confused + confused.T))[:MAX_ENTRIES]
        ],
        "most_confident": _most_confident(predictions, texts, ~outcomes.correct),
    }


def _by_level(predictions: Predictions, outcomes: Outcomes) -> dict[str, Any]:
    """Numbers of errors by the highest level that is wrong."""
    return {"by_highest_wrong_level": errors_by_level(outcomes.confusions, predictions.labels)}


def _by_label(predictions: Predictions, outcomes: Outcomes) -> dict[str, Any]:
    """Numbers of rows that miss a label, and of rows that wrongly get it."""
    counts, names = outcomes.class_counts, predictions.labels.names
    parts = {"missed": counts.support - counts.hits, "added": counts.predicted - counts.hits}
    return {
        part: [
            {"label": names[label], "count": int(rows[label])}
            for label in np.argsort(-rows, kind="stable")[:MAX_ENTRIES]
            if rows[label]
        ]
        for part, rows in parts.items()
    }


#: Kind of a label set -> function from predictions and outcomes to what ``errors.json`` has besides.
ERRORS_OF: Mapping[Kind, Callable[[Predictions, Outcomes], dict[str, Any]]] = {
    "single": lambda predictions, outcomes: {},
    "hierarchical": _by_level,
    "multi": _by_label,
}


def largest_confusions(confusion: Ints) -> list[tuple[int, int, int]]:
    """Return the cells of a confusion matrix outside its diagonal that are above 0, the largest first.

    Args:
        confusion: (K, K) counts, true classes in rows.

    Returns:
        (true class, predicted class, count); equal counts in the order of the matrix.
    """
    off_diagonal = confusion * (1 - np.eye(len(confusion), dtype=np.int64))
    rows, columns = np.nonzero(off_diagonal)
    values = off_diagonal[rows, columns]
    order = np.argsort(-values, kind="stable")
    return list(zip(rows[order].tolist(), columns[order].tolist(), values[order].tolist(), strict=True))


def _most_confident(
    predictions: Predictions, texts: Sequence[str], is_error: NDArray[np.bool_]
) -> list[dict[str, Any]]:
    errors = np.flatnonzero(is_error)
    order = errors[np.argsort(-predictions.confidence[errors], kind="stable")][:MAX_ENTRIES]
    true, predicted = (predictions.labels.decode(each[order]) for each in (predictions.targets, predictions.predicted))
    return [
        {
            "id": str(predictions.ids[row]),
            "text": _shortened(texts[row]),
            "label": joined_labels(true[position]),
            "predicted": joined_labels(predicted[position]),
            "confidence": float(predictions.confidence[row]),
        }
        for position, row in enumerate(order.tolist())
    ]


def _shortened(text: str) -> str:
    return text if len(text) <= TEXT_CHARACTERS else text[: TEXT_CHARACTERS - 1].rstrip() + "…"
