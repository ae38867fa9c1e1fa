"""Parameter groups of the optimizer: learning rate and weight decay of each parameter, also when training resumes."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Mapping
from typing import Any

from torch import nn
from torch.optim import Optimizer

logger = logging.getLogger(__name__)

#: Number of the block in the name of a parameter.
BLOCK = re.compile(r"\.(\d+)\.")

#: Parts of the names of embeddings.
EMBEDDINGS = ("embed", "wte", "wpe")

#: Settings of a group that fit any state of the optimizer: rates of the recipe and its schedule, and ways to compute.
FREE_SETTINGS = frozenset(
    (
        *("params", "lr", "initial_lr", "max_lr", "min_lr", "weight_decay", "betas", "eps"),
        *("fused", "foreach", "capturable", "differentiable"),
    )
)


def parameter_groups(
    model: nn.Module,
    *,
    base_prefix: str,
    decaying: Collection[str],
    learning_rate: float,
    head_learning_rate: float,
    layer_decay: float,
    weight_decay: float,
) -> list[dict[str, Any]]:
    """Return the parameter groups of the optimizer.

    Args:
        model: model whose trainable parameters are grouped.
        base_prefix: part of the names of the base's parameters, with the dot.
        decaying: names of the parameters with weight decay.
        learning_rate: learning rate of the highest block of the base.
        head_learning_rate: learning rate of the parameters outside the base.
        layer_decay: factor from the learning rate of a block to that of the block below; the embeddings are lowest.
        weight_decay: weight decay of the parameters in ``decaying``.

    Returns:
        ``params``, ``lr`` and ``weight_decay`` of each group. The rate of the first, ``learning_rate``, is logged.
    """
    trained = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    heights = {name: _height(name) for name, _ in trained if base_prefix in name}
    top = max(heights.values(), default=0)
    groups: dict[tuple[int, bool], dict[str, Any]] = {}
    for name, parameter in trained:
        in_base, decays = name in heights, name in decaying
        # Layers above the blocks (a final norm, a pooler) have the rate of the highest block.
        below = 0 if not in_base or heights[name] < 0 else top - heights[name]
        rate = learning_rate * layer_decay**below if in_base else head_learning_rate
        key = (below if in_base else -1, decays)
        group = groups.setdefault(key, {"params": [], "lr": rate, "weight_decay": weight_decay if decays else 0.0})
        group["params"].append(parameter)
    # The base from its highest block down, the head last.
    return [groups[key] for key in sorted(groups, key=lambda key: (key[0] < 0, key[0], not key[1]))]


def _height(name: str) -> int:
    """0 for embeddings, 1 for the lowest block, and so on; -1 for layers above the blocks."""
    if any(part in name for part in EMBEDDINGS):
        return 0
    found = BLOCK.search(name)
    return int(found[1]) + 1 if found else -1


def with_current_settings(optimizer: Optimizer, saved: dict[str, Any]) -> dict[str, Any]:
    """Combine the state in a checkpoint with the settings of the present recipe; a hook of ``load_state_dict``.

    Args:
        optimizer: optimizer that resumes.
        saved: state of the optimizer in the checkpoint, and its groups.

    Returns:
        The saved state with the present groups; the present state if the saved one belongs to another optimizer, or to
        other groups.
    """
    present = optimizer.state_dict()
    if list(map(_structure, saved["param_groups"])) != list(map(_structure, present["param_groups"])):
        logger.warning(
            "the optimizer starts with a fresh state: the checkpoint has that of another optimizer, or of other groups "
            "of weights."
        )
        return present
    return {**saved, "param_groups": present["param_groups"]}


def _structure(group: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
    """Number of parameters, and the settings that a saved state depends on."""
    return len(group["params"]), {name: value for name, value in group.items() if name not in FREE_SETTINGS}
