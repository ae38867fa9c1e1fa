"""Progress of long tasks on stderr: bars at a terminal, plain lines elsewhere, for example in notebooks.

Functions that take long call `track`. Progress does not go through the logger ``slugline``, so that it stays out of the
log of a run.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

#: Seconds between two plain lines of one task.
INTERVAL_SECONDS = 10.0

_shown = True


def show() -> None:
    """Make `track` write to stderr from now on, which is the default."""
    global _shown  # noqa: PLW0603  # a process has one terminal
    _shown = True


def hide() -> None:
    """Make `track` write nothing from now on."""
    global _shown  # noqa: PLW0603  # a process has one terminal
    _shown = False


@contextmanager
def track(task: str, total: int | None = None, *, unit: str = "") -> Iterator[Callable[[int], None]]:
    """Show the progress of a task.

    Args:
        task: name of the task: ``"tokenising"``.
        total: number of units; None = unknown.
        unit: name of the units: ``"texts"``.

    Yields:
        A function to call with the number of units done since the last call.
    """
    if not _shown:
        yield lambda _: None
    elif sys.stderr.isatty():
        with _bar(task, total, unit) as advance:
            yield _until_closed(advance)
    else:
        yield _until_closed(_plain(task, total, unit))


def _until_closed(advance: Callable[[int], None]) -> Callable[[int], None]:
    """Ignore errors of stderr: its reader may exit before the task is done, as in ``slugline train 2>&1 | head``."""

    def advance_if_open(count: int) -> None:
        with suppress(OSError, ValueError):
            advance(count)

    return advance_if_open


@contextmanager
def _bar(task: str, total: int | None, unit: str) -> Iterator[Callable[[int], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task(task, total=total)
        yield lambda count: progress.update(bar, advance=count)


def _plain(task: str, total: int | None, unit: str) -> Callable[[int], None]:
    """A line every `INTERVAL_SECONDS`; tasks that end earlier write none."""
    started = last = time.monotonic()
    done = 0

    def advance(count: int) -> None:
        nonlocal done, last
        done += count
        now = time.monotonic()
        if now - last < INTERVAL_SECONDS:
            return
        last = now
        of_total = f" of {total:,}" if total else ""
        remaining = f", about {(now - started) / done * (total - done):.0f} s left" if total and done else ""
        sys.stderr.write(f"{task}: {done:,}{of_total} {unit}".rstrip() + f"{remaining}\n")

    return advance
