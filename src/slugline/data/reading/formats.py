"""Read rows from CSV, TSV, JSON lines, JSON, Parquet and plain text, one row at a time.

Values are not interpreted: ``NA``, ``null`` and ``None`` in a CSV file are texts. `slugline.data.reading.paths` and
prediction over files use this module.
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

#: Delimiters of .csv files; the first is used if the header holds none of them.
DELIMITERS = (",", ";", "\t", "|")

#: Longest CSV field, in characters: the largest limit that every platform accepts.
MAX_FIELD_CHARACTERS = 2**31 - 1

PARQUET_BATCH_ROWS = 1024


def read_rows(path: Path, *, encoding: str = "") -> Iterator[Row]:
    """Read a file row by row in constant memory; only .json files are loaded at once.

    Args:
        path: the file; its suffix names its format. Each line of a ``.txt`` file is a row with the column ``text``.
        encoding: encoding from `text_encoding`, which is called if no encoding is given.

    Yields:
        One row as read: values by column name.

    Raises:
        DataError: the file is missing, empty, of an unknown format, or broken; the message names the line.
    """
    _require_file(path)
    suffix = path.suffix.lower()
    if suffix not in READERS:
        raise DataError(
            f"{path}: files of this format cannot be read.{nearest(suffix, list(READERS))}",
            hint=f"Known suffixes: {', '.join(READERS)}.",
        )
    if suffix != ".parquet":
        encoding = encoding or text_encoding(path)
    count = 0
    for row in READERS[suffix](path, encoding):
        count += 1
        yield row
    if not count:
        raise DataError(f"{path}: the file holds no rows.", hint="Write the file again, or give another.")


def text_encoding(path: Path) -> str:
    """Find the encoding of a file; log a warning if it is not Unicode.

    Args:
        path: any file that `read_rows` reads.

    Returns:
        The codec's name; empty for Parquet, which has no encoding.

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
        names = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        problem = "is a folder, not a file" if path.is_dir() else "no such file"
        raise DataError(f"{path}: {problem}.{nearest(path.name, names)}", hint=path_hint(path))
    if path.stat().st_size == 0:
        raise DataError(f"{path}: the file is empty.", hint="Write the file again, or give another.")


def path_hint(path: Path) -> str:
    """Return a hint for a missing path, which may have been written relative to the current folder.

    Args:
        path: path of a recipe.

    Returns:
        The hint.
    """
    tails = (Path(*path.parts[start:]) for start in range(1, len(path.parts)))
    found = next((tail for tail in tails if tail.exists()), None)
    if found is None:
        return "Check the path."
    return f"There is {found} in the current folder, but paths in a recipe start from the folder of the recipe."


def _csv(path: Path, encoding: str) -> Iterator[Row]:
    with path.open(encoding=encoding, newline="") as file:
        header = next((line for line in file if line.strip()), "").lstrip("\ufeff")
    yield from _delimited(path, encoding, _delimiter(header))


def _tsv(path: Path, encoding: str) -> Iterator[Row]:
    """Treat double quotes as quoting, as in CSV; read a file without quoting if it parses only without.

    Most .tsv files have no quoting: a text like ``"5" tall`` is invalid with it. A first pass over the file decides.
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
    csv.field_size_limit(MAX_FIELD_CHARACTERS)
    with path.open(encoding=_skipping_mark(encoding), newline="") as file:
        reader = csv.reader(
            file, delimiter=delimiter, quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE, strict=True
        )
        try:
            header = _header(path, next((row for row in reader if row), []))
            # In a file with one column, a blank line is a row with an empty text; otherwise blank lines are skipped.
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
                hint="Close every double quote; write a double quote inside a quoted text twice.",
            ) from error


def _delimiter(header: str) -> str:
    """The delimiter that splits the header into the most columns."""
    return max(DELIMITERS, key=lambda delimiter: len(next(csv.reader([header], delimiter=delimiter), [])))


def _skipping_mark(encoding: str) -> str:
    return "utf-8-sig" if encoding == "utf-8" else encoding


def _header(path: Path, header: list[str]) -> list[str]:
    names = [name.strip() for name in header]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise DataError(
            f"{path}: the header names {', '.join(map(repr, repeated))} more than once.",
            hint="The first line names the columns; give each column a different name.",
        )
    return names


def _jsonl(path: Path, encoding: str) -> Iterator[Row]:
    with path.open(encoding=_skipping_mark(encoding)) as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield _object(f"{path}, line {number}", _parse(path, line, number))


def _json(path: Path, encoding: str) -> Iterator[Row]:
    values = _parse(path, path.read_text(encoding=_skipping_mark(encoding)), 1)
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
            hint="Fix that line: in .jsonl each line is one object, in .json the file is one list of objects.",
        ) from error
    if "\\ud" not in text.lower():  # most files: only escapes can produce lone surrogates
        return value
    return json.loads(replace_surrogates(json.dumps(value, ensure_ascii=False)))


def replace_surrogates(text: str) -> str:
    """Replace every lone surrogate by U+FFFD: lone surrogates cannot be encoded, and tokenizers refuse them."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


def _object(position: str, value: Any) -> Row:
    if not isinstance(value, dict):
        raise DataError(f"{position}: {_kind(value)}, not an object.", hint='Write {"text": ..., "label": ...}.')
    return value


def _kind(value: object) -> str:
    return {dict: "an object", list: "a list", str: "a text", type(None): "null"}.get(type(value), "a number")


def _txt(path: Path, encoding: str) -> Iterator[Row]:
    with path.open(encoding=_skipping_mark(encoding)) as file:
        for line in file:
            yield {"text": line.rstrip("\n")}


def _parquet(path: Path, _: str) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=PARQUET_BATCH_ROWS):
                yield from batch.to_pylist()
    except (pa.ArrowInvalid, OSError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        raise DataError(f"{path}: not a valid Parquet file ({reason}).", hint="Download or write it again.") from error


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
