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
from slugline.data.batching.tokens import Tokens, tokenise, truncation_of
from slugline.data.dataset import TextDataset
from slugline.evaluation.metrics import METRICS, summary
from slugline.inference.classifier import Classifier, load
from slugline.models.adaptation.adapt import Adapted, adapt
from slugline.models.adaptation.frozen_features import FrozenBase
from slugline.models.build import BUILD
from slugline.models.pretrained import longest_input
from slugline.models.saving import save, size_of
from slugline.recipe.recipe import Recipe
from slugline.recipe.sections import TrainSection
from slugline.run.run import Run
from slugline.training.inputs import FeatureInputs, TokenInputs, TrainingInputs
from slugline.training.loop.checkpoints import Progress
from slugline.training.loop.session import (
    TrainingSession,
    chosen,
    enable_activation_checkpointing,
    load_progress,
    resume_point,
    run_training,
    training_timing,
)
from slugline.training.loop.trainer import Method, RunningConfusion
from slugline.training.methods.losses import Loss, build_loss, class_weights, logit_adjustment
from slugline.training.methods.mixup import Mixing
from slugline.training.methods.unfreezing import GradualUnfreezing
from slugline.training.runtime import Runtime, prepare_runtime
from slugline.training.tokenizer import resolve_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainerCallback

logger = logging.getLogger("slugline")


@dataclass(frozen=True)
class FinetuneSession(TrainingSession):
    """Everything that the training of one classifier is made of.

    Args:
        dataset: with rows in train and validation.
        adapted: the model, of which only some weights may be trained.
        inputs: the rows as the model reads them.
    """

    dataset: TextDataset
    adapted: Adapted
    inputs: TrainingInputs

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
    session = _prepare(recipe, dataset, run, resume_point(run, checkpoint))
    size = size_of(session.model)
    _log_size(size)
    run_training(
        session,
        _method(session),
        loader=lambda rank, world: _loader(session, rank=rank, world=world),
        score=lambda model: _score(session, model),
        callbacks=_callbacks(session),
    )
    _save(session)
    run.record({"size": size, "training": training_timing(session), "chosen": chosen(session)})
    return load(run.path, precision=session.runtime.precision.precision, device=session.runtime.hardware.device)


def _prepare(recipe: Recipe, dataset: TextDataset, run: Run, start: Path | None) -> FinetuneSession:
    runtime = prepare_runtime(recipe.train)
    run.record(runtime.facts())
    tokenizer = resolve_tokenizer(recipe.model, lambda: dataset["train"]["text"][:], run)
    # Before the model is built: the seed decides the weights of its head.
    set_seed(recipe.seed)
    model = BUILD[recipe.model.kind](recipe.model, dataset.labels, runtime.hardware.device, tokenizer)
    adapted = adapt(model, recipe.model)
    if recipe.model.gradient_checkpointing:
        enable_activation_checkpointing(model)
    progress = load_progress(start, recipe.train, runtime)
    tokens = _tokenise(recipe, dataset, run, model, tokenizer)
    return FinetuneSession(
        recipe=recipe,
        run=run,
        runtime=runtime,
        tokenizer=tokenizer,
        model=model,
        examples=len(dataset["train"]),
        tokens=int(tokens["train"].read_lengths.sum()),
        progress=progress,
        train_metrics=RunningConfusion(len(dataset.labels)),
        start=start,
        dataset=dataset,
        adapted=adapted,
        inputs=_training_inputs(recipe, runtime, model, tokens, progress, pad_id=int(tokenizer.pad_token_id)),
    )


def _log_size(size: dict[str, int]) -> None:
    session = [size["embedding_parameters"], size["head_parameters"]]
    logger.info(
        "%s parameters: %s embeddings + %s blocks + %s head; %s are trained",
        *(f"{count:,}" for count in (size["parameters"], session[0], size["parameters"] - sum(session), session[1])),
        f"{size['trainable_parameters']:,}",
    )


