"""`LabelSet`: the class names of a data set, in order, its kind, and how labels are encoded. Only numpy is needed here.

The labels of a row are a tuple of names, from the reader to the label set: one name in a ``single`` set, any number of
them in a ``multi`` set, and the path of one leaf, such as ``"sport/tennis"``, in a ``hierarchical`` set.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from slugline.core.errors import DataError, nearest

Split = Literal["train", "validation", "test"]
Kind = Literal["single", "multi", "hierarchical"]

#: The labels of one row.
RowLabels = tuple[str, ...]

#: The true classes of N rows: (N,) int64 class indices, or (N, K) bool in a ``multi`` set.
Targets = NDArray[np.int64] | NDArray[np.bool_]

#: Joins the parts of a path, from the top level down.
PATH_SEPARATOR = "/"

#: Part of a path that ends above the lowest level: ``"sport"`` becomes the leaf ``"sport/-"``.
NO_PART = "-"


@dataclass(frozen=True)
class LabelSet:
    """The ordered class names; the index of a label is its position.

    Args:
        names: K distinct names; in a hierarchical set the paths of its leaves, all with one part for each level.
        kind: one label per text (``single``), any number (``multi``), or one leaf of a tree (``hierarchical``).
        levels: names of the levels of a hierarchy, top first; empty = their numbers.
        descriptions: one sentence per name, or empty.

    Raises:
        DataError: a name repeats, the paths of a hierarchy have different numbers of parts or an empty part, or the
            descriptions or levels do not fit the names.
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
        if self.kind == "hierarchical":
            self._check_paths()

    def __len__(self) -> int:
        return len(self.names)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> LabelSet:
        """Read what `to_dict` wrote; a missing key has its default."""
        return cls(
            tuple(values["names"]),
            kind=values.get("kind", "single"),
            levels=tuple(values.get("levels", ())),
            descriptions=tuple(values.get("descriptions", ())),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, as model folders hold them."""
        return {
            "names": list(self.names),
            "kind": self.kind,
            "levels": list(self.levels),
            "descriptions": list(self.descriptions),
        }

    @property
    def is_multi(self) -> bool:
        """True if a row can have any number of labels."""
        return self.kind == "multi"

    @cached_property
    def paths(self) -> tuple[RowLabels, ...]:
        """The parts of each name, top level first; one part unless the set is hierarchical."""
        if self.kind != "hierarchical":
            return tuple((name,) for name in self.names)
        return tuple(tuple(name.split(PATH_SEPARATOR)) for name in self.names)

    @property
    def depth(self) -> int:
        """Number of levels; 1 unless the set is hierarchical."""
        return len(self.paths[0]) if self.paths else 1

    @cached_property
    def level_names(self) -> tuple[str, ...]:
        """One name for each level, top first: `levels`, or ``level1``, ``level2``."""
        return self.levels or tuple(f"level{number}" for number in range(1, self.depth + 1))

    def at_level(self, level: int) -> tuple[tuple[str, ...], NDArray[np.int64]]:
        """Return the classes of a level, and the class of each leaf.

        Args:
            level: number of parts of the paths, from 1 for the top level to `depth` for the leaves.

        Returns:
            The paths of the G classes of the level, in label order; and (K,) indices below G, one for each leaf.
        """
        cut = [PATH_SEPARATOR.join(path[:level]) for path in self.paths]
        names = tuple(dict.fromkeys(cut))
        index = {name: number for number, name in enumerate(names)}
        return names, np.array([index[name] for name in cut], dtype=np.int64)

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

    def indices(self, rows: Sequence[RowLabels]) -> list[Any]:
        """Return what the column ``label`` of a data set holds.

        Args:
            rows: the labels of N rows.

        Returns:
            N indices; in a ``multi`` set N ascending lists of indices.

        Raises:
            DataError: a name is unknown, or a row has not exactly one label although the set is not ``multi``.
        """
        if self.is_multi:
            return [sorted({self.index(name) for name in names}) for names in rows]
        several = next((names for names in rows if len(names) != 1), None)
        if several is not None:
            raise DataError(f"a row has {len(several)} labels, {list(several)}, in a set with one label per row.")
        return [self.index(name) for (name,) in rows]

    def targets(self, indices: Sequence[Any]) -> Targets:
        """Return the true classes as an array.

        Args:
            indices: the column ``label`` of N rows, from `indices`.

        Returns:
            (N,) int64; in a ``multi`` set (N, K) bool.
        """
        if not self.is_multi:
            return np.array(indices, dtype=np.int64)
        targets = np.zeros((len(indices), len(self)), dtype=np.bool_)
        for row, own in enumerate(indices):
            targets[row, own] = True
        return targets

    def column(self, targets: Targets) -> list[Any]:
        """Return what the column ``label`` holds for an array of true or predicted classes; the inverse of `targets`.

        Args:
            targets: (N,) class indices; in a ``multi`` set (N, K) bool.

        Returns:
            N indices; in a ``multi`` set N ascending lists of indices.
        """
        return [np.flatnonzero(row).tolist() for row in targets] if self.is_multi else targets.tolist()

    def encode(self, rows: Sequence[RowLabels]) -> Targets:
        """Return the targets of rows from their labels; `indices` and `targets` in one step."""
        return self.targets(self.indices(rows))

    def decode(self, targets: Targets) -> list[RowLabels]:
        """Return the labels of rows.

        Args:
            targets: (N,) class indices; in a ``multi`` set (N, K) bool.

        Returns:
            N tuples of names, in label order.
        """
        if self.is_multi:
            return [tuple(self.names[index] for index in np.flatnonzero(row)) for row in targets]
        return [(self.names[index],) for index in targets.tolist()]

    def plain(self, labels: RowLabels) -> str | list[str]:
        """Return the labels of a row as files and JSON hold them: the name; in a ``multi`` set a list of names."""
        return list(labels) if self.is_multi else labels[0]

    def _check_paths(self) -> None:
        for name, path in zip(self.names, self.paths, strict=True):
            if not all(part.strip() for part in path):
                raise DataError(f"the path {name!r} has an empty part.", hint="Write each label as domain/area.")
            if len(path) != self.depth:
                raise DataError(
                    f"the paths {self.names[0]!r} and {name!r} have {self.depth} and {len(path)} parts.",
                    hint=f"Fill a path that ends above the lowest level with {NO_PART!r}.",
                )
        if self.levels and len(self.levels) != self.depth:
            raise DataError(f"{len(self.levels)} names of levels for paths of {self.depth} parts.")


def joined_labels(labels: RowLabels) -> str:
    """Return the labels of a row as one text, for tables and messages: ``"wheat, grain"``, or ``"(none)"``."""
    return ", ".join(labels) or "(none)"
