"""Pre-training of a transformer on texts without labels, from texts to a backbone to fine-tune.

`fit_backbone` is the outline. It shares `slugline.training.loop.session` with fine-tuning, and differs in the batches
(`slugline.data.batching.packing`), the objective (`slugline.training.methods.language_modeling`) and the metrics.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from slugline.core.errors import DataError, ModelError, TrainingError
from slugline.core.messages import silenced
from slugline.core.storage import replacing_folder
from slugline.data.batching.packing import (
    IGNORED,
    TRAINING,
    VALIDATION,
    EpochSampler,
    Packed,
    SequenceCollator,
    Sequences,
    pack,
    sequence_loader,
    sequences_with_targets,
    split_validation,
)
from slugline.data.batching.planning import BatchLimits
from slugline.data.batching.tokenizer_properties import special_tokens
from slugline.data.batching.tokens import Tokens, tokenise
from slugline.data.batching.truncation import Truncation
from slugline.data.batching.unknown import check_unknown_tokens, unknown_id, unknown_share
from slugline.data.corpus import Corpus
from slugline.models.architectures.blocks import base_of
from slugline.models.architectures.small_decoder import ScratchConfig
from slugline.models.config import LEARNED_POSITIONS, language_config
from slugline.models.forward import evaluation_mode
from slugline.models.language_model import PositionLogits, build_language_model, save_backbone
from slugline.models.memory import retry_with_smaller_batches
from slugline.models.saving import size_of
from slugline.models.trial import longest_input
from slugline.recipe.model_section import TRAINED_TOKENIZERS
from slugline.recipe.recipe import Recipe
from slugline.run.run import Run
from slugline.training.loop.method import Method
from slugline.training.loop.resuming import UNLIMITED, load_progress, resume_point
from slugline.training.loop.schedules import SCHEDULES
from slugline.training.loop.session import (
    TrainingSession,
    enable_activation_checkpointing,
    prepare,
    run_training,
    with_working_precision,
)
from slugline.training.loop.train_metrics import RunningAccuracy
from slugline.training.methods.language_modeling import non_special_tokens, objective_of
from slugline.training.result import PretrainResult
from slugline.training.tokenizer import pretrained_tokenizer

if TYPE_CHECKING:
    import numpy as np
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from slugline.data.batching.loaders import UpdateLoader
    from slugline.recipe.train_section import PretrainSection

logger = logging.getLogger(__name__)

#: Share of the sequences for validation.
VALIDATION_SHARE = 0.05


@dataclass(frozen=True)
class PretrainSession(TrainingSession):
    """Everything that a pre-training needs.

    Args:
        section: [pretrain] section of the recipe.
        train: sequences to learn from.
        validation: sequences to select on; their labels are the same in every evaluation.
        logits: function that computes logits at the labelled positions.
        unknown_share: share of unknown tokens in the texts.
        findings: findings of the tokenisation, for ``data.json``.
    """

    section: PretrainSection
    train: Sequences
    validation: Sequences
    logits: PositionLogits
    unknown_share: float
    findings: list[dict[str, Any]]

    def forward(self, model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Logits (M, V) and targets (M,) at the M labelled positions of a batch."""
        inputs = dict(batch)
        labels = inputs.pop("labels")[:, : inputs["input_ids"].shape[1]]
        positions = labels != IGNORED
        return self.logits(model, inputs, positions), labels[positions]


