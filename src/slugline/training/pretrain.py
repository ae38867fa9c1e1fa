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
    Exercise,
    Packed,
    SequenceCollator,
    Sequences,
    pack,
    sequence_loader,
    set_aside,
    teachable,
)
from slugline.data.batching.tokens import Reading, special_tokens, tokenise
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
from slugline.models.memory import within_memory
from slugline.models.pretrained import longest_input
from slugline.models.saving import size_of
from slugline.recipe.recipe import Recipe
from slugline.recipe.sections import TRAINED_TOKENIZERS
from slugline.run.run import Run
from slugline.training.loop.session import (
    UNLIMITED,
    Course,
    carry_out,
    checkpoint_activations,
    chosen,
    progress_at,
    starting_point,
    training_facts,
)
from slugline.training.loop.trainer import HitTally, Method
from slugline.training.methods.language_modeling import objective_of, ordinary_tokens
from slugline.training.runtime import prepare_machine
from slugline.training.tokenizer import known_tokenizer, tokenizer_of

if TYPE_CHECKING:
    import numpy as np
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from slugline.data.batching.batches import UpdateLoader
    from slugline.recipe.sections import PretrainSection

logger = logging.getLogger("slugline")

#: Share of the sequences that the best weights are chosen on.
VALIDATION_SHARE = 0.05


