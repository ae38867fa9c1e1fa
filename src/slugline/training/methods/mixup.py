"""Mixup and CutMix: training texts are mixed with one another in the hidden states of the model.

Mixup interpolates the states of two texts (Zhang et al. 2018), after a block drawn for each forward pass (Verma et al.
2019). CutMix replaces a span of a text's states by those of the other text (Yun et al. 2019). At positions at which
either text has padding, nothing is mixed. Targets are mixed by the share of the states that was actually mixed.
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
    """The mixture of one forward pass.

    Args:
        block: index of the block after which states are mixed.
        partner: (B,) row that each row is mixed with.
        weights: (B, T) share of the partner's state at each position.
        share: (B,) mean of the weights over the tokens of a row: the partner's share of the target.
    """

    block: int
    partner: Tensor
    weights: Tensor
    share: Tensor


class Mixing:
    """Mixes the rows of each forward pass in training.

    Shares and partners are drawn from torch's global generator, whose state is part of each checkpoint.

    Args:
        model: model with a list of blocks; the blocks get forward hooks.
        kind: ``mixup`` or ``cutmix``.
        alpha: both parameters of the Beta distribution of shares.
    """

    def __init__(self, model: nn.Module, kind: Literal["mixup", "cutmix"], alpha: float) -> None:
        self.draw_weights = mixup_weights if kind == "mixup" else cutmix_weights
        self.beta = torch.distributions.Beta(alpha, alpha)
        self.mix: Mix | None = None
        blocks = blocks_of(model, key=f"train.{kind}")
        # CutMix skips the last block: a head that reads one token would get that token from one of the two texts.
        self.blocks = blocks if kind == "mixup" else blocks[:-1] or blocks
        for index, block in enumerate(self.blocks):
            block.register_forward_hook(self._hook(index))

    def draw(self, mask: Tensor) -> Mix:
        """Draw the mixture of the next forward pass.

        Args:
            mask: (B, T), 1 for tokens and 0 for padding.

        Returns:
            The mixture, valid until the next draw: checkpointed blocks run a second time in the backward pass.
        """
        block = int(torch.randint(len(self.blocks), ()))
        partner = torch.randperm(len(mask)).to(mask.device)
        common = mask * mask[partner]
        weights = self.draw_weights(common, float(self.beta.sample()))
        share = weights.sum(dim=1) / mask.sum(dim=1).clamp(min=1)
        self.mix = Mix(block, partner, weights, share)
        return self.mix

    def _hook(self, index: int) -> Any:
        def mix_states(module: nn.Module, _: Any, output: Any) -> Any:
            if self.mix is None or self.mix.block != index or not module.training:
                return output
            states = states_in(output)
            weights = self.mix.weights.unsqueeze(-1).to(states.dtype)
            return with_states(output, states + weights * (states[self.mix.partner] - states))

        return mix_states


def mixed_loss(loss: Loss, logits: Tensor, targets: Tensor, mix: Mix) -> Tensor:
    """Return the losses of mixed texts: the mean over both targets, weighted by their shares.

    Args:
        loss: function from logits (B, K) and targets to losses (B,).
        logits: (B, K).
        targets: (B,), or (B, K) for any number of labels per text.
        mix: mixture of the forward pass.

    Returns:
        (B,).
    """
    return (1 - mix.share) * loss(logits, targets) + mix.share * loss(logits, targets[mix.partner])


def mixup_weights(common: Tensor, own: float) -> Tensor:
    """Return the same share at all common positions.

    Args:
        common: (B, T), 1 at positions at which both a row and its partner have tokens.
        own: share of the row itself.

    Returns:
        (B, T) shares of the partner.
    """
    return (1 - own) * common.float()


def cutmix_weights(common: Tensor, own: float) -> Tensor:
    """Draw one span for each row, in which the states are those of the partner.

    Args:
        common: (B, T), 1 at positions at which both a row and its partner have tokens.
        own: share of the row itself.

    Returns:
        (B, T) shares of the partner, 0 or 1.
    """
    count = common.sum(dim=1, keepdim=True)
    length = ((1 - own) * count).round().long()
    begin = (float(torch.rand(())) * (count - length + 1)).long()
    # Only common positions are numbered: padding can be on either side, and masked tokens in between.
    number = common.cumsum(dim=1) - 1
    return (common * (number >= begin) * (number < begin + length)).float()
