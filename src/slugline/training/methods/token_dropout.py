"""Token dropout: each forward pass in training masks a random share of the tokens (Iyyer et al. 2015)."""

from __future__ import annotations

import torch
from torch import Tensor


def drop_tokens(mask: Tensor, share: float) -> Tensor:
    """Mask random tokens, so that the model treats them as padding.

    The first and the last token of a text are kept: they can be special tokens, and some heads read only one of them.

    Args:
        mask: (B, T), 1 for tokens and 0 for padding.
        share: probability with which each of the other tokens is masked; drawn from torch's global generator, whose
            state is part of each checkpoint.

    Returns:
        (B, T), 1 for tokens that are kept.
    """
    number, length = mask.cumsum(dim=1), mask.sum(dim=1, keepdim=True)
    kept = (number == 1) | (number == length) | (torch.rand(mask.shape, device=mask.device) >= share)
    return mask * kept
