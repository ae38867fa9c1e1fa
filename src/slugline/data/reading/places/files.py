"""Read the rows of files, one or more for each split."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from slugline.core.labels import Split
from slugline.data.findings import Finding
from slugline.data.reading.encoding import UNICODE
from slugline.data.reading.formats import Row, read_rows, text_encoding
from slugline.data.reading.labels.class_names import joined_class_names, parquet_class_names
from slugline.data.reading.raw_data import RawData, SourceFile, SourceInfo
from slugline.data.tables.rows import Rows


def read_files(files: Mapping[Split, Sequence[Path]], source: SourceInfo) -> RawData:
    """Read one or more files per split.

    Args:
        files: files of each split, in the order of their rows.
        source: name, licence and revision of the source.

    Returns:
        The rows, with a finding for each file that is not Unicode.

    Raises:
        DataError: a file cannot be read.
    """
    rows: dict[Split, Rows] = {}
    source_files: dict[Split, tuple[SourceFile, ...]] = {}
    findings: list[Finding] = []
    class_columns: dict[str, tuple[str, ...]] = {}
    for split, paths in files.items():
        read: list[SourceFile] = []
        rows[split] = Rows.write(_rows_of(paths, read, findings))
        source_files[split] = tuple(read)
        for path in paths:
            class_columns = joined_class_names(class_columns, parquet_class_names(path), path)
    return RawData(rows, source, source_files, findings=tuple(findings), class_columns=class_columns)


def _rows_of(paths: Sequence[Path], read: list[SourceFile], findings: list[Finding]) -> Iterator[Row]:
    """Read files one after another; list those that were read, and the findings about their encodings."""
    for path in paths:
        encoding = text_encoding(path)
        n_rows = 0
        for row in read_rows(path, encoding=encoding):
            n_rows += 1
            yield row
        read.append(SourceFile(str(path), n_rows))
        if encoding and encoding not in UNICODE:
            message = f"{path}: read as {encoding} (it is not UTF-8)"
            findings.append(Finding("encoding", 1, message, (str(path),), is_warning=True))
