"""Rows out of files of any size, one at a time: CSV, TSV, JSON lines, JSON, Parquet, plain text.

What stands in the file is what comes out: ``NA``, ``null`` and ``None`` in a CSV file are texts like any other. Used by
the data sets in `slugline.data.reading.sources` and by prediction over files.
"""

from __future__ import annotations

import csv
import json
import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from slugline.core.errors import DataError, nearest
from slugline.data.reading.encoding import UNICODE, find_encoding

logger = logging.getLogger(__name__)

Row = dict[str, object]

#: Delimiters that a .csv file may have; the first wins where a header has none of them.
DELIMITERS = (",", ";", "\t", "|")

#: Texts in one CSV field may be this long, in characters: the largest value that every platform takes.
FIELD_CHARACTERS = 2**31 - 1

PARQUET_ROWS_AT_ONCE = 1024


def read_rows(path: Path, *, encoding: str = "") -> Iterator[Row]:
    """Read a file row by row in constant memory (.json apart, which is read whole).

    Args:
        path: the file; its suffix says what it is. A ``.txt`` file has one text a line, in the column ``text``.
        encoding: as `text_encoding` found it; found here, and logged where it is not UTF-8, when left out.

    Yields:
        Column names to values, as read.

    Raises:
        DataError: the file is missing, empty, of an unknown kind, or broken; the message names the line.
    """
    _require_file(path)
    suffix = path.suffix.lower()
    if suffix not in READERS:
        raise DataError(
            f"{path}: files of this kind cannot be read.{nearest(suffix, list(READERS))}",
            hint=f"Kinds that can: {', '.join(READERS)}.",
        )
    if suffix != ".parquet":
        encoding = encoding or text_encoding(path)
    count = 0
    for row in READERS[suffix](path, encoding):
        count += 1
        yield row
    if not count:
        raise DataError(f"{path}: the file holds no rows.", hint="Write it again, or give another.")


def text_encoding(path: Path) -> str:
    """The encoding of a text file; says so in the log where it had to be detected.

    Args:
        path: any file that `read_rows` reads; a Parquet file has none.

    Returns:
        The codec's name, or an empty string for Parquet.

    Raises:
        DataError: the file is missing, empty, or not text.
    """
    _require_file(path)
    if path.suffix.lower() == ".parquet":
        return ""
    encoding = find_encoding(path)
    if encoding not in UNICODE:
        logger.warning("%s: read as %s (it is not UTF-8)", path, encoding)
    return encoding


def _require_file(path: Path) -> None:
    if not path.is_file():
        there = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        what = "is a folder, not a file" if path.is_dir() else "no such file"
        raise DataError(f"{path}: {what}.{nearest(path.name, there)}", hint="Check the path.")
    if path.stat().st_size == 0:
        raise DataError(f"{path}: the file is empty.", hint="Write the file again, or give another.")


def _csv(path: Path, encoding: str) -> Iterator[Row]:
    with path.open(encoding=encoding, newline="") as file:
        header = next((line for line in file if line.strip()), "").lstrip("\ufeff")
    yield from _delimited(path, encoding, _delimiter(header))


def _tsv(path: Path, encoding: str) -> Iterator[Row]:
    """Read as quoted, as CSV is, where that makes sense of the whole file; else double quotes are characters like any.

    Most .tsv files quote nothing, and a text like ``"5" tall`` says so; hence a first pass over the file.
    """
    is_unquoted = not _parses(path, encoding, quoted=True) and _parses(path, encoding, quoted=False)
    yield from _delimited(path, encoding, "\t", quoted=not is_unquoted)


def _parses(path: Path, encoding: str, *, quoted: bool) -> bool:
    try:
        for _ in _delimited(path, encoding, "\t", quoted=quoted):
            pass
    except DataError:
        return False
    return True


