"""Tables and sentences that fit the terminal. Lines wrap at words; numbers and intervals never wrap."""

from __future__ import annotations

import re
import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest

import typer

#: Width without a terminal: in pipes, logs and files.
DEFAULT_WIDTH = 80

#: Blanks between two columns.
GAP = 2


def screen_width() -> int:
    """Return the number of characters of a line: of the terminal, of ``COLUMNS``, or `DEFAULT_WIDTH`."""
    return max(40, shutil.get_terminal_size((DEFAULT_WIDTH, 24)).columns)


def print_text(text: str, *, indent: str = "") -> None:
    """Print a text, wrapped at words.

    Args:
        text: one or more lines.
        indent: beginning of wrapped lines.
    """
    for line in text.splitlines() or [""]:
        typer.echo("\n".join(_wrapped(line, screen_width(), indent)))


def print_values(values: Mapping[str, object]) -> None:
    """Print names and values, one per line; long values wrap below their beginning."""
    width = max(map(len, values), default=0)
    for name, value in values.items():
        print_text(f"  {name.ljust(width)}  {value}", indent=" " * (width + 4))


def print_table(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table that fits the screen, with numbers aligned to the right.

    Args:
        headers: names of the columns.
        rows: cells of each row.
    """
    cells = [list(headers), *([str(cell) for cell in row] for row in rows)]
    columns = list(zip(*cells, strict=True))
    is_number = [all(re.match(r"[-+]?\d|$", cell) for cell in column[1:]) for column in columns]
    widths = _fitted([_limits(column, number) for column, number in zip(columns, is_number, strict=True)])
    for index, row in enumerate(cells):
        for line in _lines(row, widths, is_number):
            typer.echo(typer.style(line, bold=True) if index == 0 and sys.stdout.isatty() else line)


def table_width(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> int:
    """Return the width of a table whose cells do not wrap."""
    columns = zip(headers, *rows, strict=True)
    return sum(max(len(str(cell)) for cell in column) + GAP for column in columns) - GAP


def _limits(column: Sequence[str], is_number: bool) -> tuple[int, int]:
    """The smallest and the natural width of a column. Words are not broken, numbers and their intervals never wrap."""
    natural = max(map(len, column))
    longest_word = max((len(word) for cell in column for word in cell.split()), default=0)
    return (natural if is_number else longest_word), natural


def _fitted(limits: Sequence[tuple[int, int]]) -> list[int]:
    """Widths of the columns: the widest are reduced until the table fits, or no column can be reduced."""
    widths = [natural for _, natural in limits]
    while sum(widths) + GAP * (len(widths) - 1) > screen_width():
        reducible = [index for index, (smallest, _) in enumerate(limits) if widths[index] > smallest]
        if not reducible:
            break
        widths[max(reducible, key=lambda index: widths[index])] -= 1
    return widths


def _lines(row: Sequence[str], widths: Sequence[int], is_number: Sequence[bool]) -> Iterator[str]:
    """The lines of a row."""
    wrapped = [_wrapped(cell, width) for cell, width in zip(row, widths, strict=True)]
    for parts in zip_longest(*wrapped, fillvalue=""):
        aligned = [
            part.rjust(width) if number else part.ljust(width)
            for part, width, number in zip(parts, widths, is_number, strict=True)
        ]
        yield (" " * GAP).join(aligned).rstrip()


def _wrapped(text: str, width: int, indent: str = "") -> list[str]:
    return textwrap.wrap(
        text,
        max(width, len(indent) + 1),
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
        replace_whitespace=False,
        drop_whitespace=True,
    ) or [""]
