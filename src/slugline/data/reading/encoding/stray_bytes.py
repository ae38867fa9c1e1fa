"""Single bytes of another encoding in a UTF-8 file: a line that was pasted from elsewhere, or a file that was cut.

Python's codec calls `_read_stray_bytes` for the bytes that are not UTF-8, and only for these.
"""

from __future__ import annotations

import codecs
import re
from io import TextIOWrapper
from typing import BinaryIO

#: Name of the error handler, for ``open(..., errors=AS_CP1252)``.
AS_CP1252 = "slugline-stray-bytes"

#: Bytes that are not UTF-8, as Python's handler ``surrogateescape`` reads them; and all other non-ASCII characters.
ESCAPED = re.compile("[\udc80-\udcff]")
_OTHERS = re.compile("[^\x00-\x7f\udc80-\udcff]")


def _read_stray_bytes(error: UnicodeError) -> tuple[str, int]:
    """Read the bytes that the error is about as Windows-1252; a character that the end of the file cuts is U+FFFD."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    if error.reason == "unexpected end of data":
        return "\ufffd", error.end
    return as_cp1252(error.object[error.start : error.end]), error.end


def as_cp1252(data: bytes) -> str:
    """Decode any bytes as Windows-1252; its five undefined bytes are the control characters of Latin-1."""
    try:
        return data.decode("cp1252")
    except UnicodeDecodeError:
        return "".join(bytes([byte]).decode("cp1252", "ignore") or chr(byte) for byte in data)


codecs.register_error(AS_CP1252, _read_stray_bytes)


def stray_lines(stream: BinaryIO) -> tuple[list[int], bool]:
    """Find the lines of a file that are not UTF-8.

    Args:
        stream: the bytes of the file.

    Returns:
        Numbers of the lines that are not UTF-8, from 1; and whether the file is UTF-8 nevertheless, because it has
        more characters of UTF-8 than other bytes: texts in other encodings hold hardly any.
    """
    lines, n_stray, n_others = [], 0, 0
    with TextIOWrapper(stream, encoding="utf-8", errors="surrogateescape", newline="\n") as text:
        for number, line in enumerate(text, start=1):
            if not line.isascii():
                n_in_line = len(ESCAPED.findall(line))
                n_stray += n_in_line
                n_others += len(_OTHERS.findall(line))
                lines += [number] if n_in_line else []
    return lines, n_others > n_stray


def is_mostly_utf8(data: bytes) -> bool:
    """True for a small text that is not UTF-8, but has more characters of UTF-8 than other bytes."""
    text = data.decode("utf-8", "surrogateescape")
    n_stray = len(ESCAPED.findall(text))
    return 0 < n_stray < len(_OTHERS.findall(text))
