"""Rows that have become texts with labels, and the steps that let some of them go.

Every step takes the examples by split and gives them back with what it found; none of them changes a text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from slugline.core.labels import Split
from slugline.data.preparing import duplicates

ORDER: tuple[Split, ...] = ("train", "validation", "test")


@dataclass(frozen=True)
class Examples:
    """Texts with labels, N of each.

    Args:
        ids: unique names of the rows.
        originals: texts as read.
        texts: the same, cleaned.
        labels: class names.
        origins: which source each came from, counted from 0.
    """

    ids: list[str]
    originals: list[str]
    texts: list[str]
    labels: list[str]
    origins: list[int]

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def keys(self) -> list[str]:
        """Equal for the same text."""
        return [duplicates.same_text_key(text) for text in self.texts]

    def take(self, indices: Sequence[int]) -> Examples:
        """The rows at these indices, in this order."""
        return Examples(
            [self.ids[index] for index in indices],
            [self.originals[index] for index in indices],
            [self.texts[index] for index in indices],
            [self.labels[index] for index in indices],
            [self.origins[index] for index in indices],
        )

    def without(self, indices: Sequence[int]) -> Examples:
        """All rows but these; itself when there are none to leave out."""
        gone = set(indices)
        return self.take([index for index in range(len(self)) if index not in gone]) if gone else self

    def ids_of(self, indices: Sequence[int]) -> list[str]:
        """Ids of some rows."""
        return [self.ids[index] for index in indices]


Parts = Mapping[Split, Examples]


def join_examples(several: Sequence[Examples]) -> Examples:
    """The rows of all, in their order."""
    if len(several) == 1:
        return several[0]
    return Examples(
        [name for some in several for name in some.ids],
        [text for some in several for text in some.originals],
        [text for some in several for text in some.texts],
        [label for some in several for label in some.labels],
        [origin for some in several for origin in some.origins],
    )
