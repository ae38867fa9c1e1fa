"""CSV and TSV files. Delimiter and quoting are those of the user, or guessed from the lines."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from slugline.core.errors import DataError
from slugline.data.reading.formats.cells import Record, rows_of
from slugline.data.reading.formats.files import File, Row

#: Delimiters of .csv files; the first is used if the header holds none of them.
DELIMITERS = (",", ";", "\t", "|")

#: Longest field, in characters: the largest limit that every platform accepts.
MAX_FIELD_CHARACTERS = 2**31 - 1

#: Lines that the delimiter is guessed from.
SAMPLE_LINES = 200

#: A line that Excel reads and writes before the header: ``sep=;``.
SEPARATOR_LINE = re.compile(r'\ufeff?"?sep=(?P<delimiter>[^\r\n"])"?\r?\n?', re.IGNORECASE)


@dataclass(frozen=True)
class Dialect:
    """The form of a delimited file.

    Args:
        delimiter: character between the fields.
        is_quoted: True if double quotes enclose fields; False if they are characters.
        skips_blanks: True if blanks after a delimiter are left out: ``x, "a, b"``.
        has_separator_line: True if the first line only names the delimiter.
    """

    delimiter: str
    is_quoted: bool = True
    skips_blanks: bool = False
    has_separator_line: bool = False


def read_csv(file: File) -> Iterator[Row]:
    """Read a CSV file, whose delimiter is often a semicolon or a tab."""
    return read_delimited(file, DELIMITERS)


def read_tsv(file: File) -> Iterator[Row]:
    """Read a TSV file."""
    return read_delimited(file, ("\t",))


def read_delimited(file: File, delimiters: Sequence[str]) -> Iterator[Row]:
    """Read a file whose lines are fields between delimiters.

    Args:
        file: the file.
        delimiters: delimiters that the file may have, the likeliest first.

    Yields:
        One row: text by column.

    Raises:
        DataError: a row has more or fewer fields than the header, or a quotation is not closed.
    """
    csv.field_size_limit(MAX_FIELD_CHARACTERS)
    yield from rows_of(file, _records(file, _find_dialect(file, delimiters)))


def _records(file: File, dialect: Dialect) -> Iterator[Record]:
    with file.open_text() as text:
        n_skipped = 0
        if dialect.has_separator_line:
            n_skipped = next(number for number, line in enumerate(text, start=1) if line.strip())
        reader = csv.reader(
            text,
            delimiter=dialect.delimiter,
            quoting=csv.QUOTE_MINIMAL if dialect.is_quoted else csv.QUOTE_NONE,
            skipinitialspace=dialect.skips_blanks,
            strict=True,
        )
        n_read = 0
        try:
            for cells in reader:
                if not n_read and cells:
                    cells[0] = cells[0].lstrip("\ufeff")
                n_read = reader.line_num
                yield Record(n_read + n_skipped, cells)
        except csv.Error as error:
            is_open = str(error) == "unexpected end of data"
            problem = "a double quote is opened in this row and never closed" if is_open else error
            raise DataError(
                f"{file.name}, line {(n_read + 1 if is_open else reader.line_num) + n_skipped}: {problem}.",
                hint="Close every double quote; write a double quote inside a quoted text twice.",
            ) from error


def _find_dialect(file: File, delimiters: Sequence[str]) -> Dialect:
    with file.open_text() as text:
        lines = [line for line in islice(text, SAMPLE_LINES + 1) if line.strip()]
    is_cut = len(lines) > SAMPLE_LINES
    separator_line = SEPARATOR_LINE.fullmatch(lines[0]) if lines else None
    if separator_line:
        lines, stated = lines[1:], separator_line["delimiter"]
        file.say(f"the first line names the delimiter: {stated!r}")
    else:
        stated = ""
    given = file.reading.separator or stated
    delimiter = given or guess_delimiter(lines[:-1] if is_cut else lines, delimiters)
    if not given and delimiter != delimiters[0]:
        file.say(f"fields are delimited by {delimiter!r} (guessed; data.delimiter or --delimiter sets another)")
    dialect = Dialect(delimiter, has_separator_line=separator_line is not None)
    if delimiter == "\t":
        return Dialect("\t", is_quoted=_is_quoted(file), has_separator_line=dialect.has_separator_line)
    return _skipping_blanks(file, dialect)


def guess_delimiter(lines: Sequence[str], delimiters: Sequence[str]) -> str:
    """Choose a delimiter: one that splits all lines into equally many fields, then the one with the most fields.

    Args:
        lines: first lines of the file.
        delimiters: candidates, the likeliest first.

    Returns:
        The delimiter.
    """

    def fit(delimiter: str) -> tuple[bool, int]:
        lengths = [len(row) for row in csv.reader(lines, delimiter=delimiter) if row]
        n_fields = lengths[0] if lengths else 0
        return n_fields > 1 and set(lengths) == {n_fields}, n_fields

    return max(delimiters, key=fit)


def _is_quoted(file: File) -> bool:
    """True if double quotes in a file with tabs enclose fields.

    Most such files have no quoting: a text may begin with a quotation that ends in a later row. If every line has as
    many fields as the header without quoting, there is quoting only if a writer of CSV files has left its marks.
    """
    n_fields, has_quotes = 0, False
    for line in _table_lines(file):
        has_quotes = has_quotes or '"' in line
        n_fields = n_fields or line.count("\t") + 1
        if line.count("\t") + 1 != n_fields:
            return True
    return has_quotes and _are_enclosing(line.split("\t") for line in _table_lines(file))


def _table_lines(file: File) -> Iterator[str]:
    """The lines of a table without their ends, blank lines, and the line that names the delimiter."""
    with file.open_text() as text:
        for line in text:
            if line.strip() and not SEPARATOR_LINE.fullmatch(line):
                yield line.rstrip("\r\n")


def _are_enclosing(rows: Iterable[Sequence[str]]) -> bool:
    """True if the double quotes of a table are where a writer of CSV files puts them, which doubles quotes in fields.

    A writer encloses each field that holds a quote, for Excel also each with a comma, or all fields of a column.
    """
    # Columns of enclosed fields without need, of those with a comma, and of bare fields.
    needless, with_comma, bare = set[int](), set[int](), set[int]()
    has_bare_comma = False
    for column, field in (pair for row in rows for pair in enumerate(row) if pair[1]):
        inner = field[1:-1]
        if '"' not in field:
            bare.add(column)
            has_bare_comma = has_bare_comma or "," in field
        elif len(field) < 2 or field[0] != '"' or field[-1] != '"' or '"' in inner.replace('""', ""):
            return False
        elif "," in inner:
            with_comma.add(column)
        elif '""' not in inner:
            needless.add(column)
    return not needless & bare and not (has_bare_comma and with_comma & bare)


def _skipping_blanks(file: File, dialect: Dialect) -> Dialect:
    """Leave out blanks after delimiters if a quoted field follows one, unless the file parses further with them."""
    before_quote = re.compile(f'(^|{re.escape(dialect.delimiter)}) +"')
    with file.open_text() as text:
        if not any(before_quote.search(line) for line in text if '"' in line):
            return dialect
    skipping = Dialect(dialect.delimiter, skips_blanks=True, has_separator_line=dialect.has_separator_line)
    return skipping if _n_fitting(file, skipping) >= _n_fitting(file, dialect) else dialect


def _n_fitting(file: File, dialect: Dialect) -> int:
    """Number of lines up to the first that does not fit the header; all lines if none is so."""
    n_columns = line = 0
    try:
        for line, cells in _records(file, dialect):
            n_columns = n_columns or len(cells)
            if len(cells) > 1 and len(cells) != n_columns:
                return line
    except DataError:
        return line
    return line + 1
