"""Averages of the weights over training, evaluated and kept in place of the last ones.

``ema`` is an exponential moving average; ``swa`` the plain average over the last quarter of training (Izmailov et al.
2018, at every update). The share of the old average is a pure function of the update, so that a file with the
averaged weights in each checkpoint is all that resuming needs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from slugline.core.layouts import CheckpointLayout

#: From an update, counted from 1, to the share of the old average in the new one.
Share = Callable[[int], float]

#: Of the updates, where ``swa`` begins.
SWA_BEGINS = 0.75


def ema_share(decay: float) -> Share:
    """Exponential moving average, shorter at first: the weights of the beginning should be forgotten soon.

    Args:
        decay: in the long run.

    Returns:
        ``min(decay, (1 + t) / (10 + t))`` after update t.
    """
    return lambda step: min(decay, (1 + step) / (10 + step))


def swa_share(updates: int) -> Share:
    """Plain average from `SWA_BEGINS` on; before it the weights as they are.

    Args:
        updates: of the whole training.

    Returns:
        ``(n - 1) / n`` after the n-th update that counts, else 0.
    """
    begins = int(SWA_BEGINS * updates)
    return lambda step: (step - begins - 1) / (step - begins) if step > begins else 0.0


class WeightAverage(TrainerCallback):
    """Keeps an average of a model's trainable weights, writes it into checkpoints, and lends it for evaluation.

    Args:
        model: that is trained.
        share: of the old average at each update.
        start: checkpoint that training goes on from, or None.
    """

    def __init__(self, model: nn.Module, share: Share, start: Path | None) -> None:
        self.share, self.start = share, start
        # All that will ever be trained: gradual unfreezing begins with little of it.
        self.trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
        self.average: dict[str, Tensor] = {}

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Weights stand where training begins, or goes on."""
        self.average = {name: parameter.detach().clone() for name, parameter in self.trained.items()}
        # A checkpoint of a recipe that did not average yet has none: the average begins with its weights.
        if self.start is not None and CheckpointLayout(self.start).averaged.is_file():
            for name, value in load_file(CheckpointLayout(self.start).averaged).items():
                self.average[name].copy_(value)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """An update is done."""
        new = 1 - self.share(state.global_step)
        torch._foreach_lerp_(
            list(self.average.values()), [parameter.detach() for parameter in self.trained.values()], new
        )

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """A checkpoint is being written."""
        if state.is_world_process_zero:
            layout = CheckpointLayout(Path(str(args.output_dir)) / f"checkpoint-{state.global_step}")
            save_file({name: value.contiguous() for name, value in self.average.items()}, layout.averaged)

    @contextmanager
    def swapped_in(self) -> Iterator[None]:
        """The model has the averaged weights inside, and its own again afterwards."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        for name, parameter in self.trained.items():
            parameter.data, self.average[name] = self.average[name], parameter.data
