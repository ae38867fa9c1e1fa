"""Load the sources of a data section as examples.

Rows are read, columns chosen, labels named and mapped, ids made, and texts cleaned.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import islice

import numpy as np

from slugline.core.errors import DataError
from slugline.core.labels import Kind, RowLabels, Split
from slugline.core.progress import track
from slugline.data.findings import Finding
from slugline.data.preparing import cleaning
from slugline.data.preparing.examples import SPLIT_ORDER, Examples, ExamplesWriter, SplitExamples, join_examples
from slugline.data.preparing.row_ids import RowIds, joint_row_ids
from slugline.data.preparing.splits.time_splits import parse_time
from slugline.data.reading import sources
from slugline.data.reading.columns import SAMPLE_ROWS, check_column, choose_columns
from slugline.data.reading.labels.cells import is_missing
from slugline.data.reading.labels.hierarchy import pad_paths
from slugline.data.reading.labels.label_map import join_orders, rename
from slugline.data.reading.labels.naming import name_labels
from slugline.data.reading.labels.unlabelled import hidden_splits, unlabelled_rows
from slugline.data.reading.raw_data import RawData, SourceInfo
from slugline.data.reading.texts import join_text
from slugline.data.tables.coded import Coded
from slugline.data.tables.table import BATCH_ROWS, Table
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
        label: label columns of all sources.
        kind: kind of the label set.
        levels: names of the levels of a hierarchy, if they were columns.
        groups: value of the column ``data.group`` by row id; rows without a value are missing.
        times: time in the column ``data.time`` by row id, see `parse_time`.
    """

    splits: dict[Split, Examples]
    classes: tuple[str, ...]
    raw_data: tuple[RawData, ...]
    unlabelled: tuple[Finding, ...]
    text: tuple[str, ...]
    label: tuple[str, ...]
    kind: Kind = "single"
    levels: tuple[str, ...] = ()
    groups: Mapping[str, str] = field(default_factory=dict)
    times: Mapping[str, float] = field(default_factory=dict)

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


def read_examples(section: DataSection, *, text: Sequence[str] = (), kind: Kind | None = None) -> JoinedSources:
    """Read the sources of a data section.

    Args:
        section: sources with their columns and label maps, and the cleaning steps.
        text: text columns of a source that has them all, if the section names none.
        kind: kind of the label set of a trained model; None = stated by the section or the source, or guessed.

    Returns:
        Examples under the splits of the sources. Ids are unique over all sources.

    Raises:
        DataError: a source cannot be read, or its columns or labels do not fit the section.
        MissingExtra: the embedded set is requested but not installed.
    """
    read = [_read_source(source, section, text, kind) for source in section.all_sources()]
    read, joint_kind = _with_one_kind(read)
    ids = joint_row_ids([(source.address, source.raw.rows, source.id_column) for source in read])
    writer = ExamplesWriter()
    written = [
        _write_texts(source, ids[origin], writer, origin=origin, clean=section.clean)
        for origin, source in enumerate(read)
    ]
    table = writer.finish()
    prepared = [_drop_unlabelled(source, table, rows) for source, rows in zip(read, written, strict=True)]
    by_source = [splits for splits, _ in prepared]
    names = [split for split in SPLIT_ORDER if any(split in splits for splits in by_source)]
    return JoinedSources(
        {split: join_examples([splits[split] for splits in by_source if split in splits]) for split in names},
        join_orders(source.classes for source in read),
        tuple(source.raw for source in read),
        tuple(finding for _, findings in prepared for finding in findings),
        join_orders(source.text for source in read),
        join_orders(source.label for source in read),
        joint_kind,
        read[0].levels if len({source.levels for source in read}) == 1 else (),
        groups={
            name: group
            for source, own in zip(read, ids, strict=True)
            for name, group in _groups(source, own, section.group)
        },
        times={
            name: time
            for source, own in zip(read, ids, strict=True)
            for name, time in _times(source, own, section.time)
        },
    )


@dataclass(frozen=True)
class _Source:
    """Rows of one source, their columns, and their labels after the label map."""

    address: str
    raw: RawData
    text: tuple[str, ...]
    label: tuple[str, ...]
    id_column: str
    labels: dict[Split, list[RowLabels | None]]
    classes: tuple[str, ...]
    kind: Kind
    levels: tuple[str, ...]


