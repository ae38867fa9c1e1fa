"""Averages of the weights over the updates, which are evaluated and saved instead of the trained weights.

``ema`` is an exponential moving average; ``swa`` is the mean over the last quarter of the updates (Izmailov et al.
2018, but after every update). The share of the old average is a pure function of the update, so that resuming needs
only the averaged weights in the checkpoint.
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

#: Number of an update, from 1, to the share of the old average in the new one.
Share = Callable[[int], float]

#: Share of the updates before ``swa`` begins to average.
SWA_BEGINS = 0.75


def ema_share(decay: float) -> Share:
    """Return the shares of an exponential moving average; they are smaller at first, so that early weights count less.

    Args:
        decay: limit of the share.

    Returns:
        ``min(decay, (1 + t) / (10 + t))`` after update t.
    """
    return lambda update: min(decay, (1 + update) / (10 + update))


def swa_share(updates: int) -> Share:
    """Return the shares of a mean that begins at `SWA_BEGINS`; before, the average is equal to the weights.

    Args:
        updates: number of updates of the whole training.

    Returns:
        ``(n - 1) / n`` after the n-th update that is averaged, 0 before.
    """
    skipped = int(SWA_BEGINS * updates)
    return lambda update: (update - skipped - 1) / (update - skipped) if update > skipped else 0.0


class WeightAverage(TrainerCallback):
    """Averages the trainable weights of a model, saves the average in checkpoints, and swaps it in for evaluation.

    Args:
        model: model to train.
        share: function that returns the share of the old average at each update.
        start: checkpoint to resume from, or None.
    """

    def __init__(self, model: nn.Module, share: Share, start: Path | None) -> None:
        self.share, self.start = share, start
        # Collected before training: gradual unfreezing freezes most of these weights at first.
        self.trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
        self.average: dict[str, Tensor] = {}

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Training starts or resumes."""
        self.average = {name: parameter.detach().clone() for name, parameter in self.trained.items()}
        # A checkpoint has no average if its recipe did not average: then the average starts with its weights.
        if self.start is not None and CheckpointLayout(self.start).averaged.is_file():
            for name, value in load_file(CheckpointLayout(self.start).averaged).items():
                self.average[name].copy_(value)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """After an update."""
        new = 1 - self.share(state.global_step)
        torch._foreach_lerp_(
            list(self.average.values()), [parameter.detach() for parameter in self.trained.values()], new
        )

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """A checkpoint was written."""
        if state.is_world_process_zero:
            layout = CheckpointLayout(Path(str(args.output_dir)) / f"checkpoint-{state.global_step}")
            save_file({name: value.contiguous() for name, value in self.average.items()}, layout.averaged)

    @contextmanager
    def swapped_in(self) -> Iterator[None]:
        """Replace the model's weights by the average inside the context."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        for name, parameter in self.trained.items():
            parameter.data, self.average[name] = self.average[name], parameter.data
