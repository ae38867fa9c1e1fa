"""Read a path: a file, a glob, a folder, or a URL."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from pathlib import Path

from slugline.core.errors import DataError
from slugline.core.labels import Split
from slugline.data.reading.formats import GUESSED, Reading, bare_name, path_hint
from slugline.data.reading.places.files import read_files
from slugline.data.reading.places.folders import read_folder
from slugline.data.reading.places.remote import fetch, read_url
from slugline.data.reading.raw_data import RawData, SourceInfo
from slugline.recipe.locations import is_url, short_path


def read_path(path: str, reading: Reading = GUESSED) -> RawData:
    """Read the files of ``data.path``.

    Args:
        path: a URL, a file, a glob, a folder of class folders, or a folder with train/validation/test files or folders.
        reading: encoding, header and delimiter, as far as the user states them.

    Returns:
        The rows, in the splits of the folder. All rows of a file or a glob are in train.

    Raises:
        DataError: the path does not exist, or holds no rows that can be read.
        MissingExtra: the package for this kind of URL is not installed.
    """
    if is_url(path):
        return read_url(path, reading)
    try:
        return _read(path, reading)
    except OSError as error:
        where = error.filename or path
        raise DataError(
            f"{where}: cannot be read ({error.strerror or error}).", hint="Check the file and its permissions."
        ) from error


def read_split_file(path: str, split: Split, source: SourceInfo, reading: Reading = GUESSED) -> RawData:
    """Read the file with the rows of one split.

    Args:
        path: a file or a URL.
        split: name of the split.
        source: source of the other rows.
        reading: encoding, header and delimiter, as far as the user states them.

    Returns:
        The rows, in this split.

    Raises:
        DataError: the file cannot be read.
        MissingExtra: the package for this kind of URL is not installed.
    """
    file = fetch(path)[0] if is_url(path) else Path(short_path(path))
    return read_files({split: [file]}, source, reading)


def _read(path: str, reading: Reading) -> RawData:
    folder = Path(path)
    if folder.is_dir():
        return read_folder(folder, reading)
    if glob.has_magic(path) and not folder.exists():
        return read_files({"train": _matches(path)}, SourceInfo(Path(path).name), reading)
    _check_link(folder)
    return read_files({"train": [folder]}, SourceInfo(bare_name(folder)), reading)


def _check_link(file: Path) -> None:
    if file.is_symlink() and not file.exists():
        raise DataError(
            f"{file}: a link that leads to itself or to a missing file ({file.readlink()}).",
            hint="Name the file itself in data.path, or remove the link.",
        )


def _matches(pattern: str) -> list[Path]:
    """The files of a glob, each once: links may lead to the same file, or to a folder above them."""
    matches = list(_glob(Path(pattern)))
    # The file itself comes before links to it.
    files = sorted((match for match in matches if not match.is_dir()), key=lambda file: (len(file.parts), str(file)))
    for file in files:
        _check_link(file)
    distinct = {os.path.realpath(file): file for file in reversed(files)}
    if not distinct:
        what = "matches only folders" if matches else "no file matches"
        problem = f"{pattern!r} {what}" if matches else f"{what} {pattern!r}"
        hint = f"Give the files in them: {pattern}/*" if matches else path_hint(Path(pattern))
        raise DataError(f"data.path: {problem}.", hint=hint)
    return sorted(distinct.values())


def _glob(pattern: Path) -> Iterator[Path]:
    """Paths that match; hidden ones only if the pattern names them.

    ``**`` does not follow links to folders, unlike that of `glob`, which reads the files of such loops many times.
    """
    first = next(index for index, part in enumerate(pattern.parts) if glob.has_magic(part))
    base = Path(*pattern.parts[:first])
    parts = [part if part == "**" else part.replace("**", "*") for part in pattern.parts[first:]]
    if parts[-1] == "**":
        parts.append("*")
    can_be_hidden = any(part.startswith(".") for part in parts)
    for path in base.glob(str(Path(*parts))):
        if can_be_hidden or not any(part.startswith(".") for part in path.relative_to(base).parts):
            yield path
