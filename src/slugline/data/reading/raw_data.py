"""."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from slugline.core.labels import Split
from slugline.data.findings import Finding
from slugline.data.reading.formats import Row

#: What files, folders and the split column may call a split.
SPLIT_NAMES: dict[str, Split] = {
    "train": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
}


@dataclass(frozen=True)
class SourceInfo:
    """Where data came from.

    Args:
        name: of the set, or of the user's file or folder.
        licence: as the source states it; empty where it says nothing.
        revision: commit, version or checksum.
        url: address, or where it was taken from in words.
    """

    name: str
    licence: str = ""
    revision: str = ""
    url: str = ""


class Place(NamedTuple):
    """A file and the number of rows that came from it."""

    name: str
    n_rows: int


@dataclass(frozen=True)
class RawData:
    """Rows as a source gave them.

    Args:
        rows: by split; ``train`` always, ``validation`` and ``test`` only where the source brings them.
        source: where they came from.
        places: by split, the files behind the rows, in their order.
        classes: names in label order, where the source knows them.
        task: as the source states it, e.g. ``"single-label, news topics"``.
        is_known: a known set, whose peculiarities are reported, not the user's own file, whose are refused.
        columns: ``text``, ``label`` and ``id`` columns, where the source names them.
        findings: noticed while reading.
    """

    rows: Mapping[Split, list[Row]]
    source: SourceInfo
    places: Mapping[Split, tuple[Place, ...]]
    classes: tuple[str, ...] = ()
    task: str = ""
    is_known: bool = False
    columns: Mapping[str, Any] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()

    def where(self, split: Split, index: int) -> str:
        """File and row number (from 1, headers not counted) of a row, for messages."""
        for place in self.places[split]:
            if index < place.n_rows:
                return f"{place.name}, row {index + 1}"
            index -= place.n_rows
        return f"{split}, row {index + 1}"

    def file(self, split: Split) -> str:
        """The file or files behind a split, for messages."""
        first, *others = self.places[split]
        return f"{first.name} and {len(others)} more files" if others else first.name
