"""Checks of the rows of each class: imbalance, rare classes, classes that a split lacks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from slugline.core.labels import Split
from slugline.data.checks.checked_rows import CheckedRows, rows_text
from slugline.data.findings import Finding, Level
from slugline.data.preparing.statistics import imbalance as imbalance_of

#: Rows of the largest class per row of the smallest from which there is a finding, and from which it is a warning.
NOTICEABLE_IMBALANCE, LARGE_IMBALANCE = 10.0, 50.0

#: A class with fewer rows in train is rare: with the default fractions it has one row or none in the other splits.
MIN_ROWS = 5


def imbalance(rows: CheckedRows) -> list[Finding]:
    """Find a large imbalance of the classes of train.

    Args:
        rows: rows to check.

    Returns:
        At most one finding.
    """
    counts = _counts(rows, "train")
    names = rows.dataset.labels.names
    ratio = imbalance_of(dict(zip(names, counts.tolist(), strict=True)))
    if ratio < NOTICEABLE_IMBALANCE:
        return []
    order = [int(index) for index in np.argsort(-counts, kind="stable") if counts[index]]
    largest, smallest = order[0], order[-1]
    smaller = [names[index] for index in order[::-1] if counts[largest] >= NOTICEABLE_IMBALANCE * counts[index]]
    level: Level = "warning" if ratio >= LARGE_IMBALANCE else "note"
    return [
        _about_classes(
            rows,
            "imbalance",
            smaller,
            f"the largest class of train, {names[largest]!r} ({rows_text(counts[largest])}), has {ratio:,.0f} times "
            f"the rows of the smallest, {names[smallest]!r} ({rows_text(counts[smallest])})",
            level=level,
            advice='Judge models by f1_macro, not by accuracy. train.class_weights or data.sampling = "balanced" '
            "give rare classes more weight.",
            counts=counts,
        )
    ]


def rare_classes(rows: CheckedRows) -> list[Finding]:
    """Find classes with very few rows in train.

    Args:
        rows: rows to check.

    Returns:
        At most one finding.
    """
    counts = _counts(rows, "train")
    rare = [name for name, count in zip(rows.dataset.labels.names, counts, strict=True) if 0 < count < MIN_ROWS]
    if not rare:
        return []
    return [
        _about_classes(
            rows,
            "rare class",
            rare,
            f"classes with fewer than {MIN_ROWS} rows in train: {len(rare):,}",
            level="warning",
            advice="Add rows, merge them with data.label_map, or drop them with data.min_class_examples: such classes "
            "can hardly be learned, and their scores mean little.",
            counts=counts,
        )
    ]


def untrained_classes(rows: CheckedRows) -> list[Finding]:
    """Find classes with rows in other splits, but none in train.

    Args:
        rows: rows to check.

    Returns:
        At most one finding, of level ``error``.
    """
    total = rows.has_label.sum(axis=0)
    in_train = _counts(rows, "train")
    names = [
        name
        for name, count, trained in zip(rows.dataset.labels.names, total, in_train, strict=True)
        if count and not trained
    ]
    if not names:
        return []
    return [
        _about_classes(
            rows,
            "untrained class",
            names,
            f"classes without a row in train: {len(names):,}",
            level="error",
            advice="Add such rows to train, correct the labels, or drop the classes with data.drop_classes.",
            counts=total,
        )
    ]


def absent_classes(rows: CheckedRows) -> list[Finding]:
    """Find classes of train without a row in a given validation or test split.

    Args:
        rows: rows to check.

    Returns:
        One finding for each split that lacks classes.
    """
    in_train = _counts(rows, "train")
    findings = []
    for split in rows.split_names:
        counts = _counts(rows, split)
        absent = [
            name
            for name, count, trained in zip(rows.dataset.labels.names, counts, in_train, strict=True)
            if trained and not count
        ]
        if absent:
            findings.append(
                _about_classes(
                    rows,
                    "absent class",
                    absent,
                    f"classes without a row in {split}: {len(absent):,}",
                    level="warning",
                    advice=f"The scores on {split} tell nothing about them. Add such rows to {split}, or drop the "
                    "classes with data.drop_classes.",
                    counts=in_train,
                )
            )
    return findings


def _counts(rows: CheckedRows, split: Split) -> NDArray[np.int64]:
    """(K,) rows of each class in a split."""
    own = rows.rows_of(split)
    return np.asarray(rows.has_label[own.start : own.stop].sum(axis=0))


def _about_classes(
    rows: CheckedRows,
    kind: str,
    names: Sequence[str],
    message: str,
    *,
    level: Level,
    advice: str,
    counts: NDArray[np.int64],
) -> Finding:
    shown = names[: rows.options.max_examples]
    by_name = dict(zip(rows.dataset.labels.names, counts.tolist(), strict=True))
    excerpts = tuple(f"{name!r}: {rows_text(by_name[name])}" for name in shown)
    return Finding(kind, len(names), message, tuple(shown), level=level, advice=advice, excerpts=excerpts)
