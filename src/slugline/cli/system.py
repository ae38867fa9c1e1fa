"""`slugline demo` and `slugline doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from slugline.cli.printing.demo import print_demo
from slugline.cli.printing.layout import print_values
from slugline.cli.printing.output import Json, print_json


def demo(
    seeds: Annotated[int, typer.Option(min=1, help="Number of splits and seeds.")] = 1,
    run_dir: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("runs/demo"),
    as_json: Json = False,
) -> None:
    """Train three classifiers on BBC News, compare them, and predict with the best one. Needs no network."""
    from slugline.workflows.demo import run_demo

    result = run_demo(run_dir, seeds=seeds)
    if as_json:
        print_json(result.to_dict())
        return
    print_demo(result)


def doctor(as_json: Json = False) -> None:
    """Show the hardware, the installed versions, and how to install what is missing or broken."""
    from slugline.workflows.doctor import PROBLEMS, examine

    report = examine()
    if as_json:
        print_json(report)
    else:
        for title, values in report.items():
            typer.echo(title)
            print_values(values)
    if PROBLEMS in report:
        raise typer.Exit(1)
