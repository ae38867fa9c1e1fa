"""Fine-tuning of a transformer, from tokens to the best weights on validation.

`fit_transformer` is the story; the steps below it hand single values to the rooms that do the work.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from transformers import PrinterCallback, set_seed

from slugline.data.batches import UpdateLoader, UpdateSampler, update_loader
from slugline.data.dataset import TextDataset
from slugline.data.tokens import Tokens, reading_of, tokenise
from slugline.errors import ModelError, RunError, TrainingError
from slugline.layouts import CheckpointLayout
from slugline.metrics import METRICS, metric, summary
from slugline.models.build import (
    BUILD,
    load_evaluated_weights,
    load_tokenizer,
    longest_input,
    quietly,
    save,
    size_of,
)
from slugline.models.classifier import Classifier, load
from slugline.models.transformer import forward
from slugline.progress import track
from slugline.recipe import Recipe
from slugline.run import Run
from slugline.sections import TrainSection
from slugline.storage import disk_errors, replacing_folder
from slugline.training.arguments import training_arguments
from slugline.training.averaging import WeightAverage, ema_share, swa_share
from slugline.training.callbacks import Cadence, Historian, updates_between
from slugline.training.checkpoints import (
    CheckpointKeeper,
    Progress,
    delete_after,
    in_order,
    is_sealed,
    last_complete,
    step_of,
)
from slugline.training.losses import Loss, build_loss, class_weights, logit_adjustment
from slugline.training.machine import Machine, prepare_machine
from slugline.training.mixing import Mixing
from slugline.training.reporting import Trackers
from slugline.training.trainer import ClassifierTrainer, Method, Tally

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainerCallback

logger = logging.getLogger("slugline")

#: No bound, for the half of a micro-batch that the user left out.
UNLIMITED = 2**31


@dataclass(frozen=True)
class Parts:
    """Everything that one training is made of.

    Args:
        recipe: complete.
        dataset: with rows in train and validation.
        run: open for writing.
        machine: as prepared.
        tokenizer: of the model.
        model: with a fresh head.
        tokens: of train and validation.
        progress: at the checkpoint that is gone on from, or at the beginning.
        tally: of the answers on training rows.
        start: the checkpoint that is gone on from, or None.
    """

    recipe: Recipe
    dataset: TextDataset
    run: Run
    machine: Machine
    tokenizer: PreTrainedTokenizerBase
    model: PreTrainedModel
    tokens: dict[str, Tokens]
    progress: Progress
    tally: Tally
    start: Path | None

    @property
    def targets(self) -> NDArray[np.int64]:
        """(N,) classes of the training rows."""
        return np.array(self.dataset["train"]["label"][:], dtype=np.int64)

    @property
    def class_counts(self) -> NDArray[np.int64]:
        """(K,) training rows of each class."""
        return np.bincount(self.targets, minlength=len(self.dataset.labels))

    @property
    def pad_id(self) -> int:
        """Id of the padding token."""
        return int(self.tokenizer.pad_token_id)

    @property
    def updates(self) -> int:
        """Updates of the whole training."""
        return math.ceil(self.updates_per_epoch * self.recipe.train.epochs)

    @property
    def updates_per_epoch(self) -> int:
        """Updates in which every training row is seen once."""
        return -(-len(self.tokens["train"]) // self.recipe.train.batch_size)


def fit_transformer(recipe: Recipe, dataset: TextDataset, run: Run, checkpoint: Path | None) -> Classifier:
    """Fine-tune a transformer and keep the best weights on validation.

    Args:
        recipe: complete.
        dataset: with rows in train and validation.
        run: open for writing; whole checkpoints in it are gone on from.
        checkpoint: go on from this one instead of the latest.

    Returns:
        The classifier, loaded from what was saved.

    Raises:
        TrainingError: training cannot go on.
        RunError: the disk is full, or ``checkpoint`` is not whole.
    """
    start = _start(run, checkpoint)
    parts = _parts(recipe, dataset, run, start)
    is_over = parts.progress.stopped or (start is not None and step_of(start) >= parts.updates)
    with track("training", parts.updates, unit="updates") as advance, disk_errors(run.path), quietly():
        trainer = _trainer(parts, advance)
        if not is_over:
            trainer.train(resume_from_checkpoint=str(start) if start else None)
    _restore_best(parts)
    with replacing_folder(run.layout.model) as folder:
        save(parts.model, parts.tokenizer, folder)
    facts = _training_facts(parts.progress, len(dataset["train"]))
    run.record({"size": size_of(parts.model), "training": facts, "chosen": _chosen(parts)})
    return load(run.path, precision=parts.machine.precision.precision)


def _start(run: Run, checkpoint: Path | None) -> Path | None:
    """The checkpoint to go on from; history and checkpoints after it are forgotten."""
    if checkpoint is not None and checkpoint not in in_order(run.layout.checkpoints):
        raise RunError(
            f"{checkpoint} is no checkpoint of {run.path}.", mend="Leave --checkpoint out: the latest is found."
        )
    if checkpoint is not None and not is_sealed(checkpoint):
        raise RunError(f"{checkpoint} is not a whole checkpoint.", mend="Leave --checkpoint out: the latest is found.")
    start = checkpoint or last_complete(run.layout.checkpoints)
    step = step_of(start) if start else 0
    run.cut_history(step)
    delete_after(run.layout.checkpoints, step)
    if start is not None:
        logger.info("going on from %s", start.name)
    return start


def _parts(recipe: Recipe, dataset: TextDataset, run: Run, start: Path | None) -> Parts:
    machine = prepare_machine(recipe.train)
    run.record(machine.facts())
    # Before the model is built: the seed decides the weights of its head.
    set_seed(recipe.seed)
    tokenizer = load_tokenizer(recipe.model.base)
    model = BUILD[recipe.model.kind](recipe.model, dataset.labels, machine.hardware.device)
    if recipe.model.gradient_checkpointing:
        _checkpoint_activations(model)
    tokens = _tokenise(recipe, dataset, run, model, tokenizer)
    progress = Progress.read(start) if start else _first_progress(recipe.train, machine)
    tally = Tally(len(dataset.labels))
    return Parts(recipe, dataset, run, machine, tokenizer, model, tokens, progress, tally, start)


def _checkpoint_activations(model: PreTrainedModel) -> None:
    """Compute states a second time in the backward pass rather than keep them."""
    try:
        model.activation_checkpointing_enable()
    except ValueError as error:
        raise ModelError(
            f"{model.config.model_type} cannot compute its states twice: {error}",
            mend="Leave model.gradient_checkpointing at false; train.micro_batch_size saves memory, too.",
        ) from error


def _tokenise(
    recipe: Recipe, dataset: TextDataset, run: Run, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> dict[str, Tokens]:
    """Tokens of train and validation; what was seen of their lengths goes into ``data.json``."""
    longest = longest_input(model.config, tokenizer)
    reading = reading_of(recipe.data, longest)
    if reading.max_length < recipe.data.max_length:
        logger.warning("data.max_length = %d, but the model reads %d tokens.", recipe.data.max_length, longest)
    tokens, facts = {}, {}
    for split in ("train", "validation"):
        texts = dataset[split]["text"][:]
        key = f"{dataset.fingerprint}/{split}"
        tokens[split] = tokenise(texts, tokenizer, reading, fingerprint=key)
        facts[split] = tokens[split].facts()
    run.write_json(run.layout.data, run.data | {"tokens": {"max_length": reading.max_length, **facts}})
    return tokens


def _first_progress(section: TrainSection, machine: Machine) -> Progress:
    """Forward passes as the recipe says, or as the profile has them."""
    rows, tokens = section.micro_batch_size, section.micro_batch_tokens
    if not rows and not tokens:
        return Progress(rows=machine.profile.micro_batch_size, tokens=machine.profile.micro_batch_tokens)
    return Progress(rows=rows or UNLIMITED, tokens=tokens or UNLIMITED)


def _trainer(parts: Parts, advance: Callable[[int], None]) -> ClassifierTrainer:
    section, progress = parts.recipe.train, parts.progress
    arguments = training_arguments(parts.recipe, parts.machine, parts.run.layout.checkpoints)
    loader = _loader(parts, rank=arguments.process_index, world=arguments.world_size)
    average = _average(parts)
    trainer = ClassifierTrainer(
        parts.model,
        arguments,
        loader=loader,
        method=Method(
            loss=_loss(section, parts.class_counts, parts.dataset.labels.names),
            head_learning_rate=section.head_learning_rate,
            layer_decay=section.layer_decay,
            one_cycle=section.schedule == "one_cycle",
            pass_overhead=parts.machine.profile.pass_overhead,
            mixing=_mixing(section, parts.model),
        ),
        progress=progress,
        tally=parts.tally,
        score=_scoring(parts, average),
        callbacks=_callbacks(parts, average, advance, updates_per_epoch=len(loader)),
        tokenizer=parts.tokenizer,
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _loader(parts: Parts, *, rank: int, world: int) -> UpdateLoader:
    recipe, tokens = parts.recipe, parts.tokens["train"]
    sampler = UpdateSampler(
        tokens.lengths * tokens.pieces,
        size=recipe.train.batch_size,
        seed=recipe.seed,
        weights=1 / parts.class_counts[parts.targets] if recipe.data.sampling == "balanced" else None,
        rank=rank,
        world=world,
    )
    workers = parts.machine.profile.workers
    return update_loader(tokens, parts.targets, sampler=sampler, pad_id=parts.pad_id, workers=workers)


def _average(parts: Parts) -> WeightAverage | None:
    section = parts.recipe.train
    if section.average == "none":
        return None
    share = ema_share(section.ema_decay) if section.average == "ema" else swa_share(parts.updates)
    return WeightAverage(parts.model, share, parts.start)


def _mixing(section: TrainSection, model: PreTrainedModel) -> Mixing | None:
    if section.mixup:
        return Mixing(model, "mixup", section.mixup)
    return Mixing(model, "cutmix", section.cutmix) if section.cutmix else None


def _callbacks(
    parts: Parts, average: WeightAverage | None, advance: Callable[[int], None], *, updates_per_epoch: int
) -> list[TrainerCallback]:
    """The average first, for the others may evaluate it; the keeper last, for it seals what the others have added."""
    section, progress = parts.recipe.train, parts.progress
    cadence = Cadence(
        progress,
        metric(section.select_by),
        eval_every=updates_between(section.eval_every, updates_per_epoch),
        save_every=updates_between(section.save_every, updates_per_epoch),
        patience=section.patience,
        min_delta=section.min_delta,
    )
    return [
        *([average] if average else []),
        cadence,
        Historian(parts.run, progress, parts.tally, advance),
        *([Trackers(parts.run, section.track)] if section.track else []),
        CheckpointKeeper(progress, keep=section.keep_checkpoints),
    ]


def _loss(section: TrainSection, counts: NDArray[np.int64], names: tuple[str, ...]) -> Loss:
    weights = class_weights(counts, scheme=section.class_weights, bounds=section.class_weight_bounds, names=names)
    return build_loss(
        section.loss,
        gamma=section.gamma,
        weights=weights,
        smoothing=section.label_smoothing,
        adjustment=logit_adjustment(counts, tau=section.logit_adjustment),
    )


def _scoring(parts: Parts, average: WeightAverage | None) -> Callable[[PreTrainedModel], dict[str, float]]:
    """A function that scores a model on validation, with its averaged weights where there are some."""

    def score(model: PreTrainedModel) -> dict[str, float]:
        with average.lent() if average else nullcontext():
            logits = forward(
                model,
                parts.tokens["validation"],
                pad_id=parts.pad_id,
                precision=parts.machine.precision.precision,
                rows=parts.recipe.train.eval_batch_size,
                budget=parts.progress.tokens,
            )
        if not np.isfinite(logits).all():
            raise TrainingError(
                "the model's validation logits are not finite; the last checkpoint is intact.",
                mend="Most likely the learning rate is too high: try train.learning_rate 3 times lower.",
            )
        scored = summary(parts.dataset.predictions("validation", logits))
        return {name: scored[name] for name in METRICS}

    return score


def _restore_best(parts: Parts) -> None:
    """Put the weights of the best evaluation back."""
    progress = parts.progress
    best = parts.run.layout.checkpoints / f"checkpoint-{progress.best_step}"
    if not is_sealed(best):
        raise RunError(f"{best}, which holds the best weights, is damaged.", mend="Train again with --force.")
    load_evaluated_weights(parts.model, CheckpointLayout(best))
    selected = parts.recipe.train.select_by
    logger.info("best model: update %d, validation %s %.4f", progress.best_step, selected, progress.best_value)


def _chosen(parts: Parts) -> dict[str, float | str | None]:
    """What validation chose."""
    step = parts.progress.best_step
    return {
        "step": step,
        "epoch": round(step / parts.updates_per_epoch, 4),
        "by": parts.recipe.train.select_by,
        "value": parts.progress.best_value,
    }


def _training_facts(progress: Progress, examples: int) -> dict[str, float]:
    epochs = progress.examples / examples
    return {
        "train_seconds": progress.train_seconds,
        "seconds_per_epoch": progress.train_seconds / epochs if epochs else 0.0,
        "examples_per_second": progress.examples / progress.update_seconds if progress.update_seconds else 0.0,
        "padding_share": progress.padding_share,
    }
