"""Low-rank adaptation with PEFT: `VARIANTS` maps each value of ``model.lora.variant`` to its configuration."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from torch import nn

from slugline.core.errors import ModelError, nearest
from slugline.models.architectures.blocks import base_of

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel

    from slugline.recipe.model_section import LoraSection

logger = logging.getLogger(__name__)

#: Model type -> names of its attention projections, for types whose default targets in PEFT are missing or different.
TARGETS = {
    "distilbert": ("q_lin", "v_lin"),
    "modernbert": ("Wqkv",),
    "slugline_scratch": ("query_key_value",),
}


def add_low_rank_matrices(model: PreTrainedModel, section: LoraSection) -> PeftModel:
    """Freeze a base and add trainable low-rank matrices to its layers; the head is trained.

    Args:
        model: model with a head; changed in place.
        section: [model.lora] section of the recipe.

    Returns:
        The model, wrapped by PEFT.

    Raises:
        ModelError: ``model.lora.targets`` names no layer of the base, or the variant does not support a layer.
    """
    from peft import get_peft_model

    config = VARIANTS[section.variant](section)
    config.target_modules = _target_names(model, section)
    config.modules_to_save = _head_names(model)
    with warnings.catch_warnings():
        # PEFT warns of GPT-2's transposed layers, which it handles, and uses deprecated names of transformers.
        warnings.simplefilter("ignore")
        try:
            wrapped: PeftModel = get_peft_model(model, config)
        except (ValueError, TypeError) as error:
            raise ModelError(
                f'model.lora.variant = "{section.variant}" does not fit {model.config.model_type}: {error}',
                hint='Choose model.lora.variant = "lora".',
            ) from error
    return wrapped


def _lora(section: LoraSection, **options: Any) -> Any:
    from peft import LoraConfig

    return LoraConfig(
        task_type="SEQ_CLS", r=section.r, lora_alpha=section.alpha, lora_dropout=section.dropout, **options
    )


def _rank_stabilised(section: LoraSection) -> Any:
    return _lora(section, use_rslora=True)


def _dora(section: LoraSection) -> Any:
    return _lora(section, use_dora=True)


def _loha(section: LoraSection) -> Any:
    from peft import LoHaConfig

    return LoHaConfig(task_type="SEQ_CLS", r=section.r, alpha=section.alpha, rank_dropout=section.dropout)


def _lokr(section: LoraSection) -> Any:
    from peft import LoKrConfig

    return LoKrConfig(task_type="SEQ_CLS", r=section.r, alpha=section.alpha, rank_dropout=section.dropout)


#: ``model.lora.variant`` -> PEFT's configuration: LoRA (Hu et al. 2021), rank-stabilised (Kalajdzievski 2023), DoRA
#: (Liu et al. 2024), LoHa (Hyeon-Woo et al. 2021) and LoKr (Yeh et al. 2023).
VARIANTS: dict[str, Callable[[LoraSection], Any]] = {
    "lora": _lora,
    "rslora": _rank_stabilised,
    "dora": _dora,
    "loha": _loha,
    "lokr": _lokr,
}


def _target_names(model: PreTrainedModel, section: LoraSection) -> list[str]:
    """Full names of the base's layers that get low-rank matrices."""
    layers = list(_linear_layers(model))
    if section.targets == "auto":
        return _attention_layers(model, layers)
    known = sorted({name.rpartition(".")[2] for name in layers})
    chosen: list[str] = []
    for target in section.targets:
        found = _named(layers, target)
        if not found:
            raise ModelError(
                f"model.lora.targets names {target!r}, which is not a layer of {base_of(model).config.model_type}."
                f"{nearest(target, known)}",
                hint=f"Its layers are {', '.join(known)}.",
            )
        chosen += found
    return list(dict.fromkeys(chosen))


def _named(layers: Sequence[str], target: str) -> list[str]:
    return [name for name in layers if name == target or name.endswith(f".{target}")]


def _attention_layers(model: PreTrainedModel, layers: Sequence[str]) -> list[str]:
    """The known targets of an architecture, else the projections to queries and values (Hu et al. 2021, section 7.1).

    If an attention module has no projections of these names, as with one projection to all three, all its layers are
    targets; if the model has no attention module with layers, all linear layers are.
    """
    known = [_named(layers, target) for target in _default_targets(model)]
    if known and all(known):
        return [name for found in known for name in found]
    inside = [name for name in layers if _is_in_attention(model, name)]
    queries, values = ([name for name in inside if name.rpartition(".")[2].startswith(letter)] for letter in "qv")
    chosen = [*queries, *values] if queries and values else inside or layers
    if not chosen:
        raise ModelError(
            f"{base_of(model).config.model_type} has no linear layers to which low-rank matrices can be added.",
            hint='Choose another model.adapt: "full", "adapter", "frozen" or "gradual".',
        )
    logger.info("model.lora.targets: %s", ", ".join(sorted({name.rpartition(".")[2] for name in chosen})))
    return list(chosen)


def _is_in_attention(model: PreTrainedModel, layer: str) -> bool:
    """True if a module around a layer is an attention module by its class."""
    parts = layer.split(".")
    around = (model.get_submodule(".".join(parts[:count])) for count in range(1, len(parts)))
    return any(type(module).__name__.endswith("Attention") for module in around)


def _linear_layers(model: PreTrainedModel) -> Iterator[str]:
    """Names of the linear layers inside the base's blocks."""
    from transformers.pytorch_utils import Conv1D

    for name, module in model.named_modules():
        in_block = any(part.isdigit() for part in name.split("."))
        if name.startswith(f"{model.base_model_prefix}.") and in_block and isinstance(module, (nn.Linear, Conv1D)):
            yield name


def _default_targets(model: PreTrainedModel) -> tuple[str, ...]:
    from peft.utils.constants import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING

    model_type = base_of(model).config.model_type
    return tuple(TARGETS.get(model_type) or TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING.get(model_type, ()))


def _head_names(model: PreTrainedModel) -> list[str]:
    """Names of the modules outside the base that have weights; PEFT trains them fully and saves them."""
    return [
        name for name, child in model.named_children() if name != model.base_model_prefix and list(child.parameters())
    ]