def check_base(recipe: Recipe) -> None:
    """Refuse a base that cannot be pre-trained with the settings of the recipe.

    Args:
        recipe: recipe with a [pretrain] section.

    Raises:
        ModelError: the architecture lacks the head, the tokenizer lacks a mask token, or a sequence is longer than the
            input of the model.
    """
    section, model, objective = recipe.pretrain, recipe.model, objective_of(recipe)
    assert section is not None
    longest: int | None
    if model.tokenizer in TRAINED_TOKENIZERS:
        objective.require(ScratchConfig(), model.base)
        longest, n_special = (LEARNED_POSITIONS if model.positions == "learned" else None), 0
    else:
        tokenizer = pretrained_tokenizer(model)
        config = language_config(model, tokenizer)
        objective.require(config, model.base)
        objective.build_labeler(section, tokenizer, non_special_tokens(tokenizer, len(tokenizer)))
        with silenced():  # the training itself repeats all messages
            built = build_language_model(model, objective.auto_class, "cpu", tokenizer)
        longest, n_special = longest_input(built, tokenizer), sum(map(len, special_tokens(tokenizer)))
    # A sequence needs one token to predict, and one to predict it from.
    shortest = max(n_special + 1, 2)
    limit = UNLIMITED if longest is None else longest
    if not shortest <= section.sequence_length <= limit:
        raise ModelError(
            f"pretrain.sequence_length is {section.sequence_length}, but the model reads at most {limit} tokens, "
            f"{n_special} of them special.",
            hint=f"Choose pretrain.sequence_length between {shortest} and {limit}.",
        )


def fit_backbone(recipe: Recipe, corpus: Corpus, run: Run) -> PretrainResult:
    """Pre-train a transformer and keep the best weights on validation; see `slugline.training.fit.fit_backbone`."""
    session = _session(recipe, corpus, run)
    counts = {"train": len(session.train), "validation": len(session.validation)}
    length = session.section.sequence_length
    logger.info(
        "%s sequences of %d tokens, %d for validation", f"{len(session.train):,}", length, len(session.validation)
    )
    run_training(
        session,
        _method(session),
        loader=lambda rank, world: _loader(session, rank=rank, world=world),
        score=lambda model: _score(session, model),
    )
    with replacing_folder(run.layout.model) as folder:
        save_backbone(session.model, session.tokenizer, recipe.model.base, folder)
    return PretrainResult(
        scores=_score(session, session.model),
        timing=session.timing,
        size=size_of(base_of(session.model)),
        selected=session.selected,
        data={
            "sequences": {"sequence_length": length, **counts, "tokens": len(session.train.packed.ids)},
            "tokens": {"train": {"unknown_share": session.unknown_share}},
            "findings": [*run.data.get("findings", []), *session.findings],
        },
    )


def _session(recipe: Recipe, corpus: Corpus, run: Run) -> PretrainSession:
    """Model, sequences and objective, with the state of the checkpoint if the run is resumed."""
    section = recipe.pretrain
    assert section is not None
    start = resume_point(run, None)
    runtime, tokenizer = prepare(recipe, run, lambda: corpus.texts)
    objective = objective_of(recipe)
    model = build_language_model(recipe.model, objective.auto_class, runtime.hardware.device, tokenizer)
    runtime = with_working_precision(runtime, model, run)
    if recipe.model.gradient_checkpointing:
        enable_activation_checkpointing(model)
    non_special = non_special_tokens(tokenizer, model.config.vocab_size)
    tokens = _tokenise(section, corpus, tokenizer)
    findings = check_unknown_tokens({"train": tokens}, tokenizer)
    packed = _pack(section, tokens, tokenizer)
    train, validation = _split(packed, non_special)
    labeler = objective.build_labeler(section, tokenizer, non_special)
    return PretrainSession(
        recipe=recipe,
        run=run,
        runtime=runtime,
        tokenizer=tokenizer,
        model=model,
        examples=len(train),
        tokens=int(packed.lengths[train].sum()),
        progress=load_progress(start, recipe.train, runtime),
        train_metrics=RunningAccuracy(),
        start=start,
        section=section,
        train=Sequences(packed, train, labeler, (TRAINING, recipe.seed)),
        # The labels do not depend on the seed, so that runs can be compared.
        validation=Sequences(packed, validation, labeler, (VALIDATION,)),
        logits=PositionLogits(model),
        unknown_share=unknown_share(tokens, unknown_id(tokenizer)),
        findings=findings,
    )


