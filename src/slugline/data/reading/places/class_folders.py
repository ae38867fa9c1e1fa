"""Read class folders: ``folder/<class>/<file>``, each file with one text."""

from __future__ import annotations

import codecs
import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from slugline.core.errors import DataError
from slugline.data.findings import Finding
from slugline.data.reading.encoding import UNICODE, decode, detect_shared
from slugline.data.tables.rows import Row, Rows

logger = logging.getLogger(__name__)

MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

#: Files without a suffix that are about a folder, in lower case.
NOTICES = ("readme", "license", "licence", "copying", "changelog", "makefile")


def read_class_folder(folder: Path, *, name: str = "", encoding: str = "") -> tuple[Rows, list[Finding]]:
    """Read ``folder/<class>/*.txt``; the suffix may be in upper case, or missing from all files.

    Args:
        folder: folder that holds one folder per class.
        name: name of the data in messages; empty = the folder's path.
        encoding: encoding of the files that are not Unicode; empty = guessed from all of them together.

    Returns:
        Rows with ``text`` and ``label``, sorted by class and file name, and at most one finding about encodings.

    Raises:
        DataError: a file is not text.
    """
    detected: dict[str, str] = {}
    files = class_files(folder)
    shared = encoding or detect_shared(_bytes_of(file) for file in files)

    def read() -> Iterator[Row]:
        for file in files:
            text, found = decode(_bytes_of(file), shared)
            yield {"text": text, "label": file.parent.name}
            if found not in UNICODE and found != encoding:
                detected[file.relative_to(folder).as_posix()] = found

    rows = Rows.write(read())
    if not detected:
        return rows, []
    encodings = ", ".join(f"{found} ({count:,})" for found, count in Counter(detected.values()).most_common())
    message = (
        f"{name or folder}: files that are not UTF-8: {{count}} of {len(rows):,}, read as {encodings}; data.encoding "
        "sets another"
    )
    finding = Finding.of("encoding", list(detected), message, is_warning=True)
    logger.warning("%s (%s)", finding.message, ", ".join(finding.examples))
    return rows, [finding]


def class_files(folder: Path) -> list[Path]:
    """Return the sorted paths of ``folder/<class>/*.txt``, or of files without a suffix if there are no such files.

    Args:
        folder: folder that may hold class folders.

    Returns:
        The files; hidden ones, and links to the folder itself or to one above it, are skipped.
    """
    above = {path.resolve() for path in (folder, *folder.absolute().parents)}
    # Macs write a hidden file ._0.txt with attributes beside 0.txt.
    folders = [entry for entry in folder.iterdir() if not entry.name.startswith((".", "__")) and entry.is_dir()]
    own = [entry for entry in folders if not (entry.is_symlink() and entry.resolve() in above)]
    files = [file for entry in own for file in entry.iterdir() if not file.name.startswith(".") and file.is_file()]
    texts = [file for file in files if file.suffix.lower() == ".txt"]
    # The posts of 20 Newsgroups are called 51060.
    bare = [file for file in files if not file.suffix and file.name.lower() not in NOTICES]
    return sorted(texts or bare)


def _bytes_of(file: Path) -> bytes:
    data = file.read_bytes()
    if b"\0" in data and not data.startswith(MARKS):
        raise DataError(f"{file}: not a text file (it holds zero bytes).", hint="Remove the file from the folder.")
    return data
