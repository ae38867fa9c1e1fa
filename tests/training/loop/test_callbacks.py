"""When to evaluate, save and stop."""

from __future__ import annotations

import pytest
from transformers import TrainerControl, TrainerState

from slugline.data.batching.planning import BatchLimits
from slugline.evaluation.metrics import METRICS
from slugline.training.loop.callbacks import EvaluationSchedule, updates_between
from slugline.training.loop.checkpoints import Progress


@pytest.mark.parametrize(("frequency", "updates"), [("epoch", 47), ("1 epochs", 47), ("10 epochs", 470), (25, 25)])
def test_a_frequency_is_a_number_of_updates(frequency: int | str, updates: int) -> None:
    assert updates_between(frequency, 47) == updates


def watch(
    values: list[float], *, metric: str = "f1_macro", **options: float
) -> tuple[Progress, list[tuple[bool, bool]]]:
    """Progress after a row of evaluations, and for each whether a checkpoint and the end were asked for."""
    progress = Progress(BatchLimits(1, 1))
    chosen = {"patience": 0, "min_delta": 0.0} | options
    frequency = EvaluationSchedule(progress, METRICS[metric], eval_every=1, save_every=10, **chosen)  # type: ignore[arg-type]
    asked = []
    for step, value in enumerate(values, start=1):
        control, state = TrainerControl(), TrainerState(global_step=step, max_steps=100)
        frequency.on_evaluate(None, state, control, metrics={f"eval_{metric}": value})  # type: ignore[arg-type]
        asked.append((control.should_save, control.should_training_stop))
    return progress, asked


def test_an_improvement_is_saved_at_once_and_remembered() -> None:
    progress, asked = watch([0.5, 0.4, 0.6])
    assert [save for save, _ in asked] == [True, False, True]
    assert (progress.best_value, progress.best_step, progress.stale) == (0.6, 3, 0)


def test_the_metric_states_its_direction() -> None:
    progress, _ = watch([0.5, 0.4, 0.6], metric="loss")
    assert (progress.best_value, progress.best_step) == (0.4, 2)


def test_patience_ends_training_and_the_end_is_saved() -> None:
    progress, asked = watch([0.5, 0.4, 0.45], patience=2)
    assert asked[-1] == (True, True)
    assert progress.stopped


def test_a_small_gain_counts_against_patience() -> None:
    progress, asked = watch([0.5, 0.504, 0.509], patience=2, min_delta=0.01)
    assert asked[-1][1]
    assert progress.best_step == 1


def test_without_patience_nothing_stops() -> None:
    assert not any(stop for _, stop in watch([0.5] * 20)[1])


def test_the_last_update_is_evaluated_and_saved() -> None:
    frequency = EvaluationSchedule(
        Progress(BatchLimits(1, 1)), METRICS["f1_macro"], eval_every=10, save_every=25, patience=0, min_delta=0
    )
    found = {}
    for step in (5, 10, 25, 33):
        control = TrainerControl()
        frequency.on_step_end(None, TrainerState(global_step=step, max_steps=33), control)  # type: ignore[arg-type]
        found[step] = (control.should_evaluate, control.should_save)
    assert found == {5: (False, False), 10: (True, False), 25: (False, True), 33: (True, True)}
