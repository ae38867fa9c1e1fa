"""Checkpoints: the seal detects damage, rotation keeps the best, the pickle is deleted."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from slugline.data.batching.planning import BatchLimits
from slugline.recipe.train_section import TrainSection
from slugline.training.loop.checkpoints import (
    Progress,
    _rotate,
    checkpoints_in,
    is_sealed,
    last_complete,
    seal,
    step_of,
)
from slugline.training.loop.resuming import load_progress


def checkpoint(folder: Path, step: int, *, sealed: bool = True, best: int = 0) -> Path:
    path = folder / f"checkpoint-{step}"
    path.mkdir()
    for name in ("model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json"):
        (path / name).write_bytes(os.urandom(64))
    (path / "training_args.bin").write_bytes(b"a pickle")
    Progress(BatchLimits(8, 100), best_step=best).write(path)
    if sealed:
        seal(path)
    return path


def remove(name: str) -> Callable[[Path], object]:
    return lambda path: (path / name).unlink()


def shorten(name: str) -> Callable[[Path], object]:
    return lambda path: (path / name).write_bytes(b"cut")


def overwrite(name: str) -> Callable[[Path], object]:
    """Overwrite a file with zeros of the same size."""
    return lambda path: (path / name).write_bytes(bytes((path / name).stat().st_size))


@pytest.mark.parametrize(
    "damage",
    [
        remove("optimizer.pt"),
        remove("rng_state.pth"),
        remove("progress.json"),
        remove("seal.json"),
        shorten("model.safetensors"),
        shorten("optimizer.pt"),
        shorten("seal.json"),
        overwrite("model.safetensors"),
        overwrite("progress.json"),
        lambda path: (path / "surprise").touch(),
    ],
)
def test_damaged_checkpoints_are_skipped(tmp_path: Path, damage: Callable[[Path], object]) -> None:
    good, bad = checkpoint(tmp_path, 10), checkpoint(tmp_path, 20)
    assert last_complete(tmp_path) == bad
    damage(bad)
    assert not is_sealed(bad)
    assert last_complete(tmp_path) == good


def test_checkpoints_whose_best_weights_are_damaged_are_skipped(tmp_path: Path) -> None:
    """Otherwise training would fail only at its end, when the best weights are loaded."""
    first, best, last = (checkpoint(tmp_path, step, best=best) for step, best in ((10, 10), (20, 20), (30, 20)))
    assert last_complete(tmp_path) == last
    overwrite("model.safetensors")(best)
    assert last_complete(tmp_path) == first


def test_without_a_complete_checkpoint_training_starts_over(tmp_path: Path) -> None:
    checkpoint(tmp_path, 10, sealed=False)
    assert last_complete(tmp_path) is None
    assert last_complete(tmp_path / "nothing") is None


def test_sealing_removes_the_pickle(tmp_path: Path) -> None:
    path = checkpoint(tmp_path, 10)
    assert not (path / "training_args.bin").exists()
    assert "training_args.bin" not in json.loads((path / "seal.json").read_text())


def test_checkpoints_are_ordered_by_number_not_by_name(tmp_path: Path) -> None:
    for step in (9, 100, 20):
        checkpoint(tmp_path, step)
    (tmp_path / "checkpoint-best").mkdir()
    assert [step_of(path) for path in checkpoints_in(tmp_path)] == [9, 20, 100]


def test_rotation_keeps_the_latest_and_the_best(tmp_path: Path) -> None:
    for step in (10, 20, 30, 40, 50):
        checkpoint(tmp_path, step)
    _rotate(tmp_path, best_step=20, keep=2)
    assert [step_of(path) for path in checkpoints_in(tmp_path)] == [20, 40, 50]


def test_progress_is_read_as_written(tmp_path: Path) -> None:
    progress = Progress(BatchLimits(4, 7), best_value=0.25, best_step=3, stale=2, stopped=True, train_seconds=1.5)
    progress.write(tmp_path)
    assert Progress.read(tmp_path) == progress


def test_progress_of_earlier_versions_is_read(tmp_path: Path) -> None:
    (tmp_path / "progress.json").write_text('{"rows": 4, "tokens": 7, "best_step": 3}', encoding="utf-8")
    assert Progress.read(tmp_path) == Progress(BatchLimits(4, 7), best_step=3)


def test_smaller_limits_of_the_recipe_apply_after_resuming(tmp_path: Path) -> None:
    """Limits that were halved when memory ran out are not raised; settings that the recipe lacks change nothing."""
    Progress(BatchLimits(16, 2048)).write(tmp_path)
    for keys, expected in (
        ({}, (16, 2048)),
        ({"micro_batch_size": 4}, (4, 2048)),
        ({"micro_batch_size": 64, "micro_batch_tokens": 512}, (16, 512)),
    ):
        progress = load_progress(tmp_path, TrainSection(**keys), runtime=None)  # type: ignore[arg-type]
        assert progress.limits == BatchLimits(*expected)
