"""Evaluation, saving and early stopping."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from transformers import TrainerControl, TrainerState

from slugline.data.batching.planning import BatchLimits
from slugline.evaluation.metrics import METRICS
from slugline.training.loop.callbacks import EvaluationSchedule, updates_between
from slugline.training.loop.checkpoints import Progress


@pytest.mark.parametrize(("frequency", "updates"), [("epoch", 47), ("1 epochs", 47), ("10 epochs", 470), (25, 25)])
def test_frequencies_are_converted_into_updates(frequency: int | str, updates: int) -> None:
    assert updates_between(frequency, 47) == updates


def after_evaluations(
    values: list[float], *, metric: str = "f1_macro", losses: Sequence[float] = (), **options: float
) -> tuple[Progress, list[tuple[bool, bool]]]:
    """Return the progress after all evaluations, and whether each requested a checkpoint and the end of training."""
    progress = Progress(BatchLimits(1, 1))
    stopping: dict[str, Any] = {"patience": 0, "min_delta": 0.0} | options
    schedule = EvaluationSchedule(progress, METRICS[metric], eval_every=1, save_every=10, **stopping)
    requests = []
    for step, value in enumerate(values, start=1):
        control, state = TrainerControl(), TrainerState(global_step=step, max_steps=100)
        scores = {"eval_loss": 1.0, f"eval_{metric}": value}
        if losses:
            scores["eval_loss"] = losses[step - 1]
        schedule.on_evaluate(None, state, control, metrics=scores)  # type: ignore[arg-type]
        requests.append((control.should_save, control.should_training_stop))
    return progress, requests


def test_an_improvement_is_saved_at_once_and_remembered() -> None:
    progress, requests = after_evaluations([0.5, 0.4, 0.6])
    assert [save for save, _ in requests] == [True, False, True]
    assert (progress.best_value, progress.best_step, progress.stale) == (0.6, 3, 0)


def test_the_direction_of_the_metric_is_respected() -> None:
    progress, _ = after_evaluations([0.5, 0.4, 0.6], metric="loss")
    assert (progress.best_value, progress.best_step) == (0.4, 2)


def test_the_loss_breaks_ties_but_does_not_prolong_training() -> None:
    progress, requests = after_evaluations([0.978, 0.978, 0.978], losses=[0.92, 0.33, 0.22], patience=3)
    assert (progress.best_value, progress.best_loss, progress.best_step, progress.stale) == (0.978, 0.22, 3, 2)
    assert [save for save, _ in requests] == [True, True, True]
    progress, _ = after_evaluations([0.9, 0.9, 0.8], losses=[0.2, 0.3, 0.1])
    assert progress.best_step == 1  # neither a larger loss nor a worse value
    _, requests = after_evaluations([0.9] * 3, losses=[0.3, 0.2, 0.1], patience=2)
    assert requests[-1] == (True, True)


def test_patience_stops_training_and_saves_a_checkpoint() -> None:
    progress, requests = after_evaluations([0.5, 0.4, 0.45], patience=2)
    assert requests[-1] == (True, True)
    assert progress.stopped


def test_a_gain_below_min_delta_is_no_improvement() -> None:
    progress, requests = after_evaluations([0.5, 0.504, 0.509], patience=2, min_delta=0.01)
    assert requests[-1][1]
    assert progress.best_step == 1


def test_without_patience_nothing_stops() -> None:
    assert not any(stop for _, stop in after_evaluations([0.5] * 20)[1])


def test_the_last_update_is_evaluated_and_saved() -> None:
    schedule = EvaluationSchedule(
        Progress(BatchLimits(1, 1)), METRICS["f1_macro"], eval_every=10, save_every=25, patience=0, min_delta=0
    )
    found = {}
    for step in (5, 10, 25, 33):
        control = TrainerControl()
        schedule.on_step_end(None, TrainerState(global_step=step, max_steps=33), control)  # type: ignore[arg-type]
        found[step] = (control.should_evaluate, control.should_save)
    assert found == {5: (False, False), 10: (True, False), 25: (False, True), 33: (True, True)}
