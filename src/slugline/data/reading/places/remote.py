"""Files at a URL (``s3://``, ``gs://``, ``https://``), copied into the cache folder once for each version."""

from __future__ import annotations

import glob
import hashlib
import json
import logging
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import urlsplit

from slugline.core.errors import DataError, MissingExtra
from slugline.core.storage import cache_dir, replacing
from slugline.data.reading.formats import GUESSED, Reading, bare_name, can_read, known_suffixes
from slugline.data.reading.places.files import read_files
from slugline.data.reading.raw_data import RawData, SourceFile, SourceInfo
from slugline.recipe.locations import is_url

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

logger = logging.getLogger(__name__)

#: Largest file that is copied. Larger ones are better copied by the user, who sees the size and the costs.
MAX_BYTES = 20 * 2**30

CHUNK_BYTES = 1 << 20

#: Keys with the version of a file in the descriptions of file systems, most reliable first.
VERSION_KEYS = ("ETag", "etag", "md5Hash", "generation", "version_id")

#: Keys with the time of the last change.
TIME_KEYS = ("LastModified", "last_modified", "updated", "mtime", "created")

#: File of a copy with its revision.
REVISION = "revision.json"


def read_url(url: str, reading: Reading = GUESSED) -> RawData:
    """Read a file, or the files of a glob, at a URL.

    Args:
        url: address with a scheme.
        reading: encoding, header and delimiter, as far as the user states them.

    Returns:
        All rows, in train. The revision of the source is the version that the server states, else a SHA-256.

    Raises:
        DataError: the file does not exist, is too large, or cannot be read, and there is no copy of it.
        MissingExtra: the package for this kind of address is not installed.
    """
    copies = {each: fetch(each) for each in _matches(url)}
    name = bare_name(Path(_name(url)))
    revision = " ".join(revision for _, revision in copies.values())
    source = SourceInfo(name, revision=revision, url=without_secrets(url))
    raw = read_files({"train": [path for path, _ in copies.values()]}, source, reading)
    files = tuple(
        SourceFile(without_secrets(each), file.n_rows) for each, file in zip(copies, raw.files["train"], strict=True)
    )
    return replace(raw, files={"train": files})


def fetch(url: str) -> tuple[Path, str]:
    """Copy a file at a URL into the cache folder, unless this version of it is there.

    Args:
        url: address of a file.

    Returns:
        The copy, and the version that the server states, or the SHA-256 of the copy.

    Raises:
        DataError: the file does not exist, is too large, or cannot be read, and there is no copy of it.
        MissingExtra: the package for this kind of address is not installed.
    """
    name = _name(url)
    if not can_read(Path(name)):
        raise DataError(
            f"{without_secrets(url)}: names no file that can be read.", hint=f"Known suffixes: {known_suffixes()}."
        )
    folder = cache_dir() / "remote" / hashlib.sha256(url.encode()).hexdigest()[:16]
    copy, description = folder / name, folder / REVISION
    known = json.loads(description.read_text(encoding="utf-8")) if description.is_file() and copy.is_file() else {}
    try:
        files, path = _file_system(url)
        version = _version(files.info(path), url)
        if version and version == known.get("version"):
            return copy, str(known["revision"])
        # An error in opening the source is not one of writing the copy.
        with files.open(path, "rb") as opened, replacing(copy) as temporary:
            checksum = _download(opened, temporary, url)
    except (OSError, ValueError) as error:
        if known:
            logger.warning(
                "%s: not reachable (%s); the copy in the cache is used", without_secrets(url), _reason(error)
            )
            return copy, str(known["revision"])
        raise DataError(
            f"{without_secrets(url)}: cannot be read ({_reason(error)}).",
            hint="Check the address, the network and the credentials, or copy the file and set data.path to it.",
        ) from error
    stated = next((str(version[key]) for key in VERSION_KEYS if key in version), "")
    revision = re.sub(r'^W/|"', "", stated) or f"sha256:{checksum}"
    with replacing(description) as temporary:
        temporary.write_text(json.dumps({"version": version, "revision": revision}), encoding="utf-8")
    return copy, revision


def without_secrets(url: str) -> str:
    """Return a URL without a user, a password, and the query, which may hold a signature."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _name(url: str) -> str:
    return without_secrets(url).rpartition("/")[2]


def _matches(url: str) -> list[str]:
    """The URLs that a glob matches; the URL itself if it is none."""
    if not glob.has_magic(without_secrets(url)):
        return [url]
    try:
        files, path = _file_system(url)
        found = sorted(files.unstrip_protocol(name) for name in files.glob(path))
    except (OSError, ValueError) as error:
        raise DataError(
            f"{without_secrets(url)}: cannot be read ({_reason(error)}).", hint="Name one file, without * and ?."
        ) from error
    if not found:
        raise DataError(f"data.path: no file matches {without_secrets(url)!r}.", hint="Check the address.")
    return found


def _file_system(url: str) -> tuple[AbstractFileSystem, str]:
    import fsspec

    try:
        files, path = fsspec.core.url_to_fs(url)
    except ImportError as error:
        raise MissingExtra(f"Reading {urlsplit(url).scheme}:// addresses", extra="remote") from error
    return files, str(path)


def _version(info: Mapping[str, Any], url: str) -> dict[str, str]:
    """The version of a file as the server describes it; empty if the description does not tell versions apart."""
    if info.get("type") == "directory":
        raise DataError(
            f"{without_secrets(url)}: is a folder.", hint=f"Name its files: {without_secrets(url)}/*.parquet"
        )
    size = info.get("size")
    if size is not None and size > MAX_BYTES:
        raise _too_large(url, f"{size / 2**30:,.1f} GiB")
    keys = [key for key in (*VERSION_KEYS, *TIME_KEYS) if info.get(key)]
    return {key: str(info[key]) for key in ("size", *keys)} if keys else {}


def _download(source: BinaryIO, target: Path, url: str) -> str:
    """Copy a file; return its SHA-256."""
    digest, n_bytes = hashlib.sha256(), 0
    logger.info("%s: copied into the cache folder", without_secrets(url))
    with target.open("wb") as file:
        while chunk := source.read(CHUNK_BYTES):
            n_bytes += len(chunk)
            if n_bytes > MAX_BYTES:
                raise _too_large(url, f"more than {MAX_BYTES / 2**30:,.0f} GiB")
            digest.update(chunk)
            file.write(chunk)
    return digest.hexdigest()


def _too_large(url: str, size: str) -> DataError:
    return DataError(
        f"{without_secrets(url)}: has {size}; files up to {MAX_BYTES / 2**30:,.0f} GiB are copied into the cache "
        "folder.",
        hint="Copy the file yourself and set data.path to it, or read a part of it with data.query.",
    )


def _reason(error: Exception) -> str:
    """One line about an error, without addresses, which may hold signatures."""
    first = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
    return " ".join(without_secrets(word) if is_url(word) else word for word in first.split())[:200]
