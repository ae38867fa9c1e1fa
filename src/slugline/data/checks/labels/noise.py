"""Check: labels that are probably wrong, by confident learning (Northcutt et al. 2021)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from slugline.core.errors import MissingExtra, SluglineError
from slugline.core.labels import Kind, RowLabels, joined_labels
from slugline.data.checks.checked_rows import CheckedRows
from slugline.data.findings import Finding

#: Rows that a class needs: with fewer, models that have not learned from a row hardly know its class.
MIN_CLASS_ROWS = 5

#: Share of rows from which suspected labels are a warning.
NOTICEABLE_SHARE = 0.01

#: Share of the given labels that the linear model has to predict to be trusted.
MIN_AGREEMENT = 0.85

#: With a weaker model, labels are only suspected if it gives them at most this probability.
MAX_GIVEN_OF_WEAK_MODEL = 0.01


@dataclass(frozen=True)
class Suspect:
    """A row whose labels are probably wrong.

    Args:
        index: index of the row.
        suggested: the labels that it should probably have.
        given: probability of the label that it has; of several, of the least probable one, lacking labels included.
    """

    index: int
    suggested: RowLabels
    given: float


def suspected_labels(rows: CheckedRows) -> list[Suspect]:
    """Find labels that are probably wrong: pruning by noise rate, from out-of-fold probabilities.

    Args:
        rows: rows whose options have ``out_of_fold``.

    Returns:
        Suspects, the least probable label first; none if fewer than two classes have enough rows.

    Raises:
        MissingExtra: cleanlab is not installed.
        SluglineError: no model can be fitted to the rows.
    """
    if not find_spec("cleanlab"):
        raise MissingExtra("The search for wrong labels", "checks")
    classes = np.array([k for k, count in enumerate(rows.has_label.sum(axis=0)) if count >= MIN_CLASS_ROWS], dtype=int)
    if len(classes) < 2:
        return []
    found = SEARCHES[rows.dataset.labels.kind](rows.targets, rows.probabilities, classes, rows.dataset.labels.names)
    most = 1.0 if _agreement(rows) >= MIN_AGREEMENT else MAX_GIVEN_OF_WEAK_MODEL
    return [suspect for suspect in found if suspect.given <= most]


def suspects_of_one_label(
    targets: NDArray[np.generic], probabilities: NDArray[np.float64], classes: NDArray[np.int64], names: tuple[str, ...]
) -> list[Suspect]:
    """Apply confident learning to texts with one label each.

    Args:
        targets: (N,) classes of the rows, as indices.
        probabilities: (N, K) out-of-fold probabilities.
        classes: indices of the classes to which the search is limited.
        names: the K class names.

    Returns:
        Suspects, the least probable label first.
    """
    from cleanlab.filter import find_label_issues

    own = np.flatnonzero(np.isin(targets, classes))
    kept = probabilities[np.ix_(own, classes)]
    kept = kept / np.maximum(kept.sum(axis=1, keepdims=True), 1e-12)
    given = np.searchsorted(classes, targets[own])
    ranked = find_label_issues(
        given, kept, filter_by="prune_by_noise_rate", return_indices_ranked_by="normalized_margin", n_jobs=1
    )
    best = kept.argmax(axis=1)
    return [
        Suspect(int(own[row]), (names[classes[best[row]]],), float(kept[row, given[row]]))
        for row in ranked
        if best[row] != given[row]
    ]


def suspects_of_any_labels(
    targets: NDArray[np.generic], probabilities: NDArray[np.float64], classes: NDArray[np.int64], names: tuple[str, ...]
) -> list[Suspect]:
    """Apply confident learning to each label of a multi-label set: is it there, or is it lacking?

    Args:
        targets: (N, K) True for the labels of each row.
        probabilities: (N, K) out-of-fold probabilities.
        classes: indices of the labels to which the search is limited.
        names: the K class names.

    Returns:
        Suspects, the least probable label first.
    """
    from cleanlab.filter import find_label_issues

    has_label = np.asarray(targets, dtype=np.bool_)
    flipped = np.zeros_like(has_label)
    for label in classes:
        is_present, p = has_label[:, label], probabilities[:, label]
        if is_present.all():
            continue
        binary = np.stack([1 - p, p], axis=1)
        found = find_label_issues(is_present.astype(int), binary, filter_by="prune_by_noise_rate", n_jobs=1)
        flipped[:, label] = found & ((p >= 0.5) != is_present)
    # A model misses labels more often than people invent them: a row does not lose its only label for nothing.
    flipped[has_label.any(axis=1) & ~(has_label ^ flipped).any(axis=1)] = False
    own = np.where(has_label, probabilities, 1 - probabilities)
    least = np.where(flipped, own, 1.0).min(axis=1)
    return [
        Suspect(
            int(row),
            tuple(names[label] for label in np.flatnonzero(has_label[row] ^ flipped[row])),
            float(least[row]),
        )
        for row in np.argsort(least, kind="stable")[: int(flipped.any(axis=1).sum())]
    ]


#: Kind of a label set -> search of its wrong labels, from targets, probabilities, classes and names.
SEARCHES: dict[Kind, Callable[..., list[Suspect]]] = {
    "single": suspects_of_one_label,
    "hierarchical": suspects_of_one_label,
    "multi": suspects_of_any_labels,
}


def label_noise(rows: CheckedRows) -> list[Finding]:
    """Find labels that are probably wrong, and what they should probably be.

    Args:
        rows: rows to check.

    Returns:
        At most one finding. If the search is not possible, its count is 0 and its message states why.
    """
    if rows.options.out_of_fold is None:
        return []
    try:
        found = suspected_labels(rows)
    except SluglineError as error:
        message = f"wrong labels were not searched: {error.message}"
        return [Finding("label noise", 0, message, advice=error.hint)]
    if not found:
        return []
    agreement = _agreement(rows)
    is_strong = agreement >= MIN_AGREEMENT
    return [
        rows.finding(
            "label noise",
            [suspect.index for suspect in found],
            f"rows whose labels {'are probably' if is_strong else 'may be'} wrong: {{count}} ({{share}} of all rows). "
            "A linear model that has not seen these rows gives them other labels; it agrees with "
            f"{agreement:.0%} of all labels of the set",
            level="warning" if is_strong and len(found) >= NOTICEABLE_SHARE * len(rows) else "note",
            advice=_STRONG_ADVICE if is_strong else _WEAK_ADVICE,
            notes=(
                f"-> suggested [{joined_labels(each.suggested)}]; probability of the given label: {each.given:.1%}"
                for each in found
            ),
        )
    ]


_STRONG_ADVICE = (
    "Read some of them, the least probable labels come first, and correct them in the source. --fix --fix-kinds "
    "label-noise removes these rows from train and validation."
)
_WEAK_ADVICE = (
    "Read some of them, the least probable labels come first. The linear model is weak on this set: only labels to "
    f"which it gives at most {MAX_GIVEN_OF_WEAK_MODEL:.0%} are listed, and many of them are right all the same. Do not "
    "remove the rows unread."
)


def _agreement(rows: CheckedRows) -> float:
    """Share of the given labels that the model predicts."""
    if rows.dataset.labels.is_multi:
        return float((rows.probabilities >= 0.5)[rows.has_label].mean())
    return float((rows.probabilities.argmax(axis=1) == rows.targets).mean())
