"""`slugline train` and `slugline pretrain`."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from slugline.cli.printing.layout import print_table, print_text
from slugline.cli.printing.output import Json, interruption_message, print_json
from slugline.cli.printing.scores import print_metrics
from slugline.cli.recipes import Overrides, RecipeFile, read_recipe

RunDir = Annotated[Path | None, typer.Option(help="Folder of the run; by default runs/<name>.")]
Resume = Annotated[bool, typer.Option("--resume", help="Resume an interrupted or failed run.")]
AcceptChanges = Annotated[bool, typer.Option("--accept-changes", help="Resume although the recipe has changed.")]
Force = Annotated[bool, typer.Option("--force", help="Start over and replace the contents of the folder.")]


def train(
    recipe: RecipeFile,
    overrides: Overrides = None,
    run_dir: RunDir = None,
    resume: Resume = False,
    checkpoint: Annotated[
        Path | None, typer.Option(help="Resume from this checkpoint; by default from the last one.")
    ] = None,
    accept_changes: AcceptChanges = False,
    folds: Annotated[int, typer.Option(help="Cross-validate with this many folds: short for train.folds=K.")] = 0,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Train and evaluate a classifier, and write its run folder."""
    from slugline import pipeline

    _refuse_resume_with_force(resume=bool(resume or checkpoint), force=force)
    given = [*(overrides or []), *([f"train.folds={folds}"] if folds else [])]
    resolved = read_recipe(recipe, given, command="train")
    run_dir = run_dir or Path("runs") / resolved.name
    with interruption_message(f"Resume {run_dir} with the same command and --resume."):
        run = pipeline.train(
            resolved, run_dir=run_dir, resume=checkpoint or resume, force=force, accept_changes=accept_changes
        )
    if as_json:
        print_json({"run": str(run.path), **run.metrics, "diagnosis": run.diagnosis})
        return
    print_metrics({split: run.metrics[split] for split in run.scored_splits}, selects=resolved.train.select_by)
    _print_next(
        f"{run.path} is complete. Classify a text with it:", f'slugline predict {quote(str(run.path))} "a text"'
    )


def pretrain(
    recipe: RecipeFile,
    overrides: Overrides = None,
    run_dir: RunDir = None,
    resume: Resume = False,
    accept_changes: AcceptChanges = False,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Pre-train a base, or a small decoder from scratch, on texts without labels. Requires a [pretrain] section."""
    from slugline import pipeline

    _refuse_resume_with_force(resume=resume, force=force)
    resolved = read_recipe(recipe, overrides or [], command="pretrain")
    run_dir = run_dir or Path("runs") / resolved.name
    with interruption_message(f"Resume {run_dir} with the same command and --resume."):
        run = pipeline.pretrain(resolved, run_dir=run_dir, resume=resume, force=force, accept_changes=accept_changes)
    if as_json:
        print_json({"run": str(run.path), **run.metrics})
        return
    measured = run.metrics["validation"]
    print_table(["split", *measured], [["validation", *(f"{value:.4f}" for value in measured.values())]])
    base = quote(f"model.base={run.layout.model}")
    _print_next(f"{run.path} is complete. Fine-tune its model:", f"slugline train RECIPE {base}")


def _print_next(text: str, command: str) -> None:
    """Print what to do next; the command is on a line of its own and never wraps, so that it can be copied."""
    print_text(text)
    typer.echo(f"  {command}")


def _refuse_resume_with_force(*, resume: bool, force: bool) -> None:
    """Refuse --resume with --force: --force would delete the hours of training that --resume would continue."""
    if resume and force:
        raise typer.BadParameter("--resume continues a run, --force starts over: give one of them.")
