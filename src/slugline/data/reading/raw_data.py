"""`RawData`: rows as read, by split, and their source. Every reader returns it: paths, the embedded set, the Hub."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, NamedTuple

from slugline.core.labels import Split
from slugline.data.findings import Finding
from slugline.data.tables.rows import Rows

#: Names of splits in files, folders and the split column, and the splits they mean.
SPLIT_NAMES: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
    "eval": "test",
    "evaluation": "test",
}


#: Rows in which a column is looked for: JSON lines may lack it in the first ones.
SAMPLE_ROWS = 100


@dataclass(frozen=True)
class SourceInfo:
    """Name, licence and revision of a source.

    Args:
        name: name of the set, or of the user's file or folder.
        licence: licence as the source states it; empty if it states none.
        revision: commit, version or checksum.
        url: address, or a description of the origin.
    """

    name: str
    licence: str = ""
    revision: str = ""
    url: str = ""


class SourceFile(NamedTuple):
    """A file, or a split of a set without files, and its number of rows."""

    name: str
    n_rows: int


@dataclass(frozen=True)
class RawData:
    """Rows as read from a source.

    Args:
        rows: rows by split; ``train`` always, ``validation`` and ``test`` only if the source provides them.
        source: name, licence and revision of the source.
        files: files that the rows of each split were read from, in the order of the rows.
        classes: class names of the label column in label order, if the source names them.
        task: task as the source states it, e.g. ``"single-label, news topics"``.
        is_known: True for a known set: its irregularities are findings. In the user's own file they are errors.
        columns: ``text``, ``label`` and ``id`` columns, if the source names them.
        findings: findings of reading.
        class_columns: class names of other label columns, such as the levels of a hierarchy, by column.
        withheld: splits that the source brings without labels; their rows are left out.
    """

    rows: Mapping[Split, Rows]
    source: SourceInfo
    files: Mapping[Split, tuple[SourceFile, ...]]
    classes: tuple[str, ...] = ()
    task: str = ""
    is_known: bool = False
    columns: Mapping[str, Any] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    class_columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    withheld: tuple[Split, ...] = ()

    @property
    def label_column(self) -> str:
        """The column that `classes` names, as the source states it or by its usual name; empty if unknown."""
        usual = "label" if any("label" in row for rows in self.rows.values() for row in rows[:SAMPLE_ROWS]) else ""
        named = self.columns.get("label", "")
        return (named if isinstance(named, str) else "") or usual

    def classes_of(self, column: str) -> tuple[str, ...]:
        """Return the class names of a label column in label order; empty if the source does not name them."""
        if column in self.class_columns:
            return self.class_columns[column]
        return self.classes if self.label_column in ("", column) else ()

    def locate(self, split: Split, index: int) -> str:
        """File and row number (from 1, headers not counted) of a row, for messages."""
        for file in self.files[split]:
            if index < file.n_rows:
                return f"{file.name}, row {index + 1}"
            index -= file.n_rows
        return f"{split}, row {index + 1}"

    def rows_by_file(self, split: Split) -> list[tuple[str, Rows]]:
        """Return the rows of a split under the name of each of its files."""
        ends = list(accumulate(file.n_rows for file in self.files[split]))
        starts = [0, *ends]
        parts = [self.rows[split][start:end] for start, end in zip(starts, ends, strict=False)]
        return [(file.name, rows) for file, rows in zip(self.files[split], parts, strict=True)]

    def file_names(self, split: Split) -> str:
        """Names of the files of a split, for messages."""
        first, *others = self.files[split]
        return f"{first.name} and {len(others)} more files" if others else first.name
