"""`TextDataset`: texts with labels in splits, with their origin and the findings about them.

A run stores `TextDataset.to_manifest` in its manifest.json and `TextDataset.describe` in its data.json.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from slugline.core.errors import DataError, nearest
from slugline.core.labels import LabelSet, Split, Targets, joined_labels
from slugline.core.predictions import Predictions
from slugline.data.findings import Finding
from slugline.data.identity import DataIdentity
from slugline.data.preparing import statistics
from slugline.data.reading.raw_data import SourceInfo
from slugline.data.tables.texts import column_values

if TYPE_CHECKING:
    import datasets

logger = logging.getLogger(__name__)

#: Example rows of each split in `describe`, and the characters of their texts.
SHOWN_ROWS = 3
SHOWN_CHARACTERS = 300


@dataclass(frozen=True)
class TextDataset:
    """Texts with labels in splits.

    Args:
        splits: columns ``id`` (str), ``text`` (str, cleaned) and ``label``, from `LabelSet.indices`: int64, or a
            list of int64 in a ``multi`` set.
        labels: the K classes; train has rows of each.
        source: origin of the rows.
        fingerprint: SHA-256 over ids, texts and labels of all splits, and the class names.
        former_fingerprint: the fingerprint of earlier versions, without the class names.
        findings: findings of reading and preparing, in order.
        text: text columns, joined by a blank.
        label: label columns.
        clean: cleaning steps of the texts.
        split_rule: name of the rule of own splits and folds, see `SPLIT_RULES`.
        clusters: ids of train and validation rows that are near duplicates or of one group; each cluster stays in one
            fold.
        times: value of ``data.time`` of train and validation rows by id; empty without times.
        out_of_scope: columns ``id`` and ``text`` of the rows of the class ``data.out_of_scope``, by split.
        classes_before: rows of train by class before any filter or split; empty if no filter dropped a row of train.
    """

    splits: Mapping[Split, datasets.Dataset]
    labels: LabelSet
    source: SourceInfo
    fingerprint: str
    former_fingerprint: str = ""
    findings: tuple[Finding, ...] = ()
    text: tuple[str, ...] = ("text",)
    label: tuple[str, ...] = ("label",)
    clean: tuple[str, ...] = ()
    split_rule: str = "stratified"
    clusters: tuple[tuple[str, ...], ...] = ()
    times: Mapping[str, float] = field(default_factory=dict)
    out_of_scope: Mapping[Split, datasets.Dataset] = field(default_factory=dict)
    classes_before: Mapping[str, int] = field(default_factory=dict)

    def __repr__(self) -> str:
        rows = ", ".join(f"{split} {len(rows):,}" for split, rows in self.splits.items())
        return f"<TextDataset {self.source.name}: {rows} rows, {len(self.labels)} classes>"

    def __getitem__(self, split: str) -> datasets.Dataset:
        if split not in self.splits:
            known = list(self.splits)
            raise DataError(
                f"{self.source.name} has no split {split!r}, only {', '.join(known)}.{nearest(split, [*known])}",
                hint=f"Set data.{split}_path, or a data.{split}_fraction above 0."
                if split in ("validation", "test")
                else "",
            )
        return self.splits[split]  # type: ignore[index]  # callers have a str; membership was checked

    @property
    def identity(self) -> DataIdentity:
        """The fingerprints and class names that stored ones are compared with."""
        return DataIdentity(self.fingerprint, self.former_fingerprint, self.labels.names)

    def to_manifest(self) -> dict[str, Any]:
        """Return the values that identify the data in a manifest."""
        return {
            "name": self.source.name,
            "fingerprint": self.fingerprint,
            "licence": self.source.licence,
            "revision": self.source.revision,
            "url": self.source.url,
            "labels": list(self.labels.names),
            "label_kind": self.labels.kind,
            "rows": {split: len(rows) for split, rows in self.splits.items()},
            **(
                {"out_of_scope": {split: len(rows) for split, rows in self.out_of_scope.items()}}
                if self.out_of_scope
                else {}
            ),
            "text": list(self.text),
            "label": list(self.label),
            "clean": list(self.clean),
        }

    def targets(self, split: str) -> Targets:
        """Return the true classes of a split: (N,) int64, or (N, K) bool in a ``multi`` set."""
        column = self[split].with_format("arrow")["label"][:]
        return self.labels.targets(column.to_pylist() if self.labels.is_multi else column.to_numpy())

    def predictions(self, split: str, logits: NDArray[np.float32]) -> Predictions:
        """Combine the logits of a model with the targets of a split.

        Args:
            split: name of a split of this data set.
            logits: (N, K) logits, in the order of the rows.

        Returns:
            Predictions without calibration.
        """
        return predictions_on(self[split], logits, self.labels, split=split, dataset=self.source.name)

    def describe(self) -> dict[str, Any]:
        """Return `to_manifest`, counts by split and class, imbalance, text lengths, findings, and example rows."""
        return {
            **self.to_manifest(),
            "classes": {split: self.class_counts(split) for split in self.splits},
            **({"classes_before": dict(self.classes_before)} if self.classes_before else {}),
            "imbalance": round(statistics.imbalance(self.class_counts("train")), 3),
            "lengths": {
                split: statistics.length_quantiles(column_values(rows, "text")) for split, rows in self.splits.items()
            },
            "findings": [finding.to_json() for finding in self.findings],
            "examples": {split: list(self._shown(split)) for split in self.splits},
        }

    def class_counts(self, split: Split) -> dict[str, int]:
        """Count the rows of each class, in label order; 0 if the split has none."""
        counts = self._class_counts[split]
        return {name: int(count) for name, count in zip(self.labels.names, counts, strict=True)}

    @cached_property
    def _class_counts(self) -> dict[Split, NDArray[np.int64]]:
        targets = {split: self.targets(split) for split in self.splits}
        if self.labels.is_multi:
            return {split: of_split.sum(axis=0) for split, of_split in targets.items()}
        return {split: np.bincount(of_split, minlength=len(self.labels)) for split, of_split in targets.items()}

    def _shown(self, split: Split) -> Iterator[dict[str, str]]:
        shown_rows = self.splits[split].select(range(min(SHOWN_ROWS, len(self.splits[split]))))
        shown_labels = self.labels.decode(self.labels.targets(shown_rows["label"][:]))
        for row, labels in zip(shown_rows, shown_labels, strict=True):
            text = row["text"]
            shown = text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS].rstrip() + " ..."
            yield {"id": row["id"], "label": joined_labels(labels), "text": shown}


def predictions_on(
    rows: datasets.Dataset, logits: NDArray[np.float32], labels: LabelSet, *, split: str, dataset: str
) -> Predictions:
    """Combine the logits of a model with the targets of rows.

    Args:
        rows: N rows with columns ``id`` and ``label``.
        logits: (N, K) logits, in the order of the rows.
        labels: the K classes.
        split: name of the split.
        dataset: name of the data set.

    Returns:
        Predictions without calibration.
    """
    return Predictions(
        ids=np.array(rows["id"][:], dtype=object),
        targets=labels.targets(rows["label"][:]),
        logits=logits,
        labels=labels,
        split=split,
        dataset=dataset,
    )
