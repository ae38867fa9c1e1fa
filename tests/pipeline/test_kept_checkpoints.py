"""Checkpoints of a complete run, and those after the one from which a training resumes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from conftest import everything, interrupted_after, start_cli, wait_for, with_changes
from slugline import load, train
from slugline.core.errors import ModelError
from slugline.pipeline import pretrain
from slugline.recipe.recipe import write
from slugline.run.run import Run
from slugline.training.loop.checkpoints import Progress, checkpoints_in, is_sealed, step_of


def steps_in(run: Run) -> list[int]:
    return [step_of(path) for path in checkpoints_in(run.layout.checkpoints)]


def best_of(run: Run) -> int:
    return int(run.manifest["chosen"]["step"])


@pytest.mark.parametrize(("number", "latest"), [(None, []), (1, [14]), (2, [12, 14]), (0, [3, 6, 7, 9, 12, 14])])
def test_a_complete_run_keeps_the_requested_checkpoints(
    recipe_values: dict[str, Any], tmp_path: Path, number: int | None, latest: list[int]
) -> None:
    keys: dict[str, Any] = {"save_every": 3, "eval_every": 7} | ({} if number is None else {"keep_checkpoints": number})
    run = train(with_changes(recipe_values, train=keys), run_dir=tmp_path / "run")
    kept = set(steps_in(run))
    if number is None:
        assert not run.layout.checkpoints.exists()
    else:
        assert best_of(run) in kept
        assert kept - {best_of(run)} <= set(latest) | {9, 12}
        assert len(kept - {best_of(run)}) == (number or len(kept) - 1)
    assert len(load(run.path).predict(["market shares"])) == 1


def test_two_checkpoints_besides_the_best_are_kept_during_the_training(
    recipe_values: dict[str, Any], tmp_path: Path
) -> None:
    recipe = with_changes(recipe_values, train={"save_every": 2, "logging_steps": 2})
    with interrupted_after(11):
        train(recipe, run_dir=tmp_path / "run")
    run = Run(tmp_path / "run")
    assert steps_in(run) == [7, 8, 10]
    train(recipe, run_dir=run.path, resume=True)
    assert run.state == "complete"
    assert not run.layout.checkpoints.exists()
    train(recipe, run_dir=run.path, force=True)
    assert run.state == "complete"


@pytest.mark.parametrize("stage", ["evaluate_splits", "record_evaluations", "analyse_errors"])
def test_checkpoints_outlive_an_error_after_the_training(
    recipe_values: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    """A resumed run must not train again."""

    def fail(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    recipe, run = with_changes(recipe_values), Run(tmp_path / "run")
    with monkeypatch.context() as patched, pytest.raises(ZeroDivisionError):
        patched.setattr(f"slugline.pipeline.steps.{stage}", fail)
        train(recipe, run_dir=run.path)
    history = run.history
    train(recipe, run_dir=run.path, resume=True)
    assert run.history == history
    assert not run.layout.checkpoints.exists()


def test_folds_averages_and_pre_training_keep_none(
    recipe_values: dict[str, Any], masked_base: Path, tmp_path: Path
) -> None:
    folds = train(with_changes(recipe_values, train={"folds": 2, "epochs": 1}), run_dir=tmp_path / "folds")
    assert not list(folds.path.rglob("checkpoint*"))
    averaged = train(with_changes(recipe_values, train={"weight_averaging": "ema"}), run_dir=tmp_path / "averaged")
    assert not averaged.layout.checkpoints.exists()
    recipe = with_changes(
        recipe_values,
        model={"base": str(masked_base)},
        train={"epochs": 1, "select_by": "loss"},
        pretrain={"sequence_length": 16},
    )
    assert not pretrain(recipe, run_dir=tmp_path / "backbone").layout.checkpoints.exists()


def test_loading_a_deleted_checkpoint_names_the_run(recipe_values: dict[str, Any], tmp_path: Path) -> None:
    run = train(with_changes(recipe_values), run_dir=tmp_path / "run")
    with pytest.raises(ModelError, match=rf"checkpoint-7 does not exist(.|\n)*keep_checkpoints(.|\n)*Load {run.path}:"):
        load(run.layout.checkpoints / "checkpoint-7")
    (run.path / "model").rename(tmp_path / "moved")
    with pytest.raises(ModelError, match="model does not exist"):
        load(run.path / "model")


def interrupted_at_14(values: dict[str, Any], folder: Path, **keys: Any) -> tuple[Any, Run, list[Path], str]:
    """A run of three epochs that was interrupted in the third, with all checkpoints; and its history."""
    recipe = with_changes(
        values, train={"epochs": 3, "save_every": 2, "logging_steps": 1, "keep_checkpoints": 0} | keys
    )
    with interrupted_after(15):
        train(recipe, run_dir=folder)
    run = Run(folder)
    return recipe, run, checkpoints_in(run.layout.checkpoints), (folder / "history.jsonl").read_text()


def test_later_checkpoints_survive_until_a_new_one_is_complete(recipe_values: dict[str, Any], tmp_path: Path) -> None:
    recipe, run, checkpoints, history = interrupted_at_14(recipe_values, tmp_path / "run")
    before = {path.name: load_file(path / "model.safetensors") for path in checkpoints}
    with interrupted_after(5):  # before checkpoint 6 is written
        train(recipe, run_dir=run.path, resume=checkpoints[1])
    assert steps_in(run) == [2, 4]
    # Resumed from the last one, and interrupted at once: nothing was lost.
    with interrupted_after(15):
        train(recipe, run_dir=run.path, resume=True)
    assert [path.name for path in checkpoints_in(run.layout.checkpoints)] == list(before)
    for path in checkpoints:
        assert is_sealed(path)
        weights = load_file(path / "model.safetensors")
        assert all(torch.equal(weights[name], value) for name, value in before[path.name].items())
    lines = [json.loads(line) for line in history.splitlines()]
    assert [line["step"] for line in run.history] == [line["step"] for line in lines]
    assert not run.layout.later.exists()
    # A complete new checkpoint replaces all later ones.
    with interrupted_after(7):
        train(recipe, run_dir=run.path, resume=checkpoints[1])
    assert steps_in(run) == [2, 4, 6]
    assert not list(run.layout.checkpoints.glob(".*"))


def test_a_later_checkpoint_can_be_chosen_after_an_earlier_one(recipe_values: dict[str, Any], tmp_path: Path) -> None:
    recipe, run, checkpoints, _ = interrupted_at_14(recipe_values, tmp_path / "run")
    uninterrupted = train(recipe, run_dir=tmp_path / "uninterrupted")
    with interrupted_after(3):
        train(recipe, run_dir=run.path, resume=checkpoints[0])
    train(recipe, run_dir=run.path, resume=checkpoints[4])
    assert everything(run.path) == everything(uninterrupted.path)
    assert [line["step"] for line in run.history] == [line["step"] for line in uninterrupted.history]


def test_a_new_checkpoint_of_the_same_update_has_no_files_of_the_former(
    recipe_values: dict[str, Any], tmp_path: Path
) -> None:
    recipe, run, checkpoints, _ = interrupted_at_14(recipe_values, tmp_path / "run", weight_averaging="ema")
    plain = recipe.model_copy(update={"train": recipe.train.model_copy(update={"weight_averaging": "none"})})
    with interrupted_after(7):
        train(plain, run_dir=run.path, resume=checkpoints[1], accept_changes=True)
    assert [(path / "averaged.safetensors").exists() for path in checkpoints_in(run.layout.checkpoints)] == [
        True,
        True,
        False,
    ]


def test_a_process_that_is_killed_before_its_first_checkpoint_loses_none(
    recipe_values: dict[str, Any], tmp_path: Path
) -> None:
    keys = {"epochs": 400, "eval_every": 5, "save_every": 400, "logging_steps": 1, "keep_checkpoints": 0}
    recipe, run = with_changes(recipe_values, train=keys), Run(tmp_path / "run")
    with interrupted_after(25):
        train(recipe, run_dir=run.path)
    steps, best = steps_in(run), Progress.read(checkpoints_in(run.layout.checkpoints)[-1]).best_step
    assert len(steps) > 1
    # From here on, no evaluation, and so no checkpoint.
    rare = with_changes(recipe_values, train=keys | {"eval_every": "400 epochs"})
    (tmp_path / "rare.toml").write_text(write(rare))
    earlier = checkpoints_in(run.layout.checkpoints)[0]
    options = ("--checkpoint", str(earlier), "--accept-changes", "--run-dir", str(run.path))
    process = start_cli("train", str(tmp_path / "rare.toml"), *options, stderr=tmp_path / "stderr.txt")
    wait_for(lambda: steps_in(run) == steps[:1] and run.history[-1]["step"] > 40, process)
    process.kill()
    process.join()
    with interrupted_after(steps[-1] + 1):
        train(rare, run_dir=run.path, resume=True)
    assert steps_in(run) == steps
    assert all(is_sealed(path) for path in checkpoints_in(run.layout.checkpoints))
    assert run.history[-1]["step"] == steps[-1]
    assert Progress.read(checkpoints_in(run.layout.checkpoints)[-1]).best_step == best
