"""`slugline demo` and `slugline doctor`: the whole journey, and what this machine can do."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from slugline.cli.output import Json, print_demo, print_facts, print_json


def demo(
    seeds: Annotated[int, typer.Option(min=1, help="Repeat with this many splits and seeds.")] = 1,
    run_dir: Annotated[Path, typer.Option(help="Folder for the runs.")] = Path("runs/demo"),
    as_json: Json = False,
) -> None:
    """The whole journey on embedded data and model: prepare, train three contenders, compare, ask the best."""
    from slugline.workflows.demo import run_demo

    result = run_demo(run_dir, seeds=seeds)
    if as_json:
        print_json(result.to_dict())
        return
    print_demo(result)


def doctor(as_json: Json = False) -> None:
    """What is installed, what the hardware can do, what is missing and how to get it."""
    from slugline.workflows.doctor import examine

    findings = examine()
    if as_json:
        print_json(findings)
        return
    for title, facts in findings.items():
        typer.echo(title)
        print_facts(facts)
