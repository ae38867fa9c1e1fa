"""The stratified rule: each split has the requested share of each class of each source."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import islice

import numpy as np

from slugline.core.labels import RowLabels
from slugline.data.findings import Finding
from slugline.data.preparing.splits.assign_splits import assign_folds, count_labels, split_rows
from slugline.data.preparing.splits.group_splits import Strata, split_sizes
from slugline.data.preparing.splits.rows_to_split import Fractions, NewSplits, RowsToSplit
from slugline.data.preparing.splits.stratified_rows import NO_LABEL
from slugline.data.tables.coded import Coded
from slugline.data.tables.texts import texts_at


def cut_stratified(rows: RowsToSplit, fractions: Fractions, seed: int) -> NewSplits:
    """Choose rows by class and source in hash order, see `split_rows`.

    Near duplicates and groups are not divided; those with rows of several sources stay in train.
    """
    groups = [*rows.clusters, *rows.groups]
    of_several = [index for group in groups if len(set(rows.origins[group].tolist())) > 1 for index in group]
    cut: NewSplits = {}
    distinct = [wanted for number, wanted in enumerate(fractions) if wanted and wanted not in fractions[:number]]
    for wanted in distinct:
        assigned = split_rows(
            rows.ids,
            rows.labels,
            fractions=wanted,
            seed=seed,
            clusters=rows.clusters,
            groups=rows.groups,
            strata=_strata(rows, [own == wanted for own in fractions]),
            kept=[*rows.kept, *of_several],
        )
        for split in wanted:
            cut[split] = np.sort(np.concatenate([cut.get(split, assigned[split][:0]), assigned[split]]))
    return cut


def stratified_folds(rows: RowsToSplit, count: int, seed: int) -> list[int]:
    """Assign each class evenly to folds, see `assign_folds`."""
    return assign_folds(rows.ids, list(rows.labels), count=count, seed=seed, clusters=[*rows.clusters, *rows.groups])


def report_stratified(rows: RowsToSplit, cut: NewSplits, fractions: Fractions) -> list[Finding]:
    """Report the classes that new splits have too few rows of, and near duplicates with several labels."""
    return [*_report_short_splits(rows, cut, fractions), *_report_mixed(rows)]


def _strata(rows: RowsToSplit, is_cut: Sequence[bool]) -> Coded[Strata | None]:
    """The labels of each row with its source; None for the rows of sources that are not cut."""

    def of_row(row: tuple[RowLabels, int]) -> Strata | None:
        labels, origin = row
        return tuple((label, origin) for label in labels or (NO_LABEL,)) if is_cut[origin] else None

    return _with_origins(rows).change(of_row)


def _with_origins(rows: RowsToSplit) -> Coded[tuple[RowLabels, int]]:
    """The labels and the source of each row."""
    labels, n_labels = rows.labels, max(1, len(rows.labels.values))
    numbers, codes = np.unique(rows.origins.astype(np.int64) * n_labels + labels.codes, return_inverse=True)
    return Coded(codes.astype(np.int32), [(labels.values[n % n_labels], n // n_labels) for n in numbers.tolist()])


def _report_short_splits(rows: RowsToSplit, cut: NewSplits, fractions: Fractions) -> list[Finding]:
    """Report the classes of which a new split has fewer rows than requested."""
    counts: Counter[tuple[str, int]] = Counter()
    for (labels, origin), count in _with_origins(rows).counts().items():
        counts.update({(label, origin): count for label in labels})
    findings = []
    for split, indices in cut.items():
        wanted: Counter[str] = Counter()
        for (label, origin), count in counts.items():
            if split in fractions[origin]:
                wanted[label] += split_sizes(count, fractions[origin])[split]
        missing = wanted - count_labels(rows.labels.take(indices))
        if missing:
            message = (
                f"classes with fewer rows in {split} than requested, because near duplicates and groups are not "
                f"divided: {{count}} ({missing.total():,} rows; {{names}})"
            )
            findings.append(Finding.of("short split", sorted(missing), message, is_warning=True))
    return findings


def _report_mixed(rows: RowsToSplit) -> list[Finding]:
    """Report clusters of near duplicates with several labels."""
    mixed = [cluster for cluster in rows.clusters if len(set(rows.labels.codes[cluster].tolist())) > 1]
    if not mixed:
        return []
    names = iter(texts_at(rows.ids, [index for cluster in mixed for index in cluster]))
    ids = [min(islice(names, len(cluster))) for cluster in mixed]
    message = f"clusters of near duplicates with several labels: {{count}} ({sum(map(len, mixed)):,} rows)"
    return [Finding.of("mixed cluster", ids, message)]
