"""Loading of transformer classifiers, our own and those trained elsewhere."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from transformers import AutoModelForSequenceClassification

from slugline.core.errors import ModelError
from slugline.core.hardware import choose_precision, choose_profile, detect
from slugline.core.labels import LabelSet
from slugline.core.layouts import CheckpointLayout, ModelLayout
from slugline.core.model_folders import read_json
from slugline.data.batching.planning import BatchLimits
from slugline.data.batching.truncation import Truncation
from slugline.inference.classifier_config import ClassifierConfig
from slugline.inference.load import LoadOptions
from slugline.inference.predictor import Predictor
from slugline.inference.transformer import TransformerPredictor
from slugline.models.adaptation.adapt import adapt
from slugline.models.architectures.float32_head import compute_head_in_float32
from slugline.models.architectures.heads import output_weights
from slugline.models.build import match_tokenizer
from slugline.models.config import label_set_of
from slugline.models.forward import cast_linear_weights, predict_logits
from slugline.models.precision import working_precision
from slugline.models.pretrained import load_config, load_weights, require_shapes, resolve_base
from slugline.models.saving import load_evaluated_weights
from slugline.models.tokenizers import load_tokenizer
from slugline.models.trial import longest_input

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

    from slugline.recipe.model_section import ModelSection

logger = logging.getLogger(__name__)

#: Tokens of a text that are read if neither model nor tokenizer has a limit.
DEFAULT_LENGTH = 512

#: Texts in a forward pass of a model without a recipe.
DEFAULT_MAX_PIECES = 64


def load_transformer(source: str, options: LoadOptions) -> tuple[LabelSet, Predictor]:
    """Load a transformer classifier.

    Args:
        source: a model folder, a checkpoint, or a Hub name.
        options: options for loading.

    Returns:
        Its label set and predictor.

    Raises:
        RecipeError: the device is not available.
        ModelError: the model cannot be loaded, has no tokenizer, no classification head, or predicts no classes.
    """
    if options.config is None:
        _require_classifier(source)
    config = load_config(source)
    labels = _labels(source, config)
    hardware = detect(options.device)
    profile = choose_profile(hardware)
    tokenizer, model = load_tokenizer(source), _load_model(source, config, options.model)
    match_tokenizer(model, tokenizer, source)
    model.to(hardware.device).eval()  # type: ignore[arg-type]
    compute_head_in_float32(model)
    choice = choose_precision(hardware, options.precision, autocast=profile.autocast)
    precision = working_precision(model, choice, is_trained=False).precision
    truncation = _truncation(source, longest_input(model, tokenizer), options.config)
    cast_linear_weights(model, precision)
    predictor = TransformerPredictor(
        tokenizer,
        truncation,
        partial(
            predict_logits,
            model,
            pad_id=int(tokenizer.pad_token_id),
            precision=precision,
            limits=BatchLimits(
                options.config.batch_size if options.config else DEFAULT_MAX_PIECES, profile.micro_batch_tokens
            ),
        ),
    )
    return labels, predictor


def _truncation(source: str, longest: int | None, config: ClassifierConfig | None) -> Truncation:
    if config:
        return config.truncation.limited_to(longest)
    if longest is None:
        logger.info("%s states no longest text: the first %d tokens of a text are read.", source, DEFAULT_LENGTH)
    return Truncation(longest or DEFAULT_LENGTH)


def _require_classifier(source: str) -> None:
    """Refuse a model whose configuration names an architecture without a classification head."""
    architecture = _architecture(source)
    if architecture and "ForSequenceClassification" not in architecture:
        raise _no_head(source, architecture)


def _no_head(source: str, architecture: str) -> ModelError:
    return ModelError(
        f"{source} is a {architecture} without a classification head.",
        hint=f"Fine-tune it first: slugline train RECIPE model.base={source}",
    )


def _architecture(source: str) -> str:
    """``architectures`` of the configuration; empty if it has none."""
    path = ModelLayout(Path(source)).config
    named = read_json(path).get("architectures") if path.is_file() else load_config(source).architectures
    return " ".join(named or [])


def _labels(source: str, config: PretrainedConfig) -> LabelSet:
    """The classes in the configuration, ordered by their numbers."""
    classes = dict(sorted((config.id2label or {}).items()))
    names = tuple(str(name) for name in classes.values())
    if list(classes) != list(range(len(classes))):
        raise ModelError(
            f"{source}: id2label in config.json numbers its {len(names)} classes {', '.join(map(str, classes))}, not "
            f"0 to {len(names) - 1}.",
            hint="Correct config.json: one entry for each output of the head, from 0.",
        )
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ModelError(
            f"{source}: id2label in config.json has {len(names)} entries, but only {len(set(names))} names: "
            f"{', '.join(map(repr, repeated[:5]))} occurs more than once.",
            hint="Give each class a name of its own.",
        )
    labels = label_set_of(config)
    if labels is None:
        task = f"{config.problem_type or 'one output'}, {len(names)} outputs"
        raise ModelError(f"{source} does not predict classes ({task}).", hint="Give a classifier.")
    return labels


def _load_model(source: str, config: PretrainedConfig, section: ModelSection | None) -> PreTrainedModel:
    """The model in a folder or under a Hub name, in float32."""
    checkpoint = CheckpointLayout(Path(source))
    if section and section.adapt == "lora" and checkpoint.seal.is_file():
        # The low-rank matrices are merged only at the end of training.
        model: PreTrainedModel = AutoModelForSequenceClassification.from_config(config, dtype=torch.float32)
        adapted = adapt(model, section)
        load_evaluated_weights(model, checkpoint)
        return adapted.merged()
    loaded = load_weights(
        AutoModelForSequenceClassification.from_pretrained, resolve_base(source), config=config, dtype=torch.float32
    )
    require_shapes(loaded, source)
    model = loaded.model
    if loaded.new & output_weights(model):
        raise _no_head(source, config.model_type)
    if loaded.new:
        raise ModelError(
            f"{source}: the weights lack {', '.join(sorted(loaded.new)[:3])}, without which predictions are random.",
            hint="Copy the weights from the original model again; config.json must be that of these weights.",
        )
    if checkpoint.averaged.is_file():
        load_evaluated_weights(model, checkpoint)
    return model
