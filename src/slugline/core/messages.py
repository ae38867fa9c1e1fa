"""Messages of the package, on stderr: always in the command line, by default in scripts and notebooks.

A program that configures logging decides itself where the messages of the logger ``slugline`` go.
"""

from __future__ import annotations

import logging
import shutil
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

logger = logging.getLogger("slugline")


def show(level: int = logging.INFO) -> None:
    """Write messages to stderr from now on, and nowhere else.

    Args:
        level: lowest level that is written.
    """
    logger.handlers = [_handler(level)]
    logger.setLevel(logging.INFO)
    logger.propagate = False


@contextmanager
def visible_messages() -> Iterator[None]:
    """Write messages to stderr inside the block, unless the program has configured logging. Also a decorator.

    A level that the program has set for the logger ``slugline`` is respected.
    """
    if logger.handlers or logging.getLogger().handlers:
        yield
        return
    level = logger.level
    handler = _handler(level or logging.INFO)
    logger.addHandler(handler)
    logger.setLevel(level or logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)


@contextmanager
def silenced() -> Iterator[None]:
    """Suppress messages below errors inside the block: a check repeats what the work itself logs.

    Yields:
        Nothing.
    """
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _handler(level: int) -> logging.Handler:
    handler = _StderrHandler()
    handler.setFormatter(_Formatter("%(message)s"))
    handler.setLevel(level)
    return handler


class _StderrHandler(logging.StreamHandler[TextIO]):
    """Writes to the present `sys.stderr`: a progress bar or a notebook replaces it."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        return sys.stderr


class _Formatter(logging.Formatter):
    """Marks warnings; other messages stay as they are."""

    def format(self, record: logging.LogRecord) -> str:
        mark = "warning: " if record.levelno >= logging.WARNING else ""
        return wrapped(mark + super().format(record))


def wrapped(text: str) -> str:
    """Return a text with lines that a terminal shows without breaking words; unchanged if stderr is no terminal."""
    if not sys.stderr.isatty():
        return text
    width = max(40, shutil.get_terminal_size().columns)
    return "\n".join(
        textwrap.fill(line, width, break_long_words=False, break_on_hyphens=False, replace_whitespace=False)
        for line in text.splitlines()
    )
