"""Killed is not lost: a training process is killed again and again, and ends where it would have ended."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from conftest import articles, everything, with_changes, write_csv
from slugline import train
from slugline.recipe.recipe import write
from slugline.run.run import Run
from slugline.training.loop.checkpoints import checkpoints_in


def start(recipe: Path, run_dir: Path, *options: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "slugline", "train", str(recipe), "--run-dir", str(run_dir), *options]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def kill_when(condition: Callable[[], bool], process: subprocess.Popen[bytes], *, seconds: float = 120) -> None:
    """Send SIGKILL as soon as something holds; the process must not have ended before."""
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()[1].decode()
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.001)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def has_come_further(run: Run, rng: random.Random) -> Callable[[], bool]:
    """History goes some updates beyond what it was, though a resumed run first goes back to its checkpoint."""
    goal = (run.history[-1]["step"] if run.history else 0) + rng.randint(2, 16)
    return lambda: bool(run.history) and run.history[-1]["step"] >= goal


def is_saving(run: Run, rng: random.Random) -> Callable[[], bool]:
    """A checkpoint folder has just appeared; most likely it is not whole yet."""
    before = set(run.layout.checkpoints.glob("checkpoint-*"))
    return lambda: bool(set(run.layout.checkpoints.glob("checkpoint-*")) - before)


MOMENTS = [has_come_further, is_saving, has_come_further, is_saving, has_come_further]


def test_a_run_that_is_killed_five_times_ends_as_if_nothing_had_happened(
    recipe_values: dict[str, Any], tmp_path: Path
) -> None:
    data = {"path": str(write_csv(tmp_path / "news.csv", articles(300)))}
    keys = {"epochs": 8, "weight_averaging": "ema", "save_every": 4, "keep_checkpoints": 2, "logging_steps": 1}
    recipe = with_changes(recipe_values, data=data, train=keys)
    whole = train(recipe, run_dir=tmp_path / "whole")
    (tmp_path / "recipe.toml").write_text(write(recipe))

    rng, run = random.Random(13), Run(tmp_path / "killed")
    options: list[str] = []
    for moment in MOMENTS:
        kill_when(moment(run, rng), start(tmp_path / "recipe.toml", run.path, *options))
        assert run.state == "interrupted"
        options = ["--resume"]
    last = start(tmp_path / "recipe.toml", run.path, *options)
    _, said = last.communicate()
    assert last.returncode == 0, said.decode()
    assert run.state == "complete"

    ends = [checkpoints_in(some.layout.checkpoints)[-1] for some in (whole, run)]
    assert ends[0].name == ends[1].name
    for file in ("model.safetensors", "averaged.safetensors"):
        expected, found = (load_file(end / file) for end in ends)
        assert all(torch.equal(found[name], value) for name, value in expected.items()), file
    assert everything(run.path) == everything(whole.path)
    assert timeless(run) == timeless(whole)


def timeless(run: Run) -> list[dict[str, Any]]:
    """History without speeds."""
    return [{key: value for key, value in line.items() if key != "examples_per_second"} for line in run.history]
