"""Gradual unfreezing: the head is trained first, then block after block from the top (Howard and Ruder 2018)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from torch import nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from slugline.models.architectures.blocks import base_of, blocks_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel

logger = logging.getLogger(__name__)


class GradualUnfreezing(TrainerCallback):
    """Thaws the base as training goes on. What is thawed is a pure function of the epoch.

    Stage 0 trains the head; each further stage thaws one more block, the last one everything that is left: the
    embeddings, and what lies above the blocks.

    Args:
        model: with a head; the optimizer knows all its weights from the start.
        epochs_per_stage: length of a stage.
    """

    def __init__(self, model: PreTrainedModel, epochs_per_stage: float) -> None:
        self.base, self.epochs_per_stage = base_of(model), epochs_per_stage
        self.blocks = blocks_of(model, key='model.adapt = "gradual"')
        self.stage = -1

    @property
    def stages(self) -> int:
        """The last stage, in which everything is trained."""
        return len(self.blocks) + 1

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Say so where training will end before everything is thawed."""
        epochs = self.stages * self.epochs_per_stage
        if args.num_train_epochs <= epochs:
            logger.warning(
                'model.adapt = "gradual" needs more than %g epochs to thaw all %d blocks and the embeddings, but '
                "train.epochs is %g.",
                epochs,
                len(self.blocks),
                args.num_train_epochs,
            )

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Thaw what is due."""
        # A little more than the epoch: it is a quotient, and the first update of a stage belongs to it.
        due = min(self.stages, int(((state.epoch or 0.0) + 1e-6) / self.epochs_per_stage))
        if due != self.stage:
            self.stage = due
            self._thaw(due)
            logger.info("epoch %g: %s.", state.epoch or 0.0, self._described(due))

    def _thaw(self, stage: int) -> None:
        self.base.requires_grad_(stage == self.stages)
        for block in self.blocks[len(self.blocks) - min(stage, len(self.blocks)) :]:
            _require(block)

    def _described(self, stage: int) -> str:
        if stage == self.stages:
            return "everything is trained"
        return (
            f"the head and {stage} of {len(self.blocks)} blocks are trained" if stage else "the head alone is trained"
        )


def _require(block: nn.Module) -> None:
    block.requires_grad_(True)
