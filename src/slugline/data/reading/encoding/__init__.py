"""The encoding of a text file: certain for Unicode, else a guess that the caller reports.

```text
find.py         find_encoding of a file, decode of a small text
code_pages.py   guesses the code page of bytes that are not Unicode, by the letters of languages
stray_bytes.py  reads single bytes of another encoding in a UTF-8 file
```
"""

from slugline.data.reading.encoding.find import (
    UNICODE,
    TextEncoding,
    check_encoding,
    decode,
    detect_shared,
    find_encoding,
)

__all__ = ["UNICODE", "TextEncoding", "check_encoding", "decode", "detect_shared", "find_encoding"]
