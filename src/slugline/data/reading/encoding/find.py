"""The encoding of a text file. The returned encoding decodes every byte: none is ignored or replaced.

UTF-8 and UTF-16/32 with a byte order mark are recognised with certainty. Other encodings are guessed from the lines
with non-ASCII bytes, because ASCII lines look the same in all of them; the caller reports the guess.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterable
from io import TextIOWrapper
from typing import BinaryIO, NamedTuple

from slugline.core.errors import DataError
from slugline.data.reading.encoding.code_pages import guess_code_page
from slugline.data.reading.encoding.stray_bytes import AS_CP1252, ESCAPED, as_cp1252, is_mostly_utf8, stray_lines

#: Encodings that are read without a warning.
UNICODE = frozenset({"utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-le", "utf-16-be"})

CHUNK_BYTES = 1 << 20
SAMPLE_BYTES = 1 << 16

#: Lines with bytes of another encoding that a message lists.
MAX_LISTED_LINES = 5

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark is a prefix of this one
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

OpenBytes = Callable[[], BinaryIO]


class TextEncoding(NamedTuple):
    """The encoding of a file.

    Args:
        codec: codec that decodes the file: one of `UNICODE`, or a guess such as ``"cp1252"``.
        stray_lines: numbers of the lines of a UTF-8 file that hold bytes of another encoding.
    """

    codec: str
    stray_lines: tuple[int, ...] = ()

    @property
    def errors(self) -> str:
        """The error handler to open the file with."""
        return AS_CP1252 if self.stray_lines else "strict"

    @property
    def problem(self) -> str:
        """The remark about the encoding that a user has to know; empty for Unicode without stray bytes."""
        if self.stray_lines:
            listed = ", ".join(map(str, self.stray_lines[:MAX_LISTED_LINES]))
            more = len(self.stray_lines) - MAX_LISTED_LINES
            lines = f"line{'s' if len(self.stray_lines) > 1 else ''} {listed}"
            lines += f" and {more:,} more" if more > 0 else ""
            return f"read as UTF-8, but {lines} hold bytes that are not UTF-8; these are read as cp1252"
        return "" if self.codec in UNICODE else f"read as {self.codec} (it is not UTF-8)"


def find_encoding(open_bytes: OpenBytes, name: str) -> TextEncoding:
    """Find the encoding of a text file in constant memory.

    Args:
        open_bytes: opens the file from its beginning.
        name: name of the file, for messages.

    Returns:
        An encoding that decodes the whole file.

    Raises:
        DataError: the file is not text.
    """
    with open_bytes() as stream:
        head = stream.read(4096)
    for mark, codec in _BYTE_ORDER_MARKS:
        if head.startswith(mark):
            return _of_mark(open_bytes, name, codec)
    if b"\0" in head:
        return _of_mark(open_bytes, name, _unmarked_utf16(name, head))
    if _decodes(open_bytes, "utf-8"):
        return TextEncoding("utf-8")
    with open_bytes() as stream:
        stray, is_utf8 = stray_lines(stream)
    if is_utf8:
        return TextEncoding("utf-8", tuple(stray))
    with open_bytes() as stream:
        sample = _non_ascii_lines(stream)
    guesses = (guess_code_page(sample), "cp1252", "latin-1")
    return TextEncoding(next(codec for codec in guesses if _decodes(open_bytes, codec)))


def check_encoding(open_bytes: OpenBytes, name: str, codec: str) -> TextEncoding:
    """Check that a file is in the encoding that the user gave.

    Args:
        open_bytes: opens the file from its beginning.
        name: name of the file, for messages.
        codec: name of the codec.

    Returns:
        The encoding; that of UTF-8 skips a byte order mark.

    Raises:
        DataError: the file cannot be decoded; the message names the line.
    """
    if _decodes(open_bytes, codec):
        return TextEncoding("utf-8-sig" if codecs.lookup(codec).name == "utf-8" else codec)
    raise DataError(
        f"{name}{_first_undecodable(open_bytes, codec)}: holds bytes that are not {codec}.",
        hint="Set another data.encoding (--encoding), or leave it out: it is guessed then.",
    )


def decode(data: bytes, codec: str = "") -> tuple[str, str]:
    """Decode a small text.

    Args:
        data: all bytes of the text.
        codec: the code page if the text is not Unicode; empty = guessed.

    Returns:
        The text and its encoding.
    """
    marked = next((name for mark, name in _BYTE_ORDER_MARKS if data.startswith(mark)), "utf-8")
    if is_mostly_utf8(data):
        return data.decode("utf-8", AS_CP1252), "utf-8 with other bytes"
    guesses = (marked, codec or (guess_code_page(data[:SAMPLE_BYTES]) if not data.isascii() else "utf-8"))
    for name in guesses:
        try:
            return data.decode(name), name
        except UnicodeDecodeError:
            continue
    return as_cp1252(data), "cp1252"  # decodes every byte


def detect_shared(texts: Iterable[bytes]) -> str:
    """Guess the one code page of many small texts, some of which are too small for a guess of their own.

    Args:
        texts: bytes of the texts.

    Returns:
        A codec name for those that are not UTF-8.
    """
    sample = b""
    for data in texts:
        if len(sample) >= SAMPLE_BYTES:
            break
        if not data.isascii() and not _is_unicode(data):
            sample += data[:SAMPLE_BYTES] + b"\n"
    return guess_code_page(sample[:SAMPLE_BYTES]) if sample else "utf-8"


def _is_unicode(data: bytes) -> bool:
    try:
        data.decode(next((name for mark, name in _BYTE_ORDER_MARKS if data.startswith(mark)), "utf-8"))
    except UnicodeDecodeError:
        return False
    return True


def _non_ascii_lines(stream: BinaryIO) -> bytes:
    """The first lines that hold non-ASCII bytes, up to `SAMPLE_BYTES`."""
    sample = b""
    while len(sample) < SAMPLE_BYTES and (line := stream.readline(CHUNK_BYTES)):
        if not line.isascii():
            sample += _around_first(line)
    return sample[:SAMPLE_BYTES]


def _around_first(line: bytes) -> bytes:
    """The line, cut to `SAMPLE_BYTES` around its first non-ASCII byte."""
    if len(line) <= SAMPLE_BYTES:
        return line
    first = next(index for index, byte in enumerate(line) if byte > 127)
    start = max(0, first - SAMPLE_BYTES // 2)
    return line[start : start + SAMPLE_BYTES]


def _unmarked_utf16(name: str, head: bytes) -> str:
    """UTF-16 without a mark, whose zero bytes are all at even or all at odd positions; refuse other files."""
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if max(even, odd) * 4 < len(head) // 2 or min(even, odd):
        line = head[: head.index(0)].count(b"\n") + 1
        raise DataError(
            f"{name}: not a text file (it holds zero bytes, the first one in line {line}).",
            hint="Give a file whose suffix fits its format, such as .csv, .jsonl, .txt, .parquet or .xlsx; if it is "
            "a text file, remove these bytes.",
        )
    return "utf-16-le" if odd else "utf-16-be"


def _of_mark(open_bytes: OpenBytes, name: str, codec: str) -> TextEncoding:
    """The encoding that a file begins with; it has to decode the file to the end, or as UTF-8 but for a few lines."""
    if _decodes(open_bytes, codec):
        return TextEncoding(codec)
    if codec == "utf-8-sig":
        with open_bytes() as stream:
            return TextEncoding(codec, tuple(stray_lines(stream)[0]))
    raise DataError(
        f"{name}: begins like {codec}, but cannot be decoded as {codec} to the end.",
        hint="The file is damaged or mixes encodings: save it as UTF-8.",
    )


def _decodes(open_bytes: OpenBytes, codec: str) -> bool:
    decoder = codecs.getincrementaldecoder(codec)()
    try:
        with open_bytes() as stream:
            while chunk := stream.read(CHUNK_BYTES):
                decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeError:
        return False
    return True


def _first_undecodable(open_bytes: OpenBytes, codec: str) -> str:
    """``, line 7`` for the first line that a codec cannot decode; empty if it is not known."""
    try:
        with TextIOWrapper(open_bytes(), encoding=codec, errors="surrogateescape", newline="\n") as text:
            number = next((number for number, line in enumerate(text, start=1) if ESCAPED.search(line)), 0)
    except UnicodeError:  # UTF-16 has no single bytes that could be skipped
        number = 0
    return f", line {number}" if number else ""
