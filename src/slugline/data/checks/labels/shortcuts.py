"""Check: shortcuts, single words that give a label away."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from slugline.data.checks.checked_rows import CheckedRows
from slugline.data.findings import Finding

#: Rows of train that must have the word.
MIN_SUPPORT = 20

#: Share of the rows with the word that have the label, and share of the rows with the label that have the word.
MIN_PRECISION, MIN_COVERAGE = 0.95, 0.5

#: Coverage from which the word decides nearly every row of the label.
DECIDING_COVERAGE = 0.9

#: A word must leave at most this share of the errors of a guess without it, so that frequent labels need more.
MAX_REMAINING_ERRORS = 0.1

#: Words, and runs of punctuation such as ``###`` and ``:)``.
TOKEN = r"(?u)\w+|[^\w\s]+"  # noqa: S105  # no password

#: Words of a class name, which underscores may join: ``pin_change``.
NAME_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True)
class Shortcut:
    """A word that gives a label away.

    Args:
        token: the word, in lower case.
        label: the label.
        support: rows of train with the word.
        precision: share of these rows that have the label.
        coverage: share of the rows with the label that have the word.
        is_in_name: True if the name of the label has the word, which then belongs to the subject.
    """

    token: str
    label: str
    support: int
    precision: float
    coverage: float
    is_in_name: bool

    @property
    def is_deciding(self) -> bool:
        """True if the model may learn nothing but this word."""
        return self.coverage >= DECIDING_COVERAGE and not self.is_in_name


def find_shortcuts(rows: CheckedRows) -> list[Shortcut]:
    """Find words of train that give a label away.

    Args:
        rows: rows to search.

    Returns:
        Shortcuts, those with the largest coverage first, words of the name of their label last; of words that always
        occur together all are listed.
    """
    from sklearn.feature_extraction.text import CountVectorizer

    train = rows.rows_of("train")
    texts = [rows.texts[index] for index in train]
    if len(texts) < MIN_SUPPORT:
        return []
    vectorizer = CountVectorizer(token_pattern=TOKEN, binary=True, min_df=MIN_SUPPORT, dtype=np.int64)
    try:
        vectors = vectorizer.fit_transform(texts)
    except ValueError:  # no word occurs in enough texts
        return []
    has_label = rows.has_label[train.start : train.stop].astype(np.int64)
    together = np.asarray(vectors.T @ has_label)
    support = np.asarray(vectors.sum(axis=0)).ravel()
    totals = has_label.sum(axis=0)
    precision = together / support[:, None]
    coverage = together / np.maximum(totals, 1)
    remaining = (1 - precision) / np.maximum(1 - totals / len(texts), 1e-12)
    is_found = (precision >= MIN_PRECISION) & (coverage >= MIN_COVERAGE) & (remaining <= MAX_REMAINING_ERRORS)
    tokens, labels = vectorizer.get_feature_names_out(), rows.dataset.labels.names
    found = [
        Shortcut(
            str(tokens[t]),
            labels[k],
            int(support[t]),
            float(precision[t, k]),
            float(coverage[t, k]),
            is_in_name=str(tokens[t]) in NAME_WORD.findall(labels[k].lower()),
        )
        for t, k in zip(*np.nonzero(is_found), strict=True)
    ]
    return sorted(found, key=lambda each: (each.is_in_name, -each.coverage, -each.precision, each.token))


def shortcuts(rows: CheckedRows) -> list[Finding]:
    """Find words that give a label away, such as the name of a source in each text of a class.

    Args:
        rows: rows to check.

    Returns:
        At most one finding, whose count is the number of words.
    """
    found = find_shortcuts(rows)
    if not found:
        return []
    shown = found[: rows.options.max_examples]
    return [
        Finding(
            "shortcut",
            len(found),
            f"words that give a label away in train: {len(found):,} (labels: {len({each.label for each in found}):,})",
            tuple(each.token for each in shown),
            level="warning" if any(each.is_deciding for each in found) else "note",
            advice="If such a word belongs to the subject, nothing has to be done. If it comes from the way the data "
            "was collected, such as the name of a source, remove it from the texts: the model learns nothing else.",
            excerpts=tuple(_described(rows, shown)),
        )
    ]


def _described(rows: CheckedRows, found: list[Shortcut]) -> Iterator[str]:
    train = rows.rows_of("train")
    for each in found:
        pattern = re.compile(rf"(?<!\w){re.escape(each.token)}(?!\w)", re.IGNORECASE)
        example = next((rows.ids[index] for index in train if pattern.search(rows.texts[index])), "")
        yield (
            f"{each.token!r} -> {each.label}: in {each.support:,} rows of train (such as {example}), of which "
            f"{each.precision:.1%} have this label; in {each.coverage:.1%} of the rows with this label"
            f"{', whose name has this word' if each.is_in_name else ''}"
        )
