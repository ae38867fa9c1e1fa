"""Read any source: a section of the recipe in, `RawData` out. The rows come from one of the places in `places`."""

from __future__ import annotations

from slugline.core.labels import Split
from slugline.data.reading.exports.convert import converted
from slugline.data.reading.formats import Reading
from slugline.data.reading.given_splits import (
    by_split_column,
    report_split_column,
    with_split_file,
    without_unlabelled_files,
)
from slugline.data.reading.places.hub import read_hub
from slugline.data.reading.places.named import read_named
from slugline.data.reading.places.paths import read_path, read_split_file
from slugline.data.reading.places.queries import read_query
from slugline.data.reading.raw_data import RawData
from slugline.recipe.data_section import DataSection, SourceSection
from slugline.recipe.locations import short_path


def read(section: SourceSection) -> RawData:
    """Read the source of a section.

    Args:
        section: section with ``name``, ``path``, ``hub`` or ``query``; a data section also with ``test_path``,
            ``validation_path`` and ``split``.

    Returns:
        Rows as read; without ``validation`` or ``test`` if the source has none.

    Raises:
        DataError: the set is unknown, unavailable, or cannot be read.
        MissingExtra: the embedded set, or a package that the source needs, is not installed.
    """
    reading = Reading(section.encoding, section.header, section.delimiter, tuple(section.text + section.label))
    if section.name:
        raw = read_named(section.name)
    elif section.hub:
        raw = read_hub(section.hub)
    elif section.query:
        raw = read_query(section.query, section.query_folder)
    else:
        raw = converted(read_path(short_path(section.path), reading), section.export)
    if not isinstance(section, DataSection):
        return without_unlabelled_files(raw, section.label)
    raw = by_split_column(raw, section.split) if section.split else report_split_column(raw)
    split_paths: dict[Split, str] = {"validation": section.validation_path, "test": section.test_path}
    for split, path in split_paths.items():
        if path:
            added = read_split_file(path, split, raw.source, reading)
            raw = with_split_file(raw, split, converted(added, section.export))
    return without_unlabelled_files(raw, section.label)
