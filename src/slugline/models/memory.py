"""What is done when memory runs out: the same again, in smaller forward passes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

import torch

from slugline.core.errors import ModelError

logger = logging.getLogger("slugline")

Result = TypeVar("Result")


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether an error means that memory ran out, on a GPU, on Apple's, or in main memory."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    message = str(error).lower()
    return "out of memory" in message or "can't allocate memory" in message


def retry_with_smaller_batches(ask: Callable[[int, int], Result], *, rows: int, budget: int) -> Result:
    """Ask a model about texts, again with passes half as large for as long as memory runs out.

    Args:
        ask: gets the most pieces and the most padded tokens of a forward pass; changes nothing before it returns.
        rows: most pieces in a forward pass to begin with.
        budget: most padded tokens in a forward pass to begin with.

    Returns:
        What ``ask`` returned.

    Raises:
        ModelError: a single text does not fit into memory.
    """
    while True:
        try:
            return ask(rows, budget)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            if rows == 1:
                raise ModelError(
                    "a single text does not fit into memory.",
                    hint="Choose a smaller data.max_length (or pretrain.sequence_length) or model.base.",
                ) from error
        # After the except clause: its traceback held the tensors.
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        rows, budget = rows // 2, max(1, budget // 2)
        logger.warning("out of memory: asking again with at most %d texts and %d tokens a forward pass.", rows, budget)
