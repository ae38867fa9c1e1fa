"""Pre-training of a transformer on texts without labels, from texts to a backbone to fine-tune.

`fit_backbone` is the story. It shares `slugline.training.loop.session` with fine-tuning. What differs are the batches
(`slugline.data.batching.packing`), the objective (`slugline.training.methods.language_modeling`) and the metrics.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from transformers import set_seed

from slugline.core.errors import DataError, ModelError, TrainingError
from slugline.core.storage import replacing_folder
from slugline.data.batching.packing import (
    NOTHING,
    TRAINING,
    VALIDATION,
    EpochSampler,
    Labeler,
    Packed,
    SequenceCollator,
    Sequences,
    pack,
    sequence_loader,
    sequences_with_targets,
    split_validation,
)
from slugline.data.batching.tokens import Truncation, special_tokens, tokenise
from slugline.data.corpus import Corpus
from slugline.models.architectures.blocks import base_of
from slugline.models.architectures.language_model import (
    PositionLogits,
    build_language_model,
    language_config,
    save_backbone,
)
from slugline.models.architectures.small_decoder import ScratchConfig
from slugline.models.build import LEARNED_POSITIONS
from slugline.models.forward import autocast
from slugline.models.memory import retry_with_smaller_batches
from slugline.models.pretrained import longest_input
from slugline.models.saving import size_of
from slugline.recipe.recipe import Recipe
from slugline.recipe.sections import TRAINED_TOKENIZERS
from slugline.run.run import Run
from slugline.training.loop.session import (
    UNLIMITED,
    TrainingSession,
    chosen,
    enable_activation_checkpointing,
    load_progress,
    resume_point,
    run_training,
    training_timing,
)
from slugline.training.loop.trainer import Method, RunningAccuracy
from slugline.training.methods.language_modeling import non_special_tokens, objective_of
from slugline.training.runtime import prepare_runtime
from slugline.training.tokenizer import pretrained_tokenizer, resolve_tokenizer

if TYPE_CHECKING:
    import numpy as np
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from slugline.data.batching.batches import UpdateLoader
    from slugline.recipe.sections import PretrainSection

logger = logging.getLogger("slugline")

#: Share of the sequences that the best weights are chosen on.
VALIDATION_SHARE = 0.05


@dataclass(frozen=True)
class PretrainSession(TrainingSession):
    """Everything that one pre-training is made of.

    Args:
        train: sequences to learn from.
        validation: sequences to choose on; the same exercises every time.
        logits: asks the model about positions.
    """

    train: Sequences
    validation: Sequences
    logits: PositionLogits

    def forward(self, model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """What a model says of the tokens to be found, and these; (M, V) and (M,)."""
        inputs = dict(batch)
        labels = inputs.pop("labels")[:, : inputs["input_ids"].shape[1]]
        wanted = labels != NOTHING
        return self.logits(model, inputs, wanted), labels[wanted]


def check_base(recipe: Recipe) -> None:
    """Refuse a base that cannot be pre-trained as the recipe wants.

    Args:
        recipe: complete, with [pretrain].

    Raises:
        ModelError: the architecture has no such head, the tokenizer no mask token, or the model reads less at a time
            than a sequence is long.
    """
    section, model, objective = recipe.pretrain, recipe.model, objective_of(recipe)
    assert section is not None
    if model.tokenizer in TRAINED_TOKENIZERS:
        objective.require(ScratchConfig(), model.base)
        longest, around = (LEARNED_POSITIONS if model.positions == "learned" else UNLIMITED), 0
    else:
        tokenizer = pretrained_tokenizer(model)
        config = language_config(model, tokenizer)
        objective.require(config, model.base)
        objective.build_labeler(section, tokenizer, non_special_tokens(tokenizer, len(tokenizer)))
        longest, around = longest_input(config, tokenizer), sum(map(len, special_tokens(tokenizer)))
    # There has to be a token to be found, and one to find it by.
    shortest = max(around + 1, 2)
    if not shortest <= section.sequence_length <= longest:
        raise ModelError(
            f"pretrain.sequence_length is {section.sequence_length}, but the model reads {longest} tokens at a time, "
            f"{around} of them special.",
            hint=f"Choose pretrain.sequence_length between {shortest} and {longest}.",
        )


def fit_backbone(recipe: Recipe, corpus: Corpus, run: Run) -> dict[str, float]:
    """Pre-train a transformer and keep the best weights on validation.

    Args:
        recipe: complete, with [pretrain].
        corpus: texts to learn from.
        run: open for writing; whole checkpoints in it are gone on from.

    Returns:
        ``loss``, ``perplexity`` and ``accuracy`` of the tokens that were to be found, on validation.

    Raises:
        DataError: there are too few texts.
        ModelError: the base cannot be had.
        TrainingError: training cannot go on.
        RunError: the disk is full.
    """
    session = _prepare(recipe, corpus, run, resume_point(run, None))
    run_training(
        session,
        _method(session),
        loader=lambda rank, world: _loader(session, rank=rank, world=world),
        score=lambda model: _score(session, model),
    )
    with replacing_folder(run.layout.model) as folder:
        save_backbone(session.model, session.tokenizer, recipe.model.base, folder)
    size = size_of(base_of(session.model))
    run.record({"size": size, "training": training_timing(session), "chosen": chosen(session)})
    return _score(session, session.model)


def _prepare(recipe: Recipe, corpus: Corpus, run: Run, start: Path | None) -> PretrainSession:
    section = recipe.pretrain
    assert section is not None
    runtime = prepare_runtime(recipe.train)
    run.record(runtime.facts())
    # Before the model is built: the seed decides the weights of a fresh head.
    set_seed(recipe.seed)
    tokenizer, objective = resolve_tokenizer(recipe.model, lambda: corpus.texts, run), objective_of(recipe)
    model = build_language_model(recipe.model, objective.auto_class, runtime.hardware.device, tokenizer)
    if recipe.model.gradient_checkpointing:
        enable_activation_checkpointing(model)
    non_special = non_special_tokens(tokenizer, model.config.vocab_size)
    packed = _pack(section, corpus, tokenizer)
    train, validation = _split(packed, non_special)
    labeler: Labeler = objective.build_labeler(section, tokenizer, non_special)
    facts = {"sequence_length": section.sequence_length, "train": len(train), "validation": len(validation)}
    logger.info(
        "%s sequences of %d tokens, %s held out", *(f"{len(train):,}", section.sequence_length, len(validation))
    )
    run.write_json(run.layout.data, run.data | {"sequences": facts | {"tokens": len(packed.ids)}})
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
        train=Sequences(packed, train, labeler, (TRAINING, recipe.seed)),
        # Whatever the seed: runs compare.
        validation=Sequences(packed, validation, labeler, (VALIDATION,)),
        logits=PositionLogits(model),
    )


def _pack(section: PretrainSection, corpus: Corpus, tokenizer: PreTrainedTokenizerBase) -> Packed:
    tokens = tokenise(corpus.texts, tokenizer, Truncation(section.sequence_length), fingerprint=corpus.fingerprint)
    separator = tokenizer.sep_token_id if tokenizer.sep_token_id is not None else tokenizer.eos_token_id
    return pack(tokens, separator=separator, length=section.sequence_length)


def _split(packed: Packed, non_special: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sequences to learn from, and those to choose on."""
    rows = sequences_with_targets(packed, non_special)
    # Of a single token there is nothing that comes next.
    rows = rows[packed.lengths[rows] > 1]
    train, validation = split_validation(packed, rows, share=VALIDATION_SHARE)
    if not len(train) or not len(validation):
        raise DataError(
            f"the texts make {len(rows)} different sequences: too few to learn from some and choose on others.",
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
        one_cycle=section.schedule == "one_cycle",
        pass_overhead=session.runtime.profile.pass_overhead,
    )


