"""Filters of classes: steps that drop or withhold the rows of classes, and report classes without rows.

Each step takes the examples by split, and returns them with its findings.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from slugline.core.errors import DataError, nearest
from slugline.core.labels import Split
from slugline.data.findings import MAX_EXAMPLES, Finding
from slugline.data.preparing.examples import SPLIT_ORDER, Examples, SplitExamples


def filter_classes(
    splits: SplitExamples, classes: Sequence[str], *, smallest: int, keep: Sequence[str], drop: Sequence[str]
) -> tuple[SplitExamples, list[Finding]]:
    """Drop classes from every split.

    Args:
        splits: examples by split.
        classes: all class names.
        smallest: minimum number of rows of a class in train; 0 = no limit.
        keep: classes to keep; empty = all.
        drop: classes to drop.

    Returns:
        The remaining examples, and a finding if classes were dropped.

    Raises:
        DataError: a class is unknown, or fewer than two remain.
    """
    for key, names in (("keep_classes", keep), ("drop_classes", drop)):
        for name in names:
            if name not in classes:
                raise DataError(
                    f"data.{key}: there is no class {name!r}.{nearest(name, list(classes))}",
                    hint=f"Classes: {', '.join(classes[:20])}{' ...' if len(classes) > 20 else ''}.",
                )
    counts = splits["train"].class_counts
    dropped = [
        name
        for name in classes
        if 0 < counts[name] < smallest or name in drop or (keep and name not in keep) or (smallest and not counts[name])
    ]
    kept, n_rows = _without_classes(splits, dropped)
    remaining = sorted(kept["train"].class_counts)
    if len(remaining) < 2:
        found = f"there is only one class, {remaining[0]!r}" if remaining else "no class is left"
        raise DataError(
            f"{found}; a classifier needs two or more.",
            hint="Check data.label, data.keep_classes, data.drop_classes and data.min_class_examples.",
        )
    message = f"classes dropped as requested: {{count}} with {n_rows:,} rows"
    return kept, [Finding.of("classes left out", dropped, message)] if dropped else []


def take_class(
    splits: SplitExamples, classes: Sequence[str], name: str
) -> tuple[SplitExamples, dict[Split, Examples], list[Finding]]:
    """Take the rows of the class ``data.out_of_scope`` out of all splits.

    Args:
        splits: examples by split.
        classes: all class names.
        name: the class; empty = none.

    Returns:
        The remaining examples; the rows of the class in validation and test; and a finding. A split that the source
        lacks gets the rows of train, or half of them if it lacks both.

    Raises:
        DataError: the class is unknown, or has no row to evaluate on.
    """
    if not name:
        return splits, {}, []
    if name not in classes:
        raise DataError(
            f"data.out_of_scope: there is no class {name!r}.{nearest(name, list(classes))}",
            hint=f"Classes: {', '.join(classes[:20])}{' ...' if len(classes) > 20 else ''}.",
        )
    rows = {split: each.rows_with(name) for split, each in splits.items()}
    ids = splits["train"].ids_of(rows["train"])
    train = splits["train"].take([index for _, index in sorted(zip(ids, rows["train"].tolist(), strict=True))])
    taken: dict[Split, Examples] = {}
    lacking = [split for split in SPLIT_ORDER if split not in splits]
    for split in SPLIT_ORDER[1:]:
        if split in splits:
            taken[split] = splits[split].take(rows[split])
        else:
            # Ids are hashes, or names: the order of the rows does not matter.
            taken[split] = train.take(range(lacking.index(split), len(train), len(lacking)))
    taken = {split: each for split, each in taken.items() if len(each)}
    if not taken:
        raise DataError(
            f"data.out_of_scope: validation and test have no row of the class {name!r}.",
            hint="Name a class that a held-out split has.",
        )
    unused = 0 if lacking else len(train)
    described = ", ".join(f"{split} {len(each):,}" for split, each in taken.items())
    message = (
        f"rows out of scope (class {name!r}), which only measure abstention: {described}; train {unused:,} (unused)"
    )
    kept = {split: each.without(rows[split]) for split, each in splits.items()}
    return kept, taken, [Finding("out of scope", sum(map(len, rows.values())), message, (name,))]


def report_unused_classes(splits: SplitExamples, classes: Sequence[str]) -> list[Finding]:
    """Report the classes that are declared, such as by a column of 0 and 1, but that no row has.

    Args:
        splits: examples by split, as read.
        classes: all declared class names.

    Returns:
        One finding if there are such classes. They are not in the label set.
    """
    used = {label for examples in splits.values() for label in examples.class_counts}
    unused = [name for name in classes if name not in used]
    message = "classes that no row has, which are left out: {count} ({names})"
    return [Finding.of("unused class", unused, message, is_warning=True)] if unused else []


def drop_untrained_classes(
    splits: SplitExamples, *, is_known: bool, when: str = "empty and short texts and leaks were dropped"
) -> tuple[SplitExamples, list[Finding]]:
    """Drop the classes without a row in train, after empty and short texts and leaks are gone.

    Args:
        splits: examples by split.
        is_known: True for a known set; in a user's own file such classes are an error.
        when: what was done before, for messages.

    Returns:
        The remaining examples, and a finding if classes were dropped.

    Raises:
        DataError: a user's own file has such classes, or train has fewer than two classes.
    """
    trained = set(splits["train"].class_counts)
    if len(trained) < 2:
        raise DataError(
            f"after {when}, train has only the class {min(trained)!r}."
            if trained
            else f"after {when}, train has no row.",
            hint="A classifier needs two or more classes. Check the files, data.min_words and data.leaks.",
        )
    found = Counter[str]()
    for examples in splits.values():
        found.update(examples.class_counts)
    counts = Counter({label: count for label, count in found.items() if label not in trained})
    if not counts:
        return splits, []
    described = ", ".join(f"{label!r} ({count:,} rows)" for label, count in counts.most_common(10))
    if not is_known:
        raise DataError(
            f"classes without a row in train, after {when}: {described}.",
            hint="Add such rows to train, correct the labels, or drop the classes with data.drop_classes.",
        )
    kept, n_rows = _without_classes(splits, list(counts))
    message = f"classes without a row in train: {len(counts)}, dropped with their {n_rows:,} rows: {described}"
    return kept, [Finding("untrained class", len(counts), message, tuple(counts)[:MAX_EXAMPLES], is_warning=True)]


def _without_classes(splits: SplitExamples, names: Sequence[str]) -> tuple[SplitExamples, int]:
    """Drop classes from every split; return the remaining examples and the number of dropped rows."""
    kept = {split: examples.without_classes(names) for split, examples in splits.items()}
    return kept, sum(map(len, splits.values())) - sum(map(len, kept.values()))
