"""Read the rows of files, one or more for each split."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from slugline.core.labels import Split
from slugline.data.findings import Finding
from slugline.data.reading.formats import GUESSED, Reading, Row, read_rows
from slugline.data.reading.labels.class_names import joined_class_names, parquet_class_names
from slugline.data.reading.raw_data import RawData, SourceFile, SourceInfo
from slugline.data.tables.rows import Rows


def read_files(files: Mapping[Split, Sequence[Path]], source: SourceInfo, reading: Reading = GUESSED) -> RawData:
    """Read one or more files per split.

    Args:
        files: files of each split, in the order of their rows.
        source: name, licence and revision of the source.
        reading: encoding, header and delimiter, as far as the user states them.

    Returns:
        The rows, with a finding for each guess about a file that the user should check.

    Raises:
        DataError: a file cannot be read.
    """
    rows: dict[Split, Rows] = {}
    source_files: dict[Split, tuple[SourceFile, ...]] = {}
    findings: list[Finding] = []
    class_columns: dict[str, tuple[str, ...]] = {}
    for split, paths in files.items():
        read: list[SourceFile] = []
        rows[split] = Rows.write(_rows_of(paths, reading, read, findings))
        source_files[split] = tuple(read)
        for path in paths:
            class_columns = joined_class_names(class_columns, parquet_class_names(path), path)
    return RawData(rows, source, source_files, findings=tuple(findings), class_columns=class_columns)


def _rows_of(paths: Sequence[Path], reading: Reading, read: list[SourceFile], findings: list[Finding]) -> Iterator[Row]:
    """Read files one after another; list those that were read, and what the readers found."""
    for path in paths:
        n_rows = 0
        for row in read_rows(path, reading, findings=findings):
            n_rows += 1
            yield row
        read.append(SourceFile(str(path), n_rows))
