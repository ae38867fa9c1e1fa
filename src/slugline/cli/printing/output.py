"""JSON on stdout, and the message after Ctrl-C on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@contextmanager
def interruption_message(hint: str) -> Iterator[None]:
    """Print a message if Ctrl-C or SIGTERM ends the block.

    Args:
        hint: sentence that states how to resume.
    """
    try:
        yield
    except KeyboardInterrupt:
        sys.stderr.write(f"\nInterrupted. The work done so far is kept. {hint}\n")
        raise


def print_json(values: Any) -> None:
    """Print a JSON document."""
    typer.echo(json.dumps(values, indent=2, ensure_ascii=False))
