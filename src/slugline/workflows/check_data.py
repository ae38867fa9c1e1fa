"""`check_data`: all checks of a data set; `fix_data`: its copy without some of the problems."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from slugline.core.errors import SluglineError
from slugline.core.predictions import Predictions
from slugline.data.batching.truncation import truncation_of
from slugline.data.checks.checked_rows import CheckedRows, CheckOptions
from slugline.data.checks.fixing import FixedRow, fixed, write_fixed
from slugline.data.checks.run import CHECKS, by_level, run_checks
from slugline.data.dataset import TextDataset
from slugline.data.findings import MAX_EXAMPLES, Finding
from slugline.data.load import load_as_given
from slugline.evaluation.calibration import calibrate
from slugline.models.pretrained import EMBEDDED
from slugline.models.tokenizers import load_tokenizer
from slugline.recipe.kinds import KINDS
from slugline.recipe.recipe import Recipe
from slugline.training.linear import held_out_logits

#: Parts of the rows; the model of all other parts gives the probabilities of one.
PARTS = 4
SEED = 13


@dataclass(frozen=True)
class DataReport:
    """The result of the checks.

    Args:
        rows: the checked rows.
        checks: names of the checks that ran.
        findings: their findings, errors first.
    """

    rows: CheckedRows
    checks: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def has_errors(self) -> bool:
        """True if a finding has the level ``error``."""
        return any(finding.level == "error" for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        dataset = self.rows.dataset
        return {
            "name": dataset.source.name,
            "text": list(dataset.text),
            "label": list(dataset.label),
            "label_kind": dataset.labels.kind,
            "classes": len(dataset.labels),
            "rows": {split: len(rows) for split, rows in dataset.splits.items()},
            "checks": list(self.checks),
            "findings": [finding.to_json() for finding in self.findings],
        }


@dataclass(frozen=True)
class DataFixes:
    """The result of the fixes.

    Args:
        dataset: the fixed data set, as written.
        changes: removed and changed rows.
        files: the written files.
        remaining: findings of level ``error`` that the fixed data set still has.
    """

    dataset: TextDataset
    changes: tuple[FixedRow, ...]
    files: tuple[Path, ...]
    remaining: tuple[Finding, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "files": [str(path) for path in self.files],
            "removed": sum(change.action == "removed" for change in self.changes),
            "changed": len({change.id for change in self.changes if change.action == "changed"}),
            "rows": {split: len(rows) for split, rows in self.dataset.splits.items()},
            "remaining": [finding.to_json() for finding in self.remaining],
        }


def check_data(
    recipe: Recipe, *, checks: Collection[str] = tuple(CHECKS), max_examples: int = MAX_EXAMPLES
) -> DataReport:
    """Check the data of a recipe, all rows in their given splits.

    Args:
        recipe: recipe with a data section.
        checks: names of `CHECKS`.
        max_examples: examples of each finding.

    Returns:
        The findings of the checks; if all of them run, also those of reading.

    Raises:
        DataError: the data cannot be found or read.
    """
    dataset = load_as_given(recipe.data)
    options = CheckOptions(
        clean=tuple(recipe.data.clean),
        tokenizer=_tokenizer(recipe) if "truncation" in checks else None,
        truncation=truncation_of(recipe.data) if KINDS[recipe.model.kind].has_updates else None,
        out_of_fold=held_out_probabilities,
        max_examples=max_examples,
    )
    rows = CheckedRows(dataset, options)
    found = run_checks(rows, checks)
    kinds = {finding.kind for finding in found}
    # Reading finds some of the kinds as well, but has seen fewer rows.
    of_reading = [each for each in dataset.findings if each.kind not in kinds] if set(checks) == set(CHECKS) else []
    return DataReport(rows, tuple(checks), tuple(by_level([*found, *of_reading])))


def fix_data(
    report: DataReport, kinds: Collection[str], folder: Path, *, format: Literal["jsonl", "parquet"] = "jsonl"
) -> DataFixes:
    """Write a copy of checked data without some of the problems, and the list of all changes.

    Args:
        report: result of `check_data`.
        kinds: names of `slugline.data.checks.fixing.FIXES`.
        folder: folder to write into.
        format: format of the split files.

    Returns:
        The changes, and the errors that remain.

    Raises:
        DataError: no row of a split would be left, or the folder has other data.
        RunError: the disk is full or not writable.
    """
    dataset, changes = fixed(report.rows, kinds)
    files = write_fixed(dataset, changes, folder, format=format)
    fatal = [name for name in report.checks if CHECKS[name].can_fail]
    remaining = [
        finding for finding in run_checks(CheckedRows(dataset, report.rows.options), fatal) if finding.level == "error"
    ]
    return DataFixes(dataset, tuple(changes), tuple(files), tuple(remaining))


def held_out_probabilities(rows: CheckedRows) -> NDArray[np.float64]:
    """Return the probabilities of each row under a linear model that has not seen its text.

    Args:
        rows: N rows.

    Returns:
        (N, K) probabilities, calibrated on all rows.

    Raises:
        TrainingError: the texts contain no words, or there is nothing to tell apart.
    """
    # Rows with the same text are in the same part: otherwise one wrong label would confirm the other.
    _, texts = np.unique(np.array(rows.keys, dtype=object), return_inverse=True)
    part_of_text = np.random.default_rng(SEED).permutation(int(texts.max()) + 1) % PARTS
    parts = [np.flatnonzero(part_of_text[texts] == number) for number in range(PARTS)]
    parts = [part for part in parts if len(part)]
    logits = held_out_logits(rows.texts, rows.targets, labels=rows.dataset.labels, parts=parts)
    predictions = Predictions(
        ids=np.array(rows.ids, dtype=object),
        targets=rows.targets,
        logits=logits,
        labels=rows.dataset.labels,
        split="train",
        dataset=rows.dataset.source.name,
    )
    calibration = calibrate(predictions, thresholds="none")
    return np.asarray(calibration.probabilities(logits, kind=rows.dataset.labels.kind), dtype=np.float64)


def _tokenizer(recipe: Recipe) -> Any:
    """The tokenizer of the model; None if the model has none yet, or it is not on this machine."""
    if not KINDS[recipe.model.kind].is_pretrained:
        return None
    try:
        return load_tokenizer(recipe.model.base or EMBEDDED)
    except SluglineError:
        return None
