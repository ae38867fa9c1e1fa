"""`read_rows`: one file of any known format, one row at a time. `READERS`: the formats.

Values are not interpreted: ``NA``, ``null`` and ``None`` in a CSV file are texts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

from slugline.core.errors import DataError, nearest
from slugline.data.findings import Finding
from slugline.data.reading.formats.arrow_files import read_arrow, read_parquet
from slugline.data.reading.formats.compressed import COMPRESSIONS, contents
from slugline.data.reading.formats.delimited import read_csv, read_tsv
from slugline.data.reading.formats.files import GUESSED, File, Reading, Row, path_hint
from slugline.data.reading.formats.json_files import read_json, read_json_lines
from slugline.data.reading.formats.plain_text import read_plain_text
from slugline.data.reading.formats.spreadsheets import read_spreadsheet

Reader = Callable[[File], Iterator[Row]]

#: Suffix to reader. A reader takes a file, and yields its rows.
READERS: dict[str, Reader] = {
    ".csv": read_csv,
    ".tsv": read_tsv,
    ".tab": read_tsv,
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
    ".json": read_json,
    ".parquet": read_parquet,
    ".arrow": read_arrow,
    ".feather": read_arrow,
    ".ipc": read_arrow,
    ".xlsx": read_spreadsheet,
    ".xls": read_spreadsheet,
    ".ods": read_spreadsheet,
    ".txt": read_plain_text,
}

#: First bytes of a file without a suffix, and the suffix that its format has. Others are texts.
FIRST_BYTES: dict[bytes, str] = {
    b"PAR1": ".parquet",
    b"ARROW1": ".arrow",
    b"PK\x03\x04": ".zip",
    b"\x1f\x8b": ".gz",
    b"\x28\xb5\x2f\xfd": ".zst",
    b"BZh": ".bz2",
    b"\xfd7zXZ\x00": ".xz",
    b"{": ".json",
    b"[": ".json",
}


def read_rows(path: Path, reading: Reading = GUESSED, *, findings: list[Finding] | None = None) -> Iterator[Row]:
    """Read a file row by row in constant memory.

    Args:
        path: the file; its suffix names its format. Each line of a ``.txt`` file is a row with the column ``text``,
            unless the lines are the rows of a table.
        reading: encoding, header and delimiter, as far as the user states them.
        findings: list to which guesses are added that the user should check. They are logged too.

    Yields:
        One row as read: values by column.

    Raises:
        DataError: the file is missing, empty, of an unknown format, or broken; the message names the line.
        MissingExtra: a package that reads this format is not installed.
    """
    _require_file(path)
    file = _opened(path, reading, [] if findings is None else findings)
    count = 0
    for row in READERS[file.suffix](file):
        count += 1
        yield row
    if not count:
        raise DataError(f"{file.name}: the file holds no rows.", hint="Write the file again, or give another.")


def can_read(path: Path) -> bool:
    """True if the suffix of a file names a format, or compressed files of a format."""
    return _format_suffix(path.name) in READERS or path.suffix.lower() == ".zip"


def bare_name(path: Path) -> str:
    """Return the name of a file without the suffixes of its format: ``train`` for ``train.csv.gz``."""
    name = path.name
    for known in (COMPRESSIONS, READERS):
        suffix = Path(name).suffix
        name = name.removesuffix(suffix) if suffix.lower() in known else name
    return name


def known_suffixes() -> str:
    """Return the suffixes of all formats, for messages."""
    return ", ".join([*READERS, *COMPRESSIONS])


def _format_suffix(name: str) -> str:
    """The suffix of the format: ``.csv`` for ``news.csv.gz``."""
    path = Path(name)
    return (Path(path.stem) if path.suffix.lower() in COMPRESSIONS else path).suffix.lower()


def _opened(path: Path, reading: Reading, findings: list[Finding]) -> File:
    """The file, or the table in a compressed file, with the suffix of its format."""
    file = File(
        str(path),
        path.suffix.lower() or _sniffed(path),
        cast("Callable[[], BinaryIO]", partial(path.open, "rb")),
        reading,
        path,
        findings,
    )
    if file.suffix in COMPRESSIONS:
        file = contents(file, READERS)
    if file.suffix not in READERS:
        raise DataError(
            f"{file.name}: files of this format cannot be read.{nearest(file.suffix, [*READERS, *COMPRESSIONS])}",
            hint=f"Known suffixes: {known_suffixes()}.",
        )
    return file


def _sniffed(path: Path) -> str:
    """The suffix of the format of a file without one."""
    with path.open("rb") as stream:
        head = stream.read(64).removeprefix(b"\xef\xbb\xbf").lstrip(b" \r\n\t")
    return next((suffix for first, suffix in FIRST_BYTES.items() if head.startswith(first)), ".txt")


def _require_file(path: Path) -> None:
    if path.is_dir():
        tables = sorted(entry.name for entry in path.iterdir() if can_read(entry))
        example = path / tables[0] if tables else "none of them can be read"
        raise DataError(f"{path}: is a folder, not a file.", hint=f"Give one of its files: {example}.")
    if not path.is_file():
        names = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        raise DataError(f"{path}: no such file.{nearest(path.name, names)}", hint=path_hint(path))
    if path.stat().st_size == 0:
        raise DataError(f"{path}: the file is empty.", hint="Write the file again, or give another.")
