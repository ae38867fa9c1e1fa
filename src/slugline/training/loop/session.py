"""`TrainingSession` and `run_training`: what fine-tuning and pre-training have in common.

They differ in their batches, their loss and their metrics. The start or resumption of training, its callbacks, its
checkpoints and the selection of the best weights are the same.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from transformers import PrinterCallback, set_seed

from slugline.core.errors import ModelError, RunError
from slugline.core.layouts import CheckpointLayout
from slugline.core.progress import track
from slugline.core.storage import disk_errors
from slugline.core.termination import deferred_sigterm
from slugline.data.batching.loaders import UpdateLoader
from slugline.evaluation.diagnosis.warmup import warmup_warning
from slugline.evaluation.metrics import Metric, metric
from slugline.models.precision import working_precision
from slugline.models.pretrained import quietly
from slugline.models.saving import load_evaluated_weights
from slugline.recipe.recipe import Recipe
from slugline.run.run import Run
from slugline.training.loop.arguments import training_arguments
from slugline.training.loop.callbacks import EvaluationSchedule, HistoryWriter, StopOnSigterm, updates_between
from slugline.training.loop.checkpoints import CheckpointKeeper, Progress, is_sealed, kept_while_training, step_of
from slugline.training.loop.loss_scaling import require_applied_updates
from slugline.training.loop.method import Method
from slugline.training.loop.train_metrics import RunningMetrics
from slugline.training.loop.trainer import ClassifierTrainer
from slugline.training.loop.weight_averaging import WeightAverage, ema_share, swa_share
from slugline.training.runtime import Runtime, prepare_runtime
from slugline.training.tokenizer import resolve_tokenizer
from slugline.training.tracking.callback import TrackerCallback

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainerCallback

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingSession:
    """Everything that a training needs.

    Args:
        recipe: recipe of the training.
        run: run to write to.
        runtime: hardware and its settings, from `prepare_runtime`.
        tokenizer: tokenizer of the model.
        model: model to train.
        examples: rows per epoch.
        tokens: tokens per epoch, without padding.
        progress: progress of the training at the checkpoint, or of a new training.
        train_metrics: running metrics on the training rows.
        start: the checkpoint to resume from, or None.
    """

    recipe: Recipe
    run: Run
    runtime: Runtime
    tokenizer: PreTrainedTokenizerBase
    model: PreTrainedModel
    examples: int
    tokens: int
    progress: Progress
    train_metrics: RunningMetrics
    start: Path | None

    @property
    def selected_by(self) -> Metric:
        """The metric that selects the best evaluation."""
        return metric(self.recipe.train.select_by)

    @property
    def pad_id(self) -> int:
        """Id of the padding token."""
        return int(self.tokenizer.pad_token_id)

    @property
    def updates(self) -> int:
        """Number of updates of the whole training."""
        return math.ceil(self.updates_per_epoch * self.epochs)

    @property
    def epochs(self) -> float:
        """Passes over the training rows: ``train.epochs``, or computed from ``train.max_tokens``."""
        section = self.recipe.train
        return section.max_tokens / self.tokens if section.max_tokens else section.epochs

    @property
    def updates_per_epoch(self) -> int:
        """Number of updates per epoch."""
        return -(-self.examples // self.recipe.train.batch_size)

    @property
    def resumed_after(self) -> int:
        """Number of updates before the checkpoint to resume from; 0 for a new training."""
        return step_of(self.start) if self.start else 0

    @property
    def is_over(self) -> bool:
        """True if the checkpoint to resume from is the last one of the training."""
        return self.progress.stopped or self.resumed_after >= self.updates

    @property
    def selected(self) -> dict[str, float | str | None]:
        """The checkpoint that validation selected, for the manifest."""
        step = self.progress.best_step
        return {
            "step": step,
            "epoch": round(step / self.updates_per_epoch, 4),
            "by": self.recipe.train.select_by,
            "value": self.progress.best_value,
        }

    @property
    def timing(self) -> dict[str, float]:
        """Durations and speeds, for ``timing`` in ``metrics.json``."""
        progress = self.progress
        epochs = progress.examples / self.examples
        return {
            "train_seconds": progress.train_seconds,
            "seconds_per_epoch": progress.train_seconds / epochs if epochs else 0.0,
            "examples_per_second": progress.examples / progress.update_seconds if progress.update_seconds else 0.0,
            "padding_share": progress.padding_share,
            "tokens": progress.real_tokens,
            "epochs": self.epochs,
        }


def prepare(recipe: Recipe, run: Run, texts: Callable[[], Sequence[str]]) -> tuple[Runtime, PreTrainedTokenizerBase]:
    """Prepare hardware and tokenizer, and seed all random numbers.

    Call it before the model is built: the seed determines the weights of a new head.

    Args:
        recipe: recipe of the training.
        run: run to write to; its manifest receives the settings of the hardware.
        texts: function that returns the training texts; called only if a tokenizer is trained.

    Returns:
        The hardware with its settings, and the tokenizer.

    Raises:
        RecipeError: ``train.device`` is not available.
        ModelError: the tokenizer cannot be loaded or trained.
    """
    runtime = prepare_runtime(recipe.train)
    run.update_manifest(runtime.to_manifest())
    tokenizer = resolve_tokenizer(recipe.model, texts, run)
    set_seed(recipe.seed)
    return runtime, tokenizer


def with_working_precision(runtime: Runtime, model: PreTrainedModel, run: Run) -> Runtime:
    """Move a model to its device, and try the precision that was chosen for the hardware.

    Args:
        runtime: hardware and its settings, from `prepare`.
        model: model to train, already adapted.
        run: run to write to; its manifest receives the precision.

    Returns:
        The hardware with the precision in which the model works.

    Raises:
        ModelError: the recipe sets a precision in which the model does not work.
    """
    model.to(runtime.hardware.device)  # type: ignore[arg-type]
    precision = working_precision(model, runtime.precision, is_trained=True)
    if precision != runtime.precision:
        logger.warning("precision %s: %s", precision.precision, precision.reason)
        runtime = replace(runtime, precision=precision)
        run.update_manifest(runtime.to_manifest())
    return runtime


def enable_activation_checkpointing(model: PreTrainedModel) -> None:
    """Recompute the states in the backward pass instead of storing them.

    Args:
        model: model to train; changed in place.

    Raises:
        ModelError: the architecture does not support it.
    """
    try:
        model.activation_checkpointing_enable()
    except ValueError as error:
        raise ModelError(
            f"{model.config.model_type} does not support gradient checkpointing: {error}",
            hint="Leave model.gradient_checkpointing at false; a smaller train.micro_batch_size also saves memory.",
        ) from error


def run_training(
    session: TrainingSession,
    method: Method,
    *,
    loader: Callable[[int, int], UpdateLoader],
    score: Callable[[PreTrainedModel], dict[str, float]],
    callbacks: Sequence[TrainerCallback] = (),
) -> None:
    """Train, or resume training; afterwards the model has the weights of the best evaluation.

    Args:
        session: session whose model is trained.
        method: loss, learning rates and regularisation.
        loader: function from the rank of a process and the number of processes to the loader of its updates.
        score: function that evaluates the model on validation and returns metrics by name.
        callbacks: callbacks in addition to those of every training.

    Raises:
        Terminated: SIGTERM was received; a checkpoint of the last update is saved.
        TrainingError: training cannot continue.
        RunError: the disk is full, or the checkpoint with the best weights is damaged.
    """
    with (
        track("training", session.updates, unit="updates") as advance,
        disk_errors(session.run.path),
        quietly(),
        deferred_sigterm(),
    ):
        trainer = _trainer(session, method, loader, score, advance)
        for callback in [*callbacks, StopOnSigterm()]:
            trainer.add_callback(callback)
        if not session.is_over:
            trainer.train(resume_from_checkpoint=str(session.start) if session.start else None)
    require_applied_updates(session.progress, max(trainer.state.global_step, session.resumed_after))
    _restore_best(session)


def _trainer(
    session: TrainingSession,
    method: Method,
    loader: Callable[[int, int], UpdateLoader],
    score: Callable[[PreTrainedModel], dict[str, float]],
    advance: Callable[[int], None],
) -> ClassifierTrainer:
    arguments = training_arguments(
        session.recipe,
        session.runtime,
        session.run.layout.checkpoints,
        epochs=session.epochs,
        updates=session.updates,
    )
    warning = warmup_warning(session.recipe.train.warmup, session.updates)
    if warning:
        logger.warning("%s", warning)
    updates, average = loader(arguments.process_index, arguments.world_size), _average(session)

    def score_averaged(model: PreTrainedModel) -> dict[str, float]:
        with average.swapped_in() if average else nullcontext():
            return score(model)

    trainer = ClassifierTrainer(
        session.model,
        arguments,
        loader=updates,
        method=method,
        progress=session.progress,
        train_metrics=session.train_metrics,
        score=score_averaged,
        callbacks=_callbacks(session, average, advance, updates_per_epoch=len(updates)),
        tokenizer=session.tokenizer,
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _average(session: TrainingSession) -> WeightAverage | None:
    section = session.recipe.train
    if section.weight_averaging == "none":
        return None
    share = ema_share(section.ema_decay) if section.weight_averaging == "ema" else swa_share(session.updates)
    return WeightAverage(session.model, share, session.start)


def _callbacks(
    session: TrainingSession, average: WeightAverage | None, advance: Callable[[int], None], *, updates_per_epoch: int
) -> list[TrainerCallback]:
    """All callbacks.

    `WeightAverage` is first, because evaluation uses the averaged weights. `CheckpointKeeper` is last, because it
    writes the checksums of the files of the others.
    """
    section, progress = session.recipe.train, session.progress
    schedule = EvaluationSchedule(
        progress,
        session.selected_by,
        eval_every=updates_between(section.eval_every, updates_per_epoch),
        save_every=updates_between(section.save_every, updates_per_epoch),
        patience=section.patience,
        min_delta=section.min_delta,
    )
    return [
        *([average] if average else []),
        schedule,
        HistoryWriter(session.run, progress, session.train_metrics, advance),
        *([TrackerCallback(session.run, section.report_to)] if section.report_to else []),
        CheckpointKeeper(session.run, progress, keep=kept_while_training(section)),
    ]


def _restore_best(session: TrainingSession) -> None:
    """Load the weights of the best evaluation."""
    progress = session.progress
    best = session.run.layout.checkpoints / f"checkpoint-{progress.best_step}"
    if not is_sealed(best):
        raise RunError(f"{best}, the checkpoint with the best weights, is damaged.", hint="Train again with --force.")
    load_evaluated_weights(session.model, CheckpointLayout(best))
    selected = session.recipe.train.select_by
    logger.info("best model: update %d, validation %s %.4f", progress.best_step, selected, progress.best_value)