def _with_one_kind(read: Sequence[_Source]) -> tuple[list[_Source], Kind]:
    """Give all sources one kind of labels: single labels fit into a multi-label set, and paths into deeper ones."""
    kinds = {source.kind for source in read}
    if "hierarchical" in kinds and len(kinds) > 1:
        described = ", ".join(f"{source.raw.source.name}: {source.kind}" for source in read)
        raise DataError(
            f"the sources have labels of different kinds ({described}).",
            hint="Set label_kind in each [[data.sources]] table, or label_map to give all sources the same names.",
        )
    if "hierarchical" not in kinds:
        return list(read), "multi" if "multi" in kinds else "single"
    padded = pad_paths(join_orders(source.classes for source in read))
    return [
        replace(source, labels=rename(source.labels, padded), classes=tuple(map(padded.__getitem__, source.classes)))
        for source in read
    ], "hierarchical"


def _read_source(source: SourceSection, data: DataSection, text: Sequence[str], kind: Kind | None) -> _Source:
    raw = sources.read(source)
    id_column = data.id or str(raw.columns.get("id", ""))
    others = [column for column in (id_column, data.split, data.group, data.time) if column]
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
        rows = {split: rows for split, rows in raw.rows.items() if split not in hidden}
        raw = replace(raw, rows=rows, withheld=(*raw.withheld, *hidden))
    named = name_labels(raw, label, source, unlabelled=data.unlabelled, kind=kind)
    for finding in named.findings:
        logger.warning("%s: %s", raw.source.name, finding.message)
    raw = replace(raw, findings=(*raw.findings, *named.findings))
    address = " ".join(source.address)
    return _Source(
        address, raw, tuple(columns), tuple(label), id_column, named.rows, named.classes, named.kind, named.levels
    )


def _write_texts(
    source: _Source, ids: Mapping[Split, RowIds], writer: ExamplesWriter, *, origin: int, clean: Sequence[str]
) -> dict[Split, range]:
    """Join the text columns of a source, clean the texts and write them; return the numbers of their rows."""
    rows = source.raw.rows
    written: dict[Split, range] = {}
    with track("cleaning", sum(map(len, rows.values())), unit="texts") as advance:
        for split in rows:
            first = len(writer)
            names, texts = iter(ids[split]), _texts(source, split)
            while originals := list(islice(texts, BATCH_ROWS)):
                cleaned = cleaning.clean_texts(originals, clean)
                writer.write(list(islice(names, BATCH_ROWS)), originals, cleaned, origin=origin)
                advance(len(originals))
            written[split] = range(first, len(writer))
    return written


def _texts(source: _Source, split: Split) -> Iterator[str]:
    """Yield the text of each row as read."""
    columns = [source.raw.rows[split].values(column) for column in source.text]
    for index, values in enumerate(zip(*columns, strict=True)):
        text = values[0]
        if len(values) > 1 or not isinstance(text, str):  # most rows have one text
            row = dict(zip(source.text, values, strict=True))
            text = join_text(row, source.text, locate=partial(source.raw.locate, split, index))
        yield text


def _groups(source: _Source, ids: Mapping[Split, RowIds], column: str) -> Iterator[tuple[str, str]]:
    """Yield the id and the group of each row that has one."""
    for name, value, _ in _values(source, ids, "group", column):
        if not is_missing(value):
            yield name, str(value)


def _times(source: _Source, ids: Mapping[Split, RowIds], column: str) -> Iterator[tuple[str, float]]:
    """Yield the id and the time of each row."""
    for name, value, place in _values(source, ids, "time", column):
        yield name, parse_time(value, where=place)


def _values(
    source: _Source, ids: Mapping[Split, RowIds], key: str, column: str
) -> Iterator[tuple[str, object, Callable[[], str]]]:
    """Yield the id of each row, its value in a column, and a function that returns the place for messages."""
    for split, rows in source.raw.rows.items() if column else ():
        check_column(source.raw, split, key, column)
        for index, (name, value) in enumerate(zip(ids[split], rows.values(column), strict=True)):
            yield name, value, partial(_place, source.raw, split, index, column)


def _place(raw: RawData, split: Split, index: int, column: str) -> str:
    return f"{raw.locate(split, index)}: column {column!r}"


def _drop_unlabelled(source: _Source, table: Table, rows: Mapping[Split, range]) -> tuple[SplitExamples, list[Finding]]:
    """Take the rows with a label; return them, and a finding for each split that had other rows."""
    kept: dict[Split, Examples] = {}
    findings = []
    for split, numbers in rows.items():
        labels = Coded.of(row or () for row in source.labels[split])
        examples = Examples(table, np.arange(numbers.start, numbers.stop, dtype=np.int64), labels)
        indices, places = unlabelled_rows(source.raw, split, source.labels[split])
        kept[split] = examples.without(indices)
        if indices:
            message = f"rows of {split} without a label: {{count}} (dropped, as requested): {places}"
            findings.append(Finding.of("unlabelled", examples.ids_of(indices), message))
    return kept, findings
