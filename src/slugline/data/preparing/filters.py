"""Filters of rows: steps that drop empty and short texts, leaks and repetitions, and report conflicts.

Each step takes the examples by split, and returns them with its findings. No step changes a text.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, islice
from typing import Literal

from slugline.core.errors import DataError
from slugline.core.labels import Split
from slugline.data.findings import Finding
from slugline.data.preparing import duplicates
from slugline.data.preparing.examples import SPLIT_ORDER, SplitExamples, join_examples
from slugline.data.preparing.similar.near_duplicates import near_duplicates
from slugline.data.tables.table import release_unused


def empty_texts(texts: Sequence[str]) -> list[int]:
    """Return the indices of texts without anything but white space."""
    return [index for index, text in enumerate(texts) if not text or text.isspace()]


def short_texts(texts: Sequence[str], smallest: int) -> list[int]:
    """Return the indices of texts with fewer than `smallest` words; words are separated by white space."""
    return [index for index, text in enumerate(texts) if len(text.split()) < smallest] if smallest else []


def drop_empty(splits: SplitExamples) -> tuple[SplitExamples, list[Finding]]:
    """Drop empty texts from train and validation; a given test split keeps all its rows.

    Args:
        splits: examples by split.

    Returns:
        The remaining examples, and a finding for each split with empty texts.

    Raises:
        DataError: all texts of train are empty.
    """
    kept = dict(splits)
    findings = []
    for split, examples in splits.items():
        empty = empty_texts(examples.texts)
        if empty:
            action = "kept" if split == "test" else "dropped"
            message = f"empty texts in {split}: {{count}} ({action})"
            findings.append(Finding.of("empty text", examples.ids_of(empty), message, is_warning=True))
        if split != "test":
            kept[split] = examples.without(empty)
    if not len(kept["train"]):
        raise DataError("every text of train is empty.", hint="Check data.text.")
    return kept, findings


def drop_short(splits: SplitExamples, *, smallest: int) -> tuple[SplitExamples, list[Finding]]:
    """Drop short texts from train and validation; a given test split keeps all its rows.

    Args:
        splits: examples by split.
        smallest: value of ``data.min_words``, the minimum number of words of a text; 0 = no limit.

    Returns:
        The remaining examples, and a finding for each split with short texts.
    """
    kept = dict(splits)
    findings = []
    for split, examples in splits.items():
        short = short_texts(examples.texts, smallest)
        if short:
            action = "kept" if split == "test" else "dropped"
            message = f"texts of fewer than {smallest} words in {split}: {{count}} ({action})"
            findings.append(Finding.of("short text", examples.ids_of(short), message))
            kept[split] = examples if split == "test" else examples.without(short)
    return kept, findings


def handle_leaks(
    splits: SplitExamples, *, policy: Literal["drop", "keep", "refuse"]
) -> tuple[SplitExamples, list[Finding]]:
    """Drop, keep or refuse rows whose text is also in a split that is held out from theirs.

    These are train rows in a given validation or test split, and given validation rows in a given test split. Test
    keeps all its rows. Validation rows count too, because a cross-validation trains on them.

    Args:
        splits: examples by split.
        policy: value of ``data.leaks``.

    Returns:
        The splits, and a finding for each split with leaks.

    Raises:
        DataError: there are leaks, and the policy is "refuse"; or all rows of a split are leaks and would be dropped.
    """
    kept = dict(splits)
    findings = []
    kinds: dict[Split, str] = {"train": "leak", "validation": "validation leak"}
    for split, kind in kinds.items():
        held_out = [name for name in SPLIT_ORDER[SPLIT_ORDER.index(split) + 1 :] if name in splits]
        if split not in splits or not held_out:
            continue
        examples = splits[split]
        leaked = duplicates.leaks({"train": examples.keys, **{name: splits[name].keys for name in held_out}})
        if not len(leaked):
            continue
        where = " or ".join(held_out)
        message = f"{split} rows whose text is also in {where}: {{count}}"
        action = f"dropped from {split}" if policy == "drop" else "kept"
        finding = Finding.of(kind, examples.ids_of(leaked), f"{message} ({action})", is_warning=True)
        if policy == "refuse":
            raise DataError(
                f"{message.format(count=len(leaked))}, among them {finding.examples[0]}.",
                hint='Set data.leaks = "drop" or "keep", or correct the files.',
            )
        if policy == "drop":
            if len(leaked) == len(examples):
                raise DataError(
                    f"the text of every row of {split} is also in {where}, so no row of {split} is left.",
                    hint='Correct the files, or set data.leaks = "keep".',
                )
            kept[split] = examples.without(leaked)
        findings.append(finding)
    return kept, findings


def report_conflicts(splits: SplitExamples) -> list[Finding]:
    """Report texts of train that have other labels in another row."""
    train = splits["train"]
    groups = duplicates.conflicts(train.keys, train.labels)
    if not groups:
        return []
    n_rows = sum(map(len, groups))
    message = f"texts with different labels: {{count}}; their {n_rows:,} rows stay in train"
    return [Finding.of("conflict", train.ids_of([group[0] for group in groups]), message, is_warning=True)]


def drop_repetitions(splits: SplitExamples) -> tuple[SplitExamples, list[Finding]]:
    """Drop rows of train with the same text, as read, and the same label, except the one with the smallest id.

    Texts with different labels keep all their rows.

    Args:
        splits: examples by split.

    Returns:
        The remaining examples, and a finding if rows were dropped.
    """
    train = splits["train"]
    conflicting = {index for group in duplicates.conflicts(train.keys, train.labels) for index in group}
    groups = [group for group in duplicates.repetitions(train.originals, train.labels) if group[0] not in conflicting]
    repeated = [index for group in groups for index in group]
    ids = dict(zip(repeated, train.ids_of(repeated), strict=True))
    dropped = sorted(index for group in groups for index in sorted(group, key=ids.__getitem__)[1:])
    if not dropped:
        return splits, []
    message = "exact repetitions (same text, same label): {count} (dropped before splitting)"
    finding = Finding.of("repetition", train.ids_of(dropped), message)
    return {**splits, "train": train.without(dropped)}, [finding]


def find_near_duplicates(splits: SplitExamples) -> tuple[list[list[int]], list[list[str]], list[Finding]]:
    """Find near duplicates within train, and between train and the given splits.

    Args:
        splits: examples by split.

    Returns:
        Clusters of indices into train, clusters of ids in train and a given validation split, and findings.
    """
    names = [split for split in SPLIT_ORDER if split in splits]
    n_train = len(splits["train"])
    clusters = near_duplicates(chain.from_iterable(splits[split].key_texts for split in names))
    release_unused()
    train_members = [[index for index in cluster if index < n_train] for cluster in clusters]
    train_clusters = [members for members in train_members if len(members) > 1]
    pool = join_examples([splits[split] for split in names if split != "test"])
    pool_members = [[index for index in cluster if index < len(pool)] for cluster in clusters]
    pool_members = [members for members in pool_members if len(members) > 1]
    ids = iter(pool.ids_of([index for members in pool_members for index in members]))
    pool_clusters = [list(islice(ids, len(members))) for members in pool_members]
    leaked = [
        index
        for cluster, members in zip(clusters, train_members, strict=True)
        if len(members) < len(cluster)
        for index in members
    ]
    findings = []
    if train_clusters:
        n_rows = sum(map(len, train_clusters))
        firsts = splits["train"].ids_of([cluster[0] for cluster in train_clusters])
        message = f"clusters of near duplicates in train: {{count}} ({n_rows:,} rows)"
        findings.append(Finding.of("near duplicate", firsts, message))
    if leaked:
        names_of_leaked = splits["train"].ids_of(sorted(leaked))
        message = f"train rows with a near duplicate in {' or '.join(names[1:])}: {{count}} (kept)"
        findings.append(Finding.of("near leak", names_of_leaked, message, is_warning=True))
    return train_clusters, pool_clusters, findings
