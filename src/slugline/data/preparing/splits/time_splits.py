"""The rule of time: train before validation before test; folds are blocks of time."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial

import numpy as np

from slugline.core.errors import DataError
from slugline.core.labels import Split
from slugline.data.findings import Finding
from slugline.data.preparing.examples import SPLIT_ORDER, SplitExamples
from slugline.data.preparing.row_ids import CUT_ORDER
from slugline.data.preparing.splits.rows_to_split import Fractions, NewSplits, RowsToSplit
from slugline.data.tables.texts import texts_at

#: Forms of dates beside ISO 8601 whose order of day and month is certain.
DATE_FORMS = (
    "%a, %d %b %Y %H:%M:%S %z",
    "%d %b %Y",
    "%d %B %Y",
    "%B %d, %Y",
    "%b %d, %Y",
    "%Y/%m/%d",
    "%Y/%m/%d %H:%M:%S",
)


def parse_time(value: object, *, where: Callable[[], str]) -> float:
    """Convert a time to seconds; only the order matters.

    Args:
        value: a number (a year, or seconds since 1970), a date of ISO 8601, or a date with the name of its month. A
            time without a zone counts as UTC.
        where: returns file, row and column, for messages.

    Returns:
        The number, or seconds since 1970.

    Raises:
        DataError: the value is none of these.
    """
    if isinstance(value, datetime):
        return _seconds(value)
    if hasattr(value, "isoformat"):
        value = value.isoformat()
    text = "" if value is None else str(value).strip()
    try:
        if math.isfinite(number := float(text)):
            return number
    except ValueError:
        pass
    forms: list[Callable[[str], datetime]] = [datetime.fromisoformat, *(partial(_parse_form, f) for f in DATE_FORMS)]
    for parse in forms:
        try:
            return _seconds(parse(text))
        except ValueError:
            continue
    raise DataError(
        f"{where()} holds {text[:40]!r}, which is not a time." if text else f"{where()} holds no time.",
        hint="Write numbers, or dates such as 2024-12-31 or 2024-12-31T18:00:00.",
    )


def _parse_form(form: str, text: str) -> datetime:
    return datetime.strptime(text, form)


def _seconds(moment: datetime) -> float:
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def cut_by_time(rows: RowsToSplit, fractions: Fractions, seed: int) -> NewSplits:
    """Choose the latest rows of each source for test, and those before them for validation, see `split_by_time`."""
    cut: NewSplits = {}
    for origin, wanted in enumerate(fractions):
        own = rows.of_source(origin)
        if wanted and len(own):
            assigned = split_by_time(texts_at(rows.ids, own), rows.times, fractions=wanted)
            for split in wanted:
                cut[split] = np.sort(np.concatenate([cut.get(split, own[:0]), own[assigned[split]]]))
    return cut


def split_by_time(
    ids: Sequence[str], times: Mapping[str, float], *, fractions: Mapping[Split, float]
) -> dict[Split, list[int]]:
    """Assign the latest rows to test, those before them to validation, and the others to train.

    Rows of one time are not divided: the border that is nearest to the requested size is chosen, so that each split has
    rows.

    Args:
        ids: (N,) row ids.
        times: time of each row, by id.
        fractions: shares of ``test`` and ``validation``; 0 or absent = no such split.

    Returns:
        Ascending indices of ``train`` and of every split with a fraction.

    Raises:
        DataError: there are fewer different times than splits.
    """
    wanted = {split: fractions[split] for split in CUT_ORDER if fractions.get(split, 0) > 0}
    order = sorted(range(len(ids)), key=lambda index: (times[ids[index]], ids[index]))
    borders = [n for n in range(1, len(order)) if times[ids[order[n - 1]]] < times[ids[order[n]]]]
    if len(borders) < len(wanted):
        raise DataError(
            f"data.time: the rows have {len(borders) + 1} different times, too few for {len(wanted) + 1} splits.",
            hint="Choose a column with finer times, or leave data.time out.",
        )
    splits: dict[Split, list[int]] = {}
    end, size = len(order), float(len(order))
    for number, (split, fraction) in enumerate(wanted.items(), start=1):
        # Each split that is still to come needs a border of its own.
        usable = [border for border in borders if border < end][len(wanted) - number :]
        size -= fraction * len(order)
        start = min(usable, key=lambda border: (abs(border - size), border))
        splits[split] = sorted(order[start:end])
        end = start
    splits["train"] = sorted(order[:end])
    return {split: splits[split] for split in SPLIT_ORDER if split in splits}


def report_times(splits: SplitExamples, times: Mapping[str, float]) -> list[Finding]:
    """Report rows of given splits that are not in the order of time.

    Args:
        splits: examples by split, before any split is cut.
        times: time of each row, by id; empty = no times.

    Returns:
        A warning for each split with train rows after its first row.
    """
    findings = []
    for split in SPLIT_ORDER[1:] if times else ():
        if split in splits and len(splits[split]):
            first = min(times[name] for name in splits[split].ids)
            late = [name for name in splits["train"].ids if times[name] > first]
            if late:
                message = f"train rows that are later than the first row of {split}: {{count}} (kept)"
                findings.append(Finding.of("time leak", late, message, is_warning=True))
    return findings


def time_folds(rows: RowsToSplit, count: int, seed: int) -> list[int]:
    """Assign rows to folds that are blocks of time, of nearly equal size (Bergmeir and Benitez 2012).

    Args:
        rows: N rows with times.
        count: number of folds K.
        seed: has no effect.

    Returns:
        (N,) fold numbers below K, ascending with time.
    """
    names = list(rows.ids)
    ordered = sorted(names, key=lambda name: (rows.times[name], name))
    fold_of = {name: position * count // len(ordered) for position, name in enumerate(ordered)}
    return [fold_of[name] for name in names]
