"""Of several trainings that start in one folder at the same time, one is admitted."""

from __future__ import annotations

import errno
import fcntl
import multiprocessing
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from slugline.core.errors import RunError
from slugline.recipe.recipe import Recipe, validate
from slugline.run import lifecycle, lock
from slugline.run.lifecycle import open_run, restore_replaced
from slugline.run.run import Run


def recipe() -> Recipe:
    return validate({"name": "x", "data": {"name": "bbc_news"}})


def attempt(path: Path, options: dict[str, Any], start: Callable[[], object], until: Callable[[], object]) -> str:
    """Open a run, and wait; return the message of a refusal, empty for the process that was admitted."""
    start()
    try:
        with open_run(path, recipe(), **options):
            until()
    except RunError as error:
        return error.message
    return ""


def assert_one_is_admitted(messages: list[str], path: Path) -> None:
    assert sum(message == "" for message in messages) == 1, messages
    for message in filter(None, messages):
        assert f"{path} is being trained right now: process " in message, message


@pytest.fixture(params=["new", "interrupted", "complete", "killed --force"])
def started(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    """A run folder, and the options to start there."""
    path = tmp_path / "runs" / "run"
    if request.param == "interrupted":
        with pytest.raises(KeyboardInterrupt), open_run(path, recipe()):
            raise KeyboardInterrupt
    elif request.param != "new":
        with open_run(path, recipe()):
            pass
    if request.param == "killed --force":
        path.rename(path.with_name(".run.aside"))
    return path, {"new": {}, "interrupted": {"resume": True}}.get(request.param, {"force": True})


def test_one_of_twelve_threads_is_admitted(started: tuple[Path, dict[str, Any]]) -> None:
    path, options = started
    barrier, refused = threading.Barrier(12), threading.Semaphore(0)

    def attempt_once() -> str:
        try:
            return attempt(path, options, barrier.wait, lambda: [refused.acquire(timeout=20) for _ in range(11)])
        finally:
            refused.release()

    with ThreadPoolExecutor(12) as pool:
        messages = [done.result() for done in [pool.submit(attempt_once) for _ in range(12)]]
    assert_one_is_admitted(messages, path)
    assert all(f"process {os.getpid()} on " in message for message in filter(None, messages))
    assert Run(path).state == "complete"
    assert [each.name for each in path.parent.iterdir()] == ["run"]


def attempt_in_process(path: Path, barrier: Any, results: Any, refused: Any) -> None:
    message = attempt(path, {}, barrier.wait, lambda: [refused.acquire(timeout=20) for _ in range(3)])
    refused.release()
    results.put(message)


def test_one_of_several_processes_is_admitted(tmp_path: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    barrier, results, refused = context.Barrier(4), context.Queue(), context.Semaphore(0)
    arguments = (tmp_path / "run", barrier, results, refused)
    processes = [context.Process(target=attempt_in_process, args=arguments) for _ in range(4)]
    for process in processes:
        process.start()
    messages = [results.get(timeout=120) for _ in processes]
    for process in processes:
        process.join()
    assert_one_is_admitted(messages, tmp_path / "run")


def test_a_run_is_locked_from_its_first_look_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the look at the folder and the manifest, nothing in the folder shows that a run starts."""
    path, seen = tmp_path / "run", []
    look = lifecycle._check_can_open

    def second_start(*arguments: Any, **options: Any) -> None:
        look(*arguments, **options)
        expected = f"run is being trained right now: process {os.getpid()} on"
        with pytest.raises(RunError, match=expected), open_run(path, recipe()):
            pass
        seen.append(True)

    monkeypatch.setattr(lifecycle, "_check_can_open", second_start)
    with open_run(path, recipe()):
        pass
    assert seen == [True]


def test_a_backup_is_not_restored_while_its_replacement_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run"
    with open_run(path, recipe()):
        pass
    start = lifecycle._initial_manifest

    def look(*arguments: Any) -> dict[str, Any]:
        restore_replaced(path)  # as a study does before it reads a member
        return start(*arguments)

    monkeypatch.setattr(lifecycle, "_initial_manifest", look)
    with open_run(path, recipe(), force=True) as run:
        assert run.state == "running"
        assert (tmp_path / ".run.aside").is_dir()
    assert not (tmp_path / ".run.aside").exists()


def test_two_names_of_one_folder_have_one_lock(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "run", target_is_directory=True)
    with (
        open_run(tmp_path / "run", recipe()),
        pytest.raises(RunError, match="right now"),
        open_run(tmp_path / "link", recipe()),
    ):
        pass


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    path = tmp_path / "run"
    script = f"""
        import os, signal
        from pathlib import Path
        from slugline.recipe.recipe import validate
        from slugline.run.lifecycle import open_run
        with open_run(Path({str(path)!r}), validate({{"name": "x", "data": {{"name": "bbc_news"}}}})) as run:
            (run.path / ".model.0123456789ab.partial").mkdir()
            os.kill(os.getpid(), signal.SIGKILL)
        """
    assert subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False).returncode == -9
    with open_run(path, recipe(), resume=True):
        pass
    assert [each.name for each in tmp_path.iterdir()] == ["run"]
    assert sorted(each.name for each in path.iterdir()) == ["log.txt", "manifest.json", "recipe.toml"]


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK])
def test_a_file_system_that_cannot_lock_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, number: int
) -> None:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", fail)
    with (
        open_run(tmp_path / "run", recipe()) as run,
        pytest.raises(RunError, match="right now"),
        open_run(run.path, recipe(), force=True),
    ):
        pass
    assert run.state == "complete"
    assert f"cannot be locked ({os.strerror(number)})" in caplog.text


def test_a_folder_beside_which_nothing_can_be_written_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A volume that is mounted at the root of a container."""

    def fail(self: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(lock.FileLock, "acquire", fail)
    with open_run(tmp_path / "run", recipe()) as run:
        pass
    assert run.state == "complete"
    assert "cannot be locked (Permission denied)" in caplog.text


def test_a_run_that_just_ends_is_waited_for(tmp_path: Path) -> None:
    entered = threading.Event()

    def hold() -> None:
        with lock.locked(tmp_path / "run"):
            entered.set()
            time.sleep(lock.WAIT_SECONDS / 4)

    with ThreadPoolExecutor(1) as pool:
        holding = pool.submit(hold)
        entered.wait()
        with open_run(tmp_path / "run", recipe()):
            holding.result()
