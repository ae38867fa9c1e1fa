"""`slugline data list`, `inspect`, `check`, `prepare`, `hierarchy`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from slugline.cli.printing.checks import print_fixes, print_report
from slugline.cli.printing.data import print_description
from slugline.cli.printing.layout import print_table, print_text
from slugline.cli.printing.output import Json, print_json

app = typer.Typer(no_args_is_help=True, help="List, inspect, check and prepare data sets.", rich_markup_mode=None)

Source = Annotated[str, typer.Argument(help="A recipe (.toml), a file, a glob, a folder, or a known data set.")]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(help="Keys to override: of the recipe, or of [data] without a recipe: text=headline label=topic"),
]


class Format(StrEnum):
    """File formats of a prepared data set."""

    JSONL = "jsonl"
    PARQUET = "parquet"


@app.command("list")
def list_sets(as_json: Json = False) -> None:
    """List the known data sets, and which of them are available without a network."""
    from dataclasses import asdict

    from slugline.data.reading.places.named import named_sets

    sets = named_sets()
    if as_json:
        print_json([asdict(known) for known in sets])
        return
    print_table(
        ["name", "source", "labels", "classes", "rows"],
        [
            [
                k.name,
                f"{k.where}{'' if k.available else ' (not here)'}",
                k.kind,
                k.classes or "",
                f"{sum(k.rows.values()):,}" if k.rows else "",
            ]
            for k in sets
        ],
    )


@app.command("inspect")
def inspect(source: Source, overrides: Overrides = None, as_json: Json = False) -> None:
    """Show counts, lengths in tokens, findings and examples of a data set."""
    from slugline.workflows.first_recipe import data_recipe, inspect_data

    described = inspect_data(data_recipe(source, overrides or []).data)
    if as_json:
        print_json(described)
        return
    print_description(described)


#: Exit code of `check` if a finding of level ``error`` stands.
HAS_ERRORS = 3


@app.command("check")
def check(
    source: Source,
    overrides: Overrides = None,
    only: Annotated[list[str] | None, typer.Option(help="Run only this check; can be repeated.")] = None,
    skip: Annotated[list[str] | None, typer.Option(help="Leave out this check; can be repeated.")] = None,
    examples: Annotated[int, typer.Option(min=0, help="Examples of each finding.")] = 3,
    fix: Annotated[bool, typer.Option("--fix", help="Write a copy without the problems that can be fixed.")] = False,
    fix_kinds: Annotated[
        list[str] | None,
        typer.Option(help="With --fix: fix this kind too (conflict, near-leak, label-noise); can be repeated."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="With --fix: folder to write to; default: fixed.")] = None,
    format: Annotated[Format, typer.Option(help="With --fix: format of the files.")] = Format.JSONL,
    as_json: Json = False,
) -> None:
    """Check a data set: leaks, wrong labels, broken texts and more. Exit code 3 if an error remains."""
    from slugline.data.checks.fixing import chosen_fixes, refuse_folder
    from slugline.data.checks.run import chosen_checks
    from slugline.workflows.check_data import check_data, fix_data
    from slugline.workflows.first_recipe import data_recipe

    has_fixes = fix or bool(fix_kinds)
    if out and not has_fixes:
        raise typer.BadParameter("--out is the folder of --fix, which is not given.")
    checks, kinds, folder = chosen_checks(only or [], skip or []), chosen_fixes(fix_kinds or []), out or Path("fixed")
    if has_fixes:
        refuse_folder(folder)
    report = check_data(data_recipe(source, overrides or []), checks=checks, max_examples=examples)
    if not as_json:
        print_report(report)
    fixes = fix_data(report, kinds, folder, format=format.value) if has_fixes else None
    if as_json:
        print_json({**report.to_dict(), "fixes": fixes.to_dict() if fixes else None})
    elif fixes:
        print_fixes(fixes, folder)
    if fixes.remaining if fixes else report.has_errors:
        raise typer.Exit(HAS_ERRORS)


@app.command("prepare")
def prepare(
    source: Source,
    overrides: Overrides = None,
    out: Annotated[Path, typer.Option(help="Folder to write to.")] = Path("prepared"),
    format: Annotated[Format, typer.Option(help="Format of the files.")] = Format.JSONL,
) -> None:
    """Clean and split a data set; write its splits and metadata.json."""
    from slugline.data.load import load_dataset
    from slugline.data.prepared import write_dataset
    from slugline.workflows.first_recipe import data_recipe

    dataset = load_dataset(data_recipe(source, overrides or []).data)
    write_dataset(dataset, out, format=format.value)
    for split, rows in dataset.splits.items():
        typer.echo(f"{split}: {len(rows):,} rows")
    typer.echo(f"Written to {out}. Use it in a recipe: data.path={out}")


@app.command("hierarchy")
def hierarchy(
    run: Annotated[Path, typer.Argument(help="A complete run with one label per text.")],
    groups: Annotated[int, typer.Option(help="Number of groups; 0 = the square root of the number of classes.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Recipe to write: the run's own, with paths as labels.")] = None,
    as_json: Json = False,
) -> None:
    """Group the classes that a run confuses, as a tree of two levels."""
    from slugline.core.storage import replacing
    from slugline.recipe.document import commented
    from slugline.run.run import Run
    from slugline.workflows.propose_hierarchy import propose_hierarchy

    found = Run(run)
    proposed = propose_hierarchy(found, groups=groups)
    if out is not None:
        with replacing(out) as temporary:
            temporary.write_text(commented(proposed.applied_to(found.recipe)), encoding="utf-8")
    if as_json:
        print_json(proposed.to_dict())
        return
    print_table(["group", "classes"], [[name, ", ".join(names)] for name, names in proposed.groups.items()])
    print_text(
        f"{proposed.errors_within:,} of the {proposed.errors:,} errors on {proposed.split} are within a group. The "
        "groups come from this split, so that the share is too high for new texts."
    )
    if out is not None:
        typer.echo(f"Written to {out}. Train it with:\n  slugline train {out}")
