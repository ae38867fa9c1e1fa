"""Fine-tuning of a transformer, from tokens to the best weights on validation.

`fit_transformer` is the story; the steps below it hand single values to the rooms that do the work. What it has in
common with other trainings is in `slugline.training.course`.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from transformers import set_seed

from slugline.data.batches import UpdateLoader, UpdateSampler, update_loader
from slugline.data.dataset import TextDataset
from slugline.data.tokens import Tokens, reading_of, tokenise
from slugline.errors import TrainingError
from slugline.metrics import METRICS, summary
from slugline.models.build import BUILD, load_tokenizer, longest_input, save, size_of
from slugline.models.classifier import Classifier, load
from slugline.models.transformer import forward
from slugline.recipe import Recipe
from slugline.run import Run
from slugline.sections import TrainSection
from slugline.storage import replacing_folder
from slugline.training.course import (
    Course,
    carry_out,
    checkpoint_activations,
    chosen,
    progress_at,
    starting_point,
    training_facts,
)
from slugline.training.losses import Loss, build_loss, class_weights, logit_adjustment
from slugline.training.machine import prepare_machine
from slugline.training.mixing import Mixing
from slugline.training.trainer import Method, Tally

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

logger = logging.getLogger("slugline")


@dataclass(frozen=True)
class Parts(Course):
    """Everything that one fine-tuning is made of.

    Args:
        dataset: with rows in train and validation.
        tokens: of train and validation.
    """

    dataset: TextDataset
    tokens: dict[str, Tokens]

    @property
    def targets(self) -> NDArray[np.int64]:
        """(N,) classes of the training rows."""
        return np.array(self.dataset["train"]["label"][:], dtype=np.int64)

    @property
    def class_counts(self) -> NDArray[np.int64]:
        """(K,) training rows of each class."""
        return np.bincount(self.targets, minlength=len(self.dataset.labels))


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
    parts = _parts(recipe, dataset, run, starting_point(run, checkpoint))
    carry_out(
        parts,
        _method(parts),
        loader=lambda rank, world: _loader(parts, rank=rank, world=world),
        score=lambda model: _score(parts, model),
    )
    with replacing_folder(run.layout.model) as folder:
        save(parts.model, parts.tokenizer, folder)
    run.record({"size": size_of(parts.model), "training": training_facts(parts), "chosen": chosen(parts)})
    return load(run.path, precision=parts.machine.precision.precision)


def _parts(recipe: Recipe, dataset: TextDataset, run: Run, start: Path | None) -> Parts:
    machine = prepare_machine(recipe.train)
    run.record(machine.facts())
    # Before the model is built: the seed decides the weights of its head.
    set_seed(recipe.seed)
    tokenizer = load_tokenizer(recipe.model.base)
    model = BUILD[recipe.model.kind](recipe.model, dataset.labels, machine.hardware.device)
    if recipe.model.gradient_checkpointing:
        checkpoint_activations(model)
    return Parts(
        recipe=recipe,
        run=run,
        machine=machine,
        tokenizer=tokenizer,
        model=model,
        examples=len(dataset["train"]),
        progress=progress_at(start, recipe.train, machine),
        tally=Tally(len(dataset.labels)),
        start=start,
        dataset=dataset,
        tokens=_tokenise(recipe, dataset, run, model, tokenizer),
    )


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


def _method(parts: Parts) -> Method:
    section = parts.recipe.train
    return Method(
        loss=_loss(section, parts.class_counts, parts.dataset.labels.names),
        head_learning_rate=section.head_learning_rate,
        layer_decay=section.layer_decay,
        one_cycle=section.schedule == "one_cycle",
        pass_overhead=parts.machine.profile.pass_overhead,
        mixing=_mixing(section, parts.model),
    )


def _mixing(section: TrainSection, model: PreTrainedModel) -> Mixing | None:
    if section.mixup:
        return Mixing(model, "mixup", section.mixup)
    return Mixing(model, "cutmix", section.cutmix) if section.cutmix else None


def _loss(section: TrainSection, counts: NDArray[np.int64], names: tuple[str, ...]) -> Loss:
    weights = class_weights(counts, scheme=section.class_weights, bounds=section.class_weight_bounds, names=names)
    return build_loss(
        section.loss,
        gamma=section.gamma,
        weights=weights,
        smoothing=section.label_smoothing,
        adjustment=logit_adjustment(counts, tau=section.logit_adjustment),
    )


def _score(parts: Parts, model: PreTrainedModel) -> dict[str, float]:
    """Every metric of a model on validation."""
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
