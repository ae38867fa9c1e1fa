"""A training process that is killed repeatedly reaches the same result as one that is not."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from conftest import articles, everything, start_cli, wait_for, with_changes, write_csv
from slugline import train
from slugline.cli.app import run as command_line
from slugline.recipe.recipe import write
from slugline.run.run import Run
from slugline.training.loop.checkpoints import checkpoints_in


def has_progressed(run: Run, rng: random.Random) -> Callable[[], bool]:
    """True once the history is some updates longer than before; a resumed run first truncates it to its checkpoint."""
    goal = (run.history[-1]["step"] if run.history else 0) + rng.randint(2, 16)
    return lambda: bool(run.history) and run.history[-1]["step"] >= goal


def is_saving(run: Run, rng: random.Random) -> Callable[[], bool]:
    """True once a new checkpoint folder exists; most likely it is still incomplete."""
    before = set(run.layout.checkpoints.glob("checkpoint-*"))
    return lambda: bool(set(run.layout.checkpoints.glob("checkpoint-*")) - before)


#: When to kill the process, one condition per attempt.
CONDITIONS = [has_progressed, is_saving, has_progressed, is_saving, has_progressed]


def test_a_run_that_is_killed_five_times_gives_the_same_result(recipe_values: dict[str, Any], tmp_path: Path) -> None:
    data = {"path": str(write_csv(tmp_path / "news.csv", articles(300)))}
    keys = {"epochs": 8, "weight_averaging": "ema", "save_every": 4, "keep_checkpoints": 2, "logging_steps": 1}
    recipe = with_changes(recipe_values, data=data, train=keys)
    uninterrupted = train(recipe, run_dir=tmp_path / "uninterrupted")
    (tmp_path / "recipe.toml").write_text(write(recipe))

    rng, run = random.Random(13), Run(tmp_path / "killed")
    options: list[str] = []
    command = ("train", str(tmp_path / "recipe.toml"), "--run-dir", str(run.path))
    for condition in CONDITIONS:
        holds = condition(run, rng)
        process = start_cli(*command, *options, stderr=tmp_path / "stderr.txt")
        wait_for(holds, process)
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        assert run.state == "interrupted"
        options = ["--resume"]
    assert command_line([*command, *options]) == 0
    assert run.state == "complete"

    checkpoints = [checkpoints_in(each.layout.checkpoints)[-1] for each in (uninterrupted, run)]
    assert checkpoints[0].name == checkpoints[1].name
    for file in ("model.safetensors", "averaged.safetensors"):
        expected, found = (load_file(checkpoint / file) for checkpoint in checkpoints)
        assert all(torch.equal(found[name], value) for name, value in expected.items()), file
    assert everything(run.path) == everything(uninterrupted.path)
    assert history_without_speeds(run) == history_without_speeds(uninterrupted)


def history_without_speeds(run: Run) -> list[dict[str, Any]]:
    """The history without the values that differ in every repetition."""
    return [{key: value for key, value in line.items() if key != "examples_per_second"} for line in run.history]
