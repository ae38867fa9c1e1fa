"""`slugline study`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from slugline.cli.printing.output import Json, interruption_message, print_json
from slugline.cli.printing.studies import print_study


def study(
    file: Annotated[Path, typer.Argument(metavar="STUDY", help="TOML file of the study.")],
    force: Annotated[bool, typer.Option("--force", help="Retrain members whose recipe has changed.")] = False,
    as_json: Json = False,
) -> None:
    """Train all settings with all seeds, choose the best on validation, score it on test. Run again to resume."""
    from slugline.workflows.first_recipe import refuse_data
    from slugline.workflows.study import run_study

    refuse_data(str(file), command="study")
    with interruption_message("Resume the study with the same command."):
        result = run_study(file, force=force)
    print_json(result.to_dict()) if as_json else print_study(result.to_dict(), result.study.layout.summary)
    result.require_success()
