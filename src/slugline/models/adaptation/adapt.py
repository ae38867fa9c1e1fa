"""Selection of the weights that are trained: `ADAPT` maps each value of ``model.adapt`` to a function.

`slugline.models.architectures.adapters` has the bottleneck adapters, which are part of the model itself.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from slugline.models.adaptation.lora import add_low_rank_matrices
from slugline.models.architectures.adapters import ADAPTER
from slugline.models.architectures.blocks import base_of
from slugline.models.pretrained import quietly

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel

    from slugline.recipe.model_section import ModelSection


@dataclass(frozen=True)
class Adapted:
    """A model whose trainable weights are selected.

    Args:
        model: original model, changed in place.
        peft: the same model wrapped by PEFT, or None.
    """

    model: PreTrainedModel
    peft: PeftModel | None = None

    def merged(self) -> PreTrainedModel:
        """Add the low-rank updates to the weights of the base; the change is permanent.

        Returns:
            The model without PEFT's modules.
        """
        if self.peft is None:
            return self.model
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            merged: PreTrainedModel = self.peft.merge_and_unload(safe_merge=True)
        return merged

    def save_adapter(self, folder: Path) -> None:
        """Write PEFT's own files; to be called before `merged`.

        Args:
            folder: existing folder.
        """
        assert self.peft is not None
        with quietly():
            # The embeddings may have a row added for padding, which is never used: they are not saved.
            self.peft.save_pretrained(str(folder), save_embedding_layers=False)


def adapt(model: PreTrainedModel, section: ModelSection) -> Adapted:
    """Freeze or add weights as ``model.adapt`` requires.

    Args:
        model: model with a head; changed in place.
        section: [model] section of the recipe.

    Returns:
        The model with its trainable weights selected.

    Raises:
        ModelError: ``model.lora`` does not fit the base.
    """
    return ADAPT[section.adapt](model, section)


def _train_all(model: PreTrainedModel, _: ModelSection) -> Adapted:
    return Adapted(model)


def _freeze_base(model: PreTrainedModel, _: ModelSection) -> Adapted:
    base = base_of(model)
    base.requires_grad_(False)
    base.eval()
    # Trainers switch the whole model to training mode; a frozen base must stay in evaluation mode, without dropout.
    base.train = lambda mode=True: base  # type: ignore[method-assign]
    return Adapted(model)


def _train_adapters(model: PreTrainedModel, _: ModelSection) -> Adapted:
    for name, parameter in base_of(model).named_parameters():
        parameter.requires_grad_(ADAPTER in name.split("."))
    return Adapted(model)


def _train_low_rank_matrices(model: PreTrainedModel, section: ModelSection) -> Adapted:
    return Adapted(model, add_low_rank_matrices(model, section.lora))


#: ``model.adapt`` -> function. In gradual unfreezing, `slugline.training.methods.unfreezing` decides when each block is
#: trained.
ADAPT: dict[str, Callable[[PreTrainedModel, ModelSection], Adapted]] = {
    "full": _train_all,
    "gradual": _train_all,
    "frozen": _freeze_base,
    "adapter": _train_adapters,
    "lora": _train_low_rank_matrices,
}
