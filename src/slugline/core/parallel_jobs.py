"""`run_jobs`: independent jobs one after the other, or side by side in processes that share the hardware."""

from __future__ import annotations

import logging
import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, as_completed, wait
from threading import Thread
from typing import Any

from slugline.core import messages, progress
from slugline.core.hardware import Hardware

#: Cores that one training uses well; with fewer cores per job, jobs are faster one after the other.
CORES_PER_JOB = 8


def jobs_at_once(hardware: Hardware) -> int:
    """Return the number of trainings to run side by side: one per GPU, or one per `CORES_PER_JOB` cores.

    Args:
        hardware: hardware of the machine, from `detect`.

    Returns:
        At least 1.
    """
    if hardware.device == "cpu":
        return max(1, hardware.cores // CORES_PER_JOB)
    return max(1, hardware.devices)


def run_jobs(work: Callable[..., None], jobs: Sequence[tuple[Any, ...]], *, processes: int) -> None:
    """Call a function once for each job.

    Args:
        work: function to call; with several processes it has to be importable, and its arguments picklable.
        jobs: arguments of each call.
        processes: number of jobs that run side by side, each with its share of GPUs or cores; 1 = in this process.

    Raises:
        Exception: the first error of a job. Jobs that have not started by then are not started.
    """
    if processes <= 1:
        for job in jobs:
            work(*job)
        return
    context = multiprocessing.get_context("spawn")
    slots = context.Queue()
    for slot in range(processes):
        slots.put(slot)
    running: set[Future[None]] = set()
    with ProcessPoolExecutor(processes, context, initializer=_take_share, initargs=(slots, processes)) as pool:
        for job in jobs:
            if len(running) == processes:
                # No job waits in the pool: it would still be started after an error or Ctrl-C.
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()
            running.add(pool.submit(work, *job))
        for future in as_completed(running):
            future.result()


def _take_share(slots: Any, count: int) -> None:
    """Restrict this process to its GPU, or to its share of the cores; before torch is imported."""
    Thread(target=_exit_with_parent, daemon=True).start()
    # Bars and lines of several processes would mix; warnings must be seen.
    messages.show(logging.WARNING)
    progress.hide()
    slot = slots.get()
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, cores[slot::count] or cores)
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    devices = [str(index) for index in range(count)] if visible is None else visible.split(",")
    os.environ["CUDA_VISIBLE_DEVICES"] = devices[slot % len(devices)]


def _exit_with_parent() -> None:
    """Exit when the parent process has ended, even if it was killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
