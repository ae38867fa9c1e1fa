"""`TextDataset`: texts with labels in splits, with their origin and the findings about them.

`load_dataset` lists all steps from a data section to a data set. A run stores `TextDataset.to_manifest` in its
manifest.json and `TextDataset.describe` in its data.json.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from numpy.typing import NDArray

from slugline.core.errors import DataError, nearest
from slugline.core.labels import NO_PART, PATH_SEPARATOR, LabelSet, Split, Targets, joined_labels
from slugline.core.predictions import Predictions
from slugline.data.findings import Finding
from slugline.data.identity import DataIdentity
from slugline.data.preparing import filters, statistics
from slugline.data.preparing.examples import SplitExamples
from slugline.data.preparing.loading import JoinedSources, read_examples
from slugline.data.preparing.row_ids import fingerprint
from slugline.data.preparing.split_tables import split_table, texts_of
from slugline.data.preparing.splits import apply_splits, time_splits
from slugline.data.preparing.splits.groups import groups_of, joined_groups, report_groups
from slugline.data.reading.labels.class_names import plain_number
from slugline.data.reading.raw_data import SourceInfo
from slugline.recipe.data_section import DataSection

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
        clusters: ids of train and validation rows that are near duplicates or of one group; each cluster stays in one
            fold.
        time_order: ids of train and validation rows in the order of ``data.time``; empty without times.
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
    clusters: tuple[tuple[str, ...], ...] = ()
    time_order: tuple[str, ...] = ()
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
            "lengths": {split: statistics.length_quantiles(texts_of(rows)) for split, rows in self.splits.items()},
            "findings": [{**asdict(finding), "examples": list(finding.examples)} for finding in self.findings],
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


def load_dataset(section: DataSection, *, pooled: bool = False) -> TextDataset:
    """Load a labelled data set: read the sources, drop rows, cut missing splits, take a subset of train.

    Args:
        section: data section of a recipe.
        pooled: add the validation rows to train before the subset is taken.

    Returns:
        The data set. Dropped rows are in its findings and in the log.

    Raises:
        DataError: the data cannot be found, read, or used.
        MissingExtra: the embedded set is requested but not installed.
    """
    joined = read_examples(section)
    missing, seed = _missing_splits(joined, section), section.split_seed
    findings: list[Finding] = list(joined.unlabelled)

    def record(result: tuple[SplitExamples, list[Finding]]) -> SplitExamples:
        """Record the findings of a step and return its examples."""
        splits, found = result
        findings.extend(found)
        return splits

    smallest, keep, drop = section.min_class_examples, section.keep_classes, section.drop_classes
    splits, out_of_scope, found = filters.take_class(joined.splits, joined.classes, section.out_of_scope)
    findings += found
    splits = record(filters.filter_classes(splits, joined.classes, smallest=smallest, keep=keep, drop=drop))
    splits = record(filters.drop_empty(splits))
    splits = record(filters.drop_short(splits, smallest=section.min_words))
    splits = record(filters.handle_leaks(splits, policy=section.leaks))
    splits = record(filters.drop_untrained_classes(splits, is_known=joined.is_known))
    findings += filters.report_conflicts(splits)
    if any(missing):
        splits = record(filters.drop_repetitions(splits))
    near, near_pool, near_duplicates = filters.find_near_duplicates(splits)
    findings += [*near_duplicates, *report_groups(splits, joined.groups, section.group)]
    findings += time_splits.report_times(splits, joined.times)
    classes_before = _classes_before(joined, splits)
    findings += apply_splits.report_absent_classes(splits)
    grouped_or_timed = bool(joined.groups or joined.times)
    groups = joined_groups([*near, *groups_of(splits["train"].ids, joined.groups)]) if joined.groups else []
    clusters = [] if groups else near
    pool_ids = [name for split in splits if split != "test" for name in splits[split].ids] if grouped_or_timed else []
    if any(missing) and joined.times:
        splits = record(apply_splits.cut_splits_by_time(splits, joined.times, fractions=missing))
    elif any(missing):
        splits = record(apply_splits.cut_splits(splits, fractions=missing, seed=seed, clusters=clusters, groups=groups))
    if pooled:
        splits = apply_splits.pool_validation(splits)
    splits = record(apply_splits.take_subset(splits, size=section.max_train_examples, seed=seed))
    findings += apply_splits.report_sources(splits, [raw.source.name for raw in joined.raw_data])
    _log(findings, joined.source.name)
    dataset = _assemble(splits, joined, findings=(*joined.findings, *findings), clean=tuple(section.clean))
    return replace(
        dataset,
        clusters=_pool_clusters(pool_ids, near_pool, joined.groups),
        time_order=tuple(sorted(pool_ids, key=lambda name: (joined.times[name], name))) if joined.times else (),
        out_of_scope={split: split_table(examples)[0] for split, examples in out_of_scope.items()},
        classes_before=classes_before,
    )


def _pool_clusters(
    ids: Sequence[str], near: Sequence[Sequence[str]], groups: Mapping[str, str]
) -> tuple[tuple[str, ...], ...]:
    """Join near duplicates and groups of train and validation rows, by id."""
    if not groups:
        return tuple(map(tuple, near))
    index = {name: number for number, name in enumerate(ids)}
    clusters = [[index[name] for name in cluster] for cluster in near]
    joined = joined_groups([*clusters, *groups_of(ids, groups)])
    return tuple(tuple(ids[number] for number in cluster) for cluster in joined)


def load_rows(
    section: DataSection,
    labels: LabelSet,
    *,
    split: str,
    text: Sequence[str] = (),
    label_map: Mapping[str, str] | None = None,
) -> datasets.Dataset:
    """Load rows to evaluate a trained model on. They are cleaned; no row is dropped or moved to another split.

    Args:
        section: data section that names the source.
        labels: label set of the model.
        split: name of a split of the source; all rows are loaded if the source has no given splits.
        text: text columns of the model, used if the source has them and the section names none.
        label_map: class names of labels that have another name in the model; other labels are class names.

    Returns:
        Columns ``id``, ``text``, and ``label`` as indices into ``labels``.

    Raises:
        DataError: there is no split of this name, or the source cannot be read, lacks the split, or has labels that are
            not in the model's label set.
    """
    if split not in get_args(Split):
        known = list(get_args(Split))
        raise DataError(f"there is no split {split!r}.{nearest(split, known)}", hint=f"Splits: {', '.join(known)}.")
    joined = read_examples(section, text=text, kind=labels.kind)
    _log(joined.unlabelled, joined.source.name)
    splits = joined.splits
    withheld = [raw for raw in joined.raw_data if split in raw.withheld]
    if withheld:
        raise DataError(
            f"{withheld[0].file_names(split)}: has no labels to evaluate a model on.",  # type: ignore[arg-type]
            hint=f"Predict it with: slugline predict MODEL --input {withheld[0].file_names(split)}",  # type: ignore[arg-type]
        )
    chosen = split if len(splits) > 1 else "train"
    if chosen not in splits:
        raise DataError(
            f"{joined.source.name} has no split {split!r}, only {', '.join(splits)}.", hint="Choose with --split."
        )
    examples = splits[chosen]
    same_names = {plain_number(name): name for name in reversed(labels.names)}
    cut_short = {name.removesuffix(f"{PATH_SEPARATOR}{NO_PART}"): name for name in reversed(labels.names)}
    classes = cut_short | same_names | {name: name for name in labels.names} | dict(label_map or {})
    _check_classes(joined.file_names(chosen), examples.class_counts, classes, labels)
    named = examples.labels.used().change(lambda row: tuple(classes[name] for name in row))
    return split_table(replace(examples, labels=named), labels)[0]


def _check_classes(where: str, found: Mapping[str, int], classes: Mapping[str, str], labels: LabelSet) -> None:
    """Refuse labels whose class the model does not have."""
    known = f"Classes of the model: {', '.join(labels.names[:20])}{' ...' if len(labels) > 20 else ''}."
    for label, name in classes.items():
        if name not in labels.names:
            raise DataError(
                f"the label map turns {label!r} into {name!r}, which is not a class of the model."
                f"{nearest(name, list(labels.names))}",
                hint=known,
            )
    unknown = Counter({label: count for label, count in found.items() if label not in classes})
    if unknown:
        listed = ", ".join(f"{name!r} ({count:,} rows)" for name, count in unknown.most_common(5))
        example = f"{unknown.most_common(1)[0][0]}={labels.names[0]}"
        raise DataError(
            f"{where}: {len(unknown)} labels are not in the model's label set: {listed}.",
            hint=f'{known} If they have other names here, map them: --label-map "{example}" for each of them, or '
            "label_map in Python.",
        )


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


def _missing_splits(joined: JoinedSources, section: DataSection) -> list[dict[Split, float]]:
    """Return the splits that each source lacks, with the share of its rows that each split gets."""
    fractions: dict[Split, float] = {"test": section.test_fraction, "validation": section.validation_fraction}
    return [
        {split: fraction for split, fraction in fractions.items() if split not in raw.rows and fraction}
        for raw in joined.raw_data
    ]


def _classes_before(joined: JoinedSources, filtered: SplitExamples) -> dict[str, int]:
    """Count the rows of train by class before the filters; empty if no filter dropped a row of train."""
    train = joined.splits["train"]
    counts = train.class_counts if len(filtered["train"]) < len(train) else Counter[str]()
    return {name: counts[name] for name in joined.classes if counts[name]}


def _log(findings: Sequence[Finding], name: str) -> None:
    for finding in findings:
        logger.log(logging.WARNING if finding.is_warning else logging.INFO, "%s: %s", name, finding.message)


def _assemble(
    splits: SplitExamples, joined: JoinedSources, *, findings: tuple[Finding, ...], clean: tuple[str, ...]
) -> TextDataset:
    present = {label for examples in splits.values() for label in examples.class_counts}
    names = tuple(name for name in joined.classes if name in present)
    labels = LabelSet(names, kind=joined.kind, levels=joined.levels)
    tables = {split: split_table(examples, labels) for split, examples in splits.items()}
    rows = (list(tables), [own for _, own in tables.values()], [len(examples) for examples in splits.values()])
    return TextDataset(
        splits={split: table for split, (table, _) in tables.items()},
        labels=labels,
        source=joined.source,
        fingerprint=fingerprint(*rows, classes=labels.names),
        former_fingerprint=fingerprint(*rows),
        findings=findings,
        text=joined.text,
        label=joined.label,
        clean=clean,
    )
