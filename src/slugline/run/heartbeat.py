"""The heartbeat of a run: a file that is written again and again while its process is alive.

Processes of other machines and containers cannot be looked up, but the age of the file can.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread

from slugline.core.storage import disk_errors

#: Seconds between two beats.
INTERVAL = 30.0

#: A process that has missed so many beats counts as dead.
MISSED_BEATS = 6


@contextmanager
def beating(path: Path) -> Iterator[None]:
    """Write a file again and again inside the block, and delete it afterwards.

    Args:
        path: path of the file, in an existing folder.

    Raises:
        RunError: the disk is full or not writable.
    """
    with disk_errors(path):
        path.write_text(_now(), encoding="utf-8")
    ended = Event()
    Thread(target=_beat, args=(path, ended), name="heartbeat", daemon=True).start()
    try:
        yield
    finally:
        ended.set()
        with suppress(OSError):
            path.unlink(missing_ok=True)


def _beat(path: Path, ended: Event) -> None:
    while not ended.wait(INTERVAL):
        # A full disk must not end the training. A deleted file is not created again: its folder may be deleted too.
        with suppress(OSError), path.open("r+", encoding="utf-8") as file:
            file.write(_now())


def seconds_since_beat(path: Path) -> float | None:
    """Return the age of the last beat.

    Args:
        path: path of the file.

    Returns:
        Seconds; None if there is no such file.
    """
    with suppress(OSError):
        # Clocks of two machines differ a little.
        return max(0.0, time.time() - path.stat().st_mtime)
    return None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds") + "\n"
