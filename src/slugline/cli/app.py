"""The application: its commands, its global behaviour, and the only place that catches `SluglineError`.

Exit codes: 0 done, 1 the user's input is at fault, 2 wrong usage, 3 a check did not hold, 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import Annotated, TextIO

import typer

from slugline import __version__
from slugline.cli import data, models, pretraining, recipes, studies, system
from slugline.core.errors import SluglineError

app = typer.Typer(
    name="slugline",
    help="From a labelled text set to a trained, honestly evaluated, usable classifier: recipe in, run out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("demo")(system.demo)
app.add_typer(data.app, name="data")
app.add_typer(recipes.app, name="recipe")
app.command("train")(models.train)
app.command("pretrain")(pretraining.pretrain)
app.command("study")(studies.study)
app.command("evaluate")(models.evaluate)
app.command("predict")(models.predict)
app.command("compare")(models.compare)
app.command("doctor")(system.doctor)


def _version(requested: bool) -> None:
    if requested:
        typer.echo(f"slugline {__version__}")
        raise typer.Exit


@app.callback()
def _globally(
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only warnings and errors on stderr.")] = False,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show it.")] = False,
) -> None:
    from slugline.core import progress

    handler = _Stderr()
    handler.setFormatter(_Terse("%(message)s"))
    handler.setLevel(logging.WARNING if quiet else logging.INFO)
    progress.logger.handlers = [handler]
    progress.logger.setLevel(logging.INFO)
    progress.logger.propagate = False
    if not quiet:
        progress.show()


class _Stderr(logging.StreamHandler[TextIO]):
    """Writes to whatever stderr is at the moment: while a bar is drawn, that is the bar's own, which moves aside."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        return sys.stderr


class _Terse(logging.Formatter):
    """Messages as they are; only what is unusual says so."""

    def format(self, record: logging.LogRecord) -> str:
        mark = "warning: " if record.levelno >= logging.WARNING else ""
        return mark + super().format(record)


def main() -> None:
    """Run the command line and turn errors into one or two lines and an exit code."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command.

    Args:
        arguments: of the command line, without the program's name.

    Returns:
        The exit code.
    """
    try:
        code = app(arguments, prog_name="slugline", standalone_mode=False)
    except SluglineError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output went away: `slugline predict ... | head`. Nobody is to be told at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        return _usage_error(error)
    return code if isinstance(code, int) else 0


def _usage_error(error: Exception) -> int:
    """Typer's and click's own errors have an exit code and a way to show themselves; all others are bugs."""
    show, code = getattr(error, "show", None), getattr(error, "exit_code", None)
    if code is None:
        raise error
    if show is not None:
        show()
    return int(code)
