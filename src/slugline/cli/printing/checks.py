"""Output of `slugline data check`: findings with their examples and advice, and what was fixed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from slugline.cli.printing.layout import print_table, print_text

if TYPE_CHECKING:
    from slugline.data.findings import Finding
    from slugline.workflows.check_data import DataFixes, DataReport


def print_report(report: DataReport) -> None:
    """Print what was checked, the findings, and their numbers.

    Args:
        report: result of the checks.
    """
    dataset = report.rows.dataset
    splits = ", ".join(f"{split} {len(rows):,}" for split, rows in dataset.splits.items())
    print_text(
        f"{dataset.source.name}: {splits} rows, {len(dataset.labels):,} classes ({dataset.labels.kind}), text from "
        f"{' + '.join(dataset.text)}, label from {' + '.join(dataset.label)}"
    )
    if len(dataset.splits) == 1:
        typer.echo("No given splits: all rows are called train here.")
    for finding in report.findings:
        typer.echo()
        _print_finding(finding)
    levels = Counter(finding.level for finding in report.findings)
    typer.echo()
    print_text(
        f"{len(report.checks)} checks: {_counted(levels['error'], 'error')}, {_counted(levels['warning'], 'warning')}, "
        f"{_counted(levels['note'], 'note')}. An error makes scores wrong, a warning may do so, a note is for "
        "information. In brackets is the name of a check, which --skip leaves out."
        if report.findings
        else f"{len(report.checks)} checks found nothing."
    )


def _print_finding(finding: Finding) -> None:
    print_text(f"{finding.level}: {finding.message}  [{finding.kind.replace(' ', '-')}]", indent="  ")
    for excerpt in finding.excerpts or finding.examples:
        print_text(f"  - {excerpt}", indent="    ")
    rest = finding.count - len(finding.excerpts or finding.examples)
    if rest > 0 and finding.excerpts:
        typer.echo(f"  - and {rest:,} more")
    if finding.advice:
        print_text(f"  What to do: {finding.advice}", indent="  ")


def print_fixes(fixes: DataFixes, folder: Path) -> None:
    """Print what was fixed, where the copy is, and which errors remain.

    Args:
        fixes: result of the fixes.
        folder: folder of the copy.
    """
    typer.echo()
    if fixes.changes:
        counts = Counter((change.kind, change.action, change.split) for change in fixes.changes)
        print_table(
            ["fixed", "rows", "split", "number"],
            [[kind, action, split, n] for (kind, action, split), n in counts.items()],
        )
    else:
        typer.echo("Nothing had to be fixed.")
    remaining = ", ".join(f"{split} {len(rows):,}" for split, rows in fixes.dataset.splits.items())
    typer.echo()
    print_text(f"Written to {folder}: {remaining} rows. {fixes.files[-1]} lists each change with its reason.")
    typer.echo(f"Use it in a recipe: data.path={folder}")
    for finding in fixes.remaining:
        print_text(f"error that remains: {finding.message}", indent="  ")


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
