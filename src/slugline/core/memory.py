"""Memory: exhausted memory is recognised in the errors of all libraries and reported with its fix; memory is freed."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from slugline.core.errors import ModelError, SluglineError, TrainingError

#: Parts of the messages with which torch, CUDA, safetensors and the operating system report exhausted memory.
MESSAGES = ("out of memory", "allocate memory", "not enough memory", "alloc_failed")

#: Fixes for a single text, or a single example of a training, that does not fit into memory.
SMALLER_TEXTS = "Choose a smaller data.max_length (or pretrain.sequence_length) or model.base"

#: Errors of a computation that needs more memory than there is -> what else helps.
HINTS: dict[type[SluglineError], str] = {
    TrainingError: f"{SMALLER_TEXTS}, a smaller train.micro_batch_size or train.eval_batch_size, "
    "model.gradient_checkpointing=true, or end other programs that use this memory (nvidia-smi lists them); then use "
    "--resume.",
    ModelError: f"{SMALLER_TEXTS}, device cpu, or end other programs that use this memory (nvidia-smi lists them).",
}

#: New objects between two searches for objects that only refer to each other, in a block that makes many objects.
MANY_OBJECTS = 100_000


def is_out_of_memory(error: BaseException) -> bool:
    """True if an error means that GPU or main memory is exhausted."""
    if isinstance(error, MemoryError):
        return True
    message = str(error).lower()
    return not isinstance(error, SluglineError) and any(part in message for part in MESSAGES)


@contextmanager
def memory_errors(kind: type[SluglineError], task: str) -> Iterator[None]:
    """Raise an error with a hint if memory is exhausted anywhere inside the block, or inside a decorated function.

    Args:
        kind: class of the error, one of `HINTS`.
        task: task of the block; for the message.

    Yields:
        Nothing.

    Raises:
        SluglineError: memory is exhausted.
    """
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise kind(f"the memory is exhausted while {task}: {_first_line(error)}", hint=HINTS[kind]) from error


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def free_memory() -> None:
    """Free the memory of objects that only refer to each other, such as a trainer and its model, also on the GPU."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Search less often for objects that only refer to each other, while many rows are read that do not.

    Python searches after each 700 new objects, which takes about a sixth of the time of the preparation of a data set.

    Yields:
        Nothing.
    """
    thresholds = gc.get_threshold()
    gc.set_threshold(MANY_OBJECTS, *thresholds[1:])
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
