"""Files and folders that are complete or do not exist: written under a temporary name, flushed, then renamed.

After a crash only files with temporary names remain, and no code reads those.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs

from slugline.core.errors import RunError

#: Error numbers of paths that are not writable.
UNWRITABLE = (
    *(errno.EACCES, errno.EROFS, errno.EPERM, errno.EIO),
    *(errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOENT, errno.ENAMETOOLONG),
)


def cache_dir() -> Path:
    """Return the folder of cached results: ``SLUGLINE_CACHE``, or the user's cache folder."""
    return Path(os.environ.get("SLUGLINE_CACHE") or platformdirs.user_cache_dir("slugline"))


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Replace a file by a temporary one when the block ends without an error; create its folder if necessary.

    Args:
        path: path of the file to write.

    Yields:
        Path of the temporary file. It contains the process id, so that two processes can write the same file.

    Raises:
        RunError: the disk is full or not writable.
    """
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
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

    Args:
        path: path of the folder to write.

    Yields:
        Path of the temporary folder, which is empty.

    Raises:
        RunError: the disk is full or not writable.
    """
    temporary = path.with_name(f".{path.name}.partial")
    with disk_errors(path):
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        yield temporary
        shutil.rmtree(path, ignore_errors=True)
        temporary.rename(path)


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Raise a `RunError` if the disk under ``path`` is full or not writable, whichever library reports that.

    Args:
        path: the file or folder that is written; named in the message.

    Raises:
        RunError: the disk is full, or the path is not writable.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _full(path) from error
        if error.errno in UNWRITABLE:
            raise RunError(
                f"{path} is not writable ({error.strerror}).", hint="Choose a folder that you may write to."
            ) from error
        raise
    except Exception as error:
        # safetensors and torch raise their own errors, not OSError.
        if "No space left" in str(error) or "failed writing file" in str(error):
            raise _full(path) from error
        raise


def _full(path: Path) -> RunError:
    return RunError(
        f"{path}: the disk is full.", hint="Free some space, then use --resume: files written so far are intact."
    )


def bytes_in(folder: Path) -> int:
    """Return the size of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
