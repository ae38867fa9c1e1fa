"""Check: labels that are probably wrong, by confident learning (Northcutt et al. 2021)."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from slugline.core.errors import MissingExtra
from slugline.data.checks.checked_rows import CheckedRows, share_text
from slugline.data.findings import Finding

#: Rows that a class needs: with fewer, models that have not learned from a row hardly know its class.
MIN_CLASS_ROWS = 5

#: Share of rows from which suspected labels are a warning.
NOTICEABLE_SHARE = 0.01


@dataclass(frozen=True)
class Suspect:
    """A row whose label is probably wrong.

    Args:
        index: index of the row.
        suggested: the most probable class.
        probability: its probability.
        given: probability of the label that the row has.
    """

    index: int
    suggested: str
    probability: float
    given: float


def suspected_labels(rows: CheckedRows) -> list[Suspect]:
    """Find labels that are probably wrong: pruning by noise rate, from out-of-fold probabilities.

    Args:
        rows: rows of a set with one label per text, whose options have ``out_of_fold``.

    Returns:
        Suspects, the least probable label first; none if fewer than two classes have enough rows.

    Raises:
        MissingExtra: cleanlab is not installed.
    """
    if not find_spec("cleanlab"):
        raise MissingExtra("The search for wrong labels", "checks")
    classes = np.flatnonzero(rows.has_label.sum(axis=0) >= MIN_CLASS_ROWS)
    assert rows.options.out_of_fold is not None
    if len(classes) < 2:
        return []
    return suspects(rows.targets, rows.options.out_of_fold(rows.dataset), classes, rows.dataset.labels.names)


def suspects(
    targets: NDArray[np.int64], probabilities: NDArray[np.float64], classes: NDArray[np.int64], names: tuple[str, ...]
) -> list[Suspect]:
    """Apply confident learning to the rows of some classes.

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
    kept = kept / kept.sum(axis=1, keepdims=True)
    given = np.searchsorted(classes, targets[own])
    ranked = find_label_issues(
        given, kept, filter_by="prune_by_noise_rate", return_indices_ranked_by="normalized_margin", n_jobs=1
    )
    best = kept.argmax(axis=1)
    return [
        Suspect(
            index=int(own[row]),
            suggested=names[classes[best[row]]],
            probability=float(kept[row, best[row]]),
            given=float(kept[row, given[row]]),
        )
        for row in ranked
        if best[row] != given[row]
    ]


def label_noise(rows: CheckedRows) -> list[Finding]:
    """Find labels that are probably wrong, and what they should probably be.

    Args:
        rows: rows to check.

    Returns:
        At most one finding. If the search is not possible, its count is 0 and its message states why.
    """
    if rows.dataset.labels.is_multi:
        return [_not_checked("wrong labels are searched only in sets with one label per text")]
    if rows.options.out_of_fold is None:
        return []
    try:
        found = suspected_labels(rows)
    except MissingExtra as error:
        return [_not_checked(f"wrong labels were not searched: {error.message}", error.hint)]
    if not found:
        return []
    probabilities = rows.options.out_of_fold(rows.dataset)
    agreement = float((probabilities.argmax(axis=1) == rows.targets).mean())
    return [
        rows.finding(
            "label noise",
            [suspect.index for suspect in found],
            "labels that are probably wrong: {count} ({share} of all rows), according to a linear model, which agrees "
            f"with {share_text(int((probabilities.argmax(axis=1) == rows.targets).sum()), len(rows))} of the labels",
            level="warning" if len(found) >= NOTICEABLE_SHARE * len(rows) else "info",
            advice="Read some of them, the least probable labels first, and correct them in the source"
            + (
                ". --fix --fix-kinds label-noise removes them outside test."
                if agreement >= 0.7
                else "; the model is weak on this data, so that many of these labels are right."
            ),
            notes=(f"-> {each.suggested} ({each.probability:.0%} against {each.given:.0%})" for each in found),
        )
    ]


def _not_checked(reason: str, advice: str = "") -> Finding:
    return Finding("label noise", 0, reason, advice=advice)
