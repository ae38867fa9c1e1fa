"""Files and folders that are complete or do not exist: written under a temporary name, flushed, then renamed.

After a crash only files with temporary names remain, and no code reads those.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import platformdirs

from slugline.core.errors import RunError

#: Part of the names of temporary files and folders.
PARTIAL = ".partial"

#: Error numbers of limits on what may be written -> message. EFBIG: ``ulimit -f``, or the file system.
LIMITS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "your disk quota is exhausted",
    errno.EFBIG: "the file is larger than the limit for files (ulimit -f)",
}

#: Error number in the messages of safetensors and other libraries in Rust.
RUST_ERROR = re.compile(r"\(os error (\d+)\)")

#: Parts of the messages of torch, which names no number.
TORCH_MESSAGES = ("failed writing file", "unexpected pos")

#: Error numbers of paths that are not writable.
UNWRITABLE = (
    *(errno.EACCES, errno.EROFS, errno.EPERM, errno.EIO),
    *(errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOENT, errno.ENAMETOOLONG),
)


def cache_dir() -> Path:
    """Return the folder of cached results: ``SLUGLINE_CACHE``, or the user's cache folder."""
    return Path(os.environ.get("SLUGLINE_CACHE") or platformdirs.user_cache_dir("slugline"))


def temporary_path(path: Path) -> Path:
    """Return a new path beside a file or folder, from which or to which it is renamed.

    Args:
        path: path of a file or folder.

    Returns:
        A hidden path with the same suffix that no other thread, process or machine uses.
    """
    # Shortened, because the name of the file or folder may be as long as the disk allows.
    return path.with_name(f".{path.stem[:40]}.{uuid4().hex[:12]}{PARTIAL}{path.suffix}")


def is_temporary(path: Path) -> bool:
    """True for a path of `temporary_path`, also of earlier versions, which a killed process may have left."""
    return path.name.startswith(".") and PARTIAL in path.name


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Replace a file by a temporary one when the block ends without an error; create its folder if necessary.

    Several threads, processes and machines can replace one file at the same time: the last one wins.

    Args:
        path: path of the file to write.

    Yields:
        Path of the temporary file, which no one else uses.

    Raises:
        RunError: the disk is full or not writable.
    """
    temporary = temporary_path(path)
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Replace a folder by a temporary one when the block ends without an error.

    Several threads, processes and machines can replace one folder at the same time: the last one wins, and the folder
    has its files only.

    Args:
        path: path of the folder to write.

    Yields:
        Path of the temporary folder, which is empty.

    Raises:
        RunError: the disk is full or not writable.
    """
    temporary = temporary_path(path)
    with disk_errors(path):
        temporary.mkdir(parents=True)
        try:
            yield temporary
            _replace_folder(temporary, path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _replace_folder(new: Path, path: Path) -> None:
    """Rename a folder; one that has the name, also one that another process has just renamed, is deleted."""
    while True:
        try:
            new.rename(path)
            return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) or path.is_file():
                raise
        former = temporary_path(path)
        with suppress(FileNotFoundError):  # another process has renamed it
            path.rename(former)
        shutil.rmtree(former, ignore_errors=True)


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Raise a `RunError` if the path cannot be written, whichever library reports that.

    The disk may be full, a quota or a limit for files may be reached, or the path may not be writable.

    Args:
        path: the file or folder that is written; named in the message.

    Raises:
        RunError: the disk is full, or the path is not writable.
    """
    try:
        yield
    except Exception as error:
        limit = _limit_reached(error)
        if limit:
            raise RunError(
                f"{path}: {limit}.",
                hint="Free some space or raise the limit, then use --resume: files written so far are intact.",
            ) from error
        number = _error_number(error)
        if number in UNWRITABLE:
            raise RunError(
                f"{path} is not writable ({os.strerror(number)}).", hint="Choose a folder that you may write to."
            ) from error
        raise


def _limit_reached(error: Exception) -> str:
    """The limit that an error is about; empty for other errors."""
    number = _error_number(error)
    if number in LIMITS:
        return LIMITS[number]
    is_of_torch = isinstance(error, RuntimeError) and any(part in str(error) for part in TORCH_MESSAGES)
    return "the disk is full, or a quota or limit for files is reached" if is_of_torch else ""


def _error_number(error: Exception) -> int:
    """Number of an error of the operating system, as Python and Rust report it; 0 for other errors."""
    if isinstance(error, OSError):
        return error.errno or 0
    found = RUST_ERROR.search(str(error))
    return int(found[1]) if found else 0


def bytes_in(folder: Path) -> int:
    """Return the size of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
