"""Loading of transformer classifiers, our own and those trained elsewhere."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import AutoModelForSequenceClassification

from slugline.core.errors import ModelError
from slugline.core.hardware import choose_precision, choose_profile, detect
from slugline.core.labels import LabelSet
from slugline.core.layouts import CheckpointLayout, ModelLayout
from slugline.data.batching.planning import BatchLimits
from slugline.data.batching.tokens import Truncation, truncation_of
from slugline.inference.load import LoadOptions
from slugline.inference.predictor import Predictor
from slugline.inference.transformer import TransformerPredictor
from slugline.models.adaptation.adapt import adapt
from slugline.models.architectures.float32_head import compute_head_in_float32
from slugline.models.build import set_pad_token
from slugline.models.forward import cast_linear_weights, predict_logits
from slugline.models.precision import working_precision
from slugline.models.pretrained import from_pretrained, load_config, longest_input, resolve_base
from slugline.models.saving import load_evaluated_weights
from slugline.models.tokenizers import load_tokenizer

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

    from slugline.recipe.recipe import Recipe

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
        ModelError: the model cannot be loaded, has no tokenizer, no classification head, or several labels per text.
    """
    recipe = options.recipe
    if recipe is None:
        _require_head(source)
    config = load_config(source)
    hardware = detect(options.device)
    profile = choose_profile(hardware)
    tokenizer, model = load_tokenizer(source), _load_model(source, config, recipe)
    set_pad_token(model, tokenizer)
    model.to(hardware.device).eval()  # type: ignore[arg-type]
    compute_head_in_float32(model)
    choice = choose_precision(hardware, options.precision, autocast=profile.autocast)
    precision = working_precision(model, choice, is_trained=False).precision
    cast_linear_weights(model, precision)
    longest = longest_input(config, tokenizer)
    predictor = TransformerPredictor(
        tokenizer,
        truncation_of(recipe.data, longest) if recipe else Truncation(longest),
        partial(
            predict_logits,
            model,
            pad_id=int(tokenizer.pad_token_id),
            precision=precision,
            limits=BatchLimits(
                recipe.train.eval_batch_size if recipe else DEFAULT_MAX_PIECES, profile.micro_batch_tokens
            ),
        ),
    )
    return _labels(source, config), predictor


def _require_head(source: str) -> None:
    """Refuse a model without a classification head: a new head would predict at random."""
    architecture = _architecture(source)
    if "ForSequenceClassification" not in architecture:
        raise ModelError(
            f"{source} is a {architecture or 'model'} without a classification head.",
            hint="Fine-tune it first: slugline train RECIPE model.base=" + source,
        )


def _architecture(source: str) -> str:
    """``architectures`` of the configuration; empty if it has none."""
    path = ModelLayout(Path(source)).config
    if not path.is_file():
        return " ".join(load_config(source).architectures or [])
    try:
        config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(f"{path} is damaged: {error}.", hint="Copy it from the base model again.") from error
    return " ".join(config.get("architectures") or [])


def _labels(source: str, config: PretrainedConfig) -> LabelSet:
    names = tuple(str(name) for _, name in sorted((config.id2label or {}).items()))
    if config.problem_type not in (None, "single_label_classification") or len(names) < 2:
        task = f"{config.problem_type or 'one output'}, {len(names)} outputs"
        raise ModelError(
            f"{source} does not predict one label of several ({task}); this version supports no other models.",
            hint="Give a single-label classifier.",
        )
    return LabelSet(names)


def _load_model(source: str, config: PretrainedConfig, recipe: Recipe | None) -> PreTrainedModel:
    """The model in a folder or under a Hub name, in float32."""
    checkpoint = CheckpointLayout(Path(source))
    if recipe and recipe.model.adapt == "lora" and checkpoint.seal.is_file():
        # The low-rank matrices are merged only at the end of training.
        model: PreTrainedModel = AutoModelForSequenceClassification.from_config(config, dtype=torch.float32)
        adapted = adapt(model, recipe.model)
        load_evaluated_weights(model, checkpoint)
        return adapted.merged()
    model = from_pretrained(
        AutoModelForSequenceClassification.from_pretrained, resolve_base(source), dtype=torch.float32
    )
    if checkpoint.averaged.is_file():
        load_evaluated_weights(model, checkpoint)
    return model
