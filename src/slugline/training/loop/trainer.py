"""The training loop: transformers' ``Trainer`` with six public methods replaced.

One batch of the loader is one update of the weights. ``gradient_accumulation_steps`` stays 1, and `training_step`
divides the update into forward passes. This makes gradient accumulation exact, bounds the tokens of a pass, allows
recovery from exhausted memory, and gives every epoch the same number of updates.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from transformers import Trainer, TrainerCallback

from slugline.core.errors import TrainingError
from slugline.core.memory import SMALLER_TEXTS, free_memory, is_out_of_memory
from slugline.data.batching.loaders import UpdateLoader, split_update
from slugline.data.batching.planning import BatchLimits
from slugline.training.loop.checkpoints import Progress
from slugline.training.loop.loss_scaling import SkippedUpdates, diverged, report_skipped_updates
from slugline.training.loop.method import Method
from slugline.training.loop.parameter_groups import parameter_groups, with_current_settings
from slugline.training.loop.schedules import ScheduledRates
from slugline.training.loop.train_metrics import RunningMetrics
from slugline.training.methods.mixup import mixed_loss
from slugline.training.methods.token_dropout import drop_tokens

if TYPE_CHECKING:
    from transformers import PreTrainedModel, TrainingArguments

logger = logging.getLogger(__name__)


class ClassifierTrainer(Trainer):
    """Trains a sequence classifier, or any model for which `Method.forward` returns logits and targets.

    Args:
        model: model to train.
        arguments: arguments of the training, with ``gradient_accumulation_steps=1``.
        loader: loader of the updates: one batch is one update.
        method: loss, learning rates and regularisation.
        progress: state of the training; updated.
        train_metrics: running metrics on the training rows; updated.
        score: function that evaluates the model on validation and returns metrics by name.
        callbacks: callbacks of ``Trainer``.
        tokenizer: tokenizer to save with every checkpoint.
    """

    #: The loss is already divided by the number of items of the update.
    loss_is_scaled_for_ga = True

    def __init__(
        self,
        model: PreTrainedModel,
        arguments: TrainingArguments,
        *,
        loader: UpdateLoader,
        method: Method,
        progress: Progress,
        train_metrics: RunningMetrics,
        score: Callable[[PreTrainedModel], dict[str, float]],
        callbacks: list[TrainerCallback],
        tokenizer: Any = None,
    ) -> None:
        super().__init__(
            model, arguments, train_dataset=loader.dataset, callbacks=callbacks, processing_class=tokenizer
        )
        # Trainer counts the items of an update only for models with this attribute.
        self.model_accepts_loss_kwargs = True
        self.network, self.loader, self.method = model, loader, method
        # Labels are aligned with the logits, also for language models: the count of items must include all of them.
        self._loss_shifts_labels = False
        self.progress, self.train_metrics, self.score = progress, train_metrics, score
        self.add_callback(SkippedUpdates(progress, lambda: self.accelerator.optimizer_step_was_skipped))

    def get_train_dataloader(self) -> UpdateLoader:
        """Return the loader itself; ``accelerator.prepare`` would lose the epoch on resuming and repeat rows."""
        return self.loader

    def compute_loss(
        self, model: nn.Module, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Return the losses of one forward pass, summed and divided by the number of items of the update.

        Args:
            model: model as prepared by accelerate.
            inputs: ``input_ids``, ``attention_mask`` (P, T), ``labels``; ``window_of`` (P,) if texts are split.
            return_outputs: True to return the logits too.
            num_items_in_batch: number of entries of the labels of the update on all ranks, without those of -100.

        Returns:
            A scalar, or that and the logits.
        """
        inputs, mixing = dict(inputs), self.method.mixing
        if self.method.token_dropout:
            inputs["attention_mask"] = drop_tokens(inputs["attention_mask"], self.method.token_dropout)
        mix = mixing.draw(inputs["attention_mask"]) if mixing else None
        logits, labels = self.method.forward(model, inputs)
        self.train_metrics.add(logits, labels)
        losses = mixed_loss(self.method.loss, logits, labels, mix) if mix else self.method.loss(logits, labels)
        # Trainer counts the entries of labels: (N, K) of a label set with any number of labels per text, else (N,).
        items = num_items_in_batch / labels.shape[1:].numel()
        # Gradients are averaged over ranks; the factor makes it a sum.
        loss = losses.sum() / items * self.accelerator.num_processes
        return (loss, logits) if return_outputs else loss

    def training_step(self, model: nn.Module, inputs: Any, num_items_in_batch: Any = None) -> Tensor:
        """Run the forward and backward passes of one update; halve the limits and repeat if memory runs out.

        Args:
            model: model as prepared by accelerate.
            inputs: one update.
            num_items_in_batch: number of the entries of its labels on all ranks.

        Returns:
            Mean loss of the update.

        Raises:
            TrainingError: the loss is not finite, or a single example does not fit into memory.
        """
        n_cells = len(self.train_metrics.cells)
        while True:
            try:
                loss = self._accumulate(model, inputs, num_items_in_batch)
                break
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                if self.progress.limits.max_pieces == 1:
                    raise TrainingError(
                        "a single example does not fit into memory.",
                        hint=f"{SMALLER_TEXTS}, or model.gradient_checkpointing=true.",
                    ) from error
            del self.train_metrics.cells[n_cells:]
            self._halve(model, inputs)  # after the except clause, because its traceback holds the tensors
        if not math.isfinite(loss.item()):
            raise diverged(f"the loss is {loss.item()}", self.state.global_step + 1)
        return loss

    def _accumulate(self, model: nn.Module, inputs: Any, items: Any) -> Tensor:
        batches = self._forward_passes(inputs)
        total = torch.zeros((), device=self.args.device)
        for index, batch in enumerate(batches):
            # Ranks exchange gradients once per update, in the last backward pass.
            with nullcontext() if index == len(batches) - 1 else self.accelerator.no_sync(model):
                total = total + super().training_step(model, batch, items)
        self.progress.examples += len(inputs["labels"])
        self.progress.real_tokens += int(inputs["attention_mask"].sum())
        self.progress.padded_tokens += sum(batch["input_ids"].numel() for batch in batches)
        return total

    def _forward_passes(self, inputs: Any) -> list[dict[str, Tensor]]:
        return split_update(inputs, limits=self.progress.limits, overhead=self.method.pass_overhead)

    def _halve(self, model: nn.Module, inputs: Any) -> None:
        """Discard the gradients of the update and halve the limits of forward passes."""
        model.zero_grad(set_to_none=True)
        free_memory()
        largest = max(len(batch["input_ids"]) for batch in self._forward_passes(inputs))
        limits = self.progress.limits
        self.progress.limits = BatchLimits(min(limits.max_pieces, largest), limits.max_tokens).halved()
        logger.warning(
            "out of memory in update %d: continuing with at most %d texts or windows and %d tokens per forward pass.",
            self.state.global_step + 1,
            self.progress.limits.max_pieces,
            self.progress.limits.max_tokens,
        )

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """Create the optimizer with separate rates for the head and each block, without decay of biases and norms.

        Args:
            model: model to optimise instead of the trainer's own.

        Returns:
            The optimizer, by default AdamW; its first group belongs to the base, and its rate is logged.
        """
        if self.optimizer is None:
            optimizer_class, options = self.get_optimizer_cls_and_kwargs(self.args, self.network)
            groups = self._parameter_groups(self.network if model is None else model)
            optimizer = optimizer_class(groups, **options)
            optimizer.register_load_state_dict_pre_hook(with_current_settings)
            if self.accelerator.scaler is not None:
                report_skipped_updates(optimizer)
            self.optimizer = optimizer
        return self.optimizer

    def _parameter_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        return parameter_groups(
            model,
            base_prefix=f"{self.network.base_model_prefix}.",
            decaying=set(self.get_decay_parameter_names(model)),
            learning_rate=self.args.learning_rate,
            head_learning_rate=self.method.head_learning_rate or self.args.learning_rate,
            layer_decay=self.method.layer_decay,
            weight_decay=self.args.weight_decay,
        )

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """Create the schedule of the learning rates.

        Args:
            num_training_steps: number of updates.
            optimizer: optimizer to use instead of the trainer's own.

        Returns:
            The scheduler.
        """
        if self.lr_scheduler is None:
            self.lr_scheduler = ScheduledRates(
                optimizer or self.create_optimizer(),
                self.method.schedule,
                warmup=self.args.get_warmup_steps(num_training_steps),
                updates=num_training_steps,
            )
        return self.lr_scheduler

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: Any = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """Score on validation without changing the global random state, so that evaluation does not affect training.

        Args:
            eval_dataset: unused.
            ignore_keys: unused.
            metric_key_prefix: prefix of every metric's name in the log.

        Returns:
            Metrics by prefixed name.
        """
        metrics = {f"{metric_key_prefix}_{name}": value for name, value in self.score(self.network).items()}
        self.log(dict(metrics))
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics
