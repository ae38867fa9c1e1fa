"""Parts of a transformer of any architecture: the base without the head, its blocks, its table of words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import nn

from slugline.core.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def base_of(model: PreTrainedModel) -> PreTrainedModel:
    """Return the base of a model, without the head."""
    base: PreTrainedModel = getattr(model, model.base_model_prefix)
    return base


def embedding_rows(model: PreTrainedModel) -> int | None:
    """Return the number of rows of the table of words; None if the model has no such table, as CANINE."""
    try:
        table: Any = model.get_input_embeddings()
    except NotImplementedError:
        return None
    return int(table.num_embeddings) if hasattr(table, "num_embeddings") else None


def blocks_of(model: nn.Module, *, key: str) -> list[nn.Module]:
    """Return the blocks of a model: its largest list of modules.

    Args:
        model: model of any architecture.
        key: recipe key that needs the blocks; for the message.

    Returns:
        The blocks, lowest first.

    Raises:
        ModelError: there is no such list, or several layers share a block, as in ALBERT.
    """
    lists = [_flat(module) for module in model.modules() if isinstance(module, nn.ModuleList) and len(module)]
    if not lists:
        raise ModelError(f"{type(model).__name__} has no list of blocks.", hint=f"Leave {key} out.")
    blocks = max(lists, key=_count_parameters)
    base = getattr(model, getattr(model, "base_model_prefix", ""), model)
    if len(blocks) < getattr(getattr(base, "config", None), "num_hidden_layers", 0):
        # A hook on a shared block would run once for each of its layers.
        raise ModelError(f"{type(model).__name__} uses the same block for several layers.", hint=f"Leave {key} out.")
    return blocks


def _flat(modules: nn.ModuleList) -> list[nn.Module]:
    """The modules of a list; Funnel has a list of lists."""
    flat = (_flat(module) if isinstance(module, nn.ModuleList) else [module] for module in modules)
    return [module for part in flat for module in part]


def _count_parameters(modules: list[nn.Module]) -> int:
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


def states_in(output: Any) -> Any:
    """Return the token states in the output of a block, which is a tensor or a tuple whose first item is the states."""
    return output[0] if isinstance(output, tuple) else output


def with_states(output: Any, states: Any) -> Any:
    """Return the output of a block with its token states replaced."""
    return (states, *output[1:]) if isinstance(output, tuple) else states
