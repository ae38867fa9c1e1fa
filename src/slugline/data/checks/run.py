"""`run_checks`: all checks of a data set; `CHECKS` lists them.

A new check is a function from `CheckedRows` to findings in a module of `labels` or `texts`, and one row of `CHECKS`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from slugline.core.errors import DataError, nearest
from slugline.core.progress import track
from slugline.data.checks.checked_rows import CheckedRows, CheckOptions
from slugline.data.checks.labels import counts, names, noise, shortcuts
from slugline.data.checks.texts import drift, encodings, languages, lengths, personal_data, repeated
from slugline.data.dataset import TextDataset
from slugline.data.findings import Finding

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Check:
    """A check of a data set.

    Args:
        find: function from rows to findings; none if nothing was noticed.
        is_summary: True for a check that also runs before each training: it takes little time, and finds what loading
            does not report or drop.
    """

    find: Callable[[CheckedRows], list[Finding]]
    is_summary: bool = False


#: All checks by the kind of their findings, in the order of the report.
CHECKS: dict[str, Check] = {
    "leak": Check(repeated.leaks),
    "near leak": Check(repeated.near_leaks),
    "untrained class": Check(counts.untrained_classes),
    "absent class": Check(counts.absent_classes),
    "label ids": Check(names.label_ids, is_summary=True),
    "similar classes": Check(names.similar_classes, is_summary=True),
    "conflict": Check(repeated.conflicts),
    "label noise": Check(noise.label_noise),
    "shortcut": Check(shortcuts.shortcuts, is_summary=True),
    "drift": Check(drift.drift),
    "imbalance": Check(counts.imbalance, is_summary=True),
    "rare class": Check(counts.rare_classes, is_summary=True),
    "repetition": Check(repeated.repetitions),
    "near duplicate": Check(repeated.near_duplicates),
    "empty text": Check(lengths.empty_texts),
    "long text": Check(lengths.long_texts, is_summary=True),
    "truncation": Check(lengths.truncation),
    "language": Check(languages.mixed_languages, is_summary=True),
    "mojibake": Check(encodings.broken_encodings, is_summary=True),
    "lost character": Check(encodings.lost_characters, is_summary=True),
    "control character": Check(encodings.control_characters, is_summary=True),
    "personal data": Check(personal_data.with_personal_data, is_summary=True),
}

#: Order of the levels in a report.
LEVELS = ("error", "warning", "info")


def chosen_checks(only: Collection[str] = (), skip: Collection[str] = ()) -> list[str]:
    """Return the names of checks.

    Args:
        only: names of the checks to run; empty = all. Hyphens stand for blanks: ``near-leak``.
        skip: names of checks to leave out.

    Returns:
        Names of `CHECKS`, in its order.

    Raises:
        DataError: there is no check of a name.
    """
    wanted, left_out = ([known_name(name, CHECKS) for name in given] for given in (only, skip))
    return [name for name in CHECKS if (not wanted or name in wanted) and name not in left_out]


def known_name(name: str, known: Collection[str]) -> str:
    """Return the name in a collection that is meant by one with hyphens.

    Args:
        name: name as given: ``near-leak``.
        known: names with blanks.

    Returns:
        One of the names.

    Raises:
        DataError: there is none of this name.
    """
    plain = " ".join(name.replace("-", " ").split()).lower()
    if plain not in known:
        raise DataError(
            f"there is no kind {name!r} here.{nearest(plain, list(known))}",
            hint=f"Kinds: {', '.join(each.replace(' ', '-') for each in known)}.",
        )
    return plain


def run_checks(dataset: TextDataset, options: CheckOptions, checks: Collection[str] = tuple(CHECKS)) -> list[Finding]:
    """Check a data set.

    Args:
        dataset: data set whose rows are checked, given splits as they are.
        options: what checks need besides the rows.
        checks: names of `CHECKS`.

    Returns:
        Findings, errors first, then warnings; in the order of `CHECKS` within a level.
    """
    rows = CheckedRows(dataset, options)
    findings: list[Finding] = []
    if not len(rows):
        return findings
    with track("checking", len(checks), unit="checks") as advance:
        for name in checks:
            findings += CHECKS[name].find(rows)
            advance(1)
    return by_level(findings)


def by_level(findings: Collection[Finding]) -> list[Finding]:
    """Return findings in the order of `LEVELS`."""
    return sorted(findings, key=lambda finding: LEVELS.index(finding.level))


def with_summary(dataset: TextDataset) -> TextDataset:
    """Run the short checks before a training, and log their findings.

    Args:
        dataset: data set of a training.

    Returns:
        The data set with the new findings. Kinds that loading has already reported are left out.
    """
    reported = {finding.kind for finding in dataset.findings}
    summary = [name for name, check in CHECKS.items() if check.is_summary]
    found = [f for f in run_checks(dataset, CheckOptions(), summary) if f.kind not in reported]
    for finding in found:
        level = logging.WARNING if finding.is_warning else logging.INFO
        logger.log(level, "%s: %s", dataset.source.name, finding.message)
    return replace(dataset, findings=(*dataset.findings, *found))
