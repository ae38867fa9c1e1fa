"""`slugline study`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from slugline.cli.output import Json, print_json, print_study


def study(
    file: Annotated[Path, typer.Argument(metavar="STUDY", help="The study: a TOML file.")],
    force: Annotated[
        bool, typer.Option("--force", help="Train members anew whose recipe is another than the one in their folder.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Train a grid of settings and seeds, choose on validation, score the chosen on test. Goes on where it was."""
    from slugline.workflows.study import run_study

    try:
        result = run_study(file, force=force)
    except KeyboardInterrupt:
        sys.stderr.write("\nInterrupted; what is done is kept. Go on with the same command.\n")
        raise
    print_json(result.to_dict()) if as_json else print_study(result)
    result.require_success()