def token_losses(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross entropy of each token to be found.

    Args:
        logits: (M, V).
        targets: (M,) ids.

    Returns:
        (M,) in float32.
    """
    return functional.cross_entropy(logits.float(), targets, reduction="none")


def _score(session: PretrainSession, model: PreTrainedModel) -> dict[str, float]:
    """Loss, perplexity and accuracy of the tokens to be found in the validation sequences."""
    sequences, collate = session.validation, SequenceCollator(session.pad_id)

    def measure(rows: int, budget: int) -> tuple[float, int, int]:
        losses, hits, count = 0.0, 0, 0
        for start in range(0, len(sequences), rows):
            some = [sequences[index] for index in range(start, min(start + rows, len(sequences)))]
            batch = {key: value.to(model.device) for key, value in collate(some).items()}
            logits, labels = session.forward(model, batch)
            losses += float(token_losses(logits, labels).double().sum())
            hits += int((logits.argmax(dim=1) == labels).sum())
            count += len(labels)
        return losses, hits, count

    was_training = model.training
    model.train(False)
    with torch.inference_mode(), autocast(model.device, session.runtime.precision.precision):
        losses, hits, count = retry_with_smaller_batches(
            measure, rows=_rows_a_pass(session), budget=session.progress.tokens
        )
    model.train(was_training)
    loss = losses / count
    # Above it the exponential is no number any more.
    if not loss < math.log(torch.finfo(torch.float64).max):
        raise TrainingError(
            f"the validation loss is {loss}; the last checkpoint is intact.",
            hint="Most likely the learning rate is too high: try train.learning_rate 3 times lower.",
        )
    return {"loss": loss, "perplexity": math.exp(loss), "accuracy": hits / count}


def _rows_a_pass(session: PretrainSession) -> int:
    """Sequences that are scored together: the recipe's number, as far as the memory that was found allows."""
    longest = int(session.validation.packed.lengths.max())
    return max(1, min(session.recipe.train.eval_batch_size, session.progress.tokens // longest))
