"""`Examples`: texts with labels. Instances never change; each step of the preparation returns new ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from slugline.core.labels import RowLabels, Split
from slugline.data.preparing import duplicates

SPLIT_ORDER: tuple[Split, ...] = ("train", "validation", "test")


@dataclass(frozen=True)
class Examples:
    """N texts with labels.

    Args:
        ids: (N,) unique names of the rows.
        originals: (N,) texts as read.
        texts: (N,) cleaned texts.
        labels: (N,) labels of each row.
        origins: (N,) number of the source of each row, from 0.
    """

    ids: list[str]
    originals: list[str]
    texts: list[str]
    labels: list[RowLabels]
    origins: list[int]

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def keys(self) -> list[str]:
        """(N,) keys that are equal if the texts count as the same."""
        return [duplicates.same_text_key(text) for text in self.texts]

    @cached_property
    def class_counts(self) -> Counter[str]:
        """Rows of each class."""
        return Counter(label for labels in self.labels for label in labels)

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

    def without_classes(self, names: Collection[str]) -> Examples:
        """Return the rows without these labels; a row whose labels are all among them is dropped."""
        dropped = set(names)
        remaining = [tuple(label for label in labels if label not in dropped) for labels in self.labels]
        rows = replace(self, labels=remaining)
        return rows.without([i for i, labels in enumerate(self.labels) if labels and not remaining[i]])

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
