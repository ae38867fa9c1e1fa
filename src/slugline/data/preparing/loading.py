"""From the sources of a data section to examples: rows read, columns found, labels named and mapped, texts cleaned.

One source or several give the same `JoinedSources`: examples by split, the classes in label order, and what every source
brought along.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from slugline.core.labels import Split
from slugline.core.progress import track
from slugline.data.findings import Finding
from slugline.data.preparing import cleaning
from slugline.data.preparing.examples import ORDER, Examples, join_examples
from slugline.data.preparing.row_ids import joint_row_ids
from slugline.data.reading import sources
from slugline.data.reading.columns import choose_columns, join_text
from slugline.data.reading.labels import join_orders, map_labels, name_labels
from slugline.data.reading.raw_data import RawData, SourceInfo
from slugline.recipe.data_section import DataSection, SourceSection


@dataclass(frozen=True)
class JoinedSources:
    """What the sources of a data section gave.

    Args:
        parts: examples by split, source after source.
        order: all class names, in label order.
        raws: of each source, its rows and what it says of itself.
        text: the columns that make the texts, of all sources.
        label: the column of the labels, or several where the sources differ.
    """

    parts: dict[Split, Examples]
    order: tuple[str, ...]
    raws: tuple[RawData, ...]
    text: tuple[str, ...]
    label: str

    @cached_property
    def source(self) -> SourceInfo:
        """Where the rows came from; of several sources, what each says after its name."""
        if len(self.raws) == 1:
            return self.raws[0].source
        infos = [raw.source for raw in self.raws]
        return SourceInfo(
            " + ".join(info.name for info in infos),
            licence=_described([(info.name, info.licence) for info in infos]),
            revision=_described([(info.name, info.revision) for info in infos]),
            url=_described([(info.name, info.url) for info in infos]),
        )

    @property
    def is_known(self) -> bool:
        """Whether every source is a known set."""
        return all(raw.is_known for raw in self.raws)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What was noticed, and logged, while reading."""
        return tuple(finding for raw in self.raws for finding in raw.findings)

    def file(self, split: Split) -> str:
        """The files behind a split, for messages."""
        return " and ".join(raw.file(split) for raw in self.raws if split in raw.rows)


def _described(sayings: Sequence[tuple[str, str]]) -> str:
    """What sources say, each after its name; empty where none says anything."""
    if not any(stated for _, stated in sayings):
        return ""
    return "; ".join(f"{name}: {stated or 'not stated'}" for name, stated in sayings)


def read_examples(section: DataSection, *, text: Sequence[str] = ()) -> JoinedSources:
    """Read what a data section names.

    Args:
        section: names the sources, their columns and label maps, and the cleaning steps.
        text: columns to take where the section names none and a source has them all.

    Returns:
        Examples under the splits that the sources bring. Ids are unique over all sources.

    Raises:
        DataError: a source cannot be read, or its columns or labels cannot be used as the section says.
        MissingExtra: the embedded set was asked for and is not installed.
    """
    read = [_read_source(place, section, text) for place in section.all_sources()]
    ids = joint_row_ids([(one.address, one.raw.rows, one.id_column) for one in read])
    parts = [_examples(one, ids[origin], origin=origin, clean=section.clean) for origin, one in enumerate(read)]
    splits = [split for split in ORDER if any(split in part for part in parts)]
    return JoinedSources(
        {split: join_examples([part[split] for part in parts if split in part]) for split in splits},
        join_orders(one.order for one in read),
        tuple(one.raw for one in read),
        join_orders(one.text for one in read),
        ", ".join(join_orders([one.label] for one in read)),
    )


@dataclass(frozen=True)
class _Source:
    """One source: its rows, their columns, and their labels as the label map names them."""

    address: str
    raw: RawData
    text: tuple[str, ...]
    label: str
    id_column: str
    labels: dict[Split, list[str]]
    order: tuple[str, ...]


def _read_source(place: SourceSection, section: DataSection, text: Sequence[str]) -> _Source:
    raw = sources.read(place)
    id_column = section.id or str(raw.columns.get("id", ""))
    others = [column for column in (id_column, section.split) if column]
    known = [] if place.text or not set(text) <= set(raw.rows["train"][0]) else list(text)
    columns, label = choose_columns(raw, text=place.text or known, label=place.label, others=others)
    labels, order = name_labels(raw, label, offset=place.label_offset)
    labels, order = map_labels(labels, order, place.label_map, where=raw.file("train"))
    address = " ".join((place.name, place.path, place.hub))
    return _Source(address, raw, tuple(columns), label, id_column, labels, order)


def _examples(
    source: _Source, ids: Mapping[Split, list[str]], *, origin: int, clean: Sequence[str]
) -> dict[Split, Examples]:
    parts: dict[Split, Examples] = {}
    rows = source.raw.rows
    with track("cleaning", sum(map(len, rows.values())), unit="texts") as advance:
        for split in rows:
            originals = [join_text(row, source.text) for row in rows[split]]
            cleaned = []
            for original in originals:
                cleaned.append(cleaning.clean(original, clean))
                advance(1)
            origins = [origin] * len(originals)
            parts[split] = Examples(ids[split], originals, cleaned, source.labels[split], origins)
    return parts
