"""Mixup and CutMix on hidden states: training texts are mixed with one another somewhere inside the model.

Mixup adds a share of another text's states (Zhang et al. 2018; at a layer drawn anew for each forward pass, Verma et
al. 2019). CutMix exchanges a span of them (Yun et al. 2019). Where the other text has only padding, a text keeps its
own states, and targets are mixed by the share that was really mixed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from slugline.models.architectures.blocks import blocks_of, states_in, with_states
from slugline.training.methods.losses import Loss


@dataclass(frozen=True)
class Mix:
    """What is mixed with what in one forward pass.

    Args:
        layer: after which block of the model.
        partner: (B,) row that each row is mixed with.
        weights: (B, T) share of the partner's state at each position.
        share: (B,) mean of the weights over a row's own tokens: the partner's share of the target.
    """

    layer: int
    partner: Tensor
    weights: Tensor
    share: Tensor


class Mixing:
    """Mixes the rows of each training pass of a model.

    All randomness comes from torch's global generator, whose state checkpoints hold.

    Args:
        model: with its blocks in a list, as all transformers have them.
        kind: ``mixup`` or ``cutmix``.
        alpha: both parameters of the Beta distribution that shares are drawn from.
    """

    def __init__(self, model: nn.Module, kind: Literal["mixup", "cutmix"], alpha: float) -> None:
        self.draw_weights = mixup_weights if kind == "mixup" else cutmix_weights
        self.beta = torch.distributions.Beta(alpha, alpha)
        self.mix: Mix | None = None
        blocks = blocks_of(model, key=f"train.{kind}")
        # Nothing is exchanged after the last block: a head that reads one token would see all or nothing of it.
        self.blocks = blocks if kind == "mixup" else blocks[:-1] or blocks
        for index, block in enumerate(self.blocks):
            block.register_forward_hook(self._hook(index))

    def draw(self, mask: Tensor) -> Mix:
        """Decide how the next forward pass is mixed.

        Args:
            mask: (B, T), 1 for tokens and 0 for padding.

        Returns:
            The mix, which holds until the next is drawn: checkpointed blocks run a second time in the backward pass.
        """
        layer = int(torch.randint(len(self.blocks), ()))
        partner = torch.randperm(len(mask)).to(mask.device)
        both = mask * mask[partner]
        weights = self.draw_weights(both, float(self.beta.sample()))
        share = weights.sum(dim=1) / mask.sum(dim=1).clamp(min=1)
        self.mix = Mix(layer, partner, weights, share)
        return self.mix

    def _hook(self, index: int) -> Any:
        def mix_states(module: nn.Module, _: Any, output: Any) -> Any:
            if self.mix is None or self.mix.layer != index or not module.training:
                return output
            states = states_in(output)
            weights = self.mix.weights.unsqueeze(-1).to(states.dtype)
            return with_states(output, states + weights * (states[self.mix.partner] - states))

        return mix_states


def mixed_loss(loss: Loss, logits: Tensor, targets: Tensor, mix: Mix) -> Tensor:
    """Losses of mixed texts: those for both targets, by their shares.

    Args:
        loss: logits (B, K) and targets (B,) to losses (B,).
        logits: (B, K).
        targets: (B,).
        mix: of the forward pass.

    Returns:
        (B,).
    """
    return (1 - mix.share) * loss(logits, targets) + mix.share * loss(logits, targets[mix.partner])


def mixup_weights(both: Tensor, own: float) -> Tensor:
    """The same share everywhere.

    Args:
        both: (B, T), 1 where a row and its partner have tokens.
        own: share of the row itself.

    Returns:
        (B, T) shares of the partner.
    """
    return (1 - own) * both.float()


def cutmix_weights(both: Tensor, own: float) -> Tensor:
    """One span of each row is the partner's, wholly.

    Args:
        both: (B, T), 1 where a row and its partner have tokens.
        own: share of the row itself.

    Returns:
        (B, T) shares of the partner, 0 or 1.
    """
    common = both.sum(dim=1, keepdim=True)
    length = ((1 - own) * common).round().long()
    begin = (float(torch.rand(())) * (common - length + 1)).long()
    # Counted over what they have in common: there may be padding on either side, and hidden tokens in between.
    place = both.cumsum(dim=1) - 1
    return (both * (place >= begin) * (place < begin + length)).float()
