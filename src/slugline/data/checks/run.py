"""`run_checks`: all checks of a data set; `CHECKS` lists them.

A new check is a function from `CheckedRows` to findings in a module of `labels` or `texts`, and one row of `CHECKS`.
`docs/checks.md` follows from the table.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from slugline.core.errors import DataError
from slugline.core.progress import track
from slugline.data.checks.checked_rows import CheckedRows
from slugline.data.checks.fixing import known_name
from slugline.data.checks.labels import counts, names, noise, shortcuts
from slugline.data.checks.texts import drift, encodings, languages, lengths, personal_data, repeated
from slugline.data.dataset import TextDataset
from slugline.data.findings import Finding
from slugline.data.preparing.similar import near_duplicates

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Check:
    """A check of a data set.

    Args:
        find: function from rows to findings; none if nothing was noticed.
        about: what it finds, and what decides about the level; for docs/checks.md.
        can_fail: True if its findings can have the level ``error``.
        is_summary: True for a check that also runs before each training: it takes little time, and finds what loading
            does not report or drop.
    """

    find: Callable[[CheckedRows], list[Finding]]
    about: str
    can_fail: bool = False
    is_summary: bool = False


#: All checks by the kind of their findings, in the order of the report.
CHECKS: dict[str, Check] = {
    "leak": Check(
        repeated.leaks,
        "Rows of train whose text is also in validation or test, and rows of validation whose text is also in test. "
        "Texts that differ only in case or blanks count as the same. Always an error.",
        can_fail=True,
    ),
    "near leak": Check(
        repeated.near_leaks,
        "Rows of train with nearly the same text in validation or test (MinHash; at least "
        f"{near_duplicates.MIN_SIMILARITY:.0%} of the word triples are shared, or in short texts "
        f"{near_duplicates.MIN_CHARACTER_SIMILARITY:.0%} of the character triples). A warning.",
    ),
    "untrained class": Check(
        counts.untrained_classes,
        "Classes with rows in validation or test, but none in train. Always an error.",
        can_fail=True,
    ),
    "absent class": Check(
        counts.absent_classes, "Classes of train without a row in validation or test, which no score covers. A warning."
    ),
    "no classes": Check(
        names.label_ids,
        f"A label column of ids or free text: {names.MIN_CLASSES} classes or more, of which {names.ID_SHARE:.0%} or "
        "more have a single row. Always an error.",
        can_fail=True,
        is_summary=True,
    ),
    "similar classes": Check(
        names.similar_classes,
        "Pairs of class names that differ only in case, accents, punctuation, plural, or (in names of "
        f"{names.MIN_LONG_NAME} letters or more) one letter. A warning.",
        is_summary=True,
    ),
    "conflict": Check(repeated.conflicts, "One text with different labels, in any splits. A warning."),
    "label noise": Check(
        noise.label_noise,
        "Labels that are probably wrong, and the probable ones: confident learning (Northcutt et al. 2021) with "
        "cleanlab, from probabilities of the linear kind, which has not seen the row. If it agrees with fewer than "
        f"{noise.MIN_AGREEMENT:.0%} of the labels, only those are listed to which it gives at most "
        f"{noise.MAX_GIVEN_OF_WEAK_MODEL:.0%}. Classes of fewer than {noise.MIN_CLASS_ROWS} rows are left out. A "
        f"warning from {noise.NOTICEABLE_SHARE:.0%} of the rows. Needs "
        '`pip install "slugline[checks]"`; without it, a note states so.',
    ),
    "shortcut": Check(
        shortcuts.shortcuts,
        f"Single words of train, in at least {shortcuts.MIN_SUPPORT} rows, of which {shortcuts.MIN_PRECISION:.0%} have "
        f"one label (precision), and that occur in {shortcuts.MIN_COVERAGE:.0%} of the rows with this label "
        f"(coverage). A warning from a coverage of {shortcuts.DECIDING_COVERAGE:.0%}, unless the name of the label has "
        "the word.",
        is_summary=True,
    ),
    "drift": Check(
        drift.drift,
        "Difference between train and another split: area under the ROC curve of a linear classifier that tells their "
        f"texts apart, cross-validated on up to {drift.MAX_ROWS:,} rows of each. A note from {drift.NOTICEABLE}, a "
        f"warning from {drift.LARGE}; 0.5 is no difference.",
    ),
    "imbalance": Check(
        counts.imbalance,
        f"The largest class of train has {counts.NOTICEABLE_IMBALANCE:.0f} times the rows of the smallest (note), or "
        f"{counts.LARGE_IMBALANCE:.0f} times (warning).",
        is_summary=True,
    ),
    "rare class": Check(
        counts.rare_classes, f"Classes with fewer than {counts.MIN_ROWS} rows in train. A warning.", is_summary=True
    ),
    "repetition": Check(
        repeated.repetitions,
        "Rows with the text and the labels of another row of the same split. A warning from "
        f"{repeated.NOTICEABLE_SHARE:.0%} of the split.",
    ),
    "near duplicate": Check(
        repeated.near_duplicates,
        "Groups of nearly the same text within a split. A warning if they could lose "
        f"{10 * repeated.NOTICEABLE_SHARE:.0%} of the split.",
    ),
    "empty text": Check(
        lengths.empty_texts,
        "Texts with nothing but white space. A warning; an error if train has no other text.",
        can_fail=True,
    ),
    "long text": Check(
        lengths.long_texts,
        f"Texts of more than {lengths.OUTLIER_WORDS} words and {lengths.OUTLIER_FACTOR} times those of the median "
        "text. A note.",
        is_summary=True,
    ),
    "truncation": Check(
        lengths.truncation,
        "Texts that the model does not read whole (`data.max_length`, `data.long_texts`), in tokens of the recipe's "
        "model (without a recipe, the embedded encoder), or in words if its tokenizer is not on this machine. A "
        f"warning from {lengths.NOTICEABLE_SHARE:.0%} of the rows.",
    ),
    "language": Check(
        languages.mixed_languages,
        "Texts in another language than most, estimated from scripts and common words of "
        f"{len(languages.STOP_WORDS)} languages. A warning from {languages.NOTICEABLE_SHARE:.0%} of the texts whose "
        "language could be estimated.",
        is_summary=True,
    ),
    "mojibake": Check(
        encodings.broken_encodings,
        "Texts with characters of a wrong encoding (`Ã©` for `é`). A warning; a note if `data.clean` repairs them.",
        is_summary=True,
    ),
    "lost character": Check(
        encodings.lost_characters,
        "Texts with U+FFFD, the sign for a character that could not be read. A warning.",
        is_summary=True,
    ),
    "control character": Check(
        encodings.control_characters,
        "Texts with control characters other than tabulators and line breaks. A warning; a note if `data.clean` "
        "removes them.",
        is_summary=True,
    ),
    "personal data": Check(
        personal_data.with_personal_data,
        "Texts with e-mail addresses, telephone numbers, card numbers (Luhn checksum) or IBANs (checksum modulo 97). "
        "The report masks them. A warning.",
        is_summary=True,
    ),
}

#: Rows up to which the short checks run before a training: they hold all texts in memory.
MAX_SUMMARY_ROWS = 500_000

#: Order of the levels in a report.
LEVELS = ("error", "warning", "note")


def chosen_checks(only: Collection[str] = (), skip: Collection[str] = ()) -> list[str]:
    """Return the names of checks.

    Args:
        only: names of the checks to run; empty = all. Hyphens stand for blanks: ``near-leak``.
        skip: names of checks to leave out.

    Returns:
        Names of `CHECKS`, in its order.

    Raises:
        DataError: there is no check of a name, or no check is left.
    """
    wanted, left_out = ([known_name(name, CHECKS) for name in given] for given in (only, skip))
    chosen = [name for name in CHECKS if (not wanted or name in wanted) and name not in left_out]
    if not chosen:
        raise DataError("no check is left to run.", hint="--skip leaves out all that --only names: change one of them.")
    return chosen


def run_checks(rows: CheckedRows, checks: Collection[str] = tuple(CHECKS)) -> list[Finding]:
    """Check a data set.

    Args:
        rows: rows of all splits, as they are.
        checks: names of `CHECKS`.

    Returns:
        Findings, errors first, then warnings; in the order of `CHECKS` within a level.
    """
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
        The data set with the new findings. Kinds that loading has already reported are left out. A set of more than
        `MAX_SUMMARY_ROWS` rows is returned as it is.
    """
    if sum(map(len, dataset.splits.values())) > MAX_SUMMARY_ROWS:
        logger.info(
            "%s has more than %s rows, so that its texts and labels are not checked before this training. Check them "
            "with: slugline data check",
            dataset.source.name,
            f"{MAX_SUMMARY_ROWS:,}",
        )
        return dataset
    reported = {finding.kind for finding in dataset.findings}
    summary = [name for name, check in CHECKS.items() if check.is_summary]
    found = [finding for finding in run_checks(CheckedRows(dataset), summary) if finding.kind not in reported]
    for finding in found:
        level = logging.WARNING if finding.is_warning else logging.INFO
        logger.log(level, "%s: %s", dataset.source.name, finding.message)
    return replace(dataset, findings=(*dataset.findings, *found))
