"""Errors of a model, for ``errors.json``: confused classes, and the errors with the highest confidence.

Many confident errors are wrong labels or texts that fit both classes: reading them is the cheapest way to improve the
data. `Predictions` and texts go in, plain values for JSON come out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slugline.core.errors import DataError
from slugline.core.predictions import Predictions
from slugline.evaluation.outcomes import Ints, Outcomes

#: Largest number of entries of each list, and of characters of a text.
MAX_ENTRIES, TEXT_CHARACTERS = 100, 500


def analyse_errors(predictions: Predictions, texts: Sequence[str]) -> dict[str, Any]:
    """Return the most confused classes and the most confident errors.

    Args:
        predictions: N rows, with their calibration.
        texts: N texts, in the same order.

    Returns:
        Plain values for JSON: ``split``, ``support`` (N), ``errors`` (their number), ``most_confused`` (true and
        predicted class), ``most_confused_pairs`` (both directions summed), ``most_confident`` (single texts). Lists are
        sorted, largest count or confidence first, and have at most `MAX_ENTRIES` entries.

    Raises:
        DataError: the numbers of texts and rows differ, there are no rows, or the predictions are multi-label.
    """
    if len(texts) != len(predictions):
        raise DataError(f"{len(texts)} texts for {len(predictions)} predictions.")
    outcomes = Outcomes.of(predictions)
    names = predictions.labels.names
    confused = outcomes.confusion.copy()
    np.fill_diagonal(confused, 0)
    return {
        "split": predictions.split,
        "support": len(predictions),
        "errors": int(confused.sum()),
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
    names = predictions.labels.names
    return [
        {
            "id": str(predictions.ids[row]),
            "text": _shortened(texts[row]),
            "label": names[predictions.targets[row]],
            "predicted": names[predictions.predicted[row]],
            "confidence": float(predictions.confidence[row]),
        }
        for row in order.tolist()
    ]


def _shortened(text: str) -> str:
    return text if len(text) <= TEXT_CHARACTERS else text[: TEXT_CHARACTERS - 1].rstrip() + "…"
