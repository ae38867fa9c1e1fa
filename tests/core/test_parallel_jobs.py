"""Jobs in processes: shares of the hardware, errors, and processes that end with their parent."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import psutil
import pytest

from slugline.core import parallel_jobs
from slugline.core.hardware import Hardware
from slugline.core.parallel_jobs import jobs_at_once, run_jobs


def make_folder(path: Path) -> None:
    path.mkdir()
    time.sleep(1)


def test_after_an_error_no_further_job_starts(tmp_path: Path) -> None:
    """Jobs that create folders slowly; the first folder exists already."""
    jobs = [(tmp_path,), *((tmp_path / name,) for name in "abcdefgh")]
    with pytest.raises(FileExistsError):
        run_jobs(make_folder, jobs, processes=2)
    assert len(list(tmp_path.iterdir())) < 8


@pytest.mark.parametrize(
    ("visible", "shares"),
    [(None, ["0", "1"]), ("3,5", ["3", "5"]), ("", ["", ""]), ("GPU-a", ["GPU-a", "GPU-a"])],
)
def test_each_process_takes_its_share(monkeypatch: pytest.MonkeyPatch, visible: str | None, shares: list[str]) -> None:
    given: list[list[int]] = []
    monkeypatch.setattr(parallel_jobs, "Thread", lambda **_: type("Idle", (), {"start": lambda self: None})())
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {4, 6, 7}, raising=False)
    monkeypatch.setattr(os, "sched_setaffinity", lambda _, cores: given.append(cores), raising=False)
    slots: SimpleQueue[int] = SimpleQueue()
    for slot, share in enumerate(shares):
        if visible is None:
            monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        else:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        slots.put(slot)
        parallel_jobs._take_share(slots, 2)
        assert os.environ["CUDA_VISIBLE_DEVICES"] == share
    assert given == [[4, 7], [6]]
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {4}, raising=False)
    slots.put(1)
    parallel_jobs._take_share(slots, 2)
    assert given[-1] == [4]  # more processes than cores


def test_processes_end_with_their_parent(tmp_path: Path) -> None:
    started = tmp_path / "started"
    work = f"open({str(started)!r}, 'w').close(); import time; time.sleep(300)"
    call = f"run_jobs(exec, [({work!r},), ('pass',)], processes=2)"
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
    assert multiprocessing.parent_process() is None  # `_exit_with_parent` needs one, and only workers have it
