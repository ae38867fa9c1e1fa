"""From a data section to a data set: `load_dataset`; to the rows to evaluate a model on: `load_rows`."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, get_args

from slugline.core.errors import DataError, nearest
from slugline.core.labels import NO_PART, PATH_SEPARATOR, LabelSet, Split
from slugline.core.memory import seldom_collected
from slugline.data.dataset import TextDataset
from slugline.data.findings import Finding
from slugline.data.preparing import class_filters, filters
from slugline.data.preparing.duplicates import conflicts
from slugline.data.preparing.examples import Examples, SplitExamples
from slugline.data.preparing.loading import JoinedSources, read_examples
from slugline.data.preparing.row_ids import fingerprint
from slugline.data.preparing.split_tables import split_table
from slugline.data.preparing.splits import apply_splits, time_splits
from slugline.data.preparing.splits.groups import groups_of, joined_groups, report_groups
from slugline.data.preparing.splits.rows_to_split import RowsToSplit
from slugline.data.preparing.splits.split_rules import SPLIT_RULES, rule_name
from slugline.data.reading.labels.class_names import plain_number
from slugline.data.tables.table import release_unused
from slugline.recipe.data_section import DataSection

if TYPE_CHECKING:
    import datasets

logger = logging.getLogger(__name__)


@seldom_collected()
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
    rule = rule_name(section)
    joined = read_examples(section)
    missing, seed = _missing_splits(joined, section), section.split_seed
    findings = [*joined.unlabelled, *class_filters.report_unused_classes(joined.splits, joined.classes)]

    def record(result: tuple[SplitExamples, list[Finding]]) -> SplitExamples:
        """Record the findings of a step and return its examples."""
        splits, found = result
        findings.extend(found)
        return splits

    smallest, keep, drop = section.min_class_examples, section.keep_classes, section.drop_classes
    splits, out_of_scope, found = class_filters.take_class(joined.splits, joined.classes, section.out_of_scope)
    findings += found
    splits = record(class_filters.filter_classes(splits, joined.classes, smallest=smallest, keep=keep, drop=drop))
    splits = record(filters.drop_empty(splits))
    splits = record(filters.drop_short(splits, smallest=section.min_words))
    splits = record(filters.handle_leaks(splits, policy=section.leaks))
    splits = record(class_filters.drop_untrained_classes(splits, is_known=joined.is_known))
    findings += filters.report_conflicts(splits)
    if any(missing):
        splits = record(filters.drop_repetitions(splits))
    clusters, pool_clusters, near = filters.find_near_duplicates(splits)
    findings += [*near, *report_groups(splits, joined.groups, section.group)]
    findings += time_splits.report_times(splits, joined.times)
    findings += apply_splits.report_absent_classes(splits)
    classes_before = _classes_before(joined, splits)
    pool = apply_splits.pool_validation(splits)["train"]
    if any(missing):
        rows = _rows_to_split(splits["train"], joined, clusters)
        splits = record(apply_splits.cut_splits(splits, SPLIT_RULES[rule], rows, fractions=missing, seed=seed))
    if pooled:
        splits = apply_splits.pool_validation(splits)
    splits = record(apply_splits.take_subset(splits, size=section.max_train_examples, seed=seed))
    findings += apply_splits.report_sources(splits, [raw.source.name for raw in joined.raw_data])
    _log(findings, joined.source.name)
    dataset = _assemble(splits, joined, findings=(*joined.findings, *findings), clean=tuple(section.clean))
    release_unused()
    return replace(
        dataset,
        split_rule=rule,
        clusters=_pool_clusters(pool.ids, pool_clusters, joined.groups),
        times={name: joined.times[name] for name in pool.ids} if joined.times else {},
        out_of_scope={split: split_table(examples)[0] for split, examples in out_of_scope.items()},
        classes_before=classes_before,
    )


@seldom_collected()
def load_as_given(section: DataSection) -> TextDataset:
    """Load all rows of the sources in their given splits, with their texts as read, to check them.

    Args:
        section: data section of a recipe. Its class filters and ``out_of_scope`` apply; it cuts no splits, drops no
            other rows and cleans no text.

    Returns:
        The data set. A source without splits has only train; classes may lack rows in train.

    Raises:
        DataError: the data cannot be found or read, or fewer than two classes are left.
        MissingExtra: the embedded set is requested but not installed.
    """
    joined = read_examples(section.model_copy(update={"clean": []}))
    splits, _, findings = class_filters.take_class(joined.splits, joined.classes, section.out_of_scope)
    smallest, keep, drop = section.min_class_examples, section.keep_classes, section.drop_classes
    splits, dropped = class_filters.filter_classes(splits, joined.classes, smallest=smallest, keep=keep, drop=drop)
    unused = class_filters.report_unused_classes(joined.splits, joined.classes)
    found = (*joined.findings, *joined.unlabelled, *unused, *findings, *dropped)
    return _assemble(splits, joined, findings=found, clean=())


def _rows_to_split(train: Examples, joined: JoinedSources, clusters: Sequence[Sequence[int]]) -> RowsToSplit:
    """Return what a split rule needs of train: with groups, these and the near duplicates are joined."""
    # A text with several labels stays in train; near duplicates with several labels are assigned like others.
    kept = [index for group in conflicts(train.keys, train.labels) for index in group]
    groups = joined_groups([*clusters, *groups_of(train.ids, joined.groups)]) if joined.groups else []
    return RowsToSplit(
        train.ids, train.labels, train.origins, [] if groups else clusters, groups, kept, times=joined.times
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


@seldom_collected()
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
    has_splits = len(splits) > 1 or any(raw.withheld for raw in joined.raw_data)
    chosen = split if has_splits else "train"
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
