"""Token dropout: in each training pass other tokens of a text are hidden from the model (Iyyer et al. 2015)."""

from __future__ import annotations

import torch
from torch import Tensor


def drop_tokens(mask: Tensor, share: float) -> Tensor:
    """Treat some tokens as padding.

    The first and the last token of a text stay: special tokens stand there, and some heads read nothing else.

    Args:
        mask: (B, T), 1 for tokens and 0 for padding.
        share: of the other tokens that are hidden, each by itself; drawn from torch's global generator, whose state
            checkpoints hold.

    Returns:
        (B, T), 1 for tokens that are seen.
    """
    place, length = mask.cumsum(dim=1), mask.sum(dim=1, keepdim=True)
    stays = (place == 1) | (place == length) | (torch.rand(mask.shape, device=mask.device) >= share)
    return mask * stays
