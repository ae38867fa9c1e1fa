"""Check: drift between splits, measured by a linear classifier that tells train from another split."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slugline.core.labels import Split
from slugline.data.checks.checked_rows import CheckedRows
from slugline.data.findings import Finding

#: Area under the ROC curve from which the splits differ noticeably, and from which they differ much.
NOTICEABLE, LARGE = 0.6, 0.75

#: Standard deviations that an area must lie above 0.5, beside `NOTICEABLE`.
DEVIATIONS = 4.0

#: Rows of each split that are compared at most, and at least.
MAX_ROWS, MIN_ROWS = 4_000, 30

FOLDS = 5
SEED = 13

#: Words of each side that the finding names.
SHOWN_WORDS = 5


def drift(rows: CheckedRows) -> list[Finding]:
    """Find splits whose texts a linear classifier can tell from those of train.

    Args:
        rows: rows to check.

    Returns:
        One finding for each such split, with the area under the ROC curve of a cross-validation (0.5: no difference)
        and the words that tell most.
    """
    findings = []
    for split in rows.split_names:
        if split == "train":
            continue
        one, other = _sample(rows, "train"), _sample(rows, split)
        if min(len(one), len(other)) < MIN_ROWS:
            continue
        measured = _separability([rows.texts[i] for i in one], [rows.texts[i] for i in other])
        if measured is None:
            continue
        area, of_train, of_split, ranking = measured
        # Standard deviation of the area for splits from one population (Mann and Whitney 1947).
        deviation = math.sqrt((len(one) + len(other) + 1) / (12 * len(one) * len(other)))
        if area < max(NOTICEABLE, 0.5 + DEVIATIONS * deviation):
            continue
        findings.append(
            rows.finding(
                "drift",
                [other[index] for index in ranking],
                f"train and {split} differ: a linear classifier tells their texts apart with an area under the ROC "
                f"curve of {area:.2f} (0.5 = no difference, 1 = always). Words of train: {', '.join(of_train)}; of "
                f"{split}: {', '.join(of_split)}",
                level="warning" if area >= LARGE else "note",
                advice=f"Find out how the splits were made. If {split} is from another time or source on purpose, its "
                "score tells how well the model does there; if not, cut the splits at random from all rows.",
            )
        )
    return findings


def _sample(rows: CheckedRows, split: Split) -> list[int]:
    """Indices of rows of a split: all, or `MAX_ROWS` at random; each distinct text once, and none of both sides."""
    others = {
        rows.keys[i] for name in rows.split_names if (name == "train") != (split == "train") for i in rows.rows_of(name)
    }
    first: dict[str, int] = {}
    for index in rows.rows_of(split):
        if rows.keys[index] and rows.keys[index] not in others:
            first.setdefault(rows.keys[index], index)
    chosen = list(first.values())
    if len(chosen) > MAX_ROWS:
        chosen = np.random.default_rng(SEED).choice(chosen, MAX_ROWS, replace=False).tolist()
    return chosen


def _separability(
    one: Sequence[str], other: Sequence[str]
) -> tuple[float, list[str], list[str], NDArray[np.int64]] | None:
    """Area under the ROC curve, words of each side, and the texts of the other side, the most typical first.

    None if the texts have no words in common that could be compared.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    try:
        vectorizer = TfidfVectorizer(sublinear_tf=True, min_df=3, max_features=30_000)
        vectors: Any = vectorizer.fit_transform([*one, *other])
    except ValueError:  # no word occurs in three texts
        return None
    is_other = np.arange(len(one) + len(other)) >= len(one)
    model = LogisticRegression(C=1.0, class_weight="balanced", max_iter=200, solver="liblinear")
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=SEED)
    scores = cross_val_predict(model, vectors, is_other, cv=folds, method="decision_function")
    model.fit(vectors, is_other)
    words = vectorizer.get_feature_names_out()
    order = np.argsort(model.coef_[0], kind="stable")
    ranking = np.argsort(-scores[is_other], kind="stable")
    return (
        float(roc_auc_score(is_other, scores)),
        words[order[:SHOWN_WORDS]].tolist(),
        words[order[::-1][:SHOWN_WORDS]].tolist(),
        ranking,
    )
