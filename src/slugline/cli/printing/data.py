"""Output of `slugline data inspect`: classes, lengths, findings and examples of a data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import typer

from slugline.cli.printing.layout import print_table, print_text


def print_description(described: Mapping[str, Any]) -> None:
    """Print the description of a data set."""
    splits = list(described["rows"])
    source = described["name"] + (f" ({described['licence']})" if described["licence"] else "")
    print_text(f"{source}: text from {' + '.join(described['text'])}, label from {' + '.join(described['label'])}")
    typer.echo()
    _print_classes(described, splits)
    _print_lengths(described, splits)
    typer.echo("\nfindings" if described["findings"] else "\nfindings: none")
    for finding in described["findings"]:
        print_text(f"  {'! ' if finding['is_warning'] else ''}{finding['message']}", indent="    ")
    typer.echo("\nexamples from train")
    for row in described["examples"]["train"]:
        print_text(f"  [{row['label']}] {row['text']}", indent="    ")


def _print_classes(described: Mapping[str, Any], splits: Sequence[str]) -> None:
    """Print rows by class and split; if rows of train were dropped, their number before as well."""
    before = described.get("classes_before", {})
    names = [*described["labels"], *(name for name in before if name not in described["labels"])]
    rows = [[name, *(described["classes"][split].get(name, 0) for split in splits)] for name in names]
    rows.append(["all", *(described["rows"][split] for split in splits)])
    headers = ["class", *splits]
    if before:
        headers.append("before")
        rows = [[*row, count] for row, count in zip(rows, [*map(before.get, names), sum(before.values())], strict=True)]
    print_table(headers, rows)
    if before:
        typer.echo("before: rows of train before any filter or split")


def _print_lengths(described: Mapping[str, Any], splits: Sequence[str]) -> None:
    tokens = described["tokens"]
    if not tokens:
        typer.echo('\nCounting tokens needs the embedded encoder: pip install "slugline[embedded]"')
        return
    typer.echo(f"\nlengths in tokens ({tokens['tokenizer']})")
    quantiles = next((list(tokens[split]["length_quantiles"]) for split in splits if described["rows"][split]), [])
    headers = ["split", "shortest", *(f"{float(q):.0%}" for q in quantiles[1:-1]), "longest", "truncated"]
    rows = [
        [split, *tokens[split]["length_quantiles"].values(), f"{tokens[split]['truncated_share']:.1%}"]
        if described["rows"][split]
        else [split, *[""] * (len(headers) - 1)]
        for split in splits
    ]
    print_table(headers, rows)
    typer.echo(f"truncated: texts of more than {tokens['max_length']} tokens (data.max_length)")
