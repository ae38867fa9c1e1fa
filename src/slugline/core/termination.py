"""SIGTERM, which batch systems, ``docker stop`` and spot machines send some seconds before they kill a process.

It raises `Terminated`, so that a run ends in state interrupted. In a training, it first waits for the next checkpoint.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

#: Exit code of a program that SIGTERM has ended: 128 and the number of the signal.
EXIT_CODE = 128 + signal.SIGTERM

#: Signals received since the last block began.
_received: list[int] = []


class Terminated(KeyboardInterrupt):
    """SIGTERM was received. Code that handles Ctrl-C handles this too."""


def sigterm_was_received() -> bool:
    """True if SIGTERM was received since one of the blocks below began; False outside the main thread."""
    return _is_main_thread() and bool(_received)


def deliver_sigterm(*, again: bool) -> None:
    """Send SIGTERM to the main thread of this process, which may have received one already, with its process group.

    Args:
        again: True to send it also then.
    """
    if again or not _received:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)


@contextmanager
def raising_sigterm() -> Iterator[None]:
    """Raise `Terminated` at SIGTERM inside the block.

    Raises:
        Terminated: SIGTERM was received.
    """
    with _handled_by(_raise):
        yield


@contextmanager
def deferred_sigterm() -> Iterator[None]:
    """Record the first SIGTERM inside the block instead of raising; the second one raises `Terminated`.

    Raises:
        Terminated: SIGTERM was received and the block has not raised an error; raised at its end.
    """
    with _handled_by(_record):
        yield
    if sigterm_was_received():
        raise Terminated


@contextmanager
def _handled_by(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Set the handler of SIGTERM; only the main thread receives signals and can set it."""
    if not _is_main_thread():
        yield
        return
    _received.clear()
    previous = signal.signal(signal.SIGTERM, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _record(number: int, frame: FrameType | None) -> None:
    if _received:
        raise Terminated
    _received.append(number)


def _raise(number: int, frame: FrameType | None) -> None:
    _received.append(number)
    raise Terminated