def _delimited(path: Path, encoding: str, delimiter: str, *, quoted: bool = True) -> Iterator[Row]:
    csv.field_size_limit(FIELD_CHARACTERS)
    with path.open(encoding=_without_mark(encoding), newline="") as file:
        reader = csv.reader(
            file, delimiter=delimiter, quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE, strict=True
        )
        try:
            header = _header(path, next((row for row in reader if row), []))
            # A blank line is no row, except where there is one column: there it is an empty text.
            blank = [""] if len(header) == 1 else []
            for row in (fields or blank for fields in reader if fields or blank):
                if len(row) != len(header):
                    raise DataError(
                        f"{path}, line {reader.line_num}: the row has {len(row)} fields, the header {len(header)}.",
                        hint="Put texts that hold the delimiter or line breaks into double quotes.",
                    )
                yield dict(zip(header, row, strict=True))
        except csv.Error as error:
            raise DataError(
                f"{path}, line {reader.line_num}: {error}.",
                hint="Close every double quote, and double those inside a quoted text.",
            ) from error


def _delimiter(header: str) -> str:
    """The delimiter that cuts the header into the most columns."""
    return max(DELIMITERS, key=lambda delimiter: len(next(csv.reader([header], delimiter=delimiter), [])))


def _without_mark(encoding: str) -> str:
    return "utf-8-sig" if encoding == "utf-8" else encoding


def _header(path: Path, header: list[str]) -> list[str]:
    names = [name.strip() for name in header]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise DataError(
            f"{path}: the header names {', '.join(map(repr, repeated))} more than once.",
            hint="The first line names the columns; give each a name of its own.",
        )
    return names


def _jsonl(path: Path, encoding: str) -> Iterator[Row]:
    with path.open(encoding=_without_mark(encoding)) as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield _object(f"{path}, line {number}", _parse(path, line, number))


def _json(path: Path, encoding: str) -> Iterator[Row]:
    values = _parse(path, path.read_text(encoding=_without_mark(encoding)), 1)
    if not isinstance(values, list):
        raise DataError(
            f"{path}: holds {_kind(values)}, not a list of objects.",
            hint="Write one list of objects, or one object a line into a .jsonl file.",
        )
    for number, value in enumerate(values, start=1):
        yield _object(f"{path}, row {number}", value)


def _parse(path: Path, text: str, first_line: int) -> Any:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(
            f"{path}, line {first_line + error.lineno - 1}, column {error.colno}: not JSON ({error.msg}).",
            hint="Mend that line: in .jsonl each line is one object, in .json the file is one list of objects.",
        ) from error
    if "\\ud" not in text.lower():  # only an escape can name half a character, and most files have none
        return value
    return json.loads(replace_surrogates(json.dumps(value, ensure_ascii=False)))


def replace_surrogates(text: str) -> str:
    """The text with U+FFFD for every lone surrogate: half a character, which no file and no tokenizer can take."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


def _object(place: str, value: Any) -> Row:
    if not isinstance(value, dict):
        raise DataError(
            f"{place}: {_kind(value)} where an object is needed.", hint='Write {"text": ..., "label": ...}.'
        )
    return value


def _kind(value: object) -> str:
    return {dict: "an object", list: "a list", str: "a text", type(None): "null"}.get(type(value), "a number")


def _txt(path: Path, encoding: str) -> Iterator[Row]:
    with path.open(encoding=_without_mark(encoding)) as file:
        for line in file:
            yield {"text": line.rstrip("\n")}


def _parquet(path: Path, _: str) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=PARQUET_ROWS_AT_ONCE):
                yield from batch.to_pylist()
    except (pa.ArrowInvalid, OSError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        raise DataError(f"{path}: not a whole Parquet file ({reason}).", hint="Fetch or write it again.") from error


#: Suffix to reader; each takes the path and its encoding.
READERS: dict[str, Callable[[Path, str], Iterator[Row]]] = {
    ".csv": _csv,
    ".tsv": _tsv,
    ".jsonl": _jsonl,
    ".ndjson": _jsonl,
    ".json": _json,
    ".parquet": _parquet,
    ".txt": _txt,
}
