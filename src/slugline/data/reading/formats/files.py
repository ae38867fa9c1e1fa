"""`File`: a file as the readers of formats take it, with the user's `Reading`. `Row`: what they return."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from io import TextIOWrapper
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO, TextIO

from slugline.core.errors import DataError, nearest
from slugline.data.findings import Finding
from slugline.data.reading.encoding import TextEncoding, check_encoding, find_encoding

logger = logging.getLogger(__name__)

#: Values by column.
Row = dict[str, object]

#: Words for delimiters that are hard to type.
DELIMITER_WORDS = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}

#: Value of ``data.delimiter`` for files whose lines are texts, not rows of a table.
NO_DELIMITER = "none"

_USUAL_ENCODINGS = ["utf-8", "utf-16", "cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "latin-1", "cp932", "gb18030"]


@dataclass(frozen=True)
class Reading:
    """The form of files, as far as the user states it; the rest is guessed, and each guess is reported.

    Args:
        encoding: codec of text files; empty = guessed.
        header: True if the first line of a table names its columns; None = guessed.
        delimiter: character between the fields of a table, or a word of `DELIMITER_WORDS`; `NO_DELIMITER` = each line
            is a text; empty = guessed.
        columns: columns that the caller needs; a first line with these names is a header.
        needs_known_header: True refuses a first line with unknown names, which may be a row that would be lost.

    Raises:
        DataError: the encoding is unknown, or the delimiter is neither a character nor such a word.
    """

    encoding: str = ""
    header: bool | None = None
    delimiter: str = ""
    columns: tuple[str, ...] = ()
    needs_known_header: bool = False

    def __post_init__(self) -> None:
        """Check the values before a file is read."""
        if self.encoding:
            _check_codec(self.encoding)
        if self.delimiter != NO_DELIMITER and len(self.separator) > 1:
            raise DataError(
                f"data.delimiter is {self.delimiter!r}, which is no single character.",
                hint=f"Give one character, or a word: {', '.join(DELIMITER_WORDS)}, {NO_DELIMITER}.",
            )

    @property
    def separator(self) -> str:
        """The character between fields; empty if it is guessed or there is none."""
        return "" if self.delimiter == NO_DELIMITER else DELIMITER_WORDS.get(self.delimiter, self.delimiter)


#: Nothing is stated about the form of a file, so that everything is guessed.
GUESSED = Reading()


def _check_codec(name: str) -> None:
    try:
        "".encode(name)  # refuses codecs of other things than text
    except LookupError as error:
        raise DataError(
            f"data.encoding: no encoding is called {name!r}.{nearest(name, _USUAL_ENCODINGS)}",
            hint=f"For example: {', '.join(_USUAL_ENCODINGS)}.",
        ) from error


@dataclass(frozen=True)
class File:
    """A file to read; its text can be opened several times.

    Args:
        name: name for messages; the name of a table in an archive follows that of the archive.
        suffix: suffix that names the format, in lower case.
        open_bytes: opens the contents from the beginning.
        reading: the form, as far as the user states it.
        path: the file on disk; None for the contents of a compressed file.
        findings: what was guessed and should be checked by the user; readers add to it by `warn`.
    """

    name: str
    suffix: str
    open_bytes: Callable[[], BinaryIO]
    reading: Reading = GUESSED
    path: Path | None = None
    findings: list[Finding] = field(default_factory=list)

    @cached_property
    def encoding(self) -> TextEncoding:
        """The encoding of the text, given or found; a guess is reported."""
        if self.reading.encoding:
            return check_encoding(self.open_bytes, self.name, self.reading.encoding)
        found = find_encoding(self.open_bytes, self.name)
        if found.problem:
            self.warn("encoding", f"{found.problem}; data.encoding or --encoding sets another")
        return found

    @contextmanager
    def open_text(self, newline: str | None = "") -> Iterator[TextIO]:
        r"""Open the text from its beginning.

        Args:
            newline: as in `open`; None = all line breaks are ``\n``.

        Yields:
            The text.
        """
        encoding = self.encoding
        codec = "utf-8-sig" if encoding.codec == "utf-8" else encoding.codec
        with TextIOWrapper(self.open_bytes(), encoding=codec, errors=encoding.errors, newline=newline) as text:
            yield text

    @contextmanager
    def on_disk(self) -> Iterator[Path]:
        """Give the file a path, for formats that are not read from their beginning to their end.

        Yields:
            The path; the contents of a compressed file are in a temporary file until the end.
        """
        if self.path is not None:
            yield self.path
            return
        with TemporaryDirectory(prefix="slugline-") as folder:
            extracted = Path(folder, f"table{self.suffix}")
            with self.open_bytes() as source, extracted.open("wb") as target:
                shutil.copyfileobj(source, target)
            yield extracted

    def say(self, message: str) -> None:
        """Log how the file is read, if that is a guess."""
        logger.info("%s: %s", self.name, message)

    def warn(self, kind: str, message: str) -> None:
        """Log a guess that the user should check, and keep it as a finding."""
        logger.warning("%s: %s", self.name, message)
        self.findings.append(Finding(kind, 1, f"{self.name}: {message}", (self.name,), is_warning=True))


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
