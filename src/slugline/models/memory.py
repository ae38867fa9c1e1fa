"""Recovery from exhausted memory outside training: the same computation again, in smaller forward passes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

import torch

from slugline.core.errors import ModelError
from slugline.data.batching.planning import BatchLimits

logger = logging.getLogger(__name__)

Result = TypeVar("Result")


def is_out_of_memory(error: RuntimeError) -> bool:
    """True if an error means that GPU or main memory is exhausted."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    message = str(error).lower()
    return "out of memory" in message or "can't allocate memory" in message


def retry_with_smaller_batches(compute: Callable[[BatchLimits], Result], *, limits: BatchLimits) -> Result:
    """Call a function; halve the limits and call it again if memory runs out.

    Args:
        compute: function to call with the limits of one forward pass; can be called again after an error.
        limits: limits of one forward pass in the first call.

    Returns:
        The result of ``compute``.

    Raises:
        ModelError: a single text does not fit into memory.
    """
    while True:
        try:
            return compute(limits)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            if limits.max_pieces == 1:
                raise ModelError(
                    "a single text does not fit into memory.",
                    hint="Choose a smaller data.max_length (or pretrain.sequence_length) or model.base.",
                ) from error
        # After the except clause, because its traceback holds the tensors.
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        limits = limits.halved()
        logger.warning(
            "out of memory: trying again with at most %d texts and %d tokens per forward pass.",
            limits.max_pieces,
            limits.max_tokens,
        )
