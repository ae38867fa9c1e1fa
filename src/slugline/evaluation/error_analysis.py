"""Where a model goes wrong, for ``errors.json``: the classes it confuses, and the mistakes that it was surest of.

Many of the latter are wrong labels or texts that belong to both classes: reading them is the cheapest way to better
data. `Predictions` and texts go in, plain values for JSON come out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from slugline.core.errors import DataError
from slugline.core.predictions import Predictions
from slugline.evaluation.metrics import Ints, Outcomes

#: Entries of each list at most, and characters of a text.
MAX_ENTRIES, TEXT_CHARACTERS = 100, 500


def analyse_errors(predictions: Predictions, texts: Sequence[str]) -> dict[str, Any]:
    """What was confused with what, and the most confident mistakes.

    Args:
        predictions: N rows, with their calibration.
        texts: N texts, in the same order.

    Returns:
        Plain values for JSON: ``support`` (N), ``mistakes`` (their number), ``most_confused`` (true class taken for
        another), ``most_confused_pairs`` (both directions summed), ``most_confident`` (single texts); lists begin
        with the worst and hold at most 100 entries.

    Raises:
        DataError: the numbers of texts and rows differ, there are no rows, or texts have several labels.
    """
    if len(texts) != len(predictions):
        raise DataError(f"{len(texts)} texts for {len(predictions)} predictions.")
    outcomes = Outcomes.of(predictions)
    names = predictions.labels.names
    confused = outcomes.confusion.copy()
    np.fill_diagonal(confused, 0)
    return {
        "support": len(predictions),
        "mistakes": int(confused.sum()),
        "most_confused": [
            {"true": names[true], "predicted": names[predicted], "count": count}
            for true, predicted, count in _largest(confused)
        ],
        "most_confused_pairs": [
            {"labels": [names[first], names[second]], "count": count}
            for first, second, count in _largest(np.triu(confused + confused.T))
        ],
        "most_confident": _most_confident(predictions, texts, ~outcomes.correct),
    }


def _largest(counts: Ints) -> list[tuple[int, int, int]]:
    """(row, column, count) of the largest cells above 0; equal ones in the order of the matrix."""
    rows, columns = np.nonzero(counts)
    values = counts[rows, columns]
    order = np.argsort(-values, kind="stable")[:MAX_ENTRIES]
    return list(zip(rows[order].tolist(), columns[order].tolist(), values[order].tolist(), strict=True))


def _most_confident(predictions: Predictions, texts: Sequence[str], is_wrong: Any) -> list[dict[str, Any]]:
    wrong = np.flatnonzero(is_wrong)
    order = wrong[np.argsort(-predictions.confidence[wrong], kind="stable")][:MAX_ENTRIES]
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