def _tokenise(section: PretrainSection, corpus: Corpus, tokenizer: PreTrainedTokenizerBase) -> Tokens:
    return tokenise(corpus.texts, tokenizer, Truncation(section.sequence_length), cached=True)


def _pack(section: PretrainSection, tokens: Tokens, tokenizer: PreTrainedTokenizerBase) -> Packed:
    separator = tokenizer.sep_token_id if tokenizer.sep_token_id is not None else tokenizer.eos_token_id
    return pack(tokens, separator=separator, length=section.sequence_length)


def _split(packed: Packed, non_special: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sequences for training and for validation."""
    rows = sequences_with_targets(packed, non_special)
    # A sequence of one token has no next token.
    rows = rows[packed.lengths[rows] > 1]
    train, validation = split_validation(packed, rows, share=VALIDATION_SHARE)
    if not len(train) or not len(validation):
        raise DataError(
            f"the texts make {len(rows)} different sequences, too few for training and validation.",
            hint="Give more texts, or choose a smaller pretrain.sequence_length.",
        )
    return train, validation


def _loader(session: PretrainSession, *, rank: int, world: int) -> UpdateLoader:
    recipe, sequences = session.recipe, session.train
    sampler = EpochSampler(
        sequences.packed.lengths[sequences.rows], size=recipe.train.batch_size, seed=recipe.seed, rank=rank, world=world
    )
    return sequence_loader(sequences, sampler=sampler, pad_id=session.pad_id, workers=session.runtime.profile.workers)


def _method(session: PretrainSession) -> Method:
    section = session.recipe.train
    return Method(
        loss=token_losses,
        forward=session.forward,
        head_learning_rate=section.head_learning_rate,
        layer_decay=section.layer_decay,
        schedule=SCHEDULES[section.schedule],
        pass_overhead=session.runtime.profile.pass_overhead,
    )


def token_losses(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross entropy of each predicted token.

    Args:
        logits: (M, V).
        targets: (M,) ids.

    Returns:
        (M,) in float32.
    """
    return functional.cross_entropy(logits.float(), targets, reduction="none")


def _score(session: PretrainSession, model: PreTrainedModel) -> dict[str, float]:
    """Loss, perplexity and accuracy of the predicted tokens in the validation sequences."""
    sequences, collate = session.validation, SequenceCollator(session.pad_id)

    def measure(limits: BatchLimits) -> tuple[float, int, int]:
        losses, hits, count, rows = 0.0, 0, 0, limits.max_pieces
        for start in range(0, len(sequences), rows):
            examples = [sequences[index] for index in range(start, min(start + rows, len(sequences)))]
            batch = {key: value.to(model.device) for key, value in collate(examples).items()}
            logits, labels = session.forward(model, batch)
            losses += float(token_losses(logits, labels).double().sum())
            hits += int((logits.argmax(dim=1) == labels).sum())
            count += len(labels)
        return losses, hits, count

    with evaluation_mode(model, session.runtime.precision.precision):
        losses, hits, count = retry_with_smaller_batches(measure, limits=_evaluation_limits(session))
    loss = losses / count
    # The exponential of a larger loss is not finite.
    if not loss < math.log(torch.finfo(torch.float64).max):
        raise TrainingError(
            f"the validation loss is {loss}; the last checkpoint is intact.",
            hint="Most likely the learning rate is too high: try a train.learning_rate 3 times lower.",
        )
    return {"loss": loss, "perplexity": math.exp(loss), "accuracy": hits / count}


def _evaluation_limits(session: PretrainSession) -> BatchLimits:
    """Sequences per forward pass: ``train.eval_batch_size``, or fewer if memory ran out before."""
    longest, max_tokens = int(session.validation.packed.lengths.max()), session.progress.limits.max_tokens
    return BatchLimits(max(1, min(session.recipe.train.eval_batch_size, max_tokens // longest)), max_tokens)