def _training_inputs(
    recipe: Recipe,
    runtime: Runtime,
    model: PreTrainedModel,
    tokens: dict[str, Tokens],
    progress: Progress,
    *,
    pad_id: int,
) -> TrainingInputs:
    """Tokens, or where the base is frozen what it says of them: to ask it is part of the training's time."""
    if recipe.model.adapt != "frozen":
        return TokenInputs(tokens, pad_id)
    model.to(runtime.hardware.device)  # type: ignore[arg-type]
    try:
        frozen_base = FrozenBase(model)
    except ValueError as error:
        logger.info("the frozen base is asked again in every epoch: %s.", error)
        return TokenInputs(tokens, pad_id)
    profile, precision, began = runtime.profile, runtime.precision.precision, time.monotonic()
    features = {
        split: frozen_base.encode(
            some,
            pad_id=pad_id,
            precision=precision,
            rows=recipe.train.eval_batch_size,
            budget=profile.micro_batch_tokens,
        )
        for split, some in tokens.items()
    }
    progress.train_seconds += time.monotonic() - began
    return FeatureInputs(frozen_base, features)


def _callbacks(session: FinetuneSession) -> list[TrainerCallback]:
    section = session.recipe.model
    if section.adapt != "gradual":
        return []
    return [GradualUnfreezing(session.model, section.gradual.epochs_per_stage)]


def _save(session: FinetuneSession) -> None:
    """Write the model; what PEFT learnt is kept beside it, and merged into it."""
    layout = session.run.layout
    if session.adapted.peft is not None:
        with replacing_folder(layout.adapter) as folder:
            session.adapted.save_adapter(folder)
    with replacing_folder(layout.model) as folder:
        save(session.adapted.merged(), session.tokenizer, folder)


def _tokenise(
    recipe: Recipe, dataset: TextDataset, run: Run, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> dict[str, Tokens]:
    """Tokens of train and validation; what was seen of their lengths goes into ``data.json``."""
    longest = longest_input(model.config, tokenizer)
    truncation = truncation_of(recipe.data, longest)
    if truncation.max_length < recipe.data.max_length:
        logger.warning("data.max_length = %d, but the model reads %d tokens.", recipe.data.max_length, longest)
    tokens, facts = {}, {}
    for split in ("train", "validation"):
        texts = dataset[split]["text"][:]
        key = f"{dataset.fingerprint}/{split}"
        tokens[split] = tokenise(texts, tokenizer, truncation, fingerprint=key)
        facts[split] = tokens[split].facts()
    run.write_json(run.layout.data, run.data | {"tokens": {"max_length": truncation.max_length, **facts}})
    return tokens


def _loader(session: FinetuneSession, *, rank: int, world: int) -> UpdateLoader:
    recipe = session.recipe
    sampler = UpdateSampler(
        session.inputs.lengths,
        size=recipe.train.batch_size,
        seed=recipe.seed,
        weights=1 / session.class_counts[session.targets] if recipe.data.sampling == "balanced" else None,
        rank=rank,
        world=world,
    )
    return session.inputs.loader(session.targets, sampler, session.runtime.profile.workers)


def _method(session: FinetuneSession) -> Method:
    section = session.recipe.train
    return Method(
        loss=_loss(section, session.class_counts, session.dataset.labels.names),
        forward=session.inputs.forward,
        head_learning_rate=section.head_learning_rate,
        layer_decay=section.layer_decay,
        one_cycle=section.schedule == "one_cycle",
        pass_overhead=session.runtime.profile.pass_overhead,
        token_dropout=section.token_dropout,
        mixing=_mixing(section, session.model),
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


def _score(session: FinetuneSession, model: PreTrainedModel) -> dict[str, float]:
    """Every metric of a model on validation."""
    logits = session.inputs.validation_logits(
        model,
        precision=session.runtime.precision.precision,
        rows=session.recipe.train.eval_batch_size,
        budget=session.progress.tokens,
    )
    if not np.isfinite(logits).all():
        raise TrainingError(
            "the model's validation logits are not finite; the last checkpoint is intact.",
            hint="Most likely the learning rate is too high: try train.learning_rate 3 times lower.",
        )
    scored = summary(session.dataset.predictions("validation", logits))
    return {name: scored[name] for name in METRICS}
