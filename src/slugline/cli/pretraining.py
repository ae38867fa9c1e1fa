"""`slugline pretrain`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from slugline.cli.models import refuse_both
from slugline.cli.output import Json, print_json, print_table


def pretrain(
    recipe: Annotated[Path, typer.Argument(help="The recipe: a TOML file with a [pretrain] section.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="key.sub=value, any number.")] = None,
    run_dir: Annotated[Path | None, typer.Option(help="The run's own folder; by default runs/<name>.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.")] = False,
    accept_changes: Annotated[
        bool, typer.Option("--accept-changes", help="With --resume: although the recipe has changed.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Begin anew in place of what stands in the folder.")] = False,
    as_json: Json = False,
) -> None:
    """Pre-train on texts without labels, a base further or a small decoder from nothing; then fine-tune it."""
    from slugline import pipeline
    from slugline.recipe.recipe import read

    refuse_both(resume=resume, force=force)
    resolved = read(recipe, overrides or [])
    run_dir = run_dir or Path("runs") / resolved.name
    try:
        run = pipeline.pretrain(resolved, run_dir=run_dir, resume=resume, force=force, accept_changes=accept_changes)
    except KeyboardInterrupt:
        sys.stderr.write(f"\nInterrupted; {run_dir} keeps what is done. Go on with the same command and --resume.\n")
        raise
    if as_json:
        print_json({"run": str(run.path), **run.metrics})
        return
    measured = run.metrics["validation"]
    print_table(["split", *measured], [["validation", *(f"{value:.4f}" for value in measured.values())]])
    typer.echo(f"{run.path} is complete; fine-tune it: slugline train RECIPE model.base={run.layout.model}")
