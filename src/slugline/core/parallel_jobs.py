"""`run_jobs`: independent jobs one after the other, or side by side in processes that share the hardware."""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import signal
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from threading import Thread
from typing import Any

from slugline.core import messages, progress
from slugline.core.errors import TrainingError
from slugline.core.hardware import Hardware
from slugline.core.termination import (
    Terminated,
    deferred_sigterm,
    deliver_sigterm,
    raising_sigterm,
    sigterm_was_received,
)

logger = logging.getLogger(__name__)

#: Cores that one training uses well; with fewer cores per job, jobs are faster one after the other.
CORES_PER_JOB = 8

#: Seconds between two looks at the signals of this process.
POLL_SECONDS = 0.2

#: Seconds in which processes end by themselves after Ctrl-C, which a terminal sends to all of them.
CTRL_C_SECONDS = 3.0


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


def run_jobs(
    work: Callable[..., None], jobs: Sequence[tuple[Any, ...]], *, names: Sequence[str], processes: int
) -> None:
    """Call a function once for each job.

    With several processes, an error is logged at once. Jobs that are running then run to their end, and no other is
    started. At SIGTERM and Ctrl-C, every process gets SIGTERM, and this one waits for them.

    Args:
        work: function to call; with several processes it has to be importable, and its arguments picklable.
        jobs: arguments of each call.
        names: name of each job, for messages.
        processes: number of jobs that run side by side, each with its share of GPUs or cores; 1 = in this process.

    Raises:
        Exception: the first error of a job.
        Terminated: SIGTERM was received.
    """
    if processes <= 1:
        for job in jobs:
            work(*job)
        return
    with deferred_sigterm():
        _run_side_by_side(work, list(zip(names, jobs, strict=True)), processes)


@dataclass(frozen=True)
class _Child:
    """A process with its job.

    Args:
        name: name of the job.
        process: the process.
        results: connection on which its error arrives, or None.
        control: connection on which it gets the order to stop.
        slot: number of its share of the hardware.
    """

    name: str
    process: SpawnProcess
    results: Connection
    control: Connection
    slot: int

    def stop(self, *, at_once: bool) -> None:
        """Deliver SIGTERM; ``at_once`` also if one was delivered before."""
        with suppress(OSError):  # it may have ended
            self.control.send(at_once)

    def error(self) -> BaseException | None:
        """Wait for the end of the process, and return its error."""
        try:
            error: BaseException | None = self.results.recv()
        except EOFError:
            self.process.join()
            error = _killed(self.name, self.process.exitcode or 0)
        self.process.join()
        return error


def _killed(name: str, code: int) -> BaseException:
    """The error of a process that ended without a result."""
    if code == -signal.SIGTERM:
        return Terminated()
    return TrainingError(
        f"the process of {name} was ended by {f'signal {-code}' if code < 0 else f'exit code {code}'}.",
        hint="Most likely the main memory was exhausted. Use --resume: its last checkpoint is intact.",
    )


def _run_side_by_side(work: Callable[..., None], waiting: list[tuple[str, tuple[Any, ...]]], processes: int) -> None:
    jobs = _RunningJobs(work, processes)
    try:
        while waiting or jobs.children:
            while waiting and jobs.can_start:
                jobs.start(*waiting.pop(0))
            if not jobs.children:
                break
            jobs.wait()
    except BaseException:  # Ctrl-C, which the other processes may have received too, or a second SIGTERM
        jobs.end()
        raise
    if jobs.errors:
        raise jobs.errors[0]


class _RunningJobs:
    """Processes that run side by side.

    Args:
        work: function that each process calls.
        processes: number of processes at a time.
    """

    def __init__(self, work: Callable[..., None], processes: int) -> None:
        self.work, self.processes = work, processes
        self.children: list[_Child] = []
        self.errors: list[BaseException] = []
        self.is_stopping = False

    @property
    def can_start(self) -> bool:
        """True if there is a free share of the hardware, and no reason to stop."""
        return len(self.children) < self.processes and not self.errors and not sigterm_was_received()

    def start(self, name: str, job: tuple[Any, ...]) -> None:
        """Start a process on a free share."""
        slot = min(set(range(self.processes)) - {child.slot for child in self.children})
        context = multiprocessing.get_context("spawn")
        results, their_results = context.Pipe(duplex=False)
        their_control, control = context.Pipe(duplex=False)
        arguments = (self.work, job, slot, self.processes, their_results, their_control)
        process = context.Process(target=_run_job, args=arguments, name=name)
        process.start()
        # Without the ends of the other process, the connections break when that process ends.
        their_results.close()
        their_control.close()
        self.children.append(_Child(name, process, results, control, slot))

    def wait(self) -> None:
        """Wait a moment; pass SIGTERM on, and collect the errors of processes that have ended."""
        if sigterm_was_received() and not self.is_stopping:
            self.is_stopping = True
            self._stop(at_once=False)
        ready = wait([child.results for child in self.children], timeout=POLL_SECONDS)
        for child in [child for child in self.children if child.results in ready]:
            self.children.remove(child)
            if error := child.error():
                self.errors.append(error)
                _report(child.name, error, [other.name for other in self.children])

    def end(self) -> None:
        """End all processes, and wait for them."""
        for child in self.children:
            child.process.join(0 if self.is_stopping else CTRL_C_SECONDS)
        self._stop(at_once=self.is_stopping)
        for child in self.children:
            child.process.join()

    def _stop(self, *, at_once: bool) -> None:
        for child in self.children:
            child.stop(at_once=at_once)


def _report(name: str, error: BaseException, others: Sequence[str]) -> None:
    """Log an error when it happens, not when all jobs have ended."""
    if isinstance(error, KeyboardInterrupt):
        return
    rest = f" {', '.join(others)}: running to the end, so that nothing is lost; nothing else starts." if others else ""
    logger.error("%s failed: %s%s", name, error, rest)


def _run_job(
    work: Callable[..., None],
    job: tuple[Any, ...],
    slot: int,
    count: int,
    results: Connection,
    control: Connection,
) -> None:
    """Run one job in this process, and send its error."""
    Thread(target=_obey, args=(control,), daemon=True).start()
    # Bars and lines of several processes would mix; warnings must be seen.
    messages.show(logging.WARNING)
    progress.hide()
    _take_share(slot, count)
    outcome: BaseException | None = None
    try:
        with raising_sigterm():
            work(*job)
    except BaseException as error:
        outcome = _picklable(error)
    results.send(outcome)


def _picklable(error: BaseException) -> BaseException:
    """The error with its traceback as a note; another error with its message if it cannot be sent."""
    error.add_note(traceback.format_exc())
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301  # made in this line
    except Exception:
        return RuntimeError("".join(traceback.format_exception(error)))
    return error


def _take_share(slot: int, count: int) -> None:
    """Restrict this process to its GPU, or to its share of the cores; before torch is imported."""
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, cores[slot::count] or cores)
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    devices = [str(index) for index in range(count)] if visible is None else visible.split(",")
    os.environ["CUDA_VISIBLE_DEVICES"] = devices[slot % len(devices)]


def _obey(control: Connection) -> None:
    """Deliver SIGTERM when the parent process orders it; exit when it has ended, even if it was killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    while parent.sentinel not in wait([control, parent.sentinel]):
        try:
            deliver_sigterm(again=control.recv())
        except EOFError:
            break
    parent.join()
    os._exit(1)
