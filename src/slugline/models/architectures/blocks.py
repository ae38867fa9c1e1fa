"""The parts of a transformer, whatever its architecture calls them: the base below its head, and the base's blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import nn

from slugline.core.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def base_of(model: PreTrainedModel) -> PreTrainedModel:
    """The base in a model, without its head."""
    base: PreTrainedModel = getattr(model, model.base_model_prefix)
    return base


def blocks_of(model: nn.Module, *, key: str) -> list[nn.Module]:
    """The blocks, lowest first: the largest list of modules in a model.

    Args:
        model: any.
        key: of the recipe, that needs them; for the message.

    Returns:
        The blocks.

    Raises:
        ModelError: there is no such list, or a block serves for several layers, as ALBERT's does.
    """
    lists = [list(module) for module in model.modules() if isinstance(module, nn.ModuleList) and len(module)]
    if not lists:
        raise ModelError(f"{type(model).__name__} has no list of blocks.", hint=f"Leave {key} out.")
    blocks = max(lists, key=lambda some: sum(parameter.numel() for block in some for parameter in block.parameters()))
    base = getattr(model, getattr(model, "base_model_prefix", ""), model)
    if len(blocks) < getattr(getattr(base, "config", None), "num_hidden_layers", 0):
        # What is done once for each layer would be done again and again.
        raise ModelError(f"{type(model).__name__} uses the same block for several layers.", hint=f"Leave {key} out.")
    return blocks


def states_in(output: Any) -> Any:
    """Token states in what a block returns, a tensor or a tuple that begins with it."""
    return output[0] if isinstance(output, tuple) else output


def with_states(output: Any, states: Any) -> Any:
    """What a block returned, with other token states."""
    return (states, *output[1:]) if isinstance(output, tuple) else states
