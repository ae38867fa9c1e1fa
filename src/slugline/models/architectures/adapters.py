"""Bottleneck adapters: a small residual network after each block. Only the adapters and the head are trained."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from slugline.models.architectures.blocks import blocks_of, states_in, with_states

#: Name of a block's submodule that is its adapter.
ADAPTER = "bottleneck_adapter"


class Bottleneck(nn.Module):
    """Down-projection, nonlinearity, up-projection, and a residual connection (Houlsby et al. 2019).

    The up-projection starts at zero, so that the adapter starts as the identity.

    Args:
        width: width of the states, H.
        bottleneck: width between the projections.
    """

    def __init__(self, width: int, bottleneck: int) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(width, bottleneck), nn.Linear(bottleneck, width)
        nn.init.normal_(self.down.weight, std=width**-0.5)
        nn.init.zeros_(self.down.bias)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)
        # Otherwise transformers would initialise these layers like those of the base.
        for layer in (self.down, self.up):
            layer._is_hf_initialized = True  # type: ignore[assignment]

    def forward(self, states: Tensor) -> Tensor:
        """Transform states (B, T, H)."""
        adapted: Tensor = states + self.up(nn.functional.gelu(self.down(states)))
        return adapted


def insert_adapters(backbone: nn.Module, *, width: int, bottleneck: int) -> None:
    """Add one adapter to each block, applied to the output of the block (Pfeiffer et al. 2021).

    Args:
        backbone: backbone whose blocks get adapters; changed in place.
        width: width of the backbone's states.
        bottleneck: width between the projections of an adapter.

    Raises:
        ModelError: the backbone has no list of blocks, or its layers share a block.
    """
    for block in blocks_of(backbone, key='model.adapt = "adapter"'):
        block.add_module(ADAPTER, Bottleneck(width, bottleneck))
        block.register_forward_hook(_adapt)


def _adapt(block: nn.Module, _: Any, output: Any) -> Any:
    return with_states(output, getattr(block, ADAPTER)(states_in(output)))
