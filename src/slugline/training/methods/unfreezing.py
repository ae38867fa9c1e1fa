"""Gradual unfreezing: the head is trained first, then block after block from the top (Howard and Ruder 2018)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from slugline.models.architectures.blocks import base_of, blocks_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel

logger = logging.getLogger(__name__)


class GradualUnfreezing(TrainerCallback):
    """Unfreezes the base in stages. The stage is a pure function of the epoch.

    Stage 0 trains the head. Each further stage unfreezes one more block, from the top. The last stage unfreezes all
    other weights: the embeddings, and layers above the blocks.

    Args:
        model: model with a head; the optimizer has all its weights from the start.
        epochs_per_stage: length of a stage.
    """

    def __init__(self, model: PreTrainedModel, epochs_per_stage: float) -> None:
        self.base, self.epochs_per_stage = base_of(model), epochs_per_stage
        self.blocks = blocks_of(model, key='model.adapt = "gradual"')
        self.stage = -1

    @property
    def stages(self) -> int:
        """Number of the last stage, in which all weights are trained."""
        return len(self.blocks) + 1

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Warn if training ends before the last stage."""
        epochs = self.stages * self.epochs_per_stage
        if args.num_train_epochs <= epochs:
            logger.warning(
                'model.adapt = "gradual" needs more than %g epochs to unfreeze all %d blocks and the embeddings, but '
                "train.epochs is %g.",
                epochs,
                len(self.blocks),
                args.num_train_epochs,
            )

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Start the next stage if the epoch has reached it."""
        # The epoch is a quotient: without the addition, rounding could delay a stage by one update.
        stage = min(self.stages, int(((state.epoch or 0.0) + 1e-6) / self.epochs_per_stage))
        if stage != self.stage:
            self.stage = stage
            self._unfreeze(stage)
            logger.info("epoch %g: %s.", state.epoch or 0.0, self._description(stage))

    def _unfreeze(self, stage: int) -> None:
        self.base.requires_grad_(stage == self.stages)
        for block in self.blocks[len(self.blocks) - min(stage, len(self.blocks)) :]:
            block.requires_grad_(True)

    def _description(self, stage: int) -> str:
        if stage == self.stages:
            return "all weights are trained"
        return f"the head and {stage} of {len(self.blocks)} blocks are trained" if stage else "only the head is trained"
