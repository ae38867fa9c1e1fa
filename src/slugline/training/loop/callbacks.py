"""Callbacks of the training loop: when to evaluate, save and stop; what to write into the history.

They do not change weights. They set the flags that ``Trainer`` offers for this purpose.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from slugline.core.termination import Terminated, sigterm_was_received
from slugline.evaluation.metrics import Metric
from slugline.run.run import Run
from slugline.training.loop.checkpoints import Progress
from slugline.training.loop.loss_scaling import diverged
from slugline.training.loop.train_metrics import RunningMetrics

logger = logging.getLogger(__name__)

#: Defaults of arguments that ``Trainer`` always passes, but whose types are optional.
NO_METRICS: Mapping[str, float] = MappingProxyType({})
NO_MODEL = nn.Module()


def updates_between(frequency: int | str, updates_per_epoch: int) -> int:
    """Convert a frequency of the recipe into a number of updates.

    Args:
        frequency: ``"epoch"``, ``"2 epochs"``, or a number of updates.
        updates_per_epoch: number of updates in an epoch of this training.

    Returns:
        Updates, at least one.
    """
    if isinstance(frequency, int):
        return frequency
    epochs = 1 if frequency == "epoch" else int(frequency.split()[0])
    return epochs * updates_per_epoch


class EvaluationSchedule(TrainerCallback):
    """Requests evaluations and checkpoints, remembers the best evaluation, and stops the training early.

    Args:
        progress: state of the training, shared with the trainer.
        metric: metric that selects the best checkpoint.
        eval_every: updates between evaluations.
        save_every: updates between checkpoints; an improvement is also saved.
        patience: number of evaluations without improvement after which training stops; 0 = never.
        min_delta: smallest change that counts as improvement.
    """

    def __init__(
        self,
        progress: Progress,
        metric: Metric,
        *,
        eval_every: int,
        save_every: int,
        patience: int,
        min_delta: float,
    ) -> None:
        self.progress, self.metric = progress, metric
        self.eval_every, self.save_every = eval_every, save_every
        self.patience, self.min_delta = patience, min_delta

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        *,
        model: nn.Module = NO_MODEL,
        **_: Any,
    ) -> None:
        """After an update."""
        is_last = state.global_step >= state.max_steps
        control.should_evaluate = is_last or state.global_step % self.eval_every == 0
        control.should_save = is_last or state.global_step % self.save_every == 0
        if (control.should_evaluate or control.should_save) and not _is_finite(model):
            raise diverged("the weights are not finite", state.global_step)
        # A history line at every checkpoint: loss averages then start at the same update in resumed runs.
        control.should_log = control.should_log or control.should_evaluate or control.should_save

    def on_epoch_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """After an epoch: the flags were set after its last update already."""
        control.should_evaluate = control.should_save = False

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        *,
        metrics: Mapping[str, float] = NO_METRICS,
        **_: Any,
    ) -> None:
        """After an evaluation on validation."""
        value, loss = metrics[f"eval_{self.metric.name}"], metrics["eval_loss"]
        improves = self._improves(value)
        if improves or self._breaks_tie(value, loss):
            self.progress.best_value, self.progress.best_loss = value, loss
            self.progress.best_step = state.global_step
            control.should_save = True
        if improves:
            self.progress.stale = 0
            return
        self.progress.stale += 1
        if self.patience and self.progress.stale >= self.patience:
            self.progress.stopped = True
            control.should_training_stop = control.should_save = True
            logger.info(
                "stopped early: %s has not improved by more than %g since update %d.",
                self.metric.name,
                self.min_delta,
                self.progress.best_step,
            )

    def _improves(self, value: float) -> bool:
        best = self.progress.best_value
        if best is None:
            return True
        gain = value - best if self.metric.greater_is_better else best - value
        return gain > self.min_delta

    def _breaks_tie(self, value: float, loss: float) -> bool:
        """True if the value equals the best one and the loss is lower; ties are common on few validation rows."""
        best_loss = self.progress.best_loss
        return value == self.progress.best_value and best_loss is not None and loss < best_loss


class StopOnSigterm(TrainerCallback):
    """Saves a checkpoint after the update in which SIGTERM arrives, then ends the training.

    It has to be the last callback: the checkpoint must be sealed before the training ends.
    """

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """After an update."""
        if sigterm_was_received():
            control.should_save = control.should_log = True

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """A checkpoint was written and sealed."""
        if sigterm_was_received():
            logger.warning("stopped by SIGTERM after update %d, which is saved.", state.global_step)
            raise Terminated


def _is_finite(model: nn.Module) -> bool:
    """True if all weights are finite; others must not be saved or selected."""
    return all(bool(torch.isfinite(parameter).all()) for parameter in model.parameters())


class HistoryWriter(TrainerCallback):
    """Writes the history, logs one line after each evaluation, updates the progress bar, and measures time.

    Args:
        run: run whose history is written.
        progress: state of the training, shared with the trainer.
        train_metrics: running metrics, shared with the trainer; read and reset for every line.
        advance: function that moves the progress bar by a number of updates.
    """

    def __init__(
        self, run: Run, progress: Progress, train_metrics: RunningMetrics, advance: Callable[[int], None]
    ) -> None:
        self.run, self.progress, self.train_metrics, self.advance = run, progress, train_metrics, advance
        self.started = self.step_started = time.monotonic()
        self.previous_seconds = progress.train_seconds
        self.logged = (progress.examples, progress.update_seconds)
        self.logged_skipped = progress.skipped

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Training starts or resumes."""
        self.started = time.monotonic()
        self.advance(state.global_step)

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Before an update."""
        self.step_started = time.monotonic()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """After an update."""
        now = time.monotonic()
        self.progress.update_seconds += now - self.step_started
        self.progress.train_seconds = self.previous_seconds + now - self.started
        self.advance(1)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        *,
        logs: Mapping[str, float] = NO_METRICS,
        **_: Any,
    ) -> None:
        """Losses of the last updates, or an evaluation, were logged."""
        position = {"step": state.global_step, "epoch": round(state.epoch or 0.0, 4)}
        evaluated = {name.removeprefix("eval_"): value for name, value in logs.items() if name.startswith("eval_")}
        if evaluated:
            self.run.append_history(position | {"validation": evaluated})
            shown = ", ".join(
                form.format(evaluated[name]) for name, form in LOGGED_METRICS.items() if name in evaluated
            )
            logger.info("epoch %.2f: validation %s", position["epoch"], shown)
        elif "loss" in logs:
            measured = self.train_metrics.scores() | {"examples_per_second": self._speed()}
            self.run.append_history(position | _finite(logs) | measured | self._skipped())

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Training has ended."""
        self.progress.train_seconds = self.previous_seconds + time.monotonic() - self.started

    def _skipped(self) -> dict[str, int]:
        """Updates that the gradient scaler has skipped since the previous line, if there are any."""
        skipped = self.progress.skipped - self.logged_skipped
        self.logged_skipped = self.progress.skipped
        return {"skipped_updates": skipped} if skipped else {}

    def _speed(self) -> float:
        """Examples per second since the previous line."""
        examples, seconds = self.logged
        self.logged = (self.progress.examples, self.progress.update_seconds)
        spent = self.progress.update_seconds - seconds
        return round((self.progress.examples - examples) / spent, 2) if spent else 0.0


#: Metrics in the log line after an evaluation, if they were measured.
LOGGED_METRICS = {
    "loss": "loss {:.4f}",
    "perplexity": "perplexity {:.2f}",
    "accuracy": "accuracy {:.4f}",
    "precision_macro": "precision {:.4f}",
    "recall_macro": "recall {:.4f}",
    "f1_macro": "F1 {:.4f} (macro)",
}


def _finite(logs: Mapping[str, float]) -> dict[str, float]:
    """Finite values; JSON has no others."""
    return {name: value for name, value in logs.items() if name != "epoch" and math.isfinite(value)}
