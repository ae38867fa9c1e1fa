"""`Truncation`: which tokens of a long text a model reads."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from slugline.recipe.data_section import DataSection

#: Share of the tokens that ``head_tail`` takes from the beginning of a text (Sun et al. 2019: 128 of 510 tokens).
HEAD_SHARE = 0.25


@dataclass(frozen=True)
class Truncation:
    """Division of texts that are longer than `max_length`.

    Args:
        max_length: maximum number of tokens of a piece, special tokens included.
        policy: ``head`` or ``tail`` keeps the beginning or the end of a text; ``head_tail`` takes a quarter from the
            beginning and the rest from the end; ``window`` divides the text into overlapping pieces.
        stride: number of tokens that neighbouring windows share.
        max_windows: maximum number of windows of a text, from its beginning.
    """

    max_length: int
    policy: Literal["head", "tail", "head_tail", "window"] = "head"
    stride: int = 0
    max_windows: int = 1

    def limited_to(self, longest: int | None) -> Truncation:
        """Return the truncation for a model that reads at most ``longest`` tokens at once; None = there is no limit."""
        return self if longest is None else replace(self, max_length=min(self.max_length, longest))

    def pieces(self, lengths: NDArray[np.int64], capacity: int) -> NDArray[np.int64]:
        """Return the number of pieces of texts.

        Args:
            lengths: (N,) number of tokens of each text, without special tokens.
            capacity: maximum number of tokens of a piece, without special tokens.

        Returns:
            (N,) number of pieces of each text, at least 1.
        """
        if self.policy != "window":
            return np.ones_like(lengths)
        step = capacity - self.stride
        return np.clip(-(-(lengths - self.stride) // step), 1, self.max_windows)

    def cut(self, ids: NDArray[np.int32], capacity: int) -> list[list[int]]:
        """Divide one text into pieces.

        Args:
            ids: tokens of the text, without special tokens.
            capacity: maximum number of tokens of a piece, without special tokens.

        Returns:
            At least one list of at most ``capacity`` tokens.
        """
        if self.policy == "window":
            count, step = int(self.pieces(np.array([len(ids)]), capacity)[0]), capacity - self.stride
            return [ids[start : start + capacity].tolist() for start in range(0, count * step, step)]
        if len(ids) <= capacity or self.policy == "head":
            return [ids[:capacity].tolist()]
        head = round(HEAD_SHARE * capacity) if self.policy == "head_tail" else 0
        return [ids[:head].tolist() + ids[len(ids) - (capacity - head) :].tolist()]


def truncation_of(section: DataSection) -> Truncation:
    """Return the truncation that a recipe configures."""
    return Truncation(section.max_length, section.long_texts, section.stride, section.max_windows)
