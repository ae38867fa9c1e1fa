"""Folds in several processes: SIGTERM saves a checkpoint in each, and an error is reported at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from conftest import articles, interrupted_after, with_changes, write_csv
from slugline import train
from slugline.recipe.recipe import Recipe, write
from slugline.run.run import Run
from slugline.training.loop.checkpoints import checkpoints_in, is_sealed, step_of

#: The command line on a machine that trains two folds at a time.
PROGRAM = """
import signal, sys
from slugline.cli.app import run
from slugline.pipeline import cross_validation

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background, SIGINT is ignored
    cross_validation.jobs_at_once = lambda hardware: 2
    sys.exit(run(sys.argv[1:]))
"""


@contextmanager
def started(recipe: Recipe, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A cross-validation in a process group of its own."""
    (folder / "program.py").write_text(PROGRAM)
    (folder / "recipe.toml").write_text(write(recipe))
    command = [sys.executable, str(folder / "program.py"), "train", str(folder / "recipe.toml")]
    with (folder / "stderr.txt").open("w") as stderr:
        process = subprocess.Popen([*command, "--run-dir", str(folder / "run")], stderr=stderr, start_new_session=True)
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_for(condition: Callable[[], object], process: subprocess.Popen[bytes], *, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, "the process has ended"
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.02)


@pytest.fixture
def long_recipe(recipe_values: dict[str, Any]) -> Recipe:
    """Two folds that save and evaluate only at their end."""
    rare: dict[str, Any] = {"epochs": 4000, "eval_every": "4000 epochs", "save_every": "4000 epochs"}
    return with_changes(recipe_values, train=rare | {"folds": 2, "logging_steps": 1})


def fold_of(folder: Path, number: int) -> Run:
    return Run(folder / "run" / "folds" / str(number))


@pytest.mark.parametrize(
    ("number", "send", "code"),
    [
        (signal.SIGTERM, "to the parent", 143),
        (signal.SIGTERM, "to the group", 143),
        (signal.SIGINT, "to the parent", 130),
    ],
)
def test_every_fold_saves_a_checkpoint_when_the_run_is_stopped(
    long_recipe: Recipe, tmp_path: Path, number: int, send: str, code: int
) -> None:
    run, folds = Run(tmp_path / "run"), [fold_of(tmp_path, 1), fold_of(tmp_path, 2)]
    with started(long_recipe, tmp_path) as process:
        wait_for(lambda: all(fold.history for fold in folds), process)
        children = psutil.Process(process.pid).children(recursive=True)
        (os.killpg if send == "to the group" else os.kill)(process.pid, number)
        found = process.wait(timeout=60)
    err = (tmp_path / "stderr.txt").read_text()
    assert found == code, err
    assert "Traceback" not in err
    assert "--resume" in err
    assert not psutil.wait_procs(children, timeout=10)[1]
    assert run.state == "interrupted"
    for fold in folds:
        assert (fold.state, fold.manifest["error"]) == ("interrupted", "stopped by SIGTERM")
        (checkpoint,) = checkpoints_in(fold.layout.checkpoints)
        assert is_sealed(checkpoint)
        assert fold.history[-1]["step"] == step_of(checkpoint) >= 1
    first = step_of(checkpoints_in(folds[0].layout.checkpoints)[0])
    with interrupted_after(first + 2):
        train(long_recipe, run_dir=run.path, resume=True)
    assert f"resuming from checkpoint-{first}" in folds[0].layout.log.read_text()
    assert folds[0].history[-1]["step"] >= first + 1


def test_a_second_sigterm_ends_all_processes_at_once(long_recipe: Recipe, tmp_path: Path) -> None:
    folds = [fold_of(tmp_path, 1), fold_of(tmp_path, 2)]
    with started(long_recipe, tmp_path) as process:
        wait_for(lambda: all(fold.history for fold in folds), process)
        children = psutil.Process(process.pid).children(recursive=True)
        for child in children:
            child.suspend()
        process.terminate()
        time.sleep(1)
        process.terminate()
        time.sleep(1)
        for child in children:
            child.resume()
        assert process.wait(timeout=60) == 143
    assert not psutil.wait_procs(children, timeout=10)[1]


def test_the_error_of_a_fold_is_reported_while_the_other_runs_to_its_end(
    recipe_values: dict[str, Any], tmp_path: Path
) -> None:
    """The folder of the first fold is a file of the user."""
    data = {"path": str(write_csv(tmp_path / "news.csv", articles(150)))}
    recipe = with_changes(recipe_values, data=data, train={"folds": 2, "epochs": 200, "logging_steps": 1})
    with started(recipe, tmp_path) as process:
        wait_for((tmp_path / "run" / "manifest.json").exists, process)
        (tmp_path / "run" / "folds").mkdir()
        (tmp_path / "run" / "folds" / "1").write_text("not a folder")
        log = tmp_path / "run" / "log.txt"
        wait_for(lambda: "fold 1 failed" in log.read_text(), process)
        assert process.poll() is None
        assert fold_of(tmp_path, 2).state in ("new", "running")
        assert process.wait(timeout=120) == 1
    assert fold_of(tmp_path, 2).state == "complete"
    assert Run(tmp_path / "run").state == "failed"
    assert "Traceback" not in (tmp_path / "stderr.txt").read_text()
