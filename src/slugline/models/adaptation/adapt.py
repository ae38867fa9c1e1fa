"""Which weights of a base are trained: `ADAPT` names a function for each value of ``model.adapt``.

LoRA and its kin come from PEFT; bottleneck adapters lie in the model itself (`slugline.models.architectures.adapters`).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from slugline.core.errors import ModelError, nearest
from slugline.models.architectures.adapters import ADAPTER
from slugline.models.architectures.blocks import base_of
from slugline.models.pretrained import quietly

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel

    from slugline.recipe.model_section import LoraSection, ModelSection

#: Where PEFT knows no layers of an architecture, or not ours: model type -> the projections of its attention.
TARGETS = {
    "distilbert": ("q_lin", "v_lin"),
    "modernbert": ("Wqkv",),
    "slugline_scratch": ("query_key_value",),
}


@dataclass(frozen=True)
class Adapted:
    """A model of which only some weights may be trained.

    Args:
        model: changed in place.
        peft: what PEFT made of it, or None.
    """

    model: PreTrainedModel
    peft: PeftModel | None = None

    def merged(self) -> PreTrainedModel:
        """The model as any other, with what was learnt beside its weights added to them; for good."""
        if self.peft is None:
            return self.model
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            merged: PreTrainedModel = self.peft.merge_and_unload(safe_merge=True)
        return merged

    def save_adapter(self, folder: Path) -> None:
        """Write PEFT's own files; call it before `merged`.

        Args:
            folder: exists already.
        """
        assert self.peft is not None
        with quietly():
            # Without the row for padding that a decoder was given: nothing ever looks at it.
            self.peft.save_pretrained(str(folder), save_embedding_layers=False)


def adapt(model: PreTrainedModel, section: ModelSection) -> Adapted:
    """Decide which weights are trained.

    Args:
        model: with a head; changed in place.
        section: of the recipe.

    Returns:
        The model with weights frozen or added as ``model.adapt`` says.

    Raises:
        ModelError: ``model.lora.targets`` names no layer of the base.
    """
    return ADAPT[section.adapt](model, section)


def _train_everything(model: PreTrainedModel, _: ModelSection) -> Adapted:
    return Adapted(model)


def _freeze(model: PreTrainedModel, _: ModelSection) -> Adapted:
    base = base_of(model)
    base.requires_grad_(False)
    base.eval()
    # Whatever puts the whole model into training mode leaves the base alone: it has no dropout while it is frozen.
    base.train = lambda mode=True: base  # type: ignore[method-assign]
    return Adapted(model)


def _train_adapters(model: PreTrainedModel, _: ModelSection) -> Adapted:
    for name, parameter in base_of(model).named_parameters():
        parameter.requires_grad_(ADAPTER in name.split("."))
    return Adapted(model)


def _inject(model: PreTrainedModel, section: ModelSection) -> Adapted:
    from peft import get_peft_model

    config = VARIANTS[section.lora.variant](section.lora)
    config.target_modules = _targets(model, section.lora)
    config.modules_to_save = _heads(model)
    with warnings.catch_warnings():
        # PEFT mentions that it found GPT-2's transposed layers, and asks transformers for what is renamed there.
        warnings.simplefilter("ignore")
        try:
            return Adapted(model, get_peft_model(model, config))
        except (ValueError, TypeError) as error:
            raise ModelError(
                f'model.lora.variant = "{section.lora.variant}" does not fit {model.config.model_type}: {error}',
                hint='Choose model.lora.variant = "lora".',
            ) from error


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


def _targets(model: PreTrainedModel, section: LoraSection) -> list[str]:
    """Full names of the base's layers that get low-rank matrices."""
    layers = list(_layers(model))
    wanted = _known_targets(model) if section.targets == "auto" else section.targets
    wanted = wanted or sorted({name.rpartition(".")[2] for name in layers})
    chosen: list[str] = []
    for target in wanted:
        found = [name for name in layers if name == target or name.endswith(f".{target}")]
        if not found:
            known = sorted({name.rpartition(".")[2] for name in layers})
            raise ModelError(
                f"model.lora.targets names {target!r}, which is no layer of {base_of(model).config.model_type}."
                f"{nearest(target, known)}",
                hint=f"Its layers are {', '.join(known)}.",
            )
        chosen += found
    return list(dict.fromkeys(chosen))


def _layers(model: PreTrainedModel) -> Iterator[str]:
    """Names of the linear layers inside the base's blocks."""
    from transformers.pytorch_utils import Conv1D

    for name, module in model.named_modules():
        in_block = any(part.isdigit() for part in name.split("."))
        if name.startswith(f"{model.base_model_prefix}.") and in_block and isinstance(module, (nn.Linear, Conv1D)):
            yield name


def _known_targets(model: PreTrainedModel) -> tuple[str, ...]:
    from peft.utils.constants import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING

    kind = base_of(model).config.model_type
    return tuple(TARGETS.get(kind) or TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING.get(kind, ()))


def _heads(model: PreTrainedModel) -> list[str]:
    """What lies outside the base and has weights: trained whole, and saved with the adapter."""
    return [
        name for name, child in model.named_children() if name != model.base_model_prefix and list(child.parameters())
    ]


#: Values of ``model.adapt``. What is thawed when, in gradual unfreezing, is the training's business.
ADAPT: dict[str, Callable[[PreTrainedModel, ModelSection], Adapted]] = {
    "full": _train_everything,
    "gradual": _train_everything,
    "frozen": _freeze,
    "adapter": _train_adapters,
    "lora": _inject,
}
