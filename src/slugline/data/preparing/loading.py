"""Load the sources of a data section as examples.

Rows are read, columns chosen, labels named and mapped, ids made, and texts cleaned.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

from slugline.core.labels import Split
from slugline.core.progress import track
from slugline.data.findings import Finding
from slugline.data.preparing import cleaning
from slugline.data.preparing.examples import SPLIT_ORDER, Examples, SplitExamples, join_examples
from slugline.data.preparing.row_ids import joint_row_ids
from slugline.data.reading import sources
from slugline.data.reading.columns import SAMPLE_ROWS, choose_columns
from slugline.data.reading.label_cells import report_labels
from slugline.data.reading.labels import hidden_splits, join_orders, map_labels, name_labels, unlabelled_rows
from slugline.data.reading.raw_data import RawData, SourceInfo
from slugline.data.reading.texts import join_text
from slugline.recipe.data_section import DataSection, SourceSection
from slugline.recipe.locations import short_path

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class JoinedSources:
    """Examples of all sources of a data section.

    Args:
        splits: examples by split, source after source.
        classes: all class names, in label order.
        raw_data: rows as read from each source.
        unlabelled: findings about rows that were dropped because they have no label.
        text: text columns of all sources.
        label: label column; several, separated by commas, if the sources differ.
    """

    splits: dict[Split, Examples]
    classes: tuple[str, ...]
    raw_data: tuple[RawData, ...]
    unlabelled: tuple[Finding, ...]
    text: tuple[str, ...]
    label: str

    @cached_property
    def source(self) -> SourceInfo:
        """Origin of the rows; with several sources, each value follows the name of its source."""
        if len(self.raw_data) == 1:
            return self.raw_data[0].source
        infos = [raw.source for raw in self.raw_data]
        return SourceInfo(
            " + ".join(info.name for info in infos),
            licence=_join_values([(info.name, info.licence) for info in infos]),
            revision=_join_values([(info.name, info.revision) for info in infos]),
            url=_join_values([(info.name, info.url) for info in infos]),
        )

    @property
    def is_known(self) -> bool:
        """True if every source is a known set."""
        return all(raw.is_known for raw in self.raw_data)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Findings of reading, which are already logged."""
        return tuple(finding for raw in self.raw_data for finding in raw.findings)

    def file_names(self, split: Split) -> str:
        """Return the names of the files of a split, for messages."""
        return " and ".join(raw.file_names(split) for raw in self.raw_data if split in raw.rows)


def _join_values(values: Sequence[tuple[str, str]]) -> str:
    """Join the values of sources, each after the name of its source; empty if all values are empty."""
    if not any(value for _, value in values):
        return ""
    return "; ".join(f"{name}: {value or 'not stated'}" for name, value in values)


def read_examples(section: DataSection, *, text: Sequence[str] = ()) -> JoinedSources:
    """Read the sources of a data section.

    Args:
        section: sources with their columns and label maps, and the cleaning steps.
        text: text columns of a source that has them all, if the section names none.

    Returns:
        Examples under the splits of the sources. Ids are unique over all sources.

    Raises:
        DataError: a source cannot be read, or its columns or labels do not fit the section.
        MissingExtra: the embedded set is requested but not installed.
    """
    read = [_read_source(source, section, text) for source in section.all_sources()]
    ids = joint_row_ids([(source.address, source.raw.rows, source.id_column) for source in read])
    prepared = [
        _drop_unlabelled(source, _examples(source, ids[origin], origin=origin, clean=section.clean))
        for origin, source in enumerate(read)
    ]
    by_source = [splits for splits, _ in prepared]
    names = [split for split in SPLIT_ORDER if any(split in splits for splits in by_source)]
    return JoinedSources(
        {split: join_examples([splits[split] for splits in by_source if split in splits]) for split in names},
        join_orders(source.classes for source in read),
        tuple(source.raw for source in read),
        tuple(finding for _, findings in prepared for finding in findings),
        join_orders(source.text for source in read),
        ", ".join(join_orders([source.label] for source in read)),
    )


@dataclass(frozen=True)
class _Source:
    """Rows of one source, their columns, and their labels after the label map."""

    address: str
    raw: RawData
    text: tuple[str, ...]
    label: str
    id_column: str
    labels: dict[Split, list[str]]
    classes: tuple[str, ...]


def _read_source(source: SourceSection, data: DataSection, text: Sequence[str]) -> _Source:
    raw = sources.read(source)
    id_column = data.id or str(raw.columns.get("id", ""))
    others = [column for column in (id_column, data.split) if column]
    default = list(text) if set(text) <= {column for row in raw.rows["train"][:SAMPLE_ROWS] for column in row} else []
    columns, label = choose_columns(
        raw,
        text=source.text or default,
        label=source.label,
        others=others,
        address=short_path(source.path) or source.name,
    )
    if data.unlabelled == "drop" and (hidden := hidden_splits(raw, label)):
        logger.warning("%s: left out, its labels are hidden: %s", raw.source.name, ", ".join(hidden))
        raw = replace(raw, rows={split: rows for split, rows in raw.rows.items() if split not in hidden})
    labels, classes = name_labels(raw, label, offset=source.label_offset, unlabelled=data.unlabelled)
    found = report_labels(labels, label) if not source.label_map else []
    for finding in found:
        logger.warning("%s: %s", raw.source.name, finding.message)
    raw = replace(raw, findings=(*raw.findings, *found))
    labels, classes = map_labels(labels, classes, source.label_map, where=raw.file_names("train"))
    address = " ".join((source.name, source.path, source.hub))
    return _Source(address, raw, tuple(columns), label, id_column, labels, classes)


def _examples(source: _Source, ids: Mapping[Split, list[str]], *, origin: int, clean: Sequence[str]) -> SplitExamples:
    """Join the text columns of a source and clean the texts."""
    splits: dict[Split, Examples] = {}
    rows = source.raw.rows
    with track("cleaning", sum(map(len, rows.values())), unit="texts") as advance:
        for split in rows:
            originals = [
                join_text(row, source.text, locate=partial(source.raw.locate, split, index))
                for index, row in enumerate(rows[split])
            ]
            cleaned = []
            for original in originals:
                cleaned.append(cleaning.clean(original, clean))
                advance(1)
            origins = [origin] * len(originals)
            splits[split] = Examples(ids[split], originals, cleaned, source.labels[split], origins)
    return splits


def _drop_unlabelled(source: _Source, splits: SplitExamples) -> tuple[SplitExamples, list[Finding]]:
    """Drop the rows without a label; return the others, and a finding for each split that had such rows."""
    kept: dict[Split, Examples] = {}
    findings = []
    for split, examples in splits.items():
        indices, places = unlabelled_rows(source.raw, split, examples.labels)
        kept[split] = examples.without(indices)
        if indices:
            message = f"rows of {split} without a label: {{count}} (dropped, as requested): {places}"
            findings.append(Finding.of("unlabelled", examples.ids_of(indices), message))
    return kept, findings
