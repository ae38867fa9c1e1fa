"""`SPLIT_RULES`: the ways to divide rows into splits and folds, by the names of ``data.split_rule``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from slugline.core.errors import DataError, nearest
from slugline.data.findings import Finding
from slugline.data.preparing.splits.rows_to_split import Fractions, NewSplits, RowsToSplit
from slugline.data.preparing.splits.stratified_rule import cut_stratified, report_stratified, stratified_folds
from slugline.data.preparing.splits.time_splits import cut_by_time, time_folds
from slugline.recipe.data_section import DataSection


@dataclass(frozen=True)
class SplitRule:
    """A way to divide rows into splits and folds.

    Args:
        cut: chooses the rows of the missing splits; takes the rows, the shares of the splits, and a seed.
        reason: why a class may have no row in a new split, for messages.
        folds: assigns the rows to folds; takes the rows, the number of folds, and a seed.
        report: returns further findings about new splits; None = there are none.
        needs_times: True if the rows need times.
    """

    cut: Callable[[RowsToSplit, Fractions, int], NewSplits]
    reason: str
    folds: Callable[[RowsToSplit, int, int], list[int]] = stratified_folds
    report: Callable[[RowsToSplit, NewSplits, Fractions], list[Finding]] | None = None
    needs_times: bool = False


#: Split rules by name.
SPLIT_RULES: dict[str, SplitRule] = {
    "stratified": SplitRule(
        cut_stratified,
        "their rows are near duplicates, in one group, or have several labels",
        report=report_stratified,
    ),
    "time": SplitRule(cut_by_time, "their rows have other times", time_folds, needs_times=True),
}


def rule_name(section: DataSection) -> str:
    """Return the name of the rule of a data section: ``data.split_rule``, or the one that fits ``data.time``.

    Args:
        section: data section of a recipe.

    Returns:
        A name in `SPLIT_RULES`.

    Raises:
        DataError: there is no such rule, or it needs times and ``data.time`` is empty.
    """
    name = section.split_rule or ("time" if section.time else "stratified")
    if name not in SPLIT_RULES:
        raise DataError(
            f"data.split_rule: there is no rule {name!r}.{nearest(name, [*SPLIT_RULES])}",
            hint=f"Rules: {', '.join(SPLIT_RULES)}.",
        )
    if SPLIT_RULES[name].needs_times and not section.time:
        raise DataError(
            f"data.split_rule is {name!r}, but data.time is empty.", hint="Name the column of times in data.time."
        )
    return name
