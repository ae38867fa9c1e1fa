"""Bottleneck adapters: after each block a small residual network, which is all that is trained besides the head."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from slugline.models.architectures.blocks import blocks_of, states_in, with_states

#: Attribute of a block under which its adapter lies.
ADAPTER = "bottleneck_adapter"


class Bottleneck(nn.Module):
    """Down to a few components, a nonlinearity, up again, and a residual connection (Houlsby et al. 2019).

    It begins as the identity: what comes up starts at zero.

    Args:
        width: H, of the states.
        bottleneck: components in between.
    """

    def __init__(self, width: int, bottleneck: int) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(width, bottleneck), nn.Linear(bottleneck, width)
        nn.init.normal_(self.down.weight, std=width**-0.5)
        nn.init.zeros_(self.down.bias)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)
        # transformers would draw the weights of all layers inside a base anew, as those of the base.
        for layer in (self.down, self.up):
            layer._is_hf_initialized = True  # type: ignore[assignment]

    def forward(self, states: Tensor) -> Tensor:
        """(B, T, H) to (B, T, H)."""
        changed: Tensor = states + self.up(nn.functional.gelu(self.down(states)))
        return changed


def insert_adapters(backbone: nn.Module, *, width: int, bottleneck: int) -> None:
    """Put an adapter after each block, once after each forward pass (Pfeiffer et al. 2021).

    Args:
        backbone: changed in place.
        width: of its states.
        bottleneck: width inside the adapters.

    Raises:
        ModelError: its blocks cannot be told.
    """
    for block in blocks_of(backbone, key='model.adapt = "adapter"'):
        block.add_module(ADAPTER, Bottleneck(width, bottleneck))
        block.register_forward_hook(_adapt)


def _adapt(block: nn.Module, _: Any, output: Any) -> Any:
    return with_states(output, getattr(block, ADAPTER)(states_in(output)))
