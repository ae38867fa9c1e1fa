"""Files that come into being in one piece: written under a temporary name, flushed, renamed.

What exists under its own name is whole; what a crash leaves behind bears a name that nobody reads.
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

#: What the system says of places where nothing can be written.
UNWRITABLE = (
    *(errno.EACCES, errno.EROFS, errno.EPERM, errno.EIO),
    *(errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOENT, errno.ENAMETOOLONG),
)


def cache_dir() -> Path:
    """Where results that can be made again are kept: ``SLUGLINE_CACHE``, or the user's cache folder."""
    return Path(os.environ.get("SLUGLINE_CACHE") or platformdirs.user_cache_dir("slugline"))


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path that takes the place of ``path`` once the block ends well; its folder is made.

    Args:
        path: the file to write.

    Yields:
        Where to write it; of this process alone, so that two may write one file.

    Raises:
        RunError: the disk is full or cannot be written.
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
    """An empty folder to fill that takes the place of ``path`` once the block ends well.

    Args:
        path: the folder that is to appear.

    Yields:
        The folder to fill.

    Raises:
        RunError: the disk is full or cannot be written.
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
    """Turn a full or unwritable disk under ``path`` into a `RunError`, whoever was writing.

    Args:
        path: the file or folder being written, named in the message.

    Raises:
        RunError: the disk is full, or the place cannot be written.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _full(path) from error
        if error.errno in UNWRITABLE:
            raise RunError(
                f"{path}: cannot be written ({error.strerror}).", hint="Choose a folder that you may write to."
            ) from error
        raise
    except Exception as error:
        # safetensors and torch report a full disk in their own words.
        if "No space left" in str(error) or "failed writing file" in str(error):
            raise _full(path) from error
        raise


def _full(path: Path) -> RunError:
    return RunError(
        f"{path}: the disk is full.", hint="Free some space and go on with --resume: what was complete is intact."
    )


def bytes_in(folder: Path) -> int:
    """Return the size of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
