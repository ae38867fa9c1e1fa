"""Steps that move rows between splits: cut missing splits, pool train and validation, take a subset of train."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from slugline.core.labels import Split
from slugline.data.findings import Finding
from slugline.data.preparing.class_filters import drop_untrained_classes
from slugline.data.preparing.examples import SPLIT_ORDER, Examples, SplitExamples, join_examples
from slugline.data.preparing.splits.assign_splits import subset
from slugline.data.preparing.splits.rows_to_split import Fractions, NewSplits, RowsToSplit
from slugline.data.preparing.splits.split_rules import SplitRule


def cut_splits(
    splits: SplitExamples, rule: SplitRule, rows: RowsToSplit, *, fractions: Fractions, seed: int
) -> tuple[SplitExamples, list[Finding]]:
    """Cut missing splits from train, for each source from its own rows, so that every source is in every split.

    Args:
        splits: examples by split.
        rule: rule that chooses the rows.
        rows: the rows of train.
        fractions: one mapping per source: the splits that it lacks, and their shares of its rows.
        seed: value of ``data.split_seed``.

    Returns:
        All splits, without the classes that train has no row of, and findings about these and about classes without a
        row in a new split.

    Raises:
        DataError: the rows are too few, or train has fewer than two classes.
    """
    cut = rule.cut(rows, fractions, seed)
    result, untrained = drop_untrained_classes(_move(splits, cut), is_known=True, when="the other splits were cut")
    reason = f"{rule.reason}, or are few in each source" if len(fractions) > 1 else rule.reason
    counts = {name: splits["train"].class_counts[name] for name in result["train"].class_counts}
    absent = _report_absent(counts, {split: result[split] for split in SPLIT_ORDER if split in cut}, reason)
    return result, [*untrained, *absent, *(rule.report(rows, cut, fractions) if rule.report else [])]


def _report_absent(counts: Mapping[str, int], new_splits: SplitExamples, reason: str) -> list[Finding]:
    """Report the classes of train that a new split has no row of."""
    findings = []
    single = sorted(label for label, count in counts.items() if count == 1)
    if single:
        message = "classes with one row, which stays in train: {count} ({names})"
        findings.append(Finding.of("single row", single, message, is_warning=True))
    for split, examples in new_splits.items():
        absent = sorted(set(counts) - set(examples.class_counts) - set(single))
        if absent:
            message = f"classes without a row in {split}, because {reason}: {{count}} ({{names}})"
            findings.append(Finding.of("class not split", absent, message, is_warning=True))
    return findings


def _move(splits: SplitExamples, cut: NewSplits) -> dict[Split, Examples]:
    """Move rows of train to other splits."""
    pieces = {split: [examples] for split, examples in splits.items()}
    pieces["train"] = [splits["train"].without(np.concatenate([np.empty(0, np.int64), *cut.values()]))]
    for split, indices in cut.items():
        pieces.setdefault(split, []).append(splits["train"].take(indices))
    return {split: join_examples(pieces[split]) for split in SPLIT_ORDER if split in pieces}


def report_absent_classes(splits: SplitExamples) -> list[Finding]:
    """Report the classes of train that a given split has no row of: its metrics include them only if predicted.

    Args:
        splits: examples by split, before any split is cut.

    Returns:
        One finding for each split that lacks classes.
    """
    findings = []
    classes = set(splits["train"].class_counts)
    for split, examples in splits.items():
        absent = sorted(classes - set(examples.class_counts))
        if absent:
            message = (
                f"classes without a row in {split}, in whose metrics they count only if predicted: {{count}} "
                "({names})"
            )
            findings.append(Finding.of("absent class", absent, message, is_warning=True))
    return findings


def report_sources(splits: SplitExamples, names: Sequence[str]) -> list[Finding]:
    """Report the rows of each source by split, if there are several sources.

    Args:
        splits: examples by split.
        names: names of the sources.

    Returns:
        One finding per source; none for a single source.
    """
    counts = {split: np.bincount(examples.origins, minlength=len(names)) for split, examples in splits.items()}
    findings = []
    for origin, name in enumerate(names if len(names) > 1 else ()):
        described = ", ".join(f"{split} {counts[split][origin]:,}" for split in splits)
        n_rows = sum(int(origins[origin]) for origins in counts.values())
        findings.append(Finding("source", n_rows, f"rows of {name}: {described}"))
    return findings


def pool_validation(splits: SplitExamples) -> SplitExamples:
    """Add the validation rows to train, because a cross-validation holds every row out once."""
    pool = join_examples([splits[split] for split in ("train", "validation") if split in splits])
    pooled: dict[Split, Examples] = {"train": pool}
    return pooled | ({"test": splits["test"]} if "test" in splits else {})


def take_subset(splits: SplitExamples, *, size: float, seed: int) -> tuple[SplitExamples, list[Finding]]:
    """Reduce train to a stratified subset.

    Args:
        splits: examples by split.
        size: number of rows, or a share of them if below 1; 0 = all.
        seed: value of ``data.split_seed``.

    Returns:
        The splits, and a finding if train is smaller than before.
    """
    train = splits["train"]
    indices = subset(train.ids, train.labels, size=size, seed=seed)
    if len(indices) == len(train):
        return splits, []
    message = f"train rows used, as requested: {len(indices):,} of {len(train):,}"
    return {**splits, "train": train.take(indices)}, [Finding("subset", len(indices), message)]
