"""The warm-up of the learning rate in updates: ``train.warmup`` is a share of the training, or a number of updates."""

from __future__ import annotations

import math

#: Share of the training above which a warm-up is reported as too long.
LONG_WARMUP = 0.5

#: Number of updates below which the training is too short for a warm-up of a tenth.
SHORT_TRAINING = 20


def warmup_updates(warmup: float, updates: int) -> int:
    """Return the length of a warm-up.

    Args:
        warmup: ``train.warmup``: below 1 a share of the updates, otherwise their number.
        updates: number of updates of the training.

    Returns:
        Updates.
    """
    return int(warmup) if warmup >= 1 else math.ceil(updates * warmup)


def shorter_warmup(updates: int) -> float:
    """Return the ``train.warmup`` to advise instead of one that is too long.

    Args:
        updates: number of updates of the training.

    Returns:
        A share of the training.
    """
    return 0.1 if updates >= SHORT_TRAINING else 0.0


def warmup_warning(warmup: float, updates: int) -> str:
    """Return a warning for a warm-up that takes most of the training, or empty text.

    Args:
        warmup: ``train.warmup``.
        updates: number of planned updates.

    Returns:
        One sentence with its advice.
    """
    length = warmup_updates(warmup, updates)
    if length <= LONG_WARMUP * updates:
        return ""
    reached = min(1.0, (updates - 1) / length)
    return (
        f"the warm-up takes {length} updates, and the training has {updates}: the learning rate reaches {reached:.0%} "
        f"of train.learning_rate. Try train.warmup={shorter_warmup(updates):g}."
    )
