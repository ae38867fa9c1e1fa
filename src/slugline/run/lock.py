"""The lock of a run folder: of all processes and threads that open one folder at the same time, one is admitted."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from slugline.core.errors import RunError
from slugline.core.storage import disk_errors
from slugline.run.process import describe, this_process

logger = logging.getLogger(__name__)

#: Seconds to wait for a lock. A run that has just ended may still hold it.
WAIT_SECONDS = 0.5


class Locked(RunError):
    """Another process or thread holds the lock."""


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a run folder, which needs not exist; the system releases it if this process is killed.

    The lock is a file beside the folder, because the folder itself is renamed and deleted. It has the identity of the
    process that holds it. Where the file system cannot lock, a warning is logged.

    Args:
        path: the run's own folder.

    Raises:
        Locked: another process, or another thread of this one, holds the lock.
        RunError: the folder cannot be created.
    """
    resolved = path.resolve()
    file = resolved.with_name(f".{resolved.name}.lock")
    with disk_errors(path):
        file.parent.mkdir(parents=True, exist_ok=True)
    lock = _acquired(path, file)
    if lock is None:
        yield
        return
    with suppress(OSError):
        file.write_text(json.dumps(this_process()), encoding="utf-8")
    try:
        yield
    finally:
        with suppress(OSError):
            # Deleted while it is held: who has opened this file, and waits for it, opens a new one then.
            file.unlink()
        with suppress(OSError):
            lock.release()


def _acquired(path: Path, file: Path) -> FileLock | None:
    """The lock, held; None if the file system cannot lock."""
    # Without a soft lock, which would outlive a killed process.
    lock = FileLock(file, timeout=WAIT_SECONDS, thread_local=False, fallback_to_soft=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise Locked(
            f"{path} is being trained right now: {_holder(file)}.",
            hint="Wait for it, stop it, or choose another folder with --run-dir.",
        ) from error
    except OSError as error:
        logger.warning(
            "%s: the folder beside it cannot be locked (%s): two trainings that start there at the same time would "
            "disturb each other.",
            path,
            error.strerror or error,
        )
        return None
    return lock


def _holder(file: Path) -> str:
    """The process that holds a lock, for messages."""
    try:
        return describe(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return "another process"
