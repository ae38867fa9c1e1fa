"""Jobs in processes: shares of the hardware, errors, and processes that end with their parent."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from slugline.core import parallel_jobs
from slugline.core.errors import TrainingError
from slugline.core.hardware import Hardware
from slugline.core.parallel_jobs import jobs_at_once, run_jobs


def make_folder(path: Path) -> None:
    path.mkdir()
    time.sleep(1)


def test_after_an_error_no_further_job_starts(tmp_path: Path) -> None:
    """Jobs that create folders slowly; the first folder exists already."""
    jobs = [(tmp_path,), *((tmp_path / name,) for name in "abcdefgh")]
    with pytest.raises(FileExistsError):
        run_jobs(make_folder, jobs, names=[str(job) for job in jobs], processes=2)
    assert len(list(tmp_path.iterdir())) < 8


def write_later(path: Path, delay: float, error: str) -> None:
    """Write a file after a delay, or fail with a hint."""
    if error:
        raise TrainingError(error, hint="Choose another one.")
    time.sleep(delay)
    path.touch()


def test_an_error_is_reported_at_once_and_running_jobs_end(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    jobs = [(tmp_path / "a", 0.0, "the loss is nan"), (tmp_path / "b", 5.0, ""), (tmp_path / "c", 0.0, "")]
    with pytest.raises(TrainingError, match=r"the loss is nan\nChoose another one"):
        run_jobs(write_later, jobs, names=["fold 1", "fold 2", "fold 3"], processes=2)
    (record,) = caplog.records
    assert "fold 1 failed: the loss is nan" in record.getMessage()
    assert "fold 2: running to the end" in record.getMessage()
    assert [path.name for path in tmp_path.iterdir()] == ["b"]
    assert record.created < (tmp_path / "b").stat().st_mtime - 1


def end_by_signal(number: int) -> None:
    os.kill(os.getpid(), number)


class Unpicklable(Exception):
    """pickle cannot rebuild it."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(one)


def fail_unpicklably() -> None:
    raise Unpicklable("one", "two")


def test_processes_without_a_result_and_errors_that_cannot_be_sent_are_reported() -> None:
    with pytest.raises(TrainingError, match=r"fold 1 was ended by signal 9(.|\n)*memory"):
        run_jobs(end_by_signal, [(signal.SIGKILL,)], names=["fold 1"], processes=2)
    with pytest.raises(KeyboardInterrupt):
        run_jobs(end_by_signal, [(signal.SIGTERM,)], names=["fold 1"], processes=2)
    with pytest.raises(RuntimeError, match=r"Unpicklable: one"):
        run_jobs(fail_unpicklably, [()], names=["fold 1"], processes=2)


@pytest.mark.parametrize(
    ("visible", "shares"),
    [(None, ["0", "1"]), ("3,5", ["3", "5"]), ("", ["", ""]), ("GPU-a", ["GPU-a", "GPU-a"])],
)
def test_each_process_takes_its_share(monkeypatch: pytest.MonkeyPatch, visible: str | None, shares: list[str]) -> None:
    given: list[list[int]] = []
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {4, 6, 7}, raising=False)
    monkeypatch.setattr(os, "sched_setaffinity", lambda _, cores: given.append(cores), raising=False)
    for slot, share in enumerate(shares):
        if visible is None:
            monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        else:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        parallel_jobs._take_share(slot, 2)
        assert os.environ["CUDA_VISIBLE_DEVICES"] == share
    assert given == [[4, 7], [6]]
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {4}, raising=False)
    parallel_jobs._take_share(1, 2)
    assert given[-1] == [4]  # more processes than cores


def test_processes_end_with_their_parent(tmp_path: Path) -> None:
    started = tmp_path / "started"
    work = f"open({str(started)!r}, 'w').close(); import time; time.sleep(300)"
    call = f"run_jobs(exec, [({work!r},), ('pass',)], names='ab', processes=2)"
    script = f"from slugline.core.parallel_jobs import run_jobs\nif __name__ == '__main__':\n    {call}\n"
    (tmp_path / "parent.py").write_text(script)
    parent = subprocess.Popen([sys.executable, str(tmp_path / "parent.py")])
    try:
        wait_for(started.exists)
        children = psutil.Process(parent.pid).children(recursive=True)
        assert children
    finally:
        parent.kill()
        parent.wait()
    _, alive = psutil.wait_procs(children, timeout=20)
    assert not alive


def wait_for(condition: Any, *, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"the condition was not met in {seconds} s"
        time.sleep(0.05)


def test_the_number_of_jobs_depends_on_the_hardware() -> None:
    assert jobs_at_once(Hardware("cpu", cores=2)) == 1
    assert jobs_at_once(Hardware("cpu", cores=32)) == 4
    assert jobs_at_once(Hardware("cuda", cores=32, devices=1)) == 1
    assert jobs_at_once(Hardware("cuda", cores=2, devices=8)) == 8
    assert multiprocessing.parent_process() is None  # `_obey` needs one, and only workers have it
