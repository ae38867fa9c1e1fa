"""`LabelSet`: the class names of a data set, in order, and how labels are encoded. Only numpy is needed here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from slugline.core.errors import DataError, nearest

Split = Literal["train", "validation", "test"]
Kind = Literal["single", "multi", "hierarchical"]


@dataclass(frozen=True)
class LabelSet:
    """The ordered class names; the index of a label is its position.

    Args:
        names: K distinct names; of a hierarchical set the paths of its leaves: ``"sport/tennis"``.
        kind: one label per text (``single``), any number (``multi``), or one leaf of a tree (``hierarchical``).
        levels: names of the levels of a hierarchy, top first.
        descriptions: one sentence per name, or empty.
    """

    names: tuple[str, ...]
    kind: Kind = "single"
    levels: tuple[str, ...] = ()
    descriptions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(set(self.names)) != len(self.names):
            repeated = sorted({name for name in self.names if self.names.count(name) > 1})
            raise DataError(f"the label set names {', '.join(map(repr, repeated))} more than once.")
        if self.descriptions and len(self.descriptions) != len(self.names):
            raise DataError(f"{len(self.descriptions)} descriptions for {len(self.names)} labels.")

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def _index(self) -> dict[str, int]:
        return {name: index for index, name in enumerate(self.names)}

    def index(self, name: str) -> int:
        """Return the index of a name.

        Args:
            name: one of the class names.

        Returns:
            Its index below K.

        Raises:
            DataError: the name is unknown.
        """
        if name not in self._index:
            raise DataError(
                f"label {name!r} is not in the label set ({len(self)} names)." + nearest(name, list(self.names))
            )
        return self._index[name]

    def encode(self, names: Sequence[str] | Sequence[Sequence[str]]) -> NDArray[np.int64] | NDArray[np.float32]:
        """Encode names as numbers.

        Args:
            names: (N,) names, or for ``multi`` N lists of names.

        Returns:
            (N,) int64 indices, or for ``multi`` (N, K) float32 of zeros and ones.
        """
        if self.kind != "multi":
            return np.array([self.index(str(name)) for name in names], dtype=np.int64)
        encoded = np.zeros((len(names), len(self)), dtype=np.float32)
        for row, row_names in enumerate(names):
            for name in row_names:
                encoded[row, self.index(name)] = 1.0
        return encoded

    def decode(self, ids: Iterable[int]) -> list[str]:
        """Return the names of indices."""
        return [self.names[index] for index in ids]
