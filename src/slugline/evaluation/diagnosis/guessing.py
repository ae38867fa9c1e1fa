"""Models that are no better than one without any knowledge of the texts, for every kind of labels."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from slugline.evaluation.diagnosis.evidence import Evidence, interval

#: A model collapsed if this share of its predictions is one class.
COLLAPSED = 0.99

#: Difference by which macro F1 and mean average precision may exceed those of guessing by chance.
TOLERANCE = 0.05


@dataclass(frozen=True)
class Guessing:
    """A model that is no better than guessing.

    Args:
        message: what was found, in a sentence.
        numbers: evidence by name.
    """

    message: str
    numbers: dict[str, float]


def no_better_than_guessing(evidence: Evidence) -> Guessing | None:
    """Compare the scores on validation with those of a model that does not read the texts; None if they are better."""
    return next((found for check in CHECKS if (found := check(evidence))), None)


def loss_of_guessing(evidence: Evidence) -> float:
    """Return the loss of equal probabilities of all classes; of the shares of the labels where texts have several."""
    scores = evidence.validation["per_class"].values()
    if "mean_average_precision" not in evidence.validation:
        return math.log(len(scores))
    shares = [each["support"] / evidence.n_validation for each in scores]
    return sum(_entropy(share) for share in shares) / len(shares)


def _entropy(share: float) -> float:
    return -sum(part * math.log(part) for part in (share, 1 - share) if part > 0)


def _like_one_class(evidence: Evidence) -> Guessing | None:
    """One label a text: no better than always predicting the most frequent class."""
    scores, n_rows = evidence.validation, evidence.n_validation
    matrix = scores.get("confusion_matrix", [])
    if not matrix or not n_rows:
        return None
    names, supports = list(scores["per_class"]), [sum(row) for row in matrix]
    share = max(supports) / n_rows
    low, _ = interval(scores["accuracy"], n_rows)
    predicted = [sum(row[column] for row in matrix) for column in range(len(names))]
    occurring = sum(bool(rows or answers) for rows, answers in zip(supports, predicted, strict=True))
    # Random predictions, and always the same prediction, have a macro F1 of at most 1 / K for K occurring classes.
    if occurring < 2 or low > share or scores["f1_macro"] > 1 / occurring + TOLERANCE:
        return None
    most = max(predicted)
    message = (
        f"Accuracy of {scores['accuracy']:.1%} {evidence.where} is not significantly better than always predicting "
        f"{names[supports.index(max(supports))]} ({share:.1%})."
    )
    if most >= COLLAPSED * n_rows:
        message += (
            f" {most / n_rows:.0%} of the predictions are {names[predicted.index(most)]}: the model has collapsed."
        )
    numbers = {"accuracy": scores["accuracy"], "majority_share": share, "largest_answer_share": most / n_rows}
    return Guessing(message, numbers)


def _like_random_order(evidence: Evidence) -> Guessing | None:
    """Any number of labels a text: the texts of a label get no higher scores for it than other texts."""
    scores, n_rows = evidence.validation, evidence.n_validation
    precision = scores.get("mean_average_precision")
    supports = [each["support"] for each in scores.get("per_class", {}).values() if each["support"]]
    if precision is None or not supports or not n_rows:
        return None
    share = sum(supports) / len(supports) / n_rows
    low, _ = scores.get("confidence_intervals", {}).get("mean_average_precision", (share, share))
    if low > share or precision > share + TOLERANCE:
        return None
    message = (
        f"Mean average precision of {precision:.1%} {evidence.where} is not significantly better than sorting the "
        f"texts at random ({share:.1%})."
    )
    return Guessing(message, {"mean_average_precision": precision, "mean_label_share": share})


#: Checks by metrics that only some kinds of label sets have.
CHECKS: tuple[Callable[[Evidence], Guessing | None], ...] = (_like_one_class, _like_random_order)
