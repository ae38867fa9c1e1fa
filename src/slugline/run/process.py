"""The process that trains a run, as its manifest records it, and whether it is still alive."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from slugline.run.heartbeat import INTERVAL, MISSED_BEATS

#: File with an identifier of each start of a Linux kernel, and link that names the process ids of a container.
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
PID_NAMESPACE = Path("/proc/self/ns/pid")


def this_process() -> dict[str, Any]:
    """Return the identity of this process: its id and start, and those of its machine and container."""
    import psutil

    return {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "boot_time": round(psutil.boot_time()),
        "process_time": round(psutil.Process().create_time(), 1),
        **_here(),
    }


def _here() -> dict[str, str]:
    """Identifiers of the start of this machine, and of this container; empty where the system has none."""
    found = {"boot_id": "", "pid_namespace": ""}
    with suppress(OSError):
        found["boot_id"] = BOOT_ID.read_text(encoding="ascii").strip()
    with suppress(OSError):
        found["pid_namespace"] = str(PID_NAMESPACE.readlink())
    return found


def is_alive(process: Mapping[str, Any], *, silent_for: float | None) -> bool:
    """True if a recorded process still runs.

    Processes of this machine are looked up. Those of other machines and containers, and from before a reboot, count as
    alive until they have missed `MISSED_BEATS` beats.

    Args:
        process: identity from `this_process`, also of an earlier version.
        silent_for: seconds since its last beat; None = it has no heartbeat.

    Returns:
        False for a process elsewhere without a heartbeat.
    """
    import psutil

    if not is_here(process):
        return silent_for is not None and silent_for < INTERVAL * MISSED_BEATS
    try:
        return bool(abs(psutil.Process(process["pid"]).create_time() - process["process_time"]) < 1.0)
    except psutil.NoSuchProcess:
        return False


def is_here(process: Mapping[str, Any]) -> bool:
    """True if a recorded process can be looked up here.

    Args:
        process: identity from `this_process`.

    Returns:
        False if its id belongs to another machine, to another start of this one, or to another container.
    """
    import psutil

    # Earlier versions, and some systems, have no such identifiers.
    known = {name: value for name, value in _here().items() if value and process.get(name)}
    # Boot times are computed from the clock and may differ by a second; a clock that is set shifts them.
    is_same_start = "boot_id" in known or abs(process["boot_time"] - psutil.boot_time()) <= 5
    is_this_machine = process["host"] == socket.gethostname() and is_same_start
    return is_this_machine and all(process[name] == value for name, value in known.items())


def describe(process: Mapping[str, Any], *, silent_for: float | None = None) -> str:
    """Return a process in words, for messages.

    Args:
        process: identity from `this_process`.
        silent_for: seconds since its last beat.

    Returns:
        Such as ``process 12 on node17, last seen 12 s ago``.
    """
    seen = "" if silent_for is None else f", last seen {silent_for:.0f} s ago"
    return f"process {process['pid']} on {process['host']}{seen}"
