"""`slugline data list`, `inspect`, `prepare`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from slugline.cli.output import Json, print_description, print_json, print_table

app = typer.Typer(no_args_is_help=True, help="Known sets, statistics, splits.", rich_markup_mode=None)

Source = Annotated[str, typer.Argument(help="A known set, a file, a glob, or a folder.")]
Overrides = Annotated[list[str] | None, typer.Argument(help="Keys of [data]: text=headline, any number.")]


class Format(StrEnum):
    """Kinds of file that a prepared set may have."""

    JSONL = "jsonl"
    PARQUET = "parquet"


@app.command("list")
def list_sets(as_json: Json = False) -> None:
    """Known sets, and which can be had here."""
    from dataclasses import asdict

    from slugline.data.reading.sources import known_sets

    found = known_sets()
    if as_json:
        print_json([asdict(known) for known in found])
        return
    print_table(
        ["name", "from", "here", "classes", "rows", "licence"],
        [
            [
                k.name,
                k.where,
                "yes" if k.available else "no",
                k.classes or "",
                f"{sum(k.rows.values()):,}" if k.rows else "",
                k.licence,
            ]
            for k in found
        ],
    )


@app.command("inspect")
def inspect(source: Source, overrides: Overrides = None, as_json: Json = False) -> None:
    """Counts, lengths in tokens, duplicates, findings, examples."""
    from slugline.workflows.first_recipe import data_section, inspect_data

    described = inspect_data(data_section(source, overrides or []))
    if as_json:
        print_json(described)
        return
    print_description(described)


@app.command("prepare")
def prepare(
    source: Source,
    overrides: Overrides = None,
    out: Annotated[Path, typer.Option(help="Folder to write.")] = Path("prepared"),
    format: Annotated[Format, typer.Option(help="Of the split files.")] = Format.JSONL,
) -> None:
    """Clean, split, and write train, validation, test and metadata.json."""
    from slugline.data.dataset import load_dataset
    from slugline.data.prepared import write_dataset
    from slugline.workflows.first_recipe import data_section

    dataset = load_dataset(data_section(source, overrides or []))
    write_dataset(dataset, out, format=format.value)
    for split, rows in dataset.splits.items():
        typer.echo(f"{split}: {len(rows):,} rows")
    typer.echo(f"written to {out}; use it with data.path={out}")
