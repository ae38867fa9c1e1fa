"""."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal

from slugline.core.errors import DataError, nearest
from slugline.core.labels import Split
from slugline.data.findings import MAX_EXAMPLES, Finding
from slugline.data.preparing import duplicates
from slugline.data.preparing.examples import ORDER, Examples, Parts


def empty_texts(texts: Sequence[str]) -> list[int]:
    """Indices of texts of nothing but white space."""
    return [index for index, text in enumerate(texts) if not text.strip()]


def short_texts(texts: Sequence[str], smallest: int) -> list[int]:
    """Indices of texts of fewer words than that, as white space parts them; empty texts among them."""
    return [index for index, text in enumerate(texts) if len(text.split()) < smallest] if smallest else []


def filter_classes(
    parts: Parts, order: Sequence[str], *, smallest: int, keep: Sequence[str], drop: Sequence[str]
) -> tuple[dict[Split, Examples], list[Finding]]:
    """Leave classes out of every split.

    Args:
        parts: examples by split.
        order: all class names.
        smallest: classes with fewer rows in train go; 0 = none.
        keep: only these stay; empty = all.
        drop: these go.

    Returns:
        What is left, and a finding if that is less.

    Raises:
        DataError: a class is unknown, or fewer than two are left.
    """
    for key, names in (("keep_classes", keep), ("drop_classes", drop)):
        for name in names:
            if name not in order:
                raise DataError(
                    f"data.{key}: there is no class {name!r}.{nearest(name, list(order))}",
                    hint=f"Classes: {', '.join(order[:20])}{' ...' if len(order) > 20 else ''}.",
                )
    counts = Counter(parts["train"].labels)
    gone = [
        name
        for name in order
        if 0 < counts[name] < smallest or name in drop or (keep and name not in keep) or (smallest and not counts[name])
    ]
    kept, n_rows = _without_classes(parts, gone)
    if len(set(kept["train"].labels)) < 2:
        left = sorted(set(kept["train"].labels))
        raise DataError(
            f"{f'there is only one class, {left[0]!r}' if left else 'no class is left'}: nothing to tell apart.",
            hint="Check data.label, data.keep_classes, data.drop_classes and data.min_class_examples.",
        )
    message = f"classes left out as asked: {{count}} with {n_rows:,} rows"
    return kept, [Finding.of("classes left out", gone, message)] if gone else []


def drop_untrained_classes(parts: Parts, *, is_known: bool) -> tuple[dict[Split, Examples], list[Finding]]:
    """Leave out classes that train does not have.

    Args:
        parts: examples by split.
        is_known: a known set, where such classes are reported; in a user's own file they are an error.

    Returns:
        Examples of the classes of train, and a finding if that is fewer.

    Raises:
        DataError: a user's own file has such classes.
    """
    trained = set(parts["train"].labels)
    counts = Counter(label for split in parts for label in parts[split].labels if label not in trained)
    if not counts:
        return dict(parts), []
    described = ", ".join(f"{label!r} ({count:,} rows)" for label, count in counts.most_common(10))
    if not is_known:
        raise DataError(
            f"classes without a row in train: {described}.",
            hint="Add such rows to train, correct the labels, or leave the classes out with data.drop_classes.",
        )
    kept, n_rows = _without_classes(parts, list(counts))
    message = f"classes without a row in train: {len(counts)}, left out with their {n_rows:,} rows: {described}"
    return kept, [Finding("untrained class", len(counts), message, tuple(counts)[:MAX_EXAMPLES], is_warning=True)]


def _without_classes(parts: Parts, names: Sequence[str]) -> tuple[dict[Split, Examples], int]:
    gone = set(names)
    kept = {
        split: part.without([index for index, label in enumerate(part.labels) if label in gone])
        for split, part in parts.items()
    }
    return kept, sum(map(len, parts.values())) - sum(map(len, kept.values()))


def drop_empty(parts: Parts) -> tuple[dict[Split, Examples], list[Finding]]:
    """Drop empty texts from train and validation; those of test are predicted like any other."""
    kept = dict(parts)
    findings = []
    for split, part in parts.items():
        empty = empty_texts(part.texts)
        if empty:
            what = "kept" if split == "test" else "dropped"
            message = f"empty texts in {split}: {{count}} ({what})"
            findings.append(Finding.of("empty text", part.ids_of(empty), message, is_warning=True))
        if split != "test":
            kept[split] = part.without(empty)
    if not len(kept["train"]):
        raise DataError("every text of train is empty.", hint="Check data.text.")
    return kept, findings


def drop_short(parts: Parts, *, smallest: int) -> tuple[dict[Split, Examples], list[Finding]]:
    """Drop texts of few words from train and validation; a given test split keeps its own.

    Args:
        parts: examples by split.
        smallest: data.min_words, the words that a text must have; 0 = none.

    Returns:
        What is left, and a finding for each split that has such texts.
    """
    kept = dict(parts)
    findings = []
    for split, part in parts.items():
        short = short_texts(part.texts, smallest)
        if short:
            done = "kept" if split == "test" else "dropped"
            message = f"texts of fewer than {smallest} words in {split}: {{count}} ({done})"
            findings.append(Finding.of("short text", part.ids_of(short), message))
            kept[split] = part if split == "test" else part.without(short)
    return kept, findings


def handle_leaks(
    parts: Parts, *, policy: Literal["drop", "keep", "refuse"]
) -> tuple[dict[Split, Examples], list[Finding]]:
    """Deal with rows of train whose text also stands in a given validation or test split.

    Args:
        parts: examples by split.
        policy: data.leaks.

    Returns:
        Train without those rows or as it is, and a finding if there are any.

    Raises:
        DataError: there are some, and the policy is to refuse.
    """
    train = parts["train"]
    leaked = duplicates.leaks({split: part.keys for split, part in parts.items()})
    if not leaked:
        return dict(parts), []
    where = " or ".join(split for split in parts if split != "train")
    message = f"train rows whose text also stands in {where}: {{count}}"
    done = "dropped from train" if policy == "drop" else "kept"
    finding = Finding.of("leak", train.ids_of(leaked), f"{message} ({done})", is_warning=True)
    if policy == "refuse":
        raise DataError(
            f"{message.format(count=len(leaked))}, among them {finding.examples[0]}.",
            hint='Set data.leaks = "drop" or "keep", or mend the files.',
        )
    return {**parts, "train": train.without(leaked) if policy == "drop" else train}, [finding]


def report_conflicts(parts: Parts) -> list[Finding]:
    """A finding for texts of train that bear several labels."""
    train = parts["train"]
    groups = duplicates.conflicts(train.keys, train.labels)
    if not groups:
        return []
    n_rows = sum(map(len, groups))
    message = f"texts with several labels: {{count}}; their {n_rows:,} rows stay in train"
    return [Finding.of("conflict", train.ids_of([group[0] for group in groups]), message, is_warning=True)]


def drop_repetitions(parts: Parts) -> tuple[dict[Split, Examples], list[Finding]]:
    """Of rows of train with the same text, as read, and the same label keep the one with the smallest id.

    Texts with several labels keep all their rows.

    Args:
        parts: examples by split.

    Returns:
        Examples without repetitions, and a finding if there were any.
    """
    train = parts["train"]
    several = {train.keys[group[0]] for group in duplicates.conflicts(train.keys, train.labels)}
    groups = [
        group for group in duplicates.repetitions(train.originals, train.labels) if train.keys[group[0]] not in several
    ]
    gone = sorted(index for group in groups for index in sorted(group, key=train.ids.__getitem__)[1:])
    if not gone:
        return dict(parts), []
    message = "exact repetitions (same text, same label): {count} (dropped before splitting)"
    return {**parts, "train": train.without(gone)}, [Finding.of("repetition", train.ids_of(gone), message)]


def find_near_duplicates(parts: Parts) -> tuple[list[list[int]], list[list[str]], list[Finding]]:
    """Near duplicates within train, and between train and the given splits.

    Args:
        parts: examples by split.

    Returns:
        Clusters of indices into train; clusters of ids in train and a given validation split, which folds keep
        together; findings.
    """
    splits = [split for split in ORDER if split in parts]
    keys = [key for split in splits for key in parts[split].keys]
    n_train = len(parts["train"])
    clusters = duplicates.near_duplicates(keys)
    of_train = [[index for index in cluster if index < n_train] for cluster in clusters]
    within = [cluster for cluster in of_train if len(cluster) > 1]
    pool = [name for split in splits if split != "test" for name in parts[split].ids]
    of_pool = [[pool[index] for index in cluster if index < len(pool)] for cluster in clusters]
    together = [cluster for cluster in of_pool if len(cluster) > 1]
    across = [
        index for cluster, some in zip(clusters, of_train, strict=True) if len(some) < len(cluster) for index in some
    ]
    findings = []
    if within:
        n_rows = sum(map(len, within))
        message = f"groups of near duplicates in train: {{count}} ({n_rows:,} rows)"
        findings.append(Finding.of("near duplicate", parts["train"].ids_of([group[0] for group in within]), message))
    if across:
        message = f"train rows that nearly repeat a text of {' or '.join(splits[1:])}: {{count}} (kept)"
        findings.append(Finding.of("near leak", parts["train"].ids_of(sorted(across)), message, is_warning=True))
    return within, together, findings
