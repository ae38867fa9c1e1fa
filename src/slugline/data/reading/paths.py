"""Rows by split from a path: a file, a glob, class folders, or a folder with train/validation/test files.

`RawData` is what every source gives, this one, the embedded set and the Hub alike: rows as read, the splits that the
source itself brings, and what it says about its classes, licence and revision.
"""

from __future__ import annotations

import glob
import json
import logging
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from slugline.core.errors import DataError
from slugline.core.labels import Split
from slugline.data.findings import Finding
from slugline.data.reading.encoding import UNICODE, decode
from slugline.data.reading.formats import READERS, Row, read_rows, text_encoding
from slugline.data.reading.raw_data import SPLIT_NAMES, Place, RawData, SourceInfo

logger = logging.getLogger(__name__)


METADATA = "metadata.json"


def read_path(path: str) -> RawData:
    """Read what ``data.path`` names.

    Args:
        path: a file, a glob, a folder of class folders, or a folder with train/validation/test files or folders.

    Returns:
        The rows, under the splits that the path itself brings.

    Raises:
        DataError: nothing is there, or nothing that can be read.
    """
    folder = Path(path)
    if folder.is_dir():
        return read_folder(folder)
    if glob.has_magic(path) and not folder.exists():
        files = [Path(name) for name in sorted(glob.glob(path, recursive=True))]  # noqa: PTH207  # may be absolute
        if not files:
            raise DataError(f"data.path: no file matches {path!r}.", hint="Check the pattern and the working folder.")
        return read_files({"train": files}, SourceInfo(path))
    return read_files({"train": [folder]}, SourceInfo(folder.stem))


def read_folder(folder: Path) -> RawData:
    """Read a folder: of split files with or without metadata.json, of class folders, or of splits of class folders."""
    metadata = read_metadata(folder)
    files = _split_files(folder)
    if files:
        if "train" not in files:
            raise DataError(
                f"{folder}: has {', '.join(files)} but no train file.", hint=f"Name it train{'|'.join(READERS)}."
            )
        raw = read_files({split: [file] for split, file in files.items()}, source_info(metadata, folder.name))
    else:
        raw = _read_class_folders(folder, source_info(metadata, folder.name))
    return RawData(
        raw.rows,
        raw.source,
        raw.places,
        classes=tuple(map(str, metadata.get("classes", ()))),
        task=str(metadata.get("task", "")),
        columns=metadata.get("columns", {}),
        findings=raw.findings,
    )


def read_metadata(folder: Path) -> dict[str, Any]:
    """The folder's metadata.json, or an empty dict where it has none."""
    path = folder / METADATA
    if not path.is_file():
        return {}
    try:
        metadata = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise DataError(f"{path}: not JSON ({error}).", hint="Mend the file or remove it.") from error
    if not isinstance(metadata, dict):
        raise DataError(f"{path}: not an object.", hint="Mend the file or remove it.")
    return metadata


def source_info(metadata: Mapping[str, Any], name: str) -> SourceInfo:
    """What a metadata.json says about where the data came from."""
    source = metadata.get("source", "")
    described = source if isinstance(source, str) else json.dumps(source, ensure_ascii=False)
    commit = re.search(r"@ ([0-9a-f]{40})\b", described)
    revision = metadata.get("revision") or (commit.group(1) if commit else "")
    return SourceInfo(
        name=str(metadata.get("name") or name),
        licence=str(metadata.get("licence", "")),
        revision=str(revision),
        url=str(metadata.get("url") or described),
    )


def read_files(files: Mapping[Split, Sequence[Path]], source: SourceInfo) -> RawData:
    """Read files, several of which may make one split."""
    rows: dict[Split, list[Row]] = {}
    places: dict[Split, tuple[Place, ...]] = {}
    findings: list[Finding] = []
    for split, paths in files.items():
        rows[split] = []
        for path in paths:
            encoding = text_encoding(path)
            before = len(rows[split])
            rows[split] += read_rows(path, encoding=encoding)
            places[split] = (*places.get(split, ()), Place(str(path), len(rows[split]) - before))
            if encoding and encoding not in UNICODE:
                message = f"{path}: read as {encoding} (it is not UTF-8)"
                findings.append(Finding("encoding", 1, message, (str(path),), is_warning=True))
    return RawData(rows, source, places, findings=tuple(findings))


def read_class_folder(folder: Path, *, name: str = "") -> tuple[list[Row], list[Finding]]:
    """Read ``folder/<class>/*.txt``, the suffix in either case.

    Args:
        folder: holds one folder a class.
        name: what messages call it; the folder's own when left out.

    Returns:
        Rows of ``text`` and ``label``, by class and file name, and at most one finding about encodings.
    """
    rows: list[Row] = []
    detected: dict[str, str] = {}
    for file in class_files(folder):
        text, encoding = decode(file.read_bytes())
        rows.append({"text": text, "label": file.parent.name})
        if encoding not in UNICODE:
            detected[file.relative_to(folder).as_posix()] = encoding
    if not detected:
        return rows, []
    found = ", ".join(f"{encoding} ({count:,})" for encoding, count in Counter(detected.values()).most_common())
    message = f"{name or folder}: files that are not UTF-8: {{count}} of {len(rows):,}, read as {found}"
    finding = Finding.of("encoding", list(detected), message, is_warning=True)
    logger.warning("%s (%s)", finding.message, ", ".join(finding.examples))
    return rows, [finding]


def class_files(folder: Path) -> list[Path]:
    """The texts of ``folder/<class>/*.txt``, sorted; none where there are no class folders."""
    return sorted(file for file in folder.glob("*/*.[tT][xX][tT]") if not file.parent.name.startswith((".", "__")))


def _read_class_folders(folder: Path, source: SourceInfo) -> RawData:
    """Class folders, directly or under train/, validation/ and test/."""
    splits = {SPLIT_NAMES[entry.name]: entry for entry in sorted(folder.iterdir()) if entry.name in SPLIT_NAMES}
    parts: dict[Split, Path] = {split: part for split, part in splits.items() if part.is_dir() and class_files(part)}
    parts = parts or {"train": folder}
    read = {split: read_class_folder(part) for split, part in parts.items()}
    if not read.get("train", ([], []))[0]:
        raise DataError(
            f"{folder}: neither train.* files ({', '.join(READERS)}) nor class folders with .txt files.",
            hint="Give a file, a glob, a folder like <class>/*.txt, or one with train.*, validation.* and test.*.",
        )
    return RawData(
        {split: rows for split, (rows, _) in read.items()},
        source,
        {split: (Place(str(parts[split]), len(rows)),) for split, (rows, _) in read.items()},
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
                f"{folder}: both {files[split].name} and {file.name} are its {split} rows.", hint="Keep one of them."
            )
        files[split] = file
    return files
