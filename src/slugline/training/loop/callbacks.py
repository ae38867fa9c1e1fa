"""What watches training: when to evaluate and save, what to keep in mind about it, what to tell.

None of these changes weights. They set the flags that ``Trainer`` offers for the purpose.
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

from slugline.evaluation.metrics import Metric
from slugline.run.run import Run
from slugline.training.loop.checkpoints import Progress
from slugline.training.loop.trainer import RunningConfusion, diverged

logger = logging.getLogger("slugline")

#: ``Trainer`` passes these by name; its signature wants them optional.
NOTHING: Mapping[str, float] = MappingProxyType({})
NO_MODEL = nn.Module()


def updates_between(frequency: int | str, updates_per_epoch: int) -> int:
    """Number of updates that a cadence of the recipe means.

    Args:
        frequency: ``"epoch"``, ``"2 epochs"``, or a number of updates.
        updates_per_epoch: in this training.

    Returns:
        Updates, at least one.
    """
    if isinstance(frequency, int):
        return frequency
    epochs = 1 if frequency == "epoch" else int(frequency.split()[0])
    return epochs * updates_per_epoch


class Frequency(TrainerCallback):
    """Evaluates and saves when it is time, remembers the best, and stops when nothing improves.

    Args:
        progress: shared with the trainer.
        metric: that selects the best model.
        eval_every: updates between evaluations.
        save_every: updates between checkpoints; an improvement is saved at once.
        patience: evaluations without improvement before stopping; 0 = never.
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
        """An update is done."""
        is_last = state.global_step >= state.max_steps
        control.should_evaluate = is_last or state.global_step % self.eval_every == 0
        control.should_save = is_last or state.global_step % self.save_every == 0
        if (control.should_evaluate or control.should_save) and not _is_finite(model):
            raise diverged("the weights are not finite", state.global_step)
        # Every checkpoint begins a line of history: a resumed run then averages the same losses.
        control.should_log = control.should_log or control.should_evaluate or control.should_save

    def on_epoch_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """The flags of the epoch's last update were followed already."""
        control.should_evaluate = control.should_save = False

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        *,
        metrics: Mapping[str, float] = NOTHING,
        **_: Any,
    ) -> None:
        """Validation has been scored."""
        value = metrics[f"eval_{self.metric.name}"]
        if self._improves(value):
            self.progress.best_value, self.progress.best_step, self.progress.stale = value, state.global_step, 0
            control.should_save = True
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


def _is_finite(model: nn.Module) -> bool:
    """Whether every weight is a number: what is not must never be sealed, or chosen."""
    return all(bool(torch.isfinite(parameter).all()) for parameter in model.parameters())


class HistoryWriter(TrainerCallback):
    """Writes the history, says one line after each evaluation, moves the bar, and takes the time.

    Args:
        run: whose history it is.
        progress: shared with the trainer.
        train_metrics: likewise; asked for at every line.
        advance: moves the bar by some updates.
    """

    def __init__(
        self, run: Run, progress: Progress, train_metrics: RunningConfusion, advance: Callable[[int], None]
    ) -> None:
        self.run, self.progress, self.train_metrics, self.advance = run, progress, train_metrics, advance
        self.began = self.step_began = time.monotonic()
        self.seconds_before = progress.train_seconds
        self.logged = (progress.examples, progress.update_seconds)

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Training begins, or goes on."""
        self.began = time.monotonic()
        self.advance(state.global_step)

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """An update begins."""
        self.step_began = time.monotonic()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """An update is done."""
        now = time.monotonic()
        self.progress.update_seconds += now - self.step_began
        self.progress.train_seconds = self.seconds_before + now - self.began
        self.advance(1)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        *,
        logs: Mapping[str, float] = NOTHING,
        **_: Any,
    ) -> None:
        """Something was logged: losses of the last updates, or an evaluation."""
        place = {"step": state.global_step, "epoch": round(state.epoch or 0.0, 4)}
        evaluated = {name.removeprefix("eval_"): value for name, value in logs.items() if name.startswith("eval_")}
        if evaluated:
            self.run.append_history(place | {"validation": evaluated})
            shown = ", ".join(form.format(evaluated[name]) for name, form in SHOWN.items() if name in evaluated)
            logger.info("epoch %.2f: validation %s", place["epoch"], shown)
        elif "loss" in logs:
            self.run.append_history(
                place | _finite(logs) | self.train_metrics.scores() | {"examples_per_second": self._speed()}
            )

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Training is over."""
        self.progress.train_seconds = self.seconds_before + time.monotonic() - self.began

    def _speed(self) -> float:
        """Examples per second since the last line."""
        examples, seconds = self.logged
        self.logged = (self.progress.examples, self.progress.update_seconds)
        spent = self.progress.update_seconds - seconds
        return round((self.progress.examples - examples) / spent, 2) if spent else 0.0


#: Metrics of the line after each evaluation, as far as they were measured.
SHOWN = {
    "loss": "loss {:.4f}",
    "perplexity": "perplexity {:.2f}",
    "accuracy": "accuracy {:.4f}",
    "precision_macro": "precision {:.4f}",
    "recall_macro": "recall {:.4f}",
    "f1_macro": "F1 {:.4f} (macro)",
}


def _finite(logs: Mapping[str, float]) -> dict[str, float]:
    """What JSON can hold of the values that were logged."""
    return {name: value for name, value in logs.items() if name != "epoch" and math.isfinite(value)}