@dataclass(frozen=True)
class Parts(Course):
    """Everything that one pre-training is made of.

    Args:
        train: sequences to learn from.
        validation: sequences to choose on; the same exercises every time.
        logits: asks the model about positions.
    """

    train: Sequences
    validation: Sequences
    logits: PositionLogits

    def answer(self, model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
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
        tokenizer = known_tokenizer(model)
        config = language_config(model, tokenizer)
        objective.require(config, model.base)
        objective.build_exercise(section, tokenizer, ordinary_tokens(tokenizer, len(tokenizer)))
        longest, around = longest_input(config, tokenizer), sum(map(len, special_tokens(tokenizer)))
    # There has to be a token to be found, and one to find it by.
    shortest = max(around + 1, 2)
    if not shortest <= section.sequence_length <= longest:
        raise ModelError(
            f"pretrain.sequence_length is {section.sequence_length}, but the model reads {longest} tokens at a time, "
            f"{around} of them special.",
            mend=f"Choose pretrain.sequence_length between {shortest} and {longest}.",
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
    parts = _parts(recipe, corpus, run, starting_point(run, None))
    carry_out(
        parts,
        _method(parts),
        loader=lambda rank, world: _loader(parts, rank=rank, world=world),
        score=lambda model: _score(parts, model),
    )
    with replacing_folder(run.layout.model) as folder:
        save_backbone(parts.model, parts.tokenizer, recipe.model.base, folder)
    size = size_of(base_of(parts.model))
    run.record({"size": size, "training": training_facts(parts), "chosen": chosen(parts)})
    return _score(parts, parts.model)


def _parts(recipe: Recipe, corpus: Corpus, run: Run, start: Path | None) -> Parts:
    section = recipe.pretrain
    assert section is not None
    machine = prepare_machine(recipe.train)
    run.record(machine.facts())
    # Before the model is built: the seed decides the weights of a fresh head.
    set_seed(recipe.seed)
    tokenizer, objective = tokenizer_of(recipe.model, lambda: corpus.texts, run), objective_of(recipe)
    model = build_language_model(recipe.model, objective.auto_class, machine.hardware.device, tokenizer)
    if recipe.model.gradient_checkpointing:
        checkpoint_activations(model)
    ordinary = ordinary_tokens(tokenizer, model.config.vocab_size)
    packed = _pack(section, corpus, tokenizer)
    train, validation = _split(packed, ordinary)
    exercise: Exercise = objective.build_exercise(section, tokenizer, ordinary)
    facts = {"sequence_length": section.sequence_length, "train": len(train), "validation": len(validation)}
    logger.info(
        "%s sequences of %d tokens, %s held out", *(f"{len(train):,}", section.sequence_length, len(validation))
    )
    run.write_json(run.layout.data, run.data | {"sequences": facts | {"tokens": len(packed.ids)}})
    return Parts(
        recipe=recipe,
        run=run,
        machine=machine,
        tokenizer=tokenizer,
        model=model,
        examples=len(train),
        tokens=int(packed.lengths[train].sum()),
        progress=progress_at(start, recipe.train, machine),
        tally=HitTally(),
        start=start,
        train=Sequences(packed, train, exercise, (TRAINING, recipe.seed)),
        # Whatever the seed: runs compare.
        validation=Sequences(packed, validation, exercise, (VALIDATION,)),
        logits=PositionLogits(model),
    )


def _pack(section: PretrainSection, corpus: Corpus, tokenizer: PreTrainedTokenizerBase) -> Packed:
    tokens = tokenise(corpus.texts, tokenizer, Reading(section.sequence_length), fingerprint=corpus.fingerprint)
    separator = tokenizer.sep_token_id if tokenizer.sep_token_id is not None else tokenizer.eos_token_id
    return pack(tokens, separator=separator, length=section.sequence_length)


def _split(packed: Packed, ordinary: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sequences to learn from, and those to choose on."""
    rows = teachable(packed, ordinary)
    # Of a single token there is nothing that comes next.
    rows = rows[packed.lengths[rows] > 1]
    train, validation = set_aside(packed, rows, share=VALIDATION_SHARE)
    if not len(train) or not len(validation):
        raise DataError(
            f"the texts make {len(rows)} different sequences: too few to learn from some and choose on others.",
            mend="Give more texts, or choose a smaller pretrain.sequence_length.",
        )
    return train, validation


def _loader(parts: Parts, *, rank: int, world: int) -> UpdateLoader:
    recipe, sequences = parts.recipe, parts.train
    sampler = EpochSampler(
        sequences.packed.lengths[sequences.rows], size=recipe.train.batch_size, seed=recipe.seed, rank=rank, world=world
    )
    return sequence_loader(sequences, sampler=sampler, pad_id=parts.pad_id, workers=parts.machine.profile.workers)


def _method(parts: Parts) -> Method:
    section = parts.recipe.train
    return Method(
        loss=token_losses,
        answer=parts.answer,
        head_learning_rate=section.head_learning_rate,
        layer_decay=section.layer_decay,
        one_cycle=section.schedule == "one_cycle",
        pass_overhead=parts.machine.profile.pass_overhead,
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


def _score(parts: Parts, model: PreTrainedModel) -> dict[str, float]:
    """Loss, perplexity and accuracy of the tokens to be found in the validation sequences."""
    sequences, collate = parts.validation, SequenceCollator(parts.pad_id)

    def measure(rows: int, budget: int) -> tuple[float, int, int]:
        losses, hits, count = 0.0, 0, 0
        for start in range(0, len(sequences), rows):
            some = [sequences[index] for index in range(start, min(start + rows, len(sequences)))]
            batch = {key: value.to(model.device) for key, value in collate(some).items()}
            logits, labels = parts.answer(model, batch)
            losses += float(token_losses(logits, labels).double().sum())
            hits += int((logits.argmax(dim=1) == labels).sum())
            count += len(labels)
        return losses, hits, count

    was_training = model.training
    model.train(False)
    with torch.inference_mode(), autocast(model.device, parts.machine.precision.precision):
        losses, hits, count = within_memory(measure, rows=_rows_a_pass(parts), budget=parts.progress.tokens)
    model.train(was_training)
    loss = losses / count
    # Above it the exponential is no number any more.
    if not loss < math.log(torch.finfo(torch.float64).max):
        raise TrainingError(
            f"the validation loss is {loss}; the last checkpoint is intact.",
            mend="Most likely the learning rate is too high: try train.learning_rate 3 times lower.",
        )
    return {"loss": loss, "perplexity": math.exp(loss), "accuracy": hits / count}


def _rows_a_pass(parts: Parts) -> int:
    """Sequences that are scored together: the recipe's number, as far as the memory that was found allows."""
    longest = int(parts.validation.packed.lengths.max())
    return max(1, min(parts.recipe.train.eval_batch_size, parts.progress.tokens // longest))
