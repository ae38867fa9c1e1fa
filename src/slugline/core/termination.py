"""SIGTERM, which batch systems, ``docker stop`` and spot machines send some seconds before they kill a process.

SIGHUP, which a terminal sends when it is closed, has the same effect, unless it is ignored (``nohup``). The signal
raises `Terminated`, so that a run ends in state interrupted. In a training, it first waits for the next checkpoint.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

#: Signals that end a program.
SIGNALS = (signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else []))

#: Signals received since the last block began.
_received: list[int] = []


class Terminated(KeyboardInterrupt):
    """SIGTERM was received. Code that handles Ctrl-C handles this too."""


def sigterm_was_received() -> bool:
    """True if SIGTERM was received since one of the blocks below began; False outside the main thread."""
    return _is_main_thread() and bool(_received)


def received_signal() -> signal.Signals:
    """Return the first signal that was received since one of the blocks below began; SIGTERM if there was none."""
    return signal.Signals(_received[0]) if _received else signal.SIGTERM


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
    """Set the handler of `SIGNALS` that are not ignored; only the main thread receives signals and can set it."""
    if not _is_main_thread():
        yield
        return
    _received.clear()
    heeded = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    previous = {number: signal.signal(number, handler) for number in heeded}
    try:
        yield
    finally:
        for number, former in previous.items():
            signal.signal(number, former)


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _record(number: int, frame: FrameType | None) -> None:
    if _received:
        raise Terminated
    _received.append(number)


def _raise(number: int, frame: FrameType | None) -> None:
    _received.append(number)
    raise Terminated
