"""Rows from lists of cells: the header, columns without a name, ragged rows. CSV files and spreadsheets have them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import NamedTuple

from slugline.core.errors import DataError
from slugline.data.reading.formats.column_names import USUAL_NAMES, is_unnamed, named, numbered
from slugline.data.reading.formats.files import File, Row

#: Records among which the cells of the first one are looked for.
SAMPLE_RECORDS = 1_000

#: Longest name of a column, in characters; a longer cell in the first line is a text.
MAX_NAME_CHARACTERS = 150

#: Cells of a ragged row that a message shows, and their characters.
SHOWN_CELLS, SHOWN_CHARACTERS = 6, 30


_NUMBER = re.compile(r"[-+]?[0-9]+([.,][0-9]+)?")


class Record(NamedTuple):
    """The cells of one row, and the line or the row of the sheet on which it ends."""

    line: int
    cells: list[str]


def rows_of(file: File, records: Iterable[Record]) -> Iterator[Row]:
    """Name the cells of each record by the columns of the header.

    Args:
        file: the file, for messages and the value of ``header``.
        records: cells of each row; the first record is the header, unless there is none.

    Yields:
        One row: text by column.

    Raises:
        DataError: a column is named twice, a row has more or fewer cells than the header, or there are no rows.
    """
    remaining = iter(records)
    first = next((record for record in remaining if any(cell.strip() for cell in record.cells)), None)
    if first is None:
        return
    sample = list(islice(remaining, SAMPLE_RECORDS))
    has_header = _has_header(file, first, sample)
    names = _checked_names(file, first.cells) if has_header else numbered(len(first.cells))
    body = chain([] if has_header else [first], sample, remaining)
    unnamed = [index for index, name in enumerate(names) if is_unnamed(name)]
    n_filled = number = 0
    n_columns, has_several_unnamed = len(names), len(unnamed) > 1
    for number, record in enumerate(_without_blank_lines(body, n_columns), start=1):
        cells = record.cells
        if len(cells) != n_columns:
            raise _ragged(file, record, number, n_columns, "header" if has_header else "first row")
        if has_several_unnamed:
            n_filled += any(cells[index].strip() for index in unnamed)
        yield dict(zip(names, cells, strict=True))
    if not number:
        raise DataError(
            f"{file.name}: the file holds no rows below its first line, {_shown(first.cells)}.",
            hint="Write the file again, or give another. If the first line is a row, set data.header = false "
            "(--no-header).",
        )
    if n_filled:
        file.warn(
            "unnamed columns",
            f"{n_filled:,} rows have cells in columns without a name, which are skipped; name these columns in "
            "the first line if they belong to the texts",
        )


def _without_blank_lines(records: Iterable[Record], n_columns: int) -> Iterator[Record]:
    """Leave out blank lines; in a file with one column, a blank line is a row with an empty text."""
    for record in records:
        if n_columns == 1:
            yield record if record.cells else Record(record.line, [""])
        elif len(record.cells) > 1 or any(cell.strip() for cell in record.cells):
            yield record


def _has_header(file: File, first: Record, sample: Sequence[Record]) -> bool:
    if file.reading.header is not None:
        return file.reading.header
    cells, needed = [cell.strip() for cell in first.cells], file.reading.columns
    if needed and set(needed) <= set(cells):
        return True
    if needed and set(needed) <= set(numbered(len(cells))):
        file.say(f"read without a header, because {' and '.join(map(repr, needed))} are no names in the first line")
        return False
    reason = first_is_row(first.cells, [record.cells for record in sample])
    if reason:
        file.warn(
            "header",
            f"the first line looks like a row, not like a header ({reason}): it is read as a row, and the columns are "
            f"named {', '.join(numbered(len(first.cells))[:3])}{', ...' if len(first.cells) > 3 else ''}; "
            "data.header = false (--no-header) confirms this, data.header = true (--header) reads a header",
        )
    elif file.reading.needs_known_header and USUAL_NAMES.isdisjoint(cell.lower() for cell in cells):
        raise DataError(
            f"{file.name}: cannot tell whether the first line, {_shown(first.cells)}, names the columns or is a row.",
            hint="Add --header or --no-header.",
        )
    return not reason


def first_is_row(first: Sequence[str], others: Sequence[Sequence[str]]) -> str:
    """Decide whether the first line of a table is a row.

    It is if a label there stands below too, a number stands above numbers, or a cell is a long text.

    Args:
        first: cells of the first line.
        others: cells of lines below.

    Returns:
        The reason; empty if the first line is a header.
    """
    cells = [cell.strip() for cell in first]
    if cells == numbered(len(cells)):
        return ""
    # Rows that repeat the header stand in files that were joined: their cells are no evidence, unless all rows do so.
    below = [row for row in others if len(row) == len(first) and [cell.strip() for cell in row] != cells]
    is_below = [cell != "" and any(row[index].strip() == cell for row in below) for index, cell in enumerate(cells)]
    if any(cell.lower() in USUAL_NAMES and not found for cell, found in zip(cells, is_below, strict=True)):
        return ""
    if any(is_below):
        return f"rows below have {cells[is_below.index(True)]!r} in the same column"
    numbers = [index for index, cell in enumerate(cells) if _is_number(cell)]
    if any(below and all(_is_number(row[index].strip()) for row in below) for index in numbers):
        return "a number stands above numbers"
    long = max(map(len, cells), default=0)
    return f"it has a cell of {long:,} characters" if long > MAX_NAME_CHARACTERS else ""


def _is_number(cell: str) -> bool:
    return bool(_NUMBER.fullmatch(cell))


def _checked_names(file: File, cells: Sequence[str]) -> list[str]:
    names = named(cells)
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise DataError(
            f"{file.name}: the header names {', '.join(map(repr, repeated))} more than once.",
            hint="The first line names the columns; give each column a different name. If the first line is a row, set "
            "data.header = false (--no-header).",
        )
    return names


def _ragged(file: File, record: Record, number: int, n_columns: int, beside: str) -> DataError:
    return DataError(
        f"{file.name}, line {record.line} (row {number:,}): the row has {len(record.cells)} fields, the {beside} "
        f"{n_columns}: {_shown(record.cells)}.",
        hint="Put texts that hold the delimiter or line breaks into double quotes; data.delimiter (--delimiter) sets "
        "another delimiter.",
    )


def _shown(cells: Sequence[str]) -> str:
    """The first cells, shortened: ``'spam' | 'Winner! You have won...'``."""
    shown = [
        repr(cell if len(cell) <= SHOWN_CHARACTERS else cell[:SHOWN_CHARACTERS] + "...") for cell in cells[:SHOWN_CELLS]
    ]
    return " | ".join([*shown, "..."] if len(cells) > SHOWN_CELLS else shown)
