"""In which encoding a text file was written. Nothing is ever ignored or replaced: what is chosen decodes every byte.

UTF-8 and marked UTF-16/32 are recognised for certain. Anything else is detected on the lines that hold bytes beyond
ASCII, because these alone carry evidence, and is for the caller to report.
"""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from slugline.core.errors import DataError

#: Read without a word to the user.
UNICODE = frozenset({"utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-le", "utf-16-be"})

CHUNK_BYTES = 1 << 20
SAMPLE_BYTES = 1 << 16

#: With fewer bytes beyond ASCII than this, a detector guesses: one pound sign came out as Japanese.
ENOUGH_BYTES = 16

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins like UTF-16's mark, hence before it
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SYMBOL_IN_WORD = re.compile(r"[^\W\d_][\u0080-\u00bf\u0192\u02c6\u02dc\u2020-\u2022\u2030\u20ac\u2122][^\W\d_]")


def find_encoding(path: Path) -> str:
    """The encoding of a text file, found without loading it whole.

    Args:
        path: an existing file.

    Returns:
        A codec that decodes the whole file strictly: one of `UNICODE`, or a detected one such as ``"cp1252"``.

    Raises:
        DataError: the file is not text.
    """
    with path.open("rb") as file:
        head = file.read(4096)
    for mark, encoding in _MARKS:
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
    """Decode one small text, as `find_encoding` would.

    Args:
        data: the whole text.

    Returns:
        The text, and the encoding it was read as.
    """
    marked = next((encoding for mark, encoding in _MARKS if data.startswith(mark)), "utf-8")
    for encoding in (marked, detect(data[:SAMPLE_BYTES]) if not data.isascii() else "utf-8", "cp1252"):
        try:
            return data.decode(encoding), encoding
        except UnicodeDecodeError:
            continue
    return data.decode("latin-1"), "latin-1"  # knows every byte


def detect(sample: bytes) -> str:
    """The likeliest 8-bit or multi-byte encoding of a sample that is not UTF-8.

    Args:
        sample: bytes, some of them beyond ASCII.

    Returns:
        A codec name, ``"cp1252"`` where nothing speaks for another.
    """
    from charset_normalizer import from_bytes

    western = _western(sample)
    n_beyond_ascii = sum(byte > 127 for byte in sample)
    if western is not None and n_beyond_ascii < ENOUGH_BYTES:
        return "cp1252"
    best = from_bytes(sample).best()
    if best is None or str(best) == western:
        return "cp1252"
    return best.encoding


def _western(sample: bytes) -> str | None:
    """The sample as Windows-1252, or None where that reads oddly: mostly accents, or symbols inside words."""
    try:
        text = sample.decode("cp1252")
    except UnicodeDecodeError:
        return None
    n_letters = sum(character.isalpha() for character in text)
    n_accented = sum(character > "\x7f" and character.isalpha() for character in text)
    odd = len(_SYMBOL_IN_WORD.findall(text))
    return text if 4 * n_accented <= n_letters and 20 * odd <= n_accented + odd else None


def _non_ascii_lines(path: Path) -> bytes:
    """Lines that hold bytes beyond ASCII, as many as `SAMPLE_BYTES` hold."""
    sample = b""
    with path.open("rb") as file:
        while len(sample) < SAMPLE_BYTES and (line := file.readline(CHUNK_BYTES)):
            if not line.isascii():
                sample += _around_first(line)
    return sample[:SAMPLE_BYTES]


def _around_first(line: bytes) -> bytes:
    """A line, cut around its first byte beyond ASCII where it is longer than the sample may be."""
    if len(line) <= SAMPLE_BYTES:
        return line
    first = next(index for index, byte in enumerate(line) if byte > 127)
    start = max(0, first - SAMPLE_BYTES // 2)
    return line[start : start + SAMPLE_BYTES]


def _unmarked_utf16(path: Path, head: bytes) -> str:
    """Zero bytes on one side of every other byte are UTF-16 without its mark; any other zeros are not text."""
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if max(even, odd) * 4 < len(head) // 2 or min(even, odd):
        raise DataError(
            f"{path}: not a text file (it holds zero bytes).",
            hint="Give a .csv, .tsv, .jsonl, .json, .txt or .parquet file, named after what it is.",
        )
    return "utf-16-le" if odd else "utf-16-be"


def _checked(path: Path, encoding: str) -> str:
    if not _decodes(path, encoding):
        raise DataError(
            f"{path}: begins like {encoding}, but cannot be decoded as that throughout.",
            hint="The file is damaged or was joined from different ones: save it as UTF-8.",
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
