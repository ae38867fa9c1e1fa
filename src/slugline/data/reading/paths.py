"""Read a path: a file, a glob, class folders, or a folder with train/validation/test files."""

from __future__ import annotations

import glob
import json
import logging
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from slugline.core.errors import DataError
from slugline.core.labels import Split
from slugline.data.findings import Finding
from slugline.data.reading.encoding import UNICODE, decode
from slugline.data.reading.formats import READERS, Row, path_hint, read_rows, text_encoding
from slugline.data.reading.labels.class_names import joined_class_names, parquet_class_names
from slugline.data.reading.raw_data import SPLIT_NAMES, RawData, SourceFile, SourceInfo
from slugline.data.tables.rows import Rows

logger = logging.getLogger(__name__)

METADATA = "metadata.json"


def read_path(path: str) -> RawData:
    """Read the files of ``data.path``.

    Args:
        path: a file, a glob, a folder of class folders, or a folder with train/validation/test files or folders.

    Returns:
        The rows, in the splits of the folder. All rows of a file or a glob are in train.

    Raises:
        DataError: the path does not exist, or holds no rows that can be read.
    """
    folder = Path(path)
    if folder.is_dir():
        return read_folder(folder)
    if glob.has_magic(path) and not folder.exists():
        files = [Path(name) for name in sorted(glob.glob(path, recursive=True))]  # noqa: PTH207  # may be absolute
        if not files:
            raise DataError(f"data.path: no file matches {path!r}.", hint=path_hint(folder))
        return read_files({"train": files}, SourceInfo(Path(path).name))
    return read_files({"train": [folder]}, SourceInfo(folder.stem))


def read_folder(folder: Path) -> RawData:
    """Read a folder with a file per split, class folders, or class folders per split; metadata.json is optional."""
    metadata = read_metadata(folder)
    files = _split_files(folder)
    if files:
        if "train" not in files:
            raise DataError(
                f"{folder}: has {', '.join(files)} but no train file.", hint=f"Add train{'|'.join(READERS)}."
            )
        raw = read_files({split: [file] for split, file in files.items()}, source_info(metadata, folder.name))
    else:
        raw = _read_class_folders(folder, source_info(metadata, folder.name))
    return RawData(
        raw.rows,
        raw.source,
        raw.files,
        classes=tuple(map(str, metadata.get("classes", ()))),
        task=str(metadata.get("task", "")),
        columns=metadata.get("columns", {}),
        findings=raw.findings,
        class_columns={**raw.class_columns, **_level_names(metadata)},
    )


def _level_names(metadata: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Class names of label columns: ``classes_level1`` names those of ``level1`` and ``label_level1``."""
    levels = {key.removeprefix("classes_"): names for key, names in metadata.items() if key.startswith("classes_")}
    return {
        column: tuple(map(str, names))
        for level, names in levels.items()
        if isinstance(names, list)
        for column in (level, f"label_{level}")
    }


def read_metadata(folder: Path) -> dict[str, Any]:
    """Read the folder's metadata.json; return an empty dict if there is none."""
    path = folder / METADATA
    if not path.is_file():
        return {}
    try:
        metadata = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise DataError(f"{path}: not JSON ({error}).", hint="Fix the file or remove it.") from error
    if not isinstance(metadata, dict):
        raise DataError(f"{path}: not an object.", hint="Fix the file or remove it.")
    return metadata


def source_info(metadata: Mapping[str, Any], name: str) -> SourceInfo:
    """Name, licence, revision and address from a metadata.json."""
    source = metadata.get("source", "")
    origin = source if isinstance(source, str) else json.dumps(source, ensure_ascii=False)
    commit = re.search(r"@ ([0-9a-f]{40})\b", origin)
    revision = metadata.get("revision") or (commit.group(1) if commit else "")
    return SourceInfo(
        name=str(metadata.get("name") or name),
        licence=str(metadata.get("licence", "")),
        revision=str(revision),
        url=str(metadata.get("url") or origin),
    )


def read_files(files: Mapping[Split, Sequence[Path]], source: SourceInfo) -> RawData:
    """Read one or more files per split."""
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


def read_class_folder(folder: Path, *, name: str = "") -> tuple[Rows, list[Finding]]:
    """Read ``folder/<class>/*.txt``; the suffix may be in upper case.

    Args:
        folder: folder that holds one folder per class.
        name: name of the data in messages; empty = the folder's path.

    Returns:
        Rows with ``text`` and ``label``, sorted by class and file name, and at most one finding about encodings.
    """
    detected: dict[str, str] = {}

    def read() -> Iterator[Row]:
        for file in class_files(folder):
            text, encoding = decode(file.read_bytes())
            yield {"text": text, "label": file.parent.name}
            if encoding not in UNICODE:
                detected[file.relative_to(folder).as_posix()] = encoding

    rows = Rows.write(read())
    if not detected:
        return rows, []
    encodings = ", ".join(f"{encoding} ({count:,})" for encoding, count in Counter(detected.values()).most_common())
    message = f"{name or folder}: files that are not UTF-8: {{count}} of {len(rows):,}, read as {encodings}"
    finding = Finding.of("encoding", list(detected), message, is_warning=True)
    logger.warning("%s (%s)", finding.message, ", ".join(finding.examples))
    return rows, [finding]


def class_files(folder: Path) -> list[Path]:
    """Sorted paths of ``folder/<class>/*.txt``; empty if there are no class folders. Hidden files are skipped."""
    files = folder.glob("*/*.[tT][xX][tT]")
    # Macs write a hidden file ._0.txt with attributes beside 0.txt.
    return sorted(
        file for file in files if not file.name.startswith(".") and not file.parent.name.startswith((".", "__"))
    )


def _read_class_folders(folder: Path, source: SourceInfo) -> RawData:
    """Read class folders in the folder itself, or in its train/, validation/ and test/."""
    named = {SPLIT_NAMES[entry.name]: entry for entry in sorted(folder.iterdir()) if entry.name in SPLIT_NAMES}
    folders: dict[Split, Path] = {split: path for split, path in named.items() if path.is_dir() and class_files(path)}
    folders = folders or {"train": folder}
    read = {split: read_class_folder(path) for split, path in folders.items()}
    if "train" not in read or not len(read["train"][0]):
        raise DataError(
            f"{folder}: holds neither train.* ({', '.join(READERS)}) nor class folders with .txt files.",
            hint="Give a file, a glob, a folder with <class>/*.txt, or a folder with train.*, validation.* and test.*.",
        )
    return RawData(
        {split: rows for split, (rows, _) in read.items()},
        source,
        {split: (SourceFile(str(folders[split]), len(rows)),) for split, (rows, _) in read.items()},
        findings=tuple(finding for _, findings in read.values() for finding in findings),
    )


def _split_files(folder: Path) -> dict[Split, Path]:
    files: dict[Split, Path] = {}
    for file in sorted(folder.iterdir()):
        split = SPLIT_NAMES.get(file.stem)
        if split is None or not file.is_file() or file.suffix.lower() not in READERS:
            continue
        if split in files:
            raise DataError(
                f"{folder}: both {files[split].name} and {file.name} hold {split} rows.", hint="Keep one of them."
            )
        files[split] = file
    return files
