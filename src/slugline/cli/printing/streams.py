"""stdout and stderr of the commands. Their readers may exit before a command ends: ``slugline train r.toml | head``."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any, TextIO, cast


class ForgivingStream:
    """A stream that drops what cannot be written, for example because its reader has exited.

    Args:
        stream: stdout or stderr; None if the program was started without it.

    Attributes:
        failure: error other than that of a reader that has exited, such as a full disk; None if there was none.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self.failure: OSError | None = None
        self._stream = stream or open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115  # open to the end

    def write(self, text: str) -> int:
        """Write a text and return its number of characters."""
        self._attempt(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Write what is buffered."""
        self._attempt(self._stream.flush)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _attempt(self, action: Callable[[], object]) -> None:
        try:
            action()
        except BrokenPipeError:
            self._discard()
        except OSError as error:
            self.failure = error
            self._discard()

    def _discard(self) -> None:
        """Send buffered and further output to the null device, also that of Python at exit."""
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, self._stream.fileno())
        os.close(null)
        with contextlib.suppress(OSError):
            self._stream.flush()


@contextmanager
def forgiving_streams() -> Iterator[ForgivingStream]:
    """Let a command continue if the reader of stdout or stderr exits.

    Yields:
        The stream that replaces stdout.
    """
    stdout, stderr = ForgivingStream(sys.stdout), ForgivingStream(sys.stderr)
    with redirect_stdout(cast("TextIO", stdout)), redirect_stderr(cast("TextIO", stderr)):
        yield stdout
