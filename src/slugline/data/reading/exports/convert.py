"""Convert the rows of an annotation export to rows with labels, and report what the annotators disagree about."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from slugline.core.errors import DataError
from slugline.data.findings import MAX_EXAMPLES, Finding
from slugline.data.reading.exports import argilla, doccano, label_studio, prodigy
from slugline.data.reading.exports.tasks import Majority, Task, majority
from slugline.data.reading.raw_data import RawData, SourceFile
from slugline.data.tables.rows import Row, Rows

logger = logging.getLogger(__name__)

#: Rows that a guess is based on.
SAMPLE_ROWS = 100


@dataclass(frozen=True)
class ExportFormat:
    """A format of annotation exports.

    Args:
        title: name of the tool.
        is_of: True if rows look like this format.
        tasks: rows and the name of their file to tasks.
    """

    title: str
    is_of: Callable[[Sequence[Row]], bool]
    tasks: Callable[[Sequence[Row], str], list[Task]]


#: Formats by the value of ``data.export``.
EXPORTS: dict[str, ExportFormat] = {
    "label-studio": ExportFormat("Label Studio", label_studio.is_label_studio, label_studio.label_studio_tasks),
    "doccano": ExportFormat("Doccano", doccano.is_doccano, doccano.doccano_tasks),
    "prodigy": ExportFormat("Prodigy", prodigy.is_prodigy, prodigy.prodigy_tasks),
    "argilla": ExportFormat("Argilla", argilla.is_argilla, argilla.argilla_tasks),
}


def converted(raw: RawData, export: str) -> RawData:
    """Convert the rows of an annotation export.

    Args:
        raw: rows as read.
        export: value of ``data.export``; empty = guessed from the first rows, with a message.

    Returns:
        One row a text, with a column for each question: a name, or a list of names if a text has several. Other data is
        returned unchanged if `export` is empty.

    Raises:
        DataError: the rows are not of the format, or no text has a label.
    """
    sample = list(next(iter(raw.rows.values()))[:SAMPLE_ROWS])
    chosen = export or next((name for name, each in EXPORTS.items() if sample and each.is_of(sample)), "")
    if not chosen:
        return raw
    title = EXPORTS[chosen].title
    if not export:
        logger.info('%s: read as an export of %s (guessed; set data.export = "%s")', raw.source.name, title, chosen)
    tasks = {split: EXPORTS[chosen].tasks(rows, raw.file_names(split)) for split, rows in raw.rows.items()}
    n_tasks = sum(map(len, tasks.values()))
    tasks = {split: [task for task in split_tasks if not task.is_skipped] for split, split_tasks in tasks.items()}
    everything = [task for split_tasks in tasks.values() for task in split_tasks]
    questions = list(dict.fromkeys(question for task in everything for question in task.answers))
    if not questions:
        raise DataError(
            f"{raw.source.name}: no text of this export of {title} has a label.",
            hint="Annotate some texts, or export the annotations as well.",
        )
    is_multi = {
        question: any(len(answer) > 1 for task in everything for answer in task.answers.get(question, ()))
        for question in questions
    }
    found = {
        question: [majority(task.answers.get(question, ()), is_multi=is_multi[question]) for task in everything]
        for question in questions
    }
    rows = iter(_row(task, {q: found[q][n] for q in questions}, is_multi) for n, task in enumerate(everything))
    columns = {**raw.columns, **({"label": questions[0]} if len(questions) == 1 else {})}
    findings = [*_report_skipped(n_tasks - len(everything), title), *_report(everything, found)]
    for finding in findings:
        logger.log(logging.WARNING if finding.is_warning else logging.INFO, "%s: %s", raw.source.name, finding.message)
    return replace(
        raw,
        rows={split: Rows.write(islice(rows, len(split_tasks))) for split, split_tasks in tasks.items()},
        files={split: (SourceFile(raw.file_names(split), len(part)),) for split, part in tasks.items()},
        columns=columns,
        findings=(*raw.findings, *findings),
    )


def _row(task: Task, found: dict[str, Majority], is_multi: dict[str, bool]) -> Row:
    labels: Row = {}
    for question, result in found.items():
        one = result.labels[0] if result.labels else None
        several = list(result.labels) if result.labels is not None else None
        labels[question] = several if is_multi[question] else one
    return {**task.row, **labels}


def _report_skipped(count: int, title: str) -> list[Finding]:
    message = f"texts that annotators in {title} skipped or discarded: {count:,} (left out)"
    return [Finding("skipped text", count, message)] if count else []


def _report(tasks: Sequence[Task], found: dict[str, list[Majority]]) -> list[Finding]:
    """Report texts with suggestions only, and with different answers."""
    names = [str(task.row.get("id") or number) for number, task in enumerate(tasks, start=1)]
    findings = []
    suggested = [name for name, task in zip(names, tasks, strict=True) if task.is_suggested]
    if suggested:
        message = f"texts with a label that a model suggested and no person confirmed: {{count}} of {len(tasks):,}"
        findings.append(Finding.of("suggested label", suggested, message, is_warning=True))
    for question, results in found.items():
        disputed = [name for name, result in zip(names, results, strict=True) if result.is_disputed]
        tied = [name for name, result in zip(names, results, strict=True) if result.is_tied]
        if disputed:
            message = f"texts whose annotators disagree about {question!r}: {{count}} (the majority counts)"
            findings.append(Finding.of("disagreement", disputed, message, is_warning=True))
        if tied:
            listed = ", ".join(tied[:MAX_EXAMPLES]) + (", ..." if len(tied) > MAX_EXAMPLES else "")
            message = (
                f"texts without a majority for {question!r}: {{count}} ({listed}); of tied answers the first one "
                "counts, of tied labels none"
            )
            findings.append(Finding.of("tied answers", tied, message, is_warning=True))
    return findings
