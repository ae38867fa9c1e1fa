"""The course of a training, whatever is learnt: where it begins, what watches it, which weights are kept.

Fine-tuning and pre-training differ in their batches, their loss and their measure; what happens to them is the same.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from transformers import PrinterCallback

from slugline.core.errors import ModelError, RunError
from slugline.core.layouts import CheckpointLayout
from slugline.core.progress import track
from slugline.core.storage import disk_errors
from slugline.data.batching.batches import UpdateLoader
from slugline.evaluation.metrics import metric
from slugline.models.pretrained import quietly
from slugline.models.saving import load_evaluated_weights
from slugline.recipe.recipe import Recipe
from slugline.recipe.sections import TrainSection
from slugline.run.run import Run
from slugline.training.loop.arguments import training_arguments
from slugline.training.loop.callbacks import Frequency, HistoryWriter, updates_between
from slugline.training.loop.checkpoints import (
    CheckpointKeeper,
    Progress,
    checkpoints_in,
    delete_after,
    has_best_checkpoint,
    is_sealed,
    last_complete,
    step_of,
)
from slugline.training.loop.trainer import ClassifierTrainer, Method, RunningConfusion
from slugline.training.loop.weight_averaging import WeightAverage, ema_share, swa_share
from slugline.training.runtime import Runtime
from slugline.training.tracking.callback import Trackers

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainerCallback

logger = logging.getLogger("slugline")

#: No bound, for the half of a micro-batch that the user left out.
UNLIMITED = 2**31


@dataclass(frozen=True)
class TrainingSession:
    """What every training is made of.

    Args:
        recipe: complete.
        run: open for writing.
        runtime: as prepared.
        tokenizer: of the model.
        model: to be trained.
        examples: rows of an epoch.
        tokens: of an epoch, without padding.
        progress: at the checkpoint that is gone on from, or at the beginning.
        train_metrics: of the answers on training rows.
        start: the checkpoint that is gone on from, or None.
    """

    recipe: Recipe
    run: Run
    runtime: Runtime
    tokenizer: PreTrainedTokenizerBase
    model: PreTrainedModel
    examples: int
    tokens: int
    progress: Progress
    train_metrics: RunningConfusion
    start: Path | None

    @property
    def pad_id(self) -> int:
        """Id of the padding token."""
        return int(self.tokenizer.pad_token_id)

    @property
    def updates(self) -> int:
        """Updates of the whole training."""
        return math.ceil(self.updates_per_epoch * self.epochs)

    @property
    def epochs(self) -> float:
        """Passes over the training rows: as the recipe says, or as many as its budget of tokens allows."""
        section = self.recipe.train
        return section.max_tokens / self.tokens if section.max_tokens else section.epochs

    @property
    def updates_per_epoch(self) -> int:
        """Updates in which every training row is seen once."""
        return -(-self.examples // self.recipe.train.batch_size)

    @property
    def is_over(self) -> bool:
        """Whether the checkpoint that is gone on from was the last."""
        return self.progress.stopped or (self.start is not None and step_of(self.start) >= self.updates)


def resume_point(run: Run, checkpoint: Path | None) -> Path | None:
    """The checkpoint to go on from; history and checkpoints after it are forgotten.

    Args:
        run: open for writing.
        checkpoint: go on from this one instead of the latest.

    Returns:
        A whole checkpoint, or None where there is none yet.

    Raises:
        RunError: ``checkpoint`` is not the run's, or not whole.
    """
    start = _required(run, checkpoint) if checkpoint else last_complete(run.layout.checkpoints)
    step = step_of(start) if start else 0
    run.cut_history(step)
    delete_after(run.layout.checkpoints, step)
    if start is not None:
        logger.info("going on from %s", start.name)
    return start


def _required(run: Run, checkpoint: Path) -> Path:
    """The checkpoint that was asked for, as the run spells it."""
    found = [path for path in checkpoints_in(run.layout.checkpoints) if path.resolve() == checkpoint.resolve()]
    fault = "is no checkpoint of " + str(run.path)
    if found and not is_sealed(found[0]):
        fault = "is not a whole checkpoint"
    elif found and not has_best_checkpoint(found[0]):
        fault = "is whole, but the one with the best weights before it is damaged, or no longer there"
    elif found:
        return found[0]
    raise RunError(f"{checkpoint} {fault}.", hint="Leave --checkpoint out: the latest is found.")


def load_progress(start: Path | None, section: TrainSection, runtime: Runtime) -> Progress:
    """How far training has come; at its beginning with forward passes as recipe or profile have them.

    Args:
        start: as `resume_point` gives it.
        section: of the recipe.
        runtime: as prepared.

    Returns:
        The progress, which grows.
    """
    rows, tokens = section.micro_batch_size, section.micro_batch_tokens
    if start is not None:
        progress = Progress.read(start)
        # A recipe that was changed to smaller passes has them; what memory forbade stays forbidden.
        progress.rows = min(progress.rows, rows or UNLIMITED)
        progress.tokens = min(progress.tokens, tokens or UNLIMITED)
        return progress
    if not rows and not tokens:
        return Progress(rows=runtime.profile.micro_batch_size, tokens=runtime.profile.micro_batch_tokens)
    return Progress(rows=rows or UNLIMITED, tokens=tokens or UNLIMITED)


def enable_activation_checkpointing(model: PreTrainedModel) -> None:
    """Compute states a second time in the backward pass rather than keep them.

    Args:
        model: changed in place.

    Raises:
        ModelError: the architecture cannot.
    """
    try:
        model.activation_checkpointing_enable()
    except ValueError as error:
        raise ModelError(
            f"{model.config.model_type} cannot compute its states twice: {error}",
            hint="Leave model.gradient_checkpointing at false; train.micro_batch_size saves memory, too.",
        ) from error


def run_training(
    session: TrainingSession,
    method: Method,
    *,
    loader: Callable[[int, int], UpdateLoader],
    score: Callable[[PreTrainedModel], dict[str, float]],
    callbacks: Sequence[TrainerCallback] = (),
) -> None:
    """Train to the end, or go on; afterwards the model has the weights of the best evaluation.

    Args:
        session: whose model is trained.
        method: loss and rates.
        loader: from the rank of a process and the number of processes to its updates.
        score: evaluates the model on validation; metric names to numbers.
        callbacks: that this training needs besides those of every training.

    Raises:
        TrainingError: training cannot go on.
        RunError: the disk is full, or the checkpoint with the best weights is damaged.
    """
    with track("training", session.updates, unit="updates") as advance, disk_errors(session.run.path), quietly():
        trainer = _trainer(session, method, loader, score, advance)
        for callback in callbacks:
            trainer.add_callback(callback)
        if not session.is_over:
            trainer.train(resume_from_checkpoint=str(session.start) if session.start else None)
    _restore_best(session)


def _trainer(
    session: TrainingSession,
    method: Method,
    loader: Callable[[int, int], UpdateLoader],
    score: Callable[[PreTrainedModel], dict[str, float]],
    advance: Callable[[int], None],
) -> ClassifierTrainer:
    arguments = training_arguments(
        session.recipe, session.runtime, session.run.layout.checkpoints, epochs=session.epochs
    )
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
    if section.average == "none":
        return None
    share = ema_share(section.ema_decay) if section.average == "ema" else swa_share(session.updates)
    return WeightAverage(session.model, share, session.start)


def _callbacks(
    session: TrainingSession, average: WeightAverage | None, advance: Callable[[int], None], *, updates_per_epoch: int
) -> list[TrainerCallback]:
    """The average first, for the others may evaluate it; the keeper last, for it seals what the others have added."""
    section, progress = session.recipe.train, session.progress
    frequency = Frequency(
        progress,
        metric(section.select_by),
        eval_every=updates_between(section.eval_every, updates_per_epoch),
        save_every=updates_between(section.save_every, updates_per_epoch),
        patience=section.patience,
        min_delta=section.min_delta,
    )
    return [
        *([average] if average else []),
        frequency,
        HistoryWriter(session.run, progress, session.train_metrics, advance),
        *([Trackers(session.run, section.track)] if section.track else []),
        CheckpointKeeper(progress, keep=section.keep_checkpoints),
    ]


def _restore_best(session: TrainingSession) -> None:
    """Put the weights of the best evaluation back."""
    progress = session.progress
    best = session.run.layout.checkpoints / f"checkpoint-{progress.best_step}"
    if not is_sealed(best):
        raise RunError(f"{best}, which holds the best weights, is damaged.", hint="Train again with --force.")
    load_evaluated_weights(session.model, CheckpointLayout(best))
    selected = session.recipe.train.select_by
    logger.info("best model: update %d, validation %s %.4f", progress.best_step, selected, progress.best_value)


def chosen(session: TrainingSession) -> dict[str, float | str | None]:
    """What validation chose, for the manifest."""
    step = session.progress.best_step
    return {
        "step": step,
        "epoch": round(step / session.updates_per_epoch, 4),
        "by": session.recipe.train.select_by,
        "value": session.progress.best_value,
    }


def training_timing(session: TrainingSession) -> dict[str, float]:
    """Durations and speeds, for ``timing`` in ``metrics.json``."""
    progress = session.progress
    epochs = progress.examples / session.examples
    return {
        "train_seconds": progress.train_seconds,
        "seconds_per_epoch": progress.train_seconds / epochs if epochs else 0.0,
        "examples_per_second": progress.examples / progress.update_seconds if progress.update_seconds else 0.0,
        "padding_share": progress.padding_share,
        "tokens": progress.real_tokens,
        "epochs": session.epochs,
    }
