"""Text files: a text on each line, fastText's format, or a table that is called .txt."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from itertools import islice

from slugline.data.reading.formats.cells import first_is_row
from slugline.data.reading.formats.column_names import USUAL_NAMES
from slugline.data.reading.formats.delimited import SEPARATOR_LINE, read_delimited
from slugline.data.reading.formats.files import NO_DELIMITER, File, Row

#: First characters of a label in fastText's format: ``__label__sport the team won``.
LABEL_PREFIX = "__label__"

#: Delimiters of tables that are called .txt, and the lines that are looked at.
DELIMITERS = ("\t", ";", "|", ",")
SAMPLE_LINES = 1_000


def read_plain_text(file: File) -> Iterator[Row]:
    """Read each line as a text, or as a row if all lines are rows."""
    with file.open_text(newline=None) as text:
        lines = [line for line in islice(text, SAMPLE_LINES) if line.strip()]
    if lines and all(line.startswith(LABEL_PREFIX) for line in lines):
        return _read_fasttext(file)
    delimiter = file.reading.separator or ("" if file.reading.delimiter == NO_DELIMITER else _delimiter(lines))
    if not delimiter:
        return _read_lines(file)
    if not file.reading.separator:
        file.say(
            f"read as a table, whose fields are delimited by {delimiter!r}; with data.delimiter or --delimiter "
            f'"{NO_DELIMITER}", each line is a text'
        )
    return read_delimited(file, (delimiter,))


def _read_lines(file: File) -> Iterator[Row]:
    with file.open_text(newline=None) as text:
        for line in text:
            yield {"text": line.rstrip("\n")}


def _delimiter(lines: Sequence[str]) -> str:
    """The delimiter of a table; empty if the lines are texts, which may hold any character."""
    if lines and (stated := SEPARATOR_LINE.fullmatch(lines[0])):
        return stated["delimiter"]
    return next((delimiter for delimiter in DELIMITERS if _is_table(lines, delimiter)), "")


def _is_table(lines: Sequence[str], delimiter: str) -> bool:
    """True if all lines have equally many fields and the first names usual columns, or is followed by its own label."""
    if len(lines) < 2 or delimiter not in lines[0]:
        return False
    rows = list(csv.reader(lines, delimiter=delimiter))
    if delimiter == "\t" and len({*map(len, rows)}) > 1:
        rows = [line.rstrip("\n").split(delimiter) for line in lines]
    if len({*map(len, rows)}) > 1:
        return False
    has_names = any(cell.strip().lower() in USUAL_NAMES for cell in rows[0])
    return has_names or (delimiter == "\t" and bool(first_is_row(rows[0], rows[1:])))


def _read_fasttext(file: File) -> Iterator[Row]:
    """Read labels and text of each line. If a line has several labels, each row has a list of labels."""
    file.say(f"read as fastText's format: each line begins with its label, {LABEL_PREFIX}...")
    with file.open_text(newline=None) as text:
        has_several = any(len(_labels_and_text(line)[0]) > 1 for line in text)
    with file.open_text(newline=None) as text:
        for line in text:
            if line.strip():
                labels, rest = _labels_and_text(line)
                yield {"text": rest, "label": labels if has_several else "".join(labels)}


def _labels_and_text(line: str) -> tuple[list[str], str]:
    labels, rest = [], line.strip()
    while rest.startswith(LABEL_PREFIX):
        label, *others = rest.split(maxsplit=1)
        labels.append(label.removeprefix(LABEL_PREFIX).rstrip(","))
        rest = "".join(others)
    return labels, rest
