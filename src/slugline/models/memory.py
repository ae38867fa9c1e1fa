"""Recovery from exhausted memory outside training: the same computation again, in smaller forward passes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from slugline.core.errors import ModelError
from slugline.core.memory import SMALLER_TEXTS, free_memory, is_out_of_memory
from slugline.data.batching.planning import BatchLimits

logger = logging.getLogger(__name__)

Result = TypeVar("Result")


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
                    hint=f"{SMALLER_TEXTS}.",
                ) from error
        # After the except clause, because its traceback holds the tensors.
        free_memory()
        limits = limits.halved()
        logger.warning(
            "out of memory: trying again with at most %d texts and %d tokens per forward pass.",
            limits.max_pieces,
            limits.max_tokens,
        )
