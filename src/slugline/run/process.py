"""The process that trains a run, as its manifest records it, and whether it is still alive."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import Any


def this_process() -> dict[str, Any]:
    """Return the identity of this process: id, host, and start times of machine and process."""
    import psutil

    return {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "boot_time": round(psutil.boot_time()),
        "process_time": round(psutil.Process().create_time(), 1),
    }


def is_alive(process: Mapping[str, Any]) -> bool:
    """True if a recorded process still runs; processes on other hosts or from before a reboot count as dead."""
    import psutil

    # Boot times are computed from the clock and may differ by a second.
    if process["host"] != socket.gethostname() or abs(process["boot_time"] - psutil.boot_time()) > 5:
        return False
    try:
        return bool(abs(psutil.Process(process["pid"]).create_time() - process["process_time"]) < 1.0)
    except psutil.NoSuchProcess:
        return False
