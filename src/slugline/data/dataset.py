"""`TextDataset`: texts with labels in splits, and everything a run must know about where they came from.

`load_dataset` is the story: read, find the columns, name the rows, filter classes, clean, check, split, take a part. A
data section goes in; `facts` go into a run's manifest.json, `describe` into its data.json.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from slugline.data import checks, examples, sources
from slugline.data.checks import Finding
from slugline.data.columns import choose_columns, join_text, name_labels
from slugline.data.examples import ORDER, Examples
from slugline.data.paths import METADATA, SPLIT_NAMES, RawData, SourceInfo, class_files, read_metadata
from slugline.data.splits import fingerprint, row_ids
from slugline.errors import DataError, nearest
from slugline.labels import LabelSet, Predictions, Split
from slugline.progress import track
from slugline.sections import DataSection
from slugline.storage import replacing

if TYPE_CHECKING:
    import datasets

logger = logging.getLogger("slugline")

#: Rows of each split in `describe`, and how much of their texts.
SHOWN_ROWS = 3
SHOWN_CHARACTERS = 300


class Columns(NamedTuple):
    """The columns that were used, given or guessed."""

    text: tuple[str, ...]
    label: str


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
        clusters: ids of train rows that nearly repeat each other and belong on one side of any further cut.
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

    def __getitem__(self, split: str) -> datasets.Dataset:
        if split not in self.splits:
            known = list(self.splits)
            raise DataError(
                f"{self.source.name} has no split {split!r}, only {', '.join(known)}.{nearest(split, [*known])}",
                mend=f"Give data.{split}_path, or a data.{split}_fraction above 0.",
            )
        return self.splits[split]  # type: ignore[index]  # str is what callers have; membership was checked

    def facts(self) -> dict[str, Any]:
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
        """The data in figures: `facts`, counts by split and class, imbalance, lengths, findings, a few rows."""
        return {
            **self.facts(),
            "classes": {split: self.class_counts(split) for split in self.splits},
            "imbalance": round(checks.imbalance(self._names("train")), 3),
            "lengths": {split: checks.length_quantiles(part["text"][:]) for split, part in self.splits.items()},
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


def load_dataset(section: DataSection) -> TextDataset:
    """Load a labelled text set, checked and split.

    Args:
        section: of a recipe.

    Returns:
        The data set. What was dropped, and why, is in its findings and in the log.

    Raises:
        DataError: the data cannot be had, read, or used as they are.
        MissingExtra: the embedded set was asked for and is not installed.
    """
    raw = sources.read(section)
    parts, order, columns = _read_examples(raw, section)
    findings = list(raw.findings)

    def noting(step: tuple[dict[Split, Examples], list[Finding]]) -> dict[Split, Examples]:
        findings.extend(step[1])
        return step[0]

    parts = noting(
        examples.filter_classes(
            parts,
            order,
            smallest=section.min_class_examples,
            keep=section.keep_classes,
            drop=section.drop_classes,
        )
    )
    parts = noting(examples.drop_untrained_classes(parts, is_known=raw.is_known))
    parts = noting(examples.drop_empty(parts))
    parts = noting(examples.handle_leaks(parts, policy=section.leaks))
    findings += examples.report_conflicts(parts)
    fractions = _own_fractions(parts, section)
    if fractions:
        parts = noting(examples.drop_repetitions(parts))
    clusters, near = examples.find_near_duplicates(parts)
    findings += near
    together = tuple(tuple(parts["train"].ids_of(cluster)) for cluster in clusters)
    if fractions:
        parts = noting(examples.cut_splits(parts, fractions=fractions, seed=section.split_seed, clusters=clusters))
    parts = noting(examples.take_subset(parts, size=section.max_train_examples, seed=section.split_seed))
    for finding in findings[len(raw.findings) :]:  # those of reading were logged when they were made
        logger.log(logging.WARNING if finding.is_warning else logging.INFO, "%s: %s", raw.source.name, finding.message)
    dataset = _assemble(parts, order, raw.source, tuple(findings), columns=columns, clean=section.clean)
    return replace(dataset, clusters=together)


def load_rows(section: DataSection, labels: LabelSet, *, split: str, text: Sequence[str] = ()) -> datasets.Dataset:
    """Rows on which a trained model is to be scored: cleaned, but none dropped, moved or split off.

    Args:
        section: names the source.
        labels: that the model knows.
        split: of the source; a source without given splits is taken whole.
        text: columns that the model was trained on, taken where the source has them and the section names none.

    Returns:
        Columns ``id``, ``text``, ``label``, the last as indices into ``labels``.

    Raises:
        DataError: the source cannot be read, lacks the split, or has labels that the model does not know.
    """
    raw = sources.read(section)
    if not section.text and text and set(text) <= set(raw.rows["train"][0]):
        section = section.model_copy(update={"text": list(text)})
    parts, _, _ = _read_examples(raw, section)
    chosen = split if len(parts) > 1 else "train"
    if chosen not in parts:
        raise DataError(
            f"{raw.source.name} has no split {split!r}, only {', '.join(parts)}.", mend="Choose with --split."
        )
    examples_ = parts[chosen]
    unknown = Counter(label for label in examples_.labels if label not in labels.names)
    if unknown:
        found = ", ".join(f"{name!r} ({count:,} rows)" for name, count in unknown.most_common(5))
        raise DataError(
            f"{raw.file(chosen)}: {len(unknown)} labels that the model does not know: {found}.",
            mend=f"It knows {', '.join(labels.names[:20])}.",
        )
    return _table(examples_, labels.encode(examples_.labels))


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


def _read_examples(raw: RawData, section: DataSection) -> tuple[dict[Split, Examples], tuple[str, ...], Columns]:
    """Rows to examples: ids, texts and labels; with the class names in label order, and the columns used."""
    id_column = section.id or str(raw.columns.get("id", ""))
    others = [column for column in (id_column, section.split) if column]
    text, label = choose_columns(raw, text=section.text, label=section.label, others=others)
    labels, order = name_labels(raw, label, offset=section.label_offset)
    ids = row_ids(raw.rows, column=id_column)
    parts: dict[Split, Examples] = {}
    with track("cleaning", sum(map(len, raw.rows.values())), unit="texts") as advance:
        for split in ORDER:
            if split in raw.rows:
                originals = [join_text(row, text) for row in raw.rows[split]]
                cleaned = []
                for original in originals:
                    cleaned.append(checks.clean(original, section.clean))
                    advance(1)
                parts[split] = Examples(ids[split], originals, cleaned, labels[split])
    return parts, order, Columns(tuple(text), label)


def _own_fractions(parts: Mapping[Split, Examples], section: DataSection) -> dict[Split, float]:
    """Which splits are still to be cut, and how much of train each takes."""
    fractions: dict[Split, float] = {"test": section.test_fraction, "validation": section.validation_fraction}
    return {split: fraction for split, fraction in fractions.items() if split not in parts and fraction}


def _assemble(
    parts: Mapping[Split, Examples],
    order: tuple[str, ...],
    source: SourceInfo,
    findings: tuple[Finding, ...],
    *,
    columns: Columns,
    clean: Sequence[str],
) -> TextDataset:
    trained = {label for part in parts.values() for label in part.labels}
    labels = LabelSet(tuple(name for name in order if name in trained))
    encoded = {split: labels.encode(part.labels) for split, part in parts.items()}
    prints = [fingerprint(part.ids, part.texts, encoded[split].tolist()) for split, part in parts.items()]
    return TextDataset(
        splits={split: _table(part, encoded[split]) for split, part in parts.items()},
        labels=labels,
        source=source,
        fingerprint=fingerprint(parts, prints, [len(part) for part in parts.values()]),
        findings=findings,
        text=columns.text,
        label=columns.label,
        clean=tuple(clean),
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


def write_dataset(dataset: TextDataset, folder: Path, *, format: Literal["jsonl", "parquet"] = "jsonl") -> list[Path]:
    """Write a prepared set: one file a split, and metadata.json, which names the columns and the classes.

    Reading the folder through ``data.path`` gives the same ids, texts, labels and splits.

    Args:
        dataset: what to write.
        folder: made where it is not there.
        format: of the split files.

    Returns:
        The files written.

    Raises:
        DataError: the folder holds other data, which would be overwritten or read as well.
        RunError: the disk is full or cannot be written.
    """
    targets = {split: folder / f"{split}.{format}" for split in dataset.splits}
    _require_room(dataset, folder, [*targets.values(), folder / METADATA])
    for split, path in targets.items():
        with replacing(path) as temporary:
            _write_rows(dataset, split, temporary, format)
    with replacing(folder / METADATA) as temporary:
        text = json.dumps(_metadata(dataset), ensure_ascii=False, indent=2)
        temporary.write_text(text + "\n", encoding="utf-8")
    return [*targets.values(), folder / METADATA]


def _require_room(dataset: TextDataset, folder: Path, targets: Sequence[Path]) -> None:
    """The only files that may be written over are those of the same data, written before."""
    mend = "Write into an empty folder."
    others = [file for file in sorted(folder.glob("*")) if file.stem in SPLIT_NAMES and file not in targets]
    others += [file.parent for file in class_files(folder)[:1]]
    if others:
        raise DataError(f"{folder}: {others[0].name} is there already and would be read with the new files.", mend=mend)
    there = [target for target in targets if target.exists()]
    if there and read_metadata(folder).get("fingerprint") != dataset.fingerprint:
        raise DataError(f"{folder}: {there[0].name} is there already and holds other data.", mend=mend)


def _write_rows(dataset: TextDataset, split: Split, path: Path, format: str) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    part = dataset[split]
    names = dataset.labels.decode(part["label"][:])
    columns = {"id": part["id"][:], "text": part["text"][:], "label": names}
    if format == "parquet":
        pq.write_table(pa.table(columns), path, compression="zstd")
        return
    with path.open("w", encoding="utf-8") as file:
        for values in zip(*columns.values(), strict=True):
            file.write(json.dumps(dict(zip(columns, values, strict=True)), ensure_ascii=False) + "\n")


def _metadata(dataset: TextDataset) -> dict[str, Any]:
    facts = dataset.facts()
    return {
        "name": facts["name"],
        "task": "single-label",
        "classes": facts["labels"],
        "splits": facts["rows"],
        "label_distribution": {split: dataset.class_counts(split) for split in dataset.splits},
        "columns": {"id": "id", "text": ["text"], "label": "label"},
        "source": facts["url"],
        "url": facts["url"],
        "revision": facts["revision"],
        "licence": facts["licence"],
        "fingerprint": facts["fingerprint"],
        "clean": facts["clean"],
        "notes": [finding.message for finding in dataset.findings],
    }
