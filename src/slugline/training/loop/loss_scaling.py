"""Divergence, and updates that the gradient scaler of float16 skips because gradients overflow.

The scaler halves its scale after every overflow. Some skipped updates at the start of a training are normal. Many in a
row, or no other update at all, mean that the model has not been trained.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from torch.optim import Optimizer
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from slugline.core.errors import TrainingError
from slugline.training.loop.checkpoints import Progress

logger = logging.getLogger(__name__)

#: Skipped updates in a row that end the training. The scale is then a millionth of what it was, below 1 at the start.
MAX_SKIPPED_IN_A_ROW = 20


class SkippedUpdates(TrainerCallback):
    """Counts the updates that the gradient scaler skips, and ends the training after too many in a row.

    Args:
        progress: state of the training, shared with the trainer.
        was_skipped: function that returns True if the last update was skipped.
    """

    def __init__(self, progress: Progress, was_skipped: Callable[[], bool]) -> None:
        self.progress, self.was_skipped = progress, was_skipped

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """After the optimizer had its turn, before the schedule has."""
        if not self.was_skipped():
            self.progress.skipped_in_a_row = 0
            return
        self.progress.skipped += 1
        self.progress.skipped_in_a_row += 1
        logger.info("update %d was skipped: its float16 gradients overflow.", state.global_step + 1)
        if self.progress.skipped_in_a_row == MAX_SKIPPED_IN_A_ROW:
            raise diverged(
                f"the gradients of {MAX_SKIPPED_IN_A_ROW} updates in a row are not finite", state.global_step + 1
            )


def require_applied_updates(progress: Progress, updates: int) -> None:
    """Refuse the result of a training whose updates were all skipped.

    Args:
        progress: progress at the end of the training.
        updates: number of the last update.

    Raises:
        TrainingError: no update has changed the weights.
    """
    if 0 < updates <= progress.skipped:
        raise diverged("the gradients of all updates are not finite", updates)


def report_skipped_updates(optimizer: Optimizer) -> None:
    """Make an optimizer with fused kernels report skipped updates, so that the schedule stands still with it.

    The scaler leaves the skipping to such a kernel, which does not say if it skipped. Without this mark the scaler
    itself decides whether to call the optimizer.

    Args:
        optimizer: any optimizer; changed in place.
    """
    vars(optimizer).pop("_step_supports_amp_scaling", None)


def diverged(problem: str, update: int) -> TrainingError:
    """Return the error for weights or losses that are not finite.

    Args:
        problem: beginning of the message.
        update: number of the update, from 1.

    Returns:
        The error, to be raised.
    """
    return TrainingError(
        f"{problem} in update {update}; the last checkpoint is intact.",
        hint="Most likely the learning rate is too high: try a train.learning_rate 3 times lower (with --resume "
        "--accept-changes), train.max_grad_norm=1.0, more train.warmup, another train.batch_size, a shorter "
        "data.max_length, or train.precision=fp32.",
    )
