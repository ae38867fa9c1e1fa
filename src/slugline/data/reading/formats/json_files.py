"""JSON lines and JSON files. Values are read one after another, so that a list of any length takes little memory."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, TextIO

from slugline.core.errors import DataError
from slugline.data.reading.formats.files import File, Row
from slugline.data.reading.formats.json_shapes import kind_of, rows_of_object

#: Characters that are read at once.
CHUNK_CHARACTERS = 1 << 20

#: Rows in which keys that occur twice are looked for.
CHECKED_ROWS = 100

_BLANKS = re.compile(r"[ \t\r\n]*")
_HINT = "Fix that line: in .jsonl each line is one object, in .json the file is one list of objects."


def _constant(name: str) -> float | None:
    """NaN is a missing value, as pandas writes it."""
    return None if name == "NaN" else float(name)


_DECODER = json.JSONDecoder(parse_constant=_constant)


def read_json_lines(file: File) -> Iterator[Row]:
    """Read one object from each line; a file that is one list is read as such."""
    with file.open_text(newline=None) as text:
        if _first_character(text) == "[":
            yield from read_json(file)
            return
    with file.open_text(newline=None) as text:
        n_rows = 0
        for number, line in enumerate(text, start=1):
            if line.strip():
                values = _Values(file, line, first_line=number)
                row = _object(f"{file.name}, line {number}", values.take())
                values.require_end()
                n_rows += 1
                if n_rows <= CHECKED_ROWS:
                    _check_keys(f"{file.name}, line {number}", line)
                yield row


def read_json(file: File) -> Iterator[Row]:
    """Read a list of objects; or objects one after another; or an object that holds the rows."""
    with file.open_text(newline=None) as text:
        values = _Values(file, "", text)
        if values.peek() == "[":
            for number, value in enumerate(_listed(values), start=1):
                yield _object(f"{file.name}, row {number}", value)
            return
        first = values.take()
        if not values.peek():
            yield from rows_of_object(file, first)
            return
        file.say("read as one JSON object after another, not as one list")
        yield _object(f"{file.name}, line 1", first)
        while values.peek():
            line = values.line
            yield _object(f"{file.name}, line {line}", values.take())


def _first_character(text: TextIO) -> str:
    while chunk := text.read(4096):
        if chunk.strip():
            return chunk.strip()[0]
    return ""


def _listed(values: _Values) -> Iterator[Any]:
    """The values of a list, whose opening bracket is next."""
    values.skip("[")
    if values.peek() == "]":
        values.skip("]")
    else:
        yield values.take()
        while values.peek() == ",":
            values.skip(",")
            yield values.take()
        values.skip("]")
    values.require_end()


class _Values:
    """JSON values of a text, which is read as far as they need it.

    Args:
        file: the file, for messages.
        text: text to begin with.
        stream: where more text comes from; None if there is no more.
        first_line: number of the first line of the text.
    """

    def __init__(self, file: File, text: str, stream: TextIO | None = None, *, first_line: int = 1) -> None:
        self._file, self._text, self._stream = file, text, stream
        self._position, self._first_line, self._first_column = 0, first_line, 1

    @property
    def line(self) -> int:
        """The line of the next character."""
        return self._first_line + self._text.count("\n", 0, self._position)

    def peek(self) -> str:
        """Return the next character that is not blank; empty at the end."""
        while True:
            match = _BLANKS.match(self._text, self._position)
            self._position = match.end() if match else self._position
            if self._position < len(self._text):
                return self._text[self._position]
            if not self._read_more():
                return ""

    def skip(self, expected: str) -> None:
        """Go past a character."""
        if self.peek() != expected:
            raise self._error(f"Expecting {expected!r}", self._position)
        self._position += 1

    def require_end(self) -> None:
        """Refuse anything but blanks."""
        if self.peek():
            raise self._error("Extra data", self._position)

    def take(self) -> Any:
        """Return the next value."""
        self.peek()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._position)
            except json.JSONDecodeError as error:
                if self._read_more():
                    continue
                raise self._error(error.msg, error.pos) from error
            except RecursionError as error:
                raise self._error("nested too deeply", self._position) from error
            except ValueError as error:  # an integer with thousands of digits
                raise self._error(str(error).partition(";")[0], self._position) from error
            if end == len(self._text) and self._read_more():
                continue  # a number may continue
            has_surrogates = "\\ud" in self._text[self._position : end].lower()
            self._position = end
            return _without_surrogates(value) if has_surrogates else value

    def _read_more(self) -> bool:
        """Read as much text again as there is; drop what was taken."""
        if self._stream is None:
            return False
        self._first_line = self.line
        taken = self._text[: self._position]
        self._first_column = len(taken) - taken.rfind("\n") if "\n" in taken else self._first_column + len(taken)
        self._text, self._position = self._text[self._position :], 0
        more = self._stream.read(max(CHUNK_CHARACTERS, len(self._text)))
        self._text += more
        return bool(more)

    def _error(self, problem: str, position: int) -> DataError:
        line = self._first_line + self._text.count("\n", 0, position)
        start = self._text.rfind("\n", 0, position)
        column = position - start if start >= 0 else self._first_column + position
        return DataError(
            f"{self._file.name}, line {line}, column {column}: not JSON that can be read ({problem}).", hint=_HINT
        )


def _without_surrogates(value: Any) -> Any:
    """The value without lone surrogates, which only escapes can produce."""
    return json.loads(replace_surrogates(json.dumps(value, ensure_ascii=False)))


def replace_surrogates(text: str) -> str:
    """Replace every lone surrogate by U+FFFD: lone surrogates cannot be encoded, and tokenizers refuse them."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


def _check_keys(position: str, line: str) -> None:
    """Refuse an object that has a key twice: only the last value would be read."""

    def keys_of(pairs: list[tuple[str, Any]]) -> list[str]:
        return [key for key, _ in pairs]

    keys = json.loads(line, object_pairs_hook=keys_of)
    repeated = sorted({key for key in keys if keys.count(key) > 1})
    if repeated:
        raise DataError(
            f"{position}: has {', '.join(map(repr, repeated))} more than once.", hint="Give each key another name."
        )


def _object(position: str, value: Any) -> Row:
    if not isinstance(value, dict):
        raise DataError(f"{position}: {kind_of(value)}, not an object.", hint='Write {"text": ..., "label": ...}.')
    return value
