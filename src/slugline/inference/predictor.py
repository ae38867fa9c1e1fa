"""`Predictor`: texts to logits, the part of a classifier that differs between kinds of models."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

#: Texts that are held in memory, and sorted by length, together.
CHUNK_TEXTS = 4_096


class Predictor(Protocol):
    """Anything that computes logits of texts."""

    def logits(self, texts: Iterable[str]) -> Iterator[NDArray[np.float32]]:
        """Yield logits (b, K) of the next b texts, in order and in constant memory."""
        ...


def text_chunks(texts: Iterable[str]) -> Iterator[list[str]]:
    """Yield the texts in lists of `CHUNK_TEXTS`, read as they are needed."""
    remaining = iter(texts)
    while chunk := list(islice(remaining, CHUNK_TEXTS)):
        yield chunk
