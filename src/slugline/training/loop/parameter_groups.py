"""Which weights learn how fast: groups of parameters with rates and weight decay of their own."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from torch import nn

#: In the name of a weight that belongs to a block, the block's number.
BLOCK = re.compile(r"\.(\d+)\.")

#: In the names of embeddings, which lie below all blocks.
EMBEDDINGS = ("embed", "wte", "wpe")


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
    """Groups for the optimizer.

    Args:
        model: whose parameters are trained, as far as they require gradients.
        base_prefix: in the names of the base's parameters, with its dot.
        decaying: names of parameters that weight decay applies to.
        learning_rate: of the base's uppermost block.
        head_learning_rate: of what is not the base's.
        layer_decay: a block's rate is this times that of the block above; the embeddings come below the lowest.
        weight_decay: of those that decay.

    Returns:
        ``params``, ``lr``, ``weight_decay`` each. The first group has ``learning_rate``, which is what is logged.
    """
    trained = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    heights = {name: _height(name) for name, _ in trained if base_prefix in name}
    top = max(heights.values(), default=0)
    groups: dict[tuple[int, bool], dict[str, Any]] = {}
    for name, parameter in trained:
        in_base, decays = name in heights, name in decaying
        # Whatever lies above the blocks (a last norm, a pooler) learns as fast as the uppermost block.
        below = 0 if not in_base or heights[name] < 0 else top - heights[name]
        rate = learning_rate * layer_decay**below if in_base else head_learning_rate
        key = (below if in_base else -1, decays)
        group = groups.setdefault(key, {"params": [], "lr": rate, "weight_decay": weight_decay if decays else 0.0})
        group["params"].append(parameter)
    # The base from its uppermost block down, the head last.
    return [groups[key] for key in sorted(groups, key=lambda key: (key[0] < 0, key[0], not key[1]))]


def _height(name: str) -> int:
    """0 for embeddings, 1 for the lowest block, and so on; -1 for what belongs to no block."""
    if any(part in name for part in EMBEDDINGS):
        return 0
    found = BLOCK.search(name)
    return int(found[1]) + 1 if found else -1
