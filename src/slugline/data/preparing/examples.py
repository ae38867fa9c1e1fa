"""`Examples`: texts with labels. Instances never change; each step of the preparation returns new ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from slugline.core.labels import Split
from slugline.data.preparing import duplicates

SPLIT_ORDER: tuple[Split, ...] = ("train", "validation", "test")


@dataclass(frozen=True)
class Examples:
    """N texts with labels.

    Args:
        ids: (N,) unique names of the rows.
        originals: (N,) texts as read.
        texts: (N,) cleaned texts.
        labels: (N,) class names.
        origins: (N,) number of the source of each row, from 0.
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
        """(N,) keys that are equal if the texts count as the same."""
        return [duplicates.same_text_key(text) for text in self.texts]

    def take(self, indices: Sequence[int]) -> Examples:
        """Return the rows at these indices, in this order."""
        return Examples(
            [self.ids[index] for index in indices],
            [self.originals[index] for index in indices],
            [self.texts[index] for index in indices],
            [self.labels[index] for index in indices],
            [self.origins[index] for index in indices],
        )

    def without(self, indices: Sequence[int]) -> Examples:
        """Return all rows except those at these indices."""
        dropped = set(indices)
        return self.take([index for index in range(len(self)) if index not in dropped]) if dropped else self

    def ids_of(self, indices: Sequence[int]) -> list[str]:
        """Return the ids of the rows at these indices."""
        return [self.ids[index] for index in indices]


#: Examples by split; train is always there.
SplitExamples = Mapping[Split, Examples]


def join_examples(several: Sequence[Examples]) -> Examples:
    """Concatenate examples."""
    if len(several) == 1:
        return several[0]
    return Examples(
        [name for examples in several for name in examples.ids],
        [text for examples in several for text in examples.originals],
        [text for examples in several for text in examples.texts],
        [label for examples in several for label in examples.labels],
        [origin for examples in several for origin in examples.origins],
    )
