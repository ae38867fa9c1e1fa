"""The application: commands, logging, errors. No other module catches `SluglineError`.

Exit codes: 0 success, 1 error in the input, 2 wrong usage, 3 errors in checked data, 130 stopped by Ctrl-C, 143 by
SIGTERM, 129 by SIGHUP.
"""

from __future__ import annotations

import inspect
import logging
import sys
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any, get_type_hints

import typer

from slugline import __version__
from slugline.cli import data, models, recipes, results, studies, system, train
from slugline.cli.printing.streams import forgiving_streams
from slugline.core import messages, progress
from slugline.core.errors import SluglineError
from slugline.core.termination import raising_sigterm, received_signal, sigterm_was_received

app = typer.Typer(
    name="slugline",
    help="Train and evaluate text classifiers: a recipe goes in, a run comes out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("demo")(system.demo)
app.add_typer(data.app, name="data")
app.add_typer(recipes.app, name="recipe")
app.command("train")(train.train)
app.command("pretrain")(train.pretrain)
app.command("study")(studies.study)
app.command("show")(results.show)
app.command("evaluate")(models.evaluate)
app.command("predict")(models.predict)
app.command("compare")(results.compare)
app.command("check")(results.check)
app.command("doctor")(system.doctor)


Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show only warnings and errors on stderr.")]


def _version(requested: bool) -> None:
    if requested:
        typer.echo(f"slugline {__version__}")
        raise typer.Exit


@app.callback()
def _set_up(
    quiet: Quiet = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    messages.show()
    progress.show()
    _silence(quiet)


def _silence(quiet: Quiet = False) -> None:
    if quiet:
        messages.show(logging.WARNING)
        progress.hide()


def _silenceable(command: Callable[..., Any]) -> Callable[..., Any]:
    """Return a command with the option --quiet, so that the option is also accepted after the command's name."""

    @wraps(command)
    def wrapped(*, quiet: bool, **options: Any) -> Any:
        _silence(quiet)
        return command(**options)

    hints = {**get_type_hints(command, include_extras=True), "quiet": Quiet}
    option = inspect.Parameter("quiet", inspect.Parameter.KEYWORD_ONLY, default=False)
    parameters = [*inspect.signature(command).parameters.values(), option]
    typed = [each.replace(annotation=hints[each.name]) for each in parameters]
    wrapped.__signature__ = inspect.Signature(typed)  # type: ignore[attr-defined]
    wrapped.__annotations__ = hints
    return wrapped


for _group in (app, data.app, recipes.app):
    for _command in _group.registered_commands:
        assert _command.callback is not None
        _command.callback = _silenceable(_command.callback)
for _group in (data.app, recipes.app):
    _group.callback()(_silence)


def main() -> None:
    """Run the command line and exit with its exit code."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command; print errors without a traceback.

    Args:
        arguments: command-line arguments, without the name of the program.

    Returns:
        The exit code.
    """
    with raising_sigterm(), forgiving_streams() as stdout:
        code = _run(arguments)
        stdout.flush()
        if code == 0 and stdout.failure:
            sys.stderr.write(f"error: the output cannot be written ({stdout.failure.strerror}).\n")
            code = 1
    # Typer turns every KeyboardInterrupt into exit code 130.
    return 128 + received_signal() if code == 130 and sigterm_was_received() else code


def _run(arguments: list[str]) -> int:
    try:
        code = app(arguments, prog_name="slugline", standalone_mode=False)
    except SluglineError as error:
        sys.stderr.write(messages.wrapped(f"error: {error}") + "\n")
        return 1
    except KeyboardInterrupt:
        return 130
    except ImportError as error:
        if (error.name or "").startswith("slugline"):
            raise
        sys.stderr.write(f"error: a package cannot be imported ({error}).\nSee what is broken with: slugline doctor\n")
        return 1
    except Exception as error:
        return _usage_error(error)
    return code if isinstance(code, int) else 0


def _usage_error(error: Exception) -> int:
    """Show an error of typer or click and return its exit code; raise other errors, which are bugs."""
    show, code = getattr(error, "show", None), getattr(error, "exit_code", None)
    if code is None:
        raise error
    if show is not None:
        show()
    return int(code)
