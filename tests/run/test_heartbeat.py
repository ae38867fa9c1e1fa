"""A run that lives on another machine or in another container is alive as long as its heartbeat is fresh."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from slugline.core.errors import RunError
from slugline.recipe.recipe import Recipe, validate
from slugline.run import heartbeat, process
from slugline.run.heartbeat import INTERVAL, MISSED_BEATS, beating
from slugline.run.lifecycle import open_run
from slugline.run.process import this_process
from slugline.run.run import Run

#: What differs between this process and one that runs elsewhere.
ELSEWHERE: dict[str, dict[str, Any]] = {
    "another machine": {"host": "node17"},
    "another machine, written by an earlier version": {"host": "node17", "boot_id": "", "pid_namespace": ""},
    "the same host name, another start": {"boot_id": "0f0f"},
    "the same host name, another start, without identifiers": {"boot_id": "", "pid_namespace": "", "boot_time": 1},
    "another container with the same host name": {"pid_namespace": "pid:[1]"},
}


def recipe() -> Recipe:
    return validate({"name": "x", "data": {"name": "bbc_news"}})


def elsewhere(path: Path, changes: dict[str, Any], *, silent_for: float | None) -> Run:
    """A run that a process elsewhere trains, whose last beat is some seconds old."""
    with pytest.raises(KeyboardInterrupt), open_run(path, recipe()):
        raise KeyboardInterrupt
    run = Run(path)
    run.update_manifest({"state": "running", "process": this_process() | {"pid": 2**22 + 1} | changes})
    if silent_for is not None:
        run.layout.heartbeat.touch()
        os.utime(run.layout.heartbeat, (0, time.time() - silent_for))
    return run


@pytest.mark.parametrize("changes", ELSEWHERE.values(), ids=ELSEWHERE)
def test_a_run_elsewhere_is_alive_while_it_beats(tmp_path: Path, changes: dict[str, Any]) -> None:
    run = elsewhere(tmp_path / "run", changes, silent_for=12)
    assert run.state == "running"
    host = changes.get("host", this_process()["host"])
    for options in ({}, {"resume": True}, {"force": True}):
        with (
            pytest.raises(RunError, match=rf"right now: process \d+ on {host}, last seen 1[2-9] s ago"),
            open_run(run.path, recipe(), **options),
        ):
            pass
    assert run.layout.manifest.is_file()


@pytest.mark.parametrize("changes", ELSEWHERE.values(), ids=ELSEWHERE)
@pytest.mark.parametrize("silent_for", [INTERVAL * MISSED_BEATS + 1, None])
def test_a_run_elsewhere_that_missed_its_beats_is_interrupted(
    tmp_path: Path, changes: dict[str, Any], silent_for: float | None
) -> None:
    run = elsewhere(tmp_path / "run", changes, silent_for=silent_for)
    assert run.state == "interrupted"
    with open_run(run.path, recipe(), resume=True):
        pass
    assert run.state == "complete"


def test_a_run_of_this_machine_is_looked_up(tmp_path: Path) -> None:
    """Its heartbeat says nothing: it may be fresh after a kill, and old after a night in standby."""
    assert elsewhere(tmp_path / "killed", {}, silent_for=0).state == "interrupted"
    before = {name: value for name, value in this_process().items() if name not in ("boot_id", "pid_namespace")}
    for identity in (this_process(), before):
        run = elsewhere(tmp_path / "standby", identity, silent_for=10**6)
        assert run.state == "running"
        shutil.rmtree(run.path)


def test_machines_without_identifiers_have_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BOOT_ID", "PID_NAMESPACE"):
        monkeypatch.setattr(process, name, tmp_path / "missing")
    with open_run(tmp_path / "run", recipe()) as run:
        assert run.state == "running"


def test_the_heartbeat_is_written_again_and_deleted_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "INTERVAL", 0.02)
    with open_run(tmp_path / "run", recipe()) as run:
        os.utime(run.layout.heartbeat, (0, 0))
        end = time.monotonic() + 30
        while run.layout.heartbeat.stat().st_mtime == 0:
            assert time.monotonic() < end, "no beat"
            time.sleep(0.01)
    assert not run.layout.heartbeat.exists()


def test_a_deleted_folder_is_not_created_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "INTERVAL", 0.01)
    (tmp_path / "run").mkdir()
    with beating(tmp_path / "run" / "heartbeat"):
        (tmp_path / "run" / "heartbeat").unlink()
        time.sleep(0.1)
        assert not list((tmp_path / "run").iterdir())
        (tmp_path / "run").rmdir()
        time.sleep(0.1)
    assert not list(tmp_path.iterdir())


def test_the_files_of_a_process_that_was_killed_at_its_start_block_nothing(tmp_path: Path) -> None:
    (tmp_path / "heartbeat").touch()
    with open_run(tmp_path, recipe()) as run:
        pass
    assert run.state == "complete"
