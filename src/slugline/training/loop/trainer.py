"""The training loop: transformers' ``Trainer`` with six public methods replaced.

One batch of the loader is one update of the weights; ``gradient_accumulation_steps`` stays 1 and `training_step` cuts
the update into forward passes itself. Exact accumulation, budgets of tokens, recovery from exhausted memory and epochs
of constant length all follow from that.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import Trainer, TrainerCallback
from transformers.trainer_utils import SchedulerType

from slugline.core.errors import TrainingError
from slugline.data.batching.batches import UpdateLoader, split
from slugline.evaluation.metrics import accuracy, confusion_matrix, f1, macro
from slugline.models.forward import text_logits
from slugline.models.memory import is_out_of_memory
from slugline.training.loop.checkpoints import Progress
from slugline.training.loop.parameter_groups import parameter_groups
from slugline.training.methods.losses import Loss
from slugline.training.methods.mixup import Mixing, mixed_loss
from slugline.training.methods.token_dropout import drop_tokens

if TYPE_CHECKING:
    from transformers import PreTrainedModel, TrainerControl, TrainerState, TrainingArguments

logger = logging.getLogger("slugline")

#: Schedules of the recipe -> transformers' names. One-cycle is torch's own, see `ClassifierTrainer.create_scheduler`.
SCHEDULES = {
    "linear": SchedulerType.LINEAR,
    "cosine": SchedulerType.COSINE,
    "constant": SchedulerType.CONSTANT_WITH_WARMUP,
    "one_cycle": SchedulerType.CONSTANT,
}


#: Entries of an optimizer's groups that recipe and schedule decide.
RATES = ("lr", "initial_lr", "max_lr", "min_lr", "weight_decay", "betas", "eps")

#: A model and a batch to logits (N, K) and what is true (N,), for the N items that the batch is about.
ForwardFunction = Callable[[nn.Module, dict[str, Tensor]], tuple[Tensor, Tensor]]


def forward_texts(model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """What a sequence classifier says of texts, one item each.

    Args:
        model: as prepared by accelerate.
        batch: as `UpdateLoader` gives it.

    Returns:
        (B, K) and (B,).
    """
    inputs = dict(batch)
    labels = inputs.pop("labels")
    return text_logits(model, inputs, len(labels)), labels


@dataclass(frozen=True)
class Method:
    """How the weights are changed, as far as ``TrainingArguments`` cannot say it.

    Args:
        loss: logits (N, K) and targets (N,) to losses (N,).
        forward: what of a batch is to be found, and what the model says of it.
        head_learning_rate: of the layers that are not the base's; 0 = the same rate.
        layer_decay: rate of a block of the base, as a share of that of the block above.
        one_cycle: whether the schedule is torch's ``OneCycleLR``.
        pass_overhead: tokens that a forward pass costs besides its own; the default makes as few as possible.
        token_dropout: share of a text's tokens that a forward pass does not see.
        mixing: of the texts of a forward pass with one another, or None.
    """

    loss: Loss
    forward: ForwardFunction = forward_texts
    head_learning_rate: float = 0.0
    layer_decay: float = 1.0
    one_cycle: bool = False
    pass_overhead: int = 2**31
    token_dropout: float = 0.0
    mixing: Mixing | None = None


class RunningConfusion:
    """What the model answered on training rows since it was last asked for; with dropout, so a little too modest.

    Args:
        n_classes: K.
    """

    def __init__(self, n_classes: int) -> None:
        self.n_classes = n_classes
        self.cells: list[Tensor] = []

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """Count answers.

        Args:
            logits: (B, K).
            labels: (B,).
        """
        self.cells.append(labels * self.n_classes + logits.detach().argmax(dim=1))

    def take(self) -> NDArray[np.int64]:
        """(K, K) counts, true classes in rows; counting begins anew."""
        cells = torch.cat(self.cells).cpu().numpy() if self.cells else np.empty(0, dtype=np.int64)
        self.cells.clear()
        return confusion_matrix(cells // self.n_classes, cells % self.n_classes, self.n_classes)

    def scores(self) -> dict[str, float]:
        """Of what was counted, for a line of history; counting begins anew."""
        confusion = self.take()
        return {"accuracy": float(accuracy(confusion)), "f1_macro": float(macro(f1(confusion)))}


class RunningAccuracy(RunningConfusion):
    """Counts right answers alone, where there are too many classes to tell which was taken for which."""

    def __init__(self) -> None:
        super().__init__(n_classes=0)

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """Count answers.

        Args:
            logits: (N, K).
            labels: (N,).
        """
        self.cells.append(logits.detach().argmax(dim=1) == labels)

    def scores(self) -> dict[str, float]:
        """Share of right answers; counting begins anew."""
        hits = torch.cat(self.cells) if self.cells else torch.zeros(1)
        self.cells.clear()
        return {"accuracy": float(hits.float().mean())}


class ClassifierTrainer(Trainer):
    """Trains a sequence classifier, or whatever else answers about the items of a batch.

    Args:
        model: that `Method.forward` asks.
        arguments: with ``gradient_accumulation_steps=1``.
        loader: one batch is one update.
        method: loss and rates.
        progress: how far training has come; grows.
        train_metrics: of the answers on training rows; grows.
        score: evaluates the model on validation; metric names to numbers.
        callbacks: that watch.
        tokenizer: saved with every checkpoint.
    """

    #: The loss is already divided by the items of the whole update.
    loss_is_scaled_for_ga = True

    def __init__(
        self,
        model: PreTrainedModel,
        arguments: TrainingArguments,
        *,
        loader: UpdateLoader,
        method: Method,
        progress: Progress,
        train_metrics: RunningConfusion,
        score: Callable[[PreTrainedModel], dict[str, float]],
        callbacks: list[TrainerCallback],
        tokenizer: Any = None,
    ) -> None:
        super().__init__(
            model, arguments, train_dataset=loader.dataset, callbacks=callbacks, processing_class=tokenizer
        )
        # Count the items of an update whatever the model's signature says.
        self.model_accepts_loss_kwargs = True
        self.network, self.loader, self.method = model, loader, method
        # Labels stand where they are found, for the heads of language models too: none is to be left out of the count.
        self._loss_shifts_labels = False
        self.progress, self.train_metrics, self.score = progress, train_metrics, score
        self.recipe_groups: list[dict[str, Any]] = []
        self.recipe_schedule: dict[str, Any] = {}
        self.add_callback(_RestoreRatesOnResume(self))

    def get_train_dataloader(self) -> UpdateLoader:
        """Our own loader, as it is: ``accelerator.prepare`` would lose epochs on resuming and repeat rows."""
        return self.loader

    def compute_loss(
        self, model: nn.Module, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Losses of one forward pass, summed and divided by the items of the whole update.

        Args:
            model: as prepared by accelerate.
            inputs: ``input_ids``, ``attention_mask`` (P, T), ``labels``, and ``window_of`` (P,) where texts have
                several pieces.
            return_outputs: also return the logits.
            num_items_in_batch: items of the update on all ranks, those of its labels that are not -100.

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
        # Gradients are averaged over ranks, hence the factor.
        loss = losses.sum() / num_items_in_batch * self.accelerator.num_processes
        return (loss, logits) if return_outputs else loss

    def training_step(self, model: nn.Module, inputs: Any, num_items_in_batch: Any = None) -> Tensor:
        """Forward and backward passes of one update; again with halved passes when memory runs out.

        Args:
            model: as prepared by accelerate.
            inputs: one update.
            num_items_in_batch: its items on all ranks.

        Returns:
            Mean loss of the update.

        Raises:
            TrainingError: the loss is not finite, or a single example does not fit into memory.
        """
        counted = len(self.train_metrics.cells)
        while True:
            try:
                loss = self._accumulate(model, inputs, num_items_in_batch)
                break
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                if self.progress.rows == 1:
                    raise TrainingError(
                        "a single example does not fit into memory.",
                        hint="Choose a smaller data.max_length (or pretrain.sequence_length) or model.base, "
                        "or model.gradient_checkpointing=true.",
                    ) from error
            del self.train_metrics.cells[counted:]
            self._halve(model, inputs)  # after the except clause: its traceback held the tensors
        if not math.isfinite(loss.item()):
            raise diverged(f"the loss is {loss.item()}", self.state.global_step + 1)
        return loss

    def _accumulate(self, model: nn.Module, inputs: Any, items: Any) -> Tensor:
        passes = self._forward_passes(inputs)
        total = torch.zeros((), device=self.args.device)
        for index, batch in enumerate(passes):
            # Ranks exchange gradients once an update, in the last backward pass.
            with nullcontext() if index == len(passes) - 1 else self.accelerator.no_sync(model):
                total = total + super().training_step(model, batch, items)
        self.progress.examples += len(inputs["labels"])
        self.progress.real_tokens += int(inputs["attention_mask"].sum())
        self.progress.padded_tokens += sum(batch["input_ids"].numel() for batch in passes)
        return total

    def _forward_passes(self, inputs: Any) -> list[dict[str, Tensor]]:
        return split(inputs, rows=self.progress.rows, tokens=self.progress.tokens, overhead=self.method.pass_overhead)

    def _halve(self, model: nn.Module, inputs: Any) -> None:
        """Forget the update's gradients and make forward passes half as large."""
        model.zero_grad(set_to_none=True)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        largest = max(len(batch["input_ids"]) for batch in self._forward_passes(inputs))
        self.progress.rows = max(1, min(self.progress.rows, largest) // 2)
        self.progress.tokens = max(1, self.progress.tokens // 2)
        logger.warning(
            "out of memory at update %d: going on with at most %d texts or windows and %d tokens a forward pass.",
            self.state.global_step + 1,
            self.progress.rows,
            self.progress.tokens,
        )

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """AdamW with rates of their own for the head and each block, and no decay on biases and norms.

        Args:
            model: instead of the trainer's own.

        Returns:
            The optimizer; its first group is the base's, whose rate is the one that is logged.
        """
        if self.optimizer is None:
            chosen = self.network if model is None else model
            optimizer_class, options = self.get_optimizer_cls_and_kwargs(self.args, self.network)
            self.optimizer = optimizer_class(self._parameter_groups(chosen), **options)
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
        """One-cycle (Smith 2018), or transformers' schedules.

        Args:
            num_training_steps: updates in all.
            optimizer: instead of the trainer's own.

        Returns:
            The scheduler.
        """
        if self.lr_scheduler is None and self.method.one_cycle:
            chosen = optimizer or self.create_optimizer()
            # Torch counts the first update out, and divides by what is left.
            warmup = max(self.args.get_warmup_steps(num_training_steps), 2)
            schedule: Any = torch.optim.lr_scheduler.OneCycleLR(
                chosen,
                max_lr=[group["lr"] for group in chosen.param_groups],
                # One more than there are updates: the scheduler is stepped after the last one too.
                total_steps=num_training_steps + 1,
                pct_start=min(warmup / (num_training_steps + 1), 1.0),
                cycle_momentum=False,
            )
            self.lr_scheduler = schedule
        scheduler = super().create_scheduler(num_training_steps, optimizer)
        self.recipe_groups = [_settings(group) for group in scheduler.optimizer.param_groups]
        self.recipe_schedule = scheduler.state_dict()
        return scheduler

    def restore_recipe_rates(self) -> None:
        """Learn on at the rates of this recipe: a checkpoint brings those of the recipe that it was written with."""
        assert self.lr_scheduler is not None
        for group, settings in zip(self.lr_scheduler.optimizer.param_groups, self.recipe_groups, strict=True):
            group.update(settings)
        # Every schedule is a function of the number of its steps: one from the step before leads to the rate of now.
        # Updates that float16 skipped were none, which the checkpoint remembers.
        done = self.lr_scheduler.last_epoch
        self.lr_scheduler.load_state_dict(self.recipe_schedule | {"last_epoch": done - 1, "_step_count": done + 1})
        self.lr_scheduler.step()

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: Any = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """Score on validation without touching the global random state, so that evaluating never changes training.

        Args:
            eval_dataset: unused; the validation rows are known.
            ignore_keys: unused.
            metric_key_prefix: before every metric's name in the log.

        Returns:
            Metrics by prefixed name.
        """
        metrics = {f"{metric_key_prefix}_{name}": value for name, value in self.score(self.network).items()}
        self.log(dict(metrics))
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics


class _RestoreRatesOnResume(TrainerCallback):
    """Lets the recipe rule once ``Trainer`` has loaded a checkpoint."""

    def __init__(self, trainer: ClassifierTrainer) -> None:
        self.trainer = trainer

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Training begins, or goes on."""
        if state.global_step:
            self.trainer.restore_recipe_rates()


def _settings(group: Mapping[str, Any]) -> dict[str, Any]:
    """What recipe and schedule say of an optimizer's group; what else stands there is the optimizer's own memory."""
    return {name: group[name] for name in RATES if name in group}


def diverged(what: str, update: int) -> TrainingError:
    """The error of a training whose numbers have run away.

    Args:
        what: is not finite.
        update: at which it was seen, counted from 1.

    Returns:
        To be raised.
    """
    return TrainingError(
        f"{what} at update {update}; the last checkpoint is intact.",
        hint="Most likely the learning rate is too high: try train.learning_rate 3 times lower (--resume "
        "--accept-changes goes on with it), train.max_grad_norm=1.0, more train.warmup, another train.batch_size, a "
        "shorter data.max_length, or train.precision=fp32.",
    )
