"""Training of a transformer as a classifier, from tokens to the best weights on validation.

`fit_transformer` is the story; the steps below it hand single values to the rooms that do the work. What it has in
common with other trainings is in `slugline.training.loop.session`.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from transformers import set_seed

from slugline.core.errors import TrainingError
from slugline.core.storage import replacing_folder
from slugline.data.batching.batches import UpdateLoader, UpdateSampler
from slugline.data.batching.tokens import Tokens, reading_of, tokenise
from slugline.data.dataset import TextDataset
from slugline.evaluation.metrics import METRICS, summary
from slugline.inference.classifier import Classifier, load
from slugline.models.adaptation.adapt import Adapted, adapt
from slugline.models.adaptation.frozen_features import Replay
from slugline.models.build import BUILD
from slugline.models.pretrained import longest_input
from slugline.models.saving import save, size_of
from slugline.recipe.recipe import Recipe
from slugline.recipe.sections import TrainSection
from slugline.run.run import Run
from slugline.training.inputs import FeatureMaterial, Material, TokenMaterial
from slugline.training.loop.checkpoints import Progress
from slugline.training.loop.session import (
    Course,
    carry_out,
    checkpoint_activations,
    chosen,
    progress_at,
    starting_point,
    training_facts,
)
from slugline.training.loop.trainer import Method, Tally
from slugline.training.methods.losses import Loss, build_loss, class_weights, logit_adjustment
from slugline.training.methods.mixup import Mixing
from slugline.training.methods.unfreezing import GradualUnfreezing
from slugline.training.runtime import Machine, prepare_machine
from slugline.training.tokenizer import tokenizer_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainerCallback

logger = logging.getLogger("slugline")


@dataclass(frozen=True)
class Parts(Course):
    """Everything that the training of one classifier is made of.

    Args:
        dataset: with rows in train and validation.
        adapted: the model, of which only some weights may be trained.
        material: the rows as the model reads them.
    """

    dataset: TextDataset
    adapted: Adapted
    material: Material

    @property
    def targets(self) -> NDArray[np.int64]:
        """(N,) classes of the training rows."""
        return np.array(self.dataset["train"]["label"][:], dtype=np.int64)

    @property
    def class_counts(self) -> NDArray[np.int64]:
        """(K,) training rows of each class."""
        return np.bincount(self.targets, minlength=len(self.dataset.labels))


def fit_transformer(recipe: Recipe, dataset: TextDataset, run: Run, checkpoint: Path | None) -> Classifier:
    """Train a transformer and keep the best weights on validation.

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
    size = size_of(parts.model)
    _log_size(size)
    carry_out(
        parts,
        _method(parts),
        loader=lambda rank, world: _loader(parts, rank=rank, world=world),
        score=lambda model: _score(parts, model),
        callbacks=_callbacks(parts),
    )
    _save(parts)
    run.record({"size": size, "training": training_facts(parts), "chosen": chosen(parts)})
    return load(run.path, precision=parts.machine.precision.precision, device=parts.machine.hardware.device)


def _parts(recipe: Recipe, dataset: TextDataset, run: Run, start: Path | None) -> Parts:
    machine = prepare_machine(recipe.train)
    run.record(machine.facts())
    tokenizer = tokenizer_of(recipe.model, lambda: dataset["train"]["text"][:], run)
    # Before the model is built: the seed decides the weights of its head.
    set_seed(recipe.seed)
    model = BUILD[recipe.model.kind](recipe.model, dataset.labels, machine.hardware.device, tokenizer)
    adapted = adapt(model, recipe.model)
    if recipe.model.gradient_checkpointing:
        checkpoint_activations(model)
    progress = progress_at(start, recipe.train, machine)
    tokens = _tokenise(recipe, dataset, run, model, tokenizer)
    return Parts(
        recipe=recipe,
        run=run,
        machine=machine,
        tokenizer=tokenizer,
        model=model,
        examples=len(dataset["train"]),
        tokens=int(tokens["train"].read_lengths.sum()),
        progress=progress,
        tally=Tally(len(dataset.labels)),
        start=start,
        dataset=dataset,
        adapted=adapted,
        material=_material(recipe, machine, model, tokens, progress, pad_id=int(tokenizer.pad_token_id)),
    )


def _log_size(size: dict[str, int]) -> None:
    parts = [size["embedding_parameters"], size["head_parameters"]]
    logger.info(
        "%s parameters: %s embeddings + %s blocks + %s head; %s are trained",
        *(f"{count:,}" for count in (size["parameters"], parts[0], size["parameters"] - sum(parts), parts[1])),
        f"{size['trainable_parameters']:,}",
    )


def _material(
    recipe: Recipe,
    machine: Machine,
    model: PreTrainedModel,
    tokens: dict[str, Tokens],
    progress: Progress,
    *,
    pad_id: int,
) -> Material:
    """Tokens, or where the base is frozen what it says of them: to ask it is part of the training's time."""
    if recipe.model.adapt != "frozen":
        return TokenMaterial(tokens, pad_id)
    model.to(machine.hardware.device)  # type: ignore[arg-type]
    try:
        replay = Replay(model)
    except ValueError as error:
        logger.info("the frozen base is asked again in every epoch: %s.", error)
        return TokenMaterial(tokens, pad_id)
    profile, precision, began = machine.profile, machine.precision.precision, time.monotonic()
    features = {
        split: replay.encode(
            some,
            pad_id=pad_id,
            precision=precision,
            rows=recipe.train.eval_batch_size,
            budget=profile.micro_batch_tokens,
        )
        for split, some in tokens.items()
    }
    progress.train_seconds += time.monotonic() - began
    return FeatureMaterial(replay, features)


def _callbacks(parts: Parts) -> list[TrainerCallback]:
    section = parts.recipe.model
    if section.adapt != "gradual":
        return []
    return [GradualUnfreezing(parts.model, section.gradual.epochs_per_stage)]


def _save(parts: Parts) -> None:
    """Write the model; what PEFT learnt is kept beside it, and merged into it."""
    layout = parts.run.layout
    if parts.adapted.peft is not None:
        with replacing_folder(layout.adapter) as folder:
            parts.adapted.save_adapter(folder)
    with replacing_folder(layout.model) as folder:
        save(parts.adapted.merged(), parts.tokenizer, folder)


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
    recipe = parts.recipe
    sampler = UpdateSampler(
        parts.material.lengths,
        size=recipe.train.batch_size,
        seed=recipe.seed,
        weights=1 / parts.class_counts[parts.targets] if recipe.data.sampling == "balanced" else None,
        rank=rank,
        world=world,
    )
    return parts.material.loader(parts.targets, sampler, parts.machine.profile.workers)


def _method(parts: Parts) -> Method:
    section = parts.recipe.train
    return Method(
        loss=_loss(section, parts.class_counts, parts.dataset.labels.names),
        answer=parts.material.answer,
        head_learning_rate=section.head_learning_rate,
        layer_decay=section.layer_decay,
        one_cycle=section.schedule == "one_cycle",
        pass_overhead=parts.machine.profile.pass_overhead,
        token_dropout=section.token_dropout,
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
    logits = parts.material.validation_logits(
        model,
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
