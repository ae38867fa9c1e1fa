"""Fine-tuning of a transformer as a classifier, from a data set to the best weights on validation.

`fit_transformer` is the outline. `slugline.training.loop.session` has what fine-tuning shares with pre-training.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from slugline.core.errors import TrainingError
from slugline.core.labels import LabelSet
from slugline.core.memory import free_memory
from slugline.core.messages import silenced
from slugline.core.storage import replacing_folder
from slugline.data.batching.loaders import UpdateLoader, UpdateSampler
from slugline.data.batching.ordering import RowOrder, drawn_by_weight, each_row_once, from_easy_to_hard, rarity
from slugline.data.batching.planning import BatchLimits
from slugline.data.batching.tokens import Tokens, tokenise
from slugline.data.batching.truncation import Truncation, truncation_of
from slugline.data.batching.unknown import check_unknown_tokens, unknown_id, unknown_share
from slugline.data.dataset import TextDataset
from slugline.evaluation.metrics import Metric, metric, metrics_of, summary
from slugline.inference.classifier import Classifier
from slugline.inference.load import load
from slugline.models.adaptation.adapt import Adapted, adapt
from slugline.models.adaptation.frozen_features import FrozenBase
from slugline.models.architectures.float32_head import compute_head_in_float32
from slugline.models.saving import save, size_of
from slugline.models.trial import longest_input, require_block_states
from slugline.recipe.data_section import Sampling
from slugline.recipe.kinds import resolve
from slugline.recipe.model_section import TRAINED_TOKENIZERS
from slugline.recipe.recipe import Recipe
from slugline.recipe.train_section import TrainSection
from slugline.run.run import Run
from slugline.training.inputs import FeatureInputs, TokenInputs, TrainingInputs
from slugline.training.label_kinds import TrainingTargets
from slugline.training.linear import teacher_losses
from slugline.training.loop.checkpoints import Progress
from slugline.training.loop.method import Method
from slugline.training.loop.resuming import load_progress, resume_point
from slugline.training.loop.schedules import SCHEDULES
from slugline.training.loop.session import (
    TrainingSession,
    enable_activation_checkpointing,
    prepare,
    run_training,
    with_working_precision,
)
from slugline.training.methods.mixup import Mixing
from slugline.training.methods.unfreezing import GradualUnfreezing
from slugline.training.result import FitResult
from slugline.training.runtime import Runtime, hardware_for
from slugline.training.tokenizer import pretrained_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainerCallback

logger = logging.getLogger(__name__)


#: Classes of a model that is only checked; those of the data are not known yet.
SOME_LABELS = LabelSet(("one", "other"))


@dataclass(frozen=True)
class FinetuneSession(TrainingSession):
    """Everything that the training of a classifier needs.

    Args:
        dataset: data set with training and validation rows.
        targets: the classes of the training rows.
        adapted: the model with the weights that are trained.
        train_tokens: tokens of the training rows.
        inputs: the rows in the form that the model reads.
        token_statistics: lengths of the texts in tokens, and their shares of unknown tokens, for ``data.json``.
        findings: findings of the tokenisation, for ``data.json``.
    """

    dataset: TextDataset
    targets: TrainingTargets
    adapted: Adapted
    train_tokens: Tokens
    inputs: TrainingInputs
    token_statistics: Mapping[str, Any]
    findings: list[dict[str, Any]]

    @property
    def selected_by(self) -> Metric:
        """The metric that selects the best evaluation; a hierarchy has metrics of its own."""
        return metric(self.recipe.train.select_by, self.dataset.labels)


def check_base(recipe: Recipe) -> None:
    """Refuse a base that cannot be trained with the settings of the recipe, before any data is read.

    Args:
        recipe: recipe of the training.

    Raises:
        ModelError: the base or its tokenizer cannot be loaded, or does not fit the settings.
    """
    section = recipe.model
    if section.tokenizer in TRAINED_TOKENIZERS:
        return
    with silenced():  # the training itself repeats all messages
        tokenizer = pretrained_tokenizer(section)
        model = resolve(section.capabilities.build)(section, SOME_LABELS, "cpu", tokenizer)
        adapt(model, section)
        if section.adapt == "gradual":
            GradualUnfreezing(model, section.gradual.epochs_per_stage)
        _mixing(recipe.train, model, tokenizer)
        tokenise([], tokenizer, _truncation(recipe, model, tokenizer))


def fit_transformer(recipe: Recipe, dataset: TextDataset, run: Run, checkpoint: Path | None) -> FitResult:
    """Train a transformer and keep the best weights on validation; see `slugline.training.fit.fit`."""
    result_of = _train(recipe, dataset, run, checkpoint)
    free_memory()  # that of the trained model and its optimizer, before the saved model is loaded
    precision, device = run.manifest["precision"], hardware_for(recipe.train).device
    return result_of(load(run.path, precision=precision, device=device))


def _train(
    recipe: Recipe, dataset: TextDataset, run: Run, checkpoint: Path | None
) -> Callable[[Classifier], FitResult]:
    """Train and save; the function that is returned does not hold the model."""
    session = _session(recipe, dataset, run, checkpoint)
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
    return partial(
        FitResult,
        timing=session.timing,
        size=size,
        selected=session.selected,
        data={"tokens": session.token_statistics, "findings": [*run.data.get("findings", []), *session.findings]},
    )


def _session(recipe: Recipe, dataset: TextDataset, run: Run, checkpoint: Path | None) -> FinetuneSession:
    """Model and inputs, with the state of the checkpoint if the run is resumed."""
    start = resume_point(run, checkpoint)
    runtime, tokenizer = prepare(recipe, run, lambda: dataset["train"]["text"][:])
    model = resolve(recipe.model.capabilities.build)(recipe.model, dataset.labels, runtime.hardware.device, tokenizer)
    adapted = adapt(model, recipe.model)
    compute_head_in_float32(model)
    runtime = with_working_precision(runtime, model, run)
    if recipe.model.gradient_checkpointing:
        enable_activation_checkpointing(model)
    truncation = _truncation(recipe, model, tokenizer)
    tokens = _tokenise(dataset, tokenizer, truncation)
    findings = check_unknown_tokens(tokens, tokenizer)
    progress = load_progress(start, recipe.train, runtime)
    targets = TrainingTargets(dataset.labels, dataset.targets("train"))
    return FinetuneSession(
        recipe=recipe,
        run=run,
        runtime=runtime,
        tokenizer=tokenizer,
        model=model,
        examples=len(dataset["train"]),
        tokens=int(tokens["train"].read_lengths.sum()),
        progress=progress,
        train_metrics=targets.running_metrics(),
        start=start,
        dataset=dataset,
        targets=targets,
        adapted=adapted,
        train_tokens=tokens["train"],
        inputs=_inputs(recipe, runtime, model, tokens, progress, pad_id=int(tokenizer.pad_token_id)),
        token_statistics=_token_statistics(truncation, tokens, unknown_id(tokenizer)),
        findings=findings,
    )


def _truncation(recipe: Recipe, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Truncation:
    longest = longest_input(model, tokenizer)
    truncation = truncation_of(recipe.data).limited_to(longest)
    if truncation.max_length < recipe.data.max_length:
        logger.warning("data.max_length is %d, but the model reads at most %d tokens.", recipe.data.max_length, longest)
    return truncation


def _tokenise(dataset: TextDataset, tokenizer: PreTrainedTokenizerBase, truncation: Truncation) -> dict[str, Tokens]:
    """Tokens of train and validation."""
    return {
        split: tokenise(dataset[split]["text"], tokenizer, truncation, cached=True) for split in ("train", "validation")
    }


def _token_statistics(truncation: Truncation, tokens: Mapping[str, Tokens], unknown: int | None) -> dict[str, Any]:
    statistics = {
        split: split_tokens.length_statistics() | {"unknown_share": unknown_share(split_tokens, unknown)}
        for split, split_tokens in tokens.items()
    }
    return {"max_length": truncation.max_length, **statistics}


def _inputs(
    recipe: Recipe,
    runtime: Runtime,
    model: PreTrainedModel,
    tokens: dict[str, Tokens],
    progress: Progress,
    *,
    pad_id: int,
) -> TrainingInputs:
    """Tokens, or the features of a frozen base; the training time includes the time to compute the features."""
    if recipe.model.adapt != "frozen":
        return TokenInputs(tokens, pad_id)
    try:
        frozen_base = FrozenBase(model)
    except ValueError as error:
        logger.info("the frozen base runs again in every epoch: %s.", error)
        return TokenInputs(tokens, pad_id)
    limits = BatchLimits(recipe.train.eval_batch_size, runtime.profile.micro_batch_tokens)
    precision, started = runtime.precision.precision, time.monotonic()
    features = {
        split: frozen_base.encode(split_tokens, pad_id=pad_id, precision=precision, limits=limits)
        for split, split_tokens in tokens.items()
    }
    progress.train_seconds += time.monotonic() - started
    return FeatureInputs(frozen_base, features)


def _log_size(size: dict[str, int]) -> None:
    total, embeddings, head = size["parameters"], size["embedding_parameters"], size["head_parameters"]
    counts = (total, embeddings, total - embeddings - head, head, size["trainable_parameters"])
    logger.info(
        "%s parameters: %s embeddings + %s blocks + %s head; %s are trained", *(f"{count:,}" for count in counts)
    )


def _callbacks(session: FinetuneSession) -> list[TrainerCallback]:
    section = session.recipe.model
    if section.adapt != "gradual":
        return []
    return [GradualUnfreezing(session.model, section.gradual.epochs_per_stage)]


def _save(session: FinetuneSession) -> None:
    """Save the model; weights of PEFT are merged into the model, and also saved on their own."""
    layout = session.run.layout
    if session.adapted.peft is not None:
        with replacing_folder(layout.adapter) as folder:
            session.adapted.save_adapter(folder)
    with replacing_folder(layout.model) as folder:
        save(session.adapted.merged(), session.tokenizer, folder)


def _loader(session: FinetuneSession, *, rank: int, world: int) -> UpdateLoader:
    recipe = session.recipe
    sampler = UpdateSampler(
        session.inputs.lengths,
        size=recipe.train.batch_size,
        seed=recipe.seed,
        order=SAMPLINGS[recipe.data.sampling](session),
        rank=rank,
        world=world,
    )
    return session.inputs.loader(session.targets.targets, sampler, session.runtime.profile.workers)


def _from_easy(difficulty: Callable[[FinetuneSession], NDArray[np.float64]]) -> Callable[[FinetuneSession], RowOrder]:
    """A curriculum by a difficulty of the training rows."""
    return lambda session: from_easy_to_hard(difficulty(session), epochs=session.epochs, seed=session.recipe.seed)


#: ``data.sampling`` -> function from the session to the order of the training rows.
SAMPLINGS: dict[Sampling, Callable[[FinetuneSession], RowOrder]] = {
    "shuffle": lambda session: each_row_once(session.examples),
    "balanced": lambda session: drawn_by_weight(session.targets.balanced_weights()),
    "curriculum:length": _from_easy(lambda session: session.train_tokens.full_lengths.astype(np.float64)),
    "curriculum:loss": _from_easy(
        lambda session: teacher_losses(session.dataset["train"]["text"][:], session.targets, seed=session.recipe.seed)
    ),
    "curriculum:rarity": _from_easy(lambda session: rarity(session.train_tokens)),
}


def _method(session: FinetuneSession) -> Method:
    section = session.recipe.train
    return Method(
        loss=session.targets.loss(section),
        forward=session.inputs.forward,
        head_learning_rate=section.head_learning_rate,
        layer_decay=section.layer_decay,
        schedule=SCHEDULES[section.schedule],
        pass_overhead=session.runtime.profile.pass_overhead,
        token_dropout=section.token_dropout,
        mixing=_mixing(section, session.model, session.tokenizer),
    )


def _mixing(section: TrainSection, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Mixing | None:
    if not section.mixup and not section.cutmix:
        return None
    kind: Literal["mixup", "cutmix"] = "mixup" if section.mixup else "cutmix"
    require_block_states(model, tokenizer, key=f"train.{kind}")
    return Mixing(model, kind, section.mixup or section.cutmix)


def _score(session: FinetuneSession, model: PreTrainedModel) -> dict[str, float]:
    """All metrics on validation."""
    logits = session.inputs.validation_logits(
        model,
        precision=session.runtime.precision.precision,
        limits=BatchLimits(session.recipe.train.eval_batch_size, session.progress.limits.max_tokens),
    )
    if not np.isfinite(logits).all():
        raise TrainingError(
            "the validation logits are not finite; the last checkpoint is intact.",
            hint="Most likely the learning rate is too high: try a train.learning_rate 3 times lower.",
        )
    scored = summary(session.dataset.predictions("validation", logits))
    return {name: scored[name] for name in metrics_of(session.dataset.labels)}
