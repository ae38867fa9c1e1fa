"""The encoding of a text file. The returned encoding decodes every byte: none is ignored or replaced.

UTF-8 and UTF-16/32 with a byte order mark are recognised with certainty. Other encodings are guessed from the lines
with non-ASCII bytes, because ASCII lines look the same in all of them; the caller reports the guess.
"""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from slugline.core.errors import DataError

#: Encodings that are read without a warning.
UNICODE = frozenset({"utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-le", "utf-16-be"})

CHUNK_BYTES = 1 << 20
SAMPLE_BYTES = 1 << 16

#: The detector is unreliable with fewer non-ASCII bytes: it took a single pound sign for Japanese.
MIN_NON_ASCII_BYTES = 16

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark is a prefix of this one
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SYMBOL_IN_WORD = re.compile(r"[^\W\d_][\u0080-\u00bf\u0192\u02c6\u02dc\u2020-\u2022\u2030\u20ac\u2122][^\W\d_]")


def find_encoding(path: Path) -> str:
    """Find the encoding of a text file in constant memory.

    Args:
        path: an existing file.

    Returns:
        A codec that decodes the whole file strictly: one of `UNICODE`, or a guess such as ``"cp1252"``.

    Raises:
        DataError: the file is not text.
    """
    with path.open("rb") as file:
        head = file.read(4096)
    for mark, encoding in _BYTE_ORDER_MARKS:
        if head.startswith(mark):
            return _checked(path, encoding)
    if b"\0" in head:
        return _checked(path, _unmarked_utf16(path, head))
    if _decodes(path, "utf-8"):
        return "utf-8"
    sample = _non_ascii_lines(path)
    guesses = (detect(sample), "cp1252", "latin-1")
    return next(encoding for encoding in guesses if _decodes(path, encoding))


def decode(data: bytes) -> tuple[str, str]:
    """Decode a small text.

    Args:
        data: all bytes of the text.

    Returns:
        The text and its encoding.
    """
    marked = next((encoding for mark, encoding in _BYTE_ORDER_MARKS if data.startswith(mark)), "utf-8")
    for encoding in (marked, detect(data[:SAMPLE_BYTES]) if not data.isascii() else "utf-8", "cp1252"):
        try:
            return data.decode(encoding), encoding
        except UnicodeDecodeError:
            continue
    return data.decode("latin-1"), "latin-1"  # decodes every byte


def detect(sample: bytes) -> str:
    """Guess the 8-bit or multi-byte encoding of a sample that is not UTF-8.

    Args:
        sample: bytes, some of them non-ASCII.

    Returns:
        A codec name; ``"cp1252"`` unless there is evidence for another one.
    """
    from charset_normalizer import from_bytes

    as_cp1252 = _plausible_cp1252(sample)
    n_non_ascii = sum(byte > 127 for byte in sample)
    if as_cp1252 is not None and n_non_ascii < MIN_NON_ASCII_BYTES:
        return "cp1252"
    best = from_bytes(sample).best()
    if best is None or str(best) == as_cp1252:
        return "cp1252"
    return best.encoding


def _plausible_cp1252(sample: bytes) -> str | None:
    """The sample decoded as Windows-1252; None if that yields mostly accented letters, or symbols inside words."""
    try:
        text = sample.decode("cp1252")
    except UnicodeDecodeError:
        return None
    n_letters = sum(character.isalpha() for character in text)
    n_accented = sum(character > "\x7f" and character.isalpha() for character in text)
    n_symbols = len(_SYMBOL_IN_WORD.findall(text))
    return text if 4 * n_accented <= n_letters and 20 * n_symbols <= n_accented + n_symbols else None


def _non_ascii_lines(path: Path) -> bytes:
    """The first lines that hold non-ASCII bytes, up to `SAMPLE_BYTES`."""
    sample = b""
    with path.open("rb") as file:
        while len(sample) < SAMPLE_BYTES and (line := file.readline(CHUNK_BYTES)):
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


def _unmarked_utf16(path: Path, head: bytes) -> str:
    """UTF-16 without a mark, whose zero bytes are all at even or all at odd positions; refuse other files."""
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if max(even, odd) * 4 < len(head) // 2 or min(even, odd):
        raise DataError(
            f"{path}: not a text file (it holds zero bytes).",
            hint="Give a .csv, .tsv, .jsonl, .json, .txt or .parquet file whose suffix fits its format.",
        )
    return "utf-16-le" if odd else "utf-16-be"


def _checked(path: Path, encoding: str) -> str:
    if not _decodes(path, encoding):
        raise DataError(
            f"{path}: begins like {encoding}, but cannot be decoded as {encoding} to the end.",
            hint="The file is damaged or mixes encodings: save it as UTF-8.",
        )
    return encoding


def _decodes(path: Path, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True
