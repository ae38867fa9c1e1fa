"""`TextDataset`: texts with labels in splits, and everything a run must know about where they came from.

`load_dataset` is the story: read the sources, filter classes, check, let rows go, split, take a part. A data section
goes in; `to_manifest` go into a run's manifest.json, `describe` into its data.json.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from slugline.core.errors import DataError, nearest
from slugline.core.labels import LabelSet, Split
from slugline.core.predictions import Predictions
from slugline.data.findings import Finding
from slugline.data.preparing import apply_splits as cutting
from slugline.data.preparing import filters, statistics
from slugline.data.preparing.examples import Examples
from slugline.data.preparing.loading import JoinedSources, read_examples
from slugline.data.preparing.row_ids import fingerprint
from slugline.data.reading.raw_data import SourceInfo
from slugline.recipe.data_section import DataSection

if TYPE_CHECKING:
    import datasets

logger = logging.getLogger(__name__)

#: Rows of each split in `describe`, and how much of their texts.
SHOWN_ROWS = 3
SHOWN_CHARACTERS = 300


@dataclass(frozen=True)
class TextDataset:
    """Texts with labels in splits.

    Args:
        splits: columns ``id`` (str), ``text`` (str, cleaned) and ``label`` (int64, index into ``labels``).
        labels: the K classes, each of which train has.
        source: where the rows came from.
        fingerprint: SHA-256 over ids, texts and labels of all splits.
        findings: what was noticed on the way, in order.
        text: the columns that make the text, joined by a blank.
        label: the column of the labels.
        clean: cleaning steps that were taken.
        clusters: ids of train and validation rows that nearly repeat each other: on one side of any further cut.
        classes_before: rows of train by class before any filter or split; empty where no row was let go.
    """

    splits: Mapping[Split, datasets.Dataset]
    labels: LabelSet
    source: SourceInfo
    fingerprint: str
    findings: tuple[Finding, ...] = ()
    text: tuple[str, ...] = ("text",)
    label: str = "label"
    clean: tuple[str, ...] = ()
    clusters: tuple[tuple[str, ...], ...] = ()
    classes_before: Mapping[str, int] = field(default_factory=dict)

    def __getitem__(self, split: str) -> datasets.Dataset:
        if split not in self.splits:
            known = list(self.splits)
            raise DataError(
                f"{self.source.name} has no split {split!r}, only {', '.join(known)}.{nearest(split, [*known])}",
                hint=f"Give data.{split}_path, or a data.{split}_fraction above 0.",
            )
        return self.splits[split]  # type: ignore[index]  # str is what callers have; membership was checked

    def to_manifest(self) -> dict[str, Any]:
        """What a manifest must hold to say which data this was."""
        return {
            "name": self.source.name,
            "fingerprint": self.fingerprint,
            "licence": self.source.licence,
            "revision": self.source.revision,
            "url": self.source.url,
            "labels": list(self.labels.names),
            "rows": {split: len(part) for split, part in self.splits.items()},
            "text": list(self.text),
            "label": self.label,
            "clean": list(self.clean),
        }

    def predictions(self, split: str, logits: NDArray[np.float32]) -> Predictions:
        """What a model said of a split, with what is true.

        Args:
            split: of this data set.
            logits: (N, K), in the order of its rows.

        Returns:
            Predictions without calibration.
        """
        return predictions_on(self[split], logits, self.labels, split=split, dataset=self.source.name)

    def describe(self) -> dict[str, Any]:
        """The data in figures: `to_manifest`, counts by split and class, imbalance, lengths, findings, a few rows."""
        return {
            **self.to_manifest(),
            "classes": {split: self.class_counts(split) for split in self.splits},
            **({"classes_before": dict(self.classes_before)} if self.classes_before else {}),
            "imbalance": round(statistics.imbalance(self._names("train")), 3),
            "lengths": {split: statistics.length_quantiles(part["text"][:]) for split, part in self.splits.items()},
            "findings": [{**asdict(finding), "examples": list(finding.examples)} for finding in self.findings],
            "examples": {split: list(self._shown(split)) for split in self.splits},
        }

    def class_counts(self, split: Split) -> dict[str, int]:
        """Rows by class name, in label order; 0 for classes that the split lacks."""
        counts = Counter(self._names(split))
        return {name: counts[name] for name in self.labels.names}

    def _names(self, split: Split) -> list[str]:
        return self._label_names[split]

    @cached_property
    def _label_names(self) -> dict[Split, list[str]]:
        return {split: self.labels.decode(part["label"][:]) for split, part in self.splits.items()}

    def _shown(self, split: Split) -> Iterator[dict[str, str]]:
        for row in self.splits[split].select(range(min(SHOWN_ROWS, len(self.splits[split])))):
            text = row["text"]
            shown = text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS].rstrip() + " ..."
            yield {"id": row["id"], "label": self.labels.names[row["label"]], "text": shown}


def load_dataset(section: DataSection, *, pooled: bool = False) -> TextDataset:
    """Load a labelled text set, checked and split.

    Args:
        section: of a recipe.
        pooled: whether the validation rows join train before a part of it is taken.

    Returns:
        The data set. What was dropped, and why, is in its findings and in the log.

    Raises:
        DataError: the data cannot be had, read, or used as they are.
        MissingExtra: the embedded set was asked for and is not installed.
    """
    joined = read_examples(section)
    parts, findings = joined.parts, list(joined.findings)

    def noting(step: tuple[dict[Split, Examples], list[Finding]]) -> dict[Split, Examples]:
        findings.extend(step[1])
        return step[0]

    parts = noting(
        filters.filter_classes(
            parts,
            joined.order,
            smallest=section.min_class_examples,
            keep=section.keep_classes,
            drop=section.drop_classes,
        )
    )
    parts = noting(filters.drop_untrained_classes(parts, is_known=joined.is_known))
    parts = noting(filters.drop_empty(parts))
    parts = noting(filters.drop_short(parts, smallest=section.min_words))
    parts = noting(filters.handle_leaks(parts, policy=section.leaks))
    findings += filters.report_conflicts(parts)
    fractions = _own_fractions(joined, section)
    if any(fractions):
        parts = noting(filters.drop_repetitions(parts))
    clusters, together, near = filters.find_near_duplicates(parts)
    findings += near
    let_go = len(parts["train"]) < len(joined.parts["train"])
    if any(fractions):
        parts = noting(cutting.cut_splits(parts, fractions=fractions, seed=section.split_seed, clusters=clusters))
    if pooled:
        parts = cutting.pool_validation(parts)
    parts = noting(cutting.take_subset(parts, size=section.max_train_examples, seed=section.split_seed))
    findings += cutting.report_sources(parts, [raw.source.name for raw in joined.raws])
    for finding in findings[len(joined.findings) :]:  # those of reading were logged when they were made
        level = logging.WARNING if finding.is_warning else logging.INFO
        logger.log(level, "%s: %s", joined.source.name, finding.message)
    before = Counter(joined.parts["train"].labels) if let_go else Counter[str]()
    return _assemble(
        parts,
        joined,
        tuple(findings),
        clean=section.clean,
        clusters=tuple(map(tuple, together)),
        classes_before={name: before[name] for name in joined.order if before[name]},
    )


def load_rows(
    section: DataSection,
    labels: LabelSet,
    *,
    split: str,
    text: Sequence[str] = (),
    label_map: Mapping[str, str] | None = None,
) -> datasets.Dataset:
    """Rows on which a trained model is to be scored: cleaned, but none dropped, moved or split off.

    Args:
        section: names the source.
        labels: that the model knows.
        split: of the source; a source without given splits is taken whole.
        text: columns that the model was trained on, taken where the source has them and the section names none.
        label_map: what labels that the model does not know were called in its training.

    Returns:
        Columns ``id``, ``text``, ``label``, the last as indices into ``labels``.

    Raises:
        DataError: the source cannot be read, lacks the split, or has labels that the model does not know.
    """
    joined = read_examples(section, text=text)
    parts = joined.parts
    chosen = split if len(parts) > 1 else "train"
    if chosen not in parts:
        raise DataError(
            f"{joined.source.name} has no split {split!r}, only {', '.join(parts)}.", hint="Choose with --split."
        )
    names = {name: name for name in labels.names}
    renamed = {**(label_map or {}), **names}
    unknown = Counter(label for label in parts[chosen].labels if renamed.get(label) not in names)
    if unknown:
        found = ", ".join(f"{name!r} ({count:,} rows)" for name, count in unknown.most_common(5))
        raise DataError(
            f"{joined.file(chosen)}: {len(unknown)} labels that the model does not know: {found}.",
            hint=f"It knows {', '.join(labels.names[:20])}.",
        )
    return _table(parts[chosen], labels.encode([renamed[label] for label in parts[chosen].labels]))


def predictions_on(
    rows: datasets.Dataset, logits: NDArray[np.float32], labels: LabelSet, *, split: str, dataset: str
) -> Predictions:
    """What a model said of some rows, with what is true.

    Args:
        rows: columns ``id`` and ``label``, N of them.
        logits: (N, K), in the same order.
        labels: the K classes.
        split: name of the split.
        dataset: name of the data set.

    Returns:
        Predictions without calibration.
    """
    return Predictions(
        ids=np.array(rows["id"][:], dtype=np.str_),
        targets=np.array(rows["label"][:], dtype=np.int64),
        logits=logits,
        labels=labels,
        split=split,
        dataset=dataset,
    )


def _own_fractions(joined: JoinedSources, section: DataSection) -> list[dict[Split, float]]:
    """Of each source, which splits are still to be cut, and how much of its rows each takes."""
    fractions: dict[Split, float] = {"test": section.test_fraction, "validation": section.validation_fraction}
    return [
        {split: fraction for split, fraction in fractions.items() if split not in raw.rows and fraction}
        for raw in joined.raws
    ]


def _assemble(
    parts: Mapping[Split, Examples],
    joined: JoinedSources,
    findings: tuple[Finding, ...],
    *,
    clean: Sequence[str],
    clusters: tuple[tuple[str, ...], ...],
    classes_before: Mapping[str, int],
) -> TextDataset:
    trained = {label for part in parts.values() for label in part.labels}
    labels = LabelSet(tuple(name for name in joined.order if name in trained))
    encoded = {split: labels.encode(part.labels) for split, part in parts.items()}
    prints = [fingerprint(part.ids, part.texts, encoded[split].tolist()) for split, part in parts.items()]
    return TextDataset(
        splits={split: _table(part, encoded[split]) for split, part in parts.items()},
        labels=labels,
        source=joined.source,
        fingerprint=fingerprint(parts, prints, [len(part) for part in parts.values()]),
        findings=findings,
        text=joined.text,
        label=joined.label,
        clean=tuple(clean),
        clusters=clusters,
        classes_before=classes_before,
    )


def _table(part: Examples, labels: Any) -> datasets.Dataset:
    import datasets
    import pyarrow as pa

    columns = {
        "id": pa.array(part.ids, pa.string()),
        "text": pa.array(part.texts, pa.string()),
        "label": pa.array(labels, pa.int64()),
    }
    return datasets.Dataset(pa.table(columns))
