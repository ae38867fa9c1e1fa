"""`Predictor`: what differs between kinds of models, texts to logits; and the windows in which all of them take texts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

#: Texts that are held in memory, and sorted by length, together; memory is bounded by them.
CHUNK_TEXTS = 4_096


class Predictor(Protocol):
    """Whatever turns texts into logits."""

    def logits(self, texts: Iterable[str]) -> Iterator[NDArray[np.float32]]:
        """Logits (b, K) for the next b texts, in order, in constant memory."""
        ...


def windows(texts: Iterable[str]) -> Iterator[list[str]]:
    """The texts in lists of `CHUNK_TEXTS`, read as they are needed."""
    remaining = iter(texts)
    while window := list(islice(remaining, CHUNK_TEXTS)):
        yield window
