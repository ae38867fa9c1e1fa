"""Updates that the gradient scaler of float16 skips: counted, without effect on the schedule, and not too many.

There is no GPU: the scaler of the CPU takes its place.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from conftest import interrupted_after, with_changes
from slugline import train
from slugline.core.errors import TrainingError
from slugline.data.batching.planning import BatchLimits
from slugline.run.run import Run
from slugline.training.loop import loss_scaling, session
from slugline.training.loop.checkpoints import Progress, checkpoints_in
from slugline.training.loop.loss_scaling import SkippedUpdates, require_applied_updates
from slugline.training.loop.trainer import ClassifierTrainer

#: Initial scale of the scaler in these tests.
SCALE = 2.0**16


class Scaled(ClassifierTrainer):
    """A trainer with a gradient scaler, whose gradients overflow in the updates for which ``overflows`` is true."""

    overflows: Callable[[int], bool]
    scales: list[float]

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=SCALE)

    def training_step(self, *arguments: Any, **options: Any) -> Any:
        loss = super().training_step(*arguments, **options)
        if type(self).overflows(self.state.global_step + 1):
            next(p for p in self.network.parameters() if p.grad is not None).grad.view(-1)[0] = float("nan")  # type: ignore[union-attr]
        type(self).scales.append(self.accelerator.scaler.get_scale())
        return loss


@pytest.fixture
def overflowing(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[int], bool]], list[float]]:
    """Function that sets in which updates gradients overflow, and returns the list of scales before each update."""

    def install(overflows: Callable[[int], bool]) -> list[float]:
        chosen = type("Chosen", (Scaled,), {"overflows": staticmethod(overflows), "scales": []})
        monkeypatch.setattr(session, "ClassifierTrainer", chosen)
        return chosen.scales  # type: ignore[attr-defined, no-any-return]

    return install


@pytest.mark.parametrize("optim", ["adamw_torch_fused", "adamw_torch", "sgd"])
def test_skipped_updates_are_counted_and_the_schedule_stands_still(
    recipe_values: dict[str, Any], tmp_path: Path, overflowing: Any, optim: str
) -> None:
    """Seven updates per epoch, a line per update; the second, third and ninth overflow."""
    keys = {"logging_steps": 1, "warmup": 0, "arguments": {"optim": optim}}
    recipe = with_changes(recipe_values, train=keys)
    scales = overflowing(lambda update: update in (2, 3, 9))
    run = train(recipe, run_dir=tmp_path / "run")
    assert scales[1:4] == [SCALE, SCALE / 2, SCALE / 4]
    lines = [line for line in run.history if "validation" not in line]
    assert [line.get("skipped_updates", 0) for line in lines] == [int(n in (2, 3, 9)) for n in range(1, 15)]
    applied = [sum(n not in (2, 3, 9) for n in range(1, update)) for update in range(1, 15)]
    assert [line["learning_rate"] for line in lines] == pytest.approx([3e-3 * (1 - n / 14) for n in applied])


def test_skipped_updates_are_counted_across_an_interruption(
    recipe_values: dict[str, Any], tmp_path: Path, overflowing: Any
) -> None:
    recipe = with_changes(recipe_values, train={"logging_steps": 1, "save_every": 1, "keep_checkpoints": 0})
    overflowing(lambda update: update in (2, 3, 9))
    whole = train(recipe, run_dir=tmp_path / "whole")
    with interrupted_after(5):
        train(recipe, run_dir=tmp_path / "stopped")
    resumed = train(recipe, run_dir=tmp_path / "stopped", resume=True)
    columns = [
        [(line["learning_rate"], line.get("skipped_updates", 0)) for line in run.history if "loss" in line]
        for run in (whole, resumed)
    ]
    assert columns[0] == columns[1]
    assert Progress.read(checkpoints_in(resumed.layout.checkpoints)[-1]).skipped == 3


def test_a_run_whose_updates_are_all_skipped_fails(
    recipe_values: dict[str, Any], tmp_path: Path, overflowing: Any
) -> None:
    overflowing(lambda update: True)
    with pytest.raises(TrainingError, match=r"gradients of all updates(.|\n)*fp32"):
        train(with_changes(recipe_values), run_dir=tmp_path / "run")
    assert Run(tmp_path / "run").state == "failed"
    with pytest.raises(TrainingError, match="gradients of all updates"):
        train(with_changes(recipe_values), run_dir=tmp_path / "run", resume=True)


def test_many_skipped_updates_in_a_row_end_the_training(
    recipe_values: dict[str, Any], tmp_path: Path, overflowing: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loss_scaling, "MAX_SKIPPED_IN_A_ROW", 5)
    overflowing(lambda update: update > 6)
    with pytest.raises(TrainingError, match=r"gradients of 5 updates in a row are not finite in update 11(.|\n)*rate"):
        train(with_changes(recipe_values), run_dir=tmp_path / "run")
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert manifest["state"] == "failed"


def test_an_applied_update_ends_a_row_of_skipped_ones() -> None:
    progress, skipped = Progress(BatchLimits(1, 1)), [True] * 19 + [False] + [True] * 19
    callback = SkippedUpdates(progress, lambda: skipped[step])
    for step in range(len(skipped)):
        state = type("State", (), {"global_step": step})()
        callback.on_optimizer_step(None, state, None)  # type: ignore[arg-type]
    assert (progress.skipped, progress.skipped_in_a_row) == (38, 19)
    require_applied_updates(progress, 39)
    with pytest.raises(TrainingError):
        require_applied_updates(progress, 38)
