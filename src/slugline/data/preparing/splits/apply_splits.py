"""Steps that move rows between splits: cut missing splits, pool train and validation, take a subset of train."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from slugline.core.labels import RowLabels, Split
from slugline.data.findings import Finding
from slugline.data.preparing.class_filters import drop_untrained_classes
from slugline.data.preparing.duplicates import conflicts
from slugline.data.preparing.examples import SPLIT_ORDER, Examples, SplitExamples, join_examples
from slugline.data.preparing.splits.assign_splits import split_rows, subset
from slugline.data.preparing.splits.group_splits import Strata, split_sizes
from slugline.data.preparing.splits.stratified_rows import NO_LABEL
from slugline.data.preparing.splits.time_splits import split_by_time
from slugline.data.tables.coded import Coded


def cut_splits(
    splits: SplitExamples,
    *,
    fractions: Sequence[Mapping[Split, float]],
    seed: int,
    clusters: Sequence[Sequence[int]],
    groups: Sequence[Sequence[int]] = (),
) -> tuple[SplitExamples, list[Finding]]:
    """Cut missing splits from train, for each source from its own rows, so that every source is in every split.

    Args:
        splits: examples by split.
        fractions: one mapping per source: the splits that it lacks, and their shares of its rows.
        seed: value of ``data.split_seed``.
        clusters: indices into train of near duplicates, which stay in one split; a cluster with rows of several
            sources stays in train.
        groups: the same for the rows of ``data.group``, joined with near duplicates.

    Returns:
        All splits, and findings about classes without a row in a new split.
    """
    train = splits["train"]
    # A text with several labels stays in train; near duplicates with several labels are assigned like others.
    kept = [index for group in conflicts(train.keys, train.labels) for index in group]
    kept += [index for group in [*clusters, *groups] if len(set(train.origins[group].tolist())) > 1 for index in group]
    cut: dict[Split, NDArray[np.int64]] = {}
    distinct = [wanted for number, wanted in enumerate(fractions) if wanted and wanted not in fractions[:number]]
    for wanted in distinct:
        strata = _strata(train, [own == wanted for own in fractions])
        assigned = split_rows(
            train.ids,
            train.labels,
            fractions=wanted,
            seed=seed,
            clusters=clusters,
            groups=groups,
            strata=strata,
            kept=kept,
        )
        for split in wanted:
            cut[split] = np.sort(np.concatenate([cut.get(split, assigned[split][:0]), assigned[split]]))
    result = _move(splits, cut)
    new_splits = {split: examples for split, examples in result.items() if split in cut}
    findings = _report_absent(train.class_counts, new_splits, len(fractions))
    return result, [*findings, *_report_short_splits(train, cut, fractions), *_report_mixed(train, clusters)]


def cut_splits_by_time(
    splits: SplitExamples, times: Mapping[str, float], *, fractions: Sequence[Mapping[Split, float]]
) -> tuple[SplitExamples, list[Finding]]:
    """Cut missing splits from the end of train, in the order of time, for each source from its own rows.

    Args:
        splits: examples by split.
        times: time of each row, by id.
        fractions: one mapping per source: the splits that it lacks, and their shares of its rows.

    Returns:
        All splits, without the classes that train has no row of, and findings about these and other absent classes.

    Raises:
        DataError: there are fewer different times than splits, or train has fewer than two classes.
    """
    train = splits["train"]
    cut: dict[Split, NDArray[np.int64]] = {}
    for origin, wanted in enumerate(fractions):
        rows = np.flatnonzero(train.origins == origin)
        if wanted and len(rows):
            assigned = split_by_time(train.ids_of(rows), times, fractions=wanted)
            for split in wanted:
                cut[split] = np.sort(np.concatenate([cut.get(split, rows[:0]), rows[assigned[split]]]))
    result, findings = drop_untrained_classes(_move(splits, cut), is_known=True)
    new_splits = {split: examples for split, examples in result.items() if split in cut}
    return result, [*findings, *report_absent_classes({"train": result["train"], **new_splits})]


def _strata(train: Examples, is_cut: Sequence[bool]) -> Coded[Strata | None]:
    """The labels of each row with its source; None for the rows of sources that are not cut."""

    def of_row(row: tuple[RowLabels, int]) -> Strata | None:
        labels, origin = row
        return tuple((label, origin) for label in labels or (NO_LABEL,)) if is_cut[origin] else None

    return _with_origins(train).change(of_row)


def _with_origins(train: Examples) -> Coded[tuple[RowLabels, int]]:
    """The labels and the source of each row."""
    labels, n_labels = train.labels, max(1, len(train.labels.values))
    numbers, codes = np.unique(train.origins.astype(np.int64) * n_labels + labels.codes, return_inverse=True)
    return Coded(codes.astype(np.int32), [(labels.values[n % n_labels], n // n_labels) for n in numbers.tolist()])


def _move(splits: SplitExamples, cut: Mapping[Split, NDArray[np.int64]]) -> dict[Split, Examples]:
    """Move rows of train to other splits."""
    pieces = {split: [examples] for split, examples in splits.items()}
    pieces["train"] = [splits["train"].without(np.concatenate([np.empty(0, np.int64), *cut.values()]))]
    for split, indices in cut.items():
        pieces.setdefault(split, []).append(splits["train"].take(indices))
    return {split: join_examples(pieces[split]) for split in SPLIT_ORDER if split in pieces}


def _report_short_splits(
    train: Examples, cut: Mapping[Split, NDArray[np.int64]], fractions: Sequence[Mapping[Split, float]]
) -> list[Finding]:
    """Report the classes of which a new split has fewer rows than requested."""
    counts: Counter[tuple[str, int]] = Counter()
    for (labels, origin), count in _with_origins(train).counts().items():
        counts.update({(label, origin): count for label in labels})
    findings = []
    for split, indices in cut.items():
        wanted: Counter[str] = Counter()
        for (label, origin), count in counts.items():
            if split in fractions[origin]:
                wanted[label] += split_sizes(count, fractions[origin])[split]
        missing = wanted - train.take(indices).class_counts
        if missing:
            message = (
                f"classes with fewer rows in {split} than requested, because near duplicates and groups are not "
                f"divided: {{count}} ({missing.total():,} rows; {{names}})"
            )
            findings.append(Finding.of("short split", sorted(missing), message, is_warning=True))
    return findings


def _report_mixed(train: Examples, clusters: Sequence[Sequence[int]]) -> list[Finding]:
    """Report clusters of near duplicates with several labels."""
    mixed = [cluster for cluster in clusters if len(set(train.labels.codes[cluster].tolist())) > 1]
    if not mixed:
        return []
    names = iter(train.ids_of([index for cluster in mixed for index in cluster]))
    ids = [min(islice(names, len(cluster))) for cluster in mixed]
    message = f"clusters of near duplicates with several labels: {{count}} ({sum(map(len, mixed)):,} rows)"
    return [Finding.of("mixed cluster", ids, message)]


def _report_absent(counts: Mapping[str, int], new_splits: SplitExamples, n_sources: int) -> list[Finding]:
    """Report the classes of train that a new split has no row of."""
    findings = []
    single = sorted(label for label, count in counts.items() if count == 1)
    if single:
        message = "classes with one row, which stays in train: {count} ({names})"
        findings.append(Finding.of("single row", single, message, is_warning=True))
    why = "are near duplicates, in one group, or have several labels" + (
        ", or are few in each source" if n_sources > 1 else ""
    )
    for split, examples in new_splits.items():
        absent = sorted(set(counts) - set(examples.class_counts) - set(single))
        if absent:
            message = f"classes without a row in {split}, because their rows {why}: {{count}} ({{names}})"
            findings.append(Finding.of("class not split", absent, message, is_warning=True))
    return findings


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
