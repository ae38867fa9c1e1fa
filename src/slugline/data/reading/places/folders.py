"""Read a folder: a file per split, class folders, class folders per split, or a folder of ``save_to_disk``."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from slugline.core.errors import DataError
from slugline.core.labels import Split
from slugline.data.findings import Finding
from slugline.data.reading.formats import GUESSED, Reading, known_suffixes
from slugline.data.reading.places.class_folders import class_files, read_class_folder
from slugline.data.reading.places.files import read_files
from slugline.data.reading.places.hub import is_saved, read_saved
from slugline.data.reading.places.split_names import is_table, split_files, split_names
from slugline.data.reading.raw_data import RawData, SourceFile, SourceInfo

logger = logging.getLogger(__name__)

METADATA = "metadata.json"

#: List of the changes of `slugline data check --fix`, beside the rows.
CHANGES = "changes.jsonl"

#: Folder with the files of the splits in a repository of the Hub.
DATA_FOLDER = "data"

LAYOUTS = "Give a file, a glob, a folder with <class>/*.txt, or a folder with train.*, validation.* and test.*."


def read_folder(folder: Path, reading: Reading = GUESSED) -> RawData:
    """Read a folder; metadata.json is optional.

    Args:
        folder: an existing folder.
        reading: encoding, header and delimiter, as far as the user states them.

    Returns:
        The rows in the splits of the folder, with a finding about files that were not read.

    Raises:
        DataError: the folder is empty, has no known layout or two of them, or a file cannot be read.
    """
    if not any(not entry.name.startswith(".") for entry in folder.iterdir()):
        raise DataError(f"{folder}: the folder is empty.", hint=LAYOUTS)
    metadata = read_metadata(folder)
    source = source_info(metadata, folder.name)
    files = split_files(folder.iterdir())
    if not files and (folder / DATA_FOLDER).is_dir():
        files = split_files((folder / DATA_FOLDER).iterdir())
    if is_saved(folder):
        raw = read_saved(folder, source)
    elif files:
        raw = _read_split_files(folder, files, source, reading)
    else:
        raw = _read_class_folders(folder, source, reading.encoding)
    named = {**raw.class_columns, **_level_names(metadata)}
    if metadata:
        raw = replace(
            raw,
            classes=tuple(map(str, metadata.get("classes", raw.classes))),
            task=str(metadata.get("task", "")),
            columns=metadata.get("columns", {}),
        )
    return replace(raw, class_columns=named)


def _read_split_files(folder: Path, files: Mapping[Split, list[Path]], source: SourceInfo, reading: Reading) -> RawData:
    if "train" not in files:
        raise DataError(
            f"{folder}: has {', '.join(files)} but no train file.", hint=f"Add a train file: {known_suffixes()}."
        )
    doubled = _class_folders(folder)
    if doubled:
        names = ", ".join(f"{path.name}/" for path in doubled[:3])
        raise DataError(
            f"{folder}: holds both {files['train'][0].name} and class folders ({names}), so that it is unclear which "
            "of them are the data.",
            hint="Move one of them to another folder, or name the file in data.path.",
        )
    raw = read_files(files, source, reading)
    read = {file for paths in files.values() for file in paths}
    return replace(raw, findings=(*raw.findings, *_report_unread(folder, read, *(file.parent for file in read))))


def _class_folders(folder: Path) -> list[Path]:
    """Folders of a split with class folders, or else class folders, of which there must be two or more."""
    by_split = [path for path in _split_folders(folder).values() if class_files(path)]
    classes = sorted({file.parent for file in class_files(folder)})
    return by_split or (classes if len(classes) > 1 else [])


def _split_folders(folder: Path) -> dict[Split, Path]:
    """Folders whose names are those of splits."""
    paths = {entry.name: entry for entry in sorted(folder.iterdir()) if entry.is_dir()}
    return {split: paths[name] for name, split in split_names(list(paths)).items()}


def _read_class_folders(folder: Path, source: SourceInfo, encoding: str) -> RawData:
    """Read class folders in the folder itself, or in its folders of splits."""
    folders: dict[Split, Path] = {split: path for split, path in _split_folders(folder).items() if class_files(path)}
    folders = folders or {"train": folder}
    read = {split: read_class_folder(path, encoding=encoding) for split, path in folders.items()}
    if "train" not in read or not read["train"][0]:
        tables = [entry.name for entry in sorted(folder.iterdir()) if is_table(entry)]
        found = f"; it holds {', '.join(tables[:5])}" if tables else ""
        raise DataError(
            f"{folder}: holds neither train.* ({known_suffixes()}) nor class folders with .txt files{found}.",
            hint=f"Name one file: data.path={folder / tables[0]}" if tables else LAYOUTS,
        )
    used = {file for path in folders.values() for file in class_files(path)}
    inside = {*folders.values(), *(file.parent for file in used)}
    return RawData(
        {split: rows for split, (rows, _) in read.items()},
        source,
        {split: (SourceFile(str(folders[split]), len(rows)),) for split, (rows, _) in read.items()},
        findings=(*(f for _, found in read.values() for f in found), *_report_unread(folder, used, *inside)),
    )


def _report_unread(folder: Path, read: set[Path], *inside: Path) -> list[Finding]:
    """Report what was not read in a folder and the folders inside it: a warning if one of them is a table."""
    stated = [f"{split}.*" for split in read_metadata(folder).get("splits", {})]
    entries = sorted(entry for place in {folder, *inside} for entry in place.iterdir())
    holds = {path for file in read for path in file.parents}
    unread = [
        entry
        for entry in entries
        if entry not in read
        and entry not in holds
        and not entry.name.startswith((".", "__"))
        and entry.name not in (METADATA, CHANGES)
        and not any(entry.match(pattern) for pattern in (*stated, "README*", "LICEN[CS]E*", "dataset_infos.json"))
    ]
    if not unread:
        return []
    names = [entry.relative_to(folder).as_posix() + ("/" if entry.is_dir() else "") for entry in unread]
    listed = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    message = f"files and folders in {folder} that were not read: {{count}} ({listed})"
    finding = Finding.of("unread file", names, message, is_warning=any(map(is_table, unread)))
    logger.log(logging.WARNING if finding.is_warning else logging.INFO, finding.message)
    return [finding]


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
