"""`TokenArrays`: the tokens of texts as flat arrays, in memory or mapped from files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Texts whose tokens `TokenArrays.chunks` returns at once.
CHUNK_TEXTS = 4_096


@dataclass(frozen=True)
class TokenArrays:
    """Tokens of N texts, without special tokens. Each text is a range in one of the parts.

    Args:
        parts: flat int32 arrays, which may hold other texts too; on disk, they are memory-mapped.
        part_of: (N,) index of the part of each text.
        starts: (N,) start of each text in its part.
        lengths: (N,) tokens of each text.
    """

    parts: tuple[NDArray[np.int32], ...]
    part_of: NDArray[np.int32]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]

    @classmethod
    def end_to_end(cls, ids: NDArray[np.int32], lengths: NDArray[np.int64]) -> TokenArrays:
        """Return the tokens of texts that follow each other in one array.

        Args:
            ids: (total,) tokens of all texts.
            lengths: (N,) tokens of each text.

        Returns:
            The arrays, with one part.
        """
        return cls((ids,), np.zeros(len(lengths), np.int32), np.cumsum(lengths) - lengths, lengths)

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, index: int) -> NDArray[np.int32]:
        """Return the tokens of a text."""
        start = int(self.starts[index])
        ids: NDArray[np.int32] = self.parts[self.part_of[index]][start : start + int(self.lengths[index])]
        return ids

    def chunks(self) -> Iterator[NDArray[np.int32]]:
        """Yield the tokens of all texts, in order, some thousand texts at a time.

        Yields:
            The tokens of these texts end to end.
        """
        for first in range(0, len(self), CHUNK_TEXTS):
            yield np.concatenate([self[index] for index in range(first, min(first + CHUNK_TEXTS, len(self)))])
