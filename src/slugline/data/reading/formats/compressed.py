"""Compressed files: gzip, Zstandard, bzip2, xz, and zip archives with one table. They are read as a stream.

A small file can decompress to more than a disk holds. Such files are refused by ratio and size while they are read.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, cast

from slugline.core.errors import DataError
from slugline.data.reading.formats.files import File

#: Size up to which every ratio is accepted, and the largest ratio of larger contents to the compressed file. Texts
#: have ratios of 3 to 20, tables with many repeated rows up to 100.
MAX_FREE_BYTES = 256 << 20
MAX_RATIO = 200

#: Names of files in archives that are no data: attributes that Macs store, hidden files.
_HIDDEN = (".", "__MACOSX/")


class _Limited(io.RawIOBase):
    """A decompressed stream that refuses more bytes than `limit`, and names the file in its errors."""

    def __init__(self, stream: BinaryIO, name: str, limit: int) -> None:
        self.stream, self.name, self.limit, self.count = stream, name, limit, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data = self.stream.read(len(buffer))
        except (OSError, EOFError, lzma.LZMAError, zipfile.BadZipFile, ValueError, RuntimeError) as error:
            raise DataError(
                f"{self.name}: cannot be decompressed ({error or type(error).__name__}).",
                hint="Download or write it again, or give the extracted file.",
            ) from error
        self.count += len(data)
        if self.count > self.limit:
            raise DataError(
                f"{self.name}: the compressed file holds more than {self.limit >> 20:,} MB, over {MAX_RATIO} times "
                "its own size.",
                hint="If you trust it, extract it and give the extracted file.",
            )
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self.stream.close()
        super().close()


def limit_of(compressed_bytes: int) -> int:
    """Return the number of bytes that a compressed file may hold."""
    return max(MAX_FREE_BYTES, MAX_RATIO * compressed_bytes)


def contents(file: File, known: Collection[str]) -> File:
    """Return the contents of a compressed file as a file of their own.

    Args:
        file: a file with a suffix of `COMPRESSIONS`.
        known: suffixes of the formats.

    Returns:
        The contents, with the suffix of their format; ``.txt`` if they have none.

    Raises:
        DataError: an archive does not hold exactly one table, or the file is damaged.
    """
    if file.path is None:
        raise DataError(f"{file.name}: a compressed file inside another one cannot be read.", hint="Extract it first.")
    return COMPRESSIONS[file.suffix](replace(file, path=None), file.path, known)


def _of_stream(file: File, path: Path, known: Collection[str], *, decompress: Callable[[Path], Any]) -> File:
    """The one file that gzip and others hold; its name is that of the compressed file without the last suffix."""
    suffix = Path(path.stem).suffix.lower() if path.suffix else ""
    if suffix == ".tar":
        raise DataError(f"{file.name}: archives of this kind cannot be read.", hint="Extract the table first.")

    def open_bytes() -> BinaryIO:
        return _limited(decompress(path), file.name, path)

    return replace(file, suffix=suffix or ".txt", open_bytes=open_bytes)


def _limited(stream: Any, name: str, path: Path) -> BinaryIO:
    limited = _Limited(stream, name, limit_of(path.stat().st_size))
    return cast("BinaryIO", io.BufferedReader(limited, 1 << 16))


def _zstd(path: Path) -> Any:
    import pyarrow as pa

    return pa.CompressedInputStream(pa.OSFile(str(path)), "zstd")


def _of_archive(file: File, path: Path, known: Collection[str]) -> File:
    """The one table of a zip archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [info.filename for info in archive.infolist() if not info.is_dir() and not _is_hidden(info)]
    except (zipfile.BadZipFile, OSError) as error:
        raise DataError(f"{file.name}: not a valid zip archive ({error}).", hint="Download it again.") from error
    tables = [name for name in names if Path(name).suffix.lower() in known]
    tables = tables or [name for name in names if not Path(name).suffix]
    if len(tables) != 1:
        listed = ", ".join((tables or names)[:5])
        found = f"{len(tables)} tables: {listed}" if tables else f"no table ({listed or 'no file at all'})"
        raise DataError(f"{file.name}: the archive holds {found}.", hint="Extract it, and give the file or the folder.")

    def open_bytes() -> BinaryIO:
        try:
            stream = zipfile.ZipFile(path).open(tables[0])  # noqa: SIM115  # the reader closes it
        except (RuntimeError, NotImplementedError, zipfile.BadZipFile) as error:
            raise DataError(f"{file.name}: cannot be decompressed ({error}).", hint="Extract it first.") from error
        return _limited(stream, file.name, path)

    suffix = Path(tables[0]).suffix.lower() or ".txt"
    return replace(file, name=f"{file.name}: {tables[0]}", suffix=suffix, open_bytes=open_bytes)


def _is_hidden(info: zipfile.ZipInfo) -> bool:
    return info.filename.startswith(_HIDDEN) or Path(info.filename).name.startswith(".")


Decompressor = Callable[[File, Path, Collection[str]], File]

#: Suffix to the function that returns the contents.
COMPRESSIONS: dict[str, Decompressor] = {
    ".gz": partial(_of_stream, decompress=gzip.open),
    ".zst": partial(_of_stream, decompress=_zstd),
    ".bz2": partial(_of_stream, decompress=bz2.open),
    ".xz": partial(_of_stream, decompress=lzma.open),
    ".zip": _of_archive,
}
