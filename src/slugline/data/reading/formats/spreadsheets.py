"""Excel and OpenDocument files: the first sheet with rows. Cells are read as the texts that a CSV file would have."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

from slugline.core.errors import DataError, MissingExtra
from slugline.data.reading.formats.cells import Record, rows_of
from slugline.data.reading.formats.compressed import MAX_RATIO, limit_of
from slugline.data.reading.formats.files import File, Row

#: First bytes of .xls files and of encrypted workbooks.
COMPOUND_FILE = bytes.fromhex("d0cf11e0a1b11ae1")


def read_spreadsheet(file: File) -> Iterator[Row]:
    """Read the first sheet that has rows."""
    with file.on_disk() as path:
        _check_size(file, path)
        yield from rows_of(file, _records(file, path))


def _records(file: File, path: Path) -> Iterator[Record]:
    try:
        from python_calamine import CalamineError, CalamineWorkbook
    except ImportError as error:
        raise MissingExtra(f"Reading {file.suffix} files", extra="excel") from error
    try:
        with CalamineWorkbook.from_path(path) as workbook:
            filled = {name: sheet for name in workbook.sheet_names if (sheet := _rows(workbook, name))}
    except (CalamineError, OSError) as error:
        # Programs encrypt a workbook by putting it into a compound file, the form of .xls.
        is_locked = file.suffix != ".xls" and _begins_with(path, COMPOUND_FILE)
        reason = "it is protected by a password, or an .xls file" if is_locked else str(error)
        fix = "Save it without a password, or as CSV." if is_locked else "Save it again, or as CSV."
        raise DataError(f"{file.name}: not a valid {file.suffix} file ({reason}).", hint=fix) from error
    if len(filled) > 1:
        first, *others = filled
        file.warn("sheets", f"only the first sheet, {first!r}, is read, not {', '.join(map(repr, others))}")
    rows = next(iter(filled.values()), [])
    n_used = max((number for number, cells in enumerate(rows, start=1) if any(cells)), default=0)
    for number, cells in enumerate(rows[:n_used], start=1):
        if any(cells) or len(cells) == 1:  # as in CSV files, a blank row is a row only if there is one column
            yield Record(number, cells)


def _begins_with(path: Path, head: bytes) -> bool:
    with path.open("rb") as stream:
        return stream.read(len(head)) == head


def _rows(workbook: Any, sheet: str) -> list[list[str]]:
    rows = [[_as_text(cell) for cell in cells] for cells in workbook.get_sheet_by_name(sheet).to_python()]
    return rows if any(map(any, rows)) else []


def _as_text(cell: object) -> str:
    if isinstance(cell, bool):
        return str(cell).upper()  # as Excel shows and exports it
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))  # spreadsheets know no integers
    if isinstance(cell, datetime) and cell.time() == time():
        return cell.date().isoformat()
    return cell.isoformat() if isinstance(cell, (date, time)) else str(cell)


def _check_size(file: File, path: Path) -> None:
    """Refuse a workbook that holds far more than its size: newer formats are zip archives."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        size = sum(info.file_size for info in archive.infolist())
    if size > limit_of(path.stat().st_size):
        raise DataError(
            f"{file.name}: holds {size >> 20:,} MB, over {MAX_RATIO} times its own size.", hint="Save it as CSV."
        )
