"""Relative paths of data: from the folder of the recipe in a file, from the current folder elsewhere."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

#: Keys of [data], [[data.sources]] and [[pretrain.texts]] that are paths.
PATH_KEYS = ("path", "test_path", "validation_path", "query_folder")

#: Section -> its key with a list of sources.
SOURCE_LISTS = {"data": "sources", "pretrain": "texts"}


def located(values: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return plain values of a recipe with absolute paths of data.

    Args:
        values: nested tables, as TOML gives them; values of a wrong type are left unchanged.
        folder: folder that relative paths start from.

    Returns:
        The same tables; absolute paths are unchanged.
    """
    found = dict(values)
    for section, key in SOURCE_LISTS.items():
        table = found.get(section)
        if not isinstance(table, Mapping):
            continue
        found[section] = _located_table(table, folder)
        if isinstance(table.get(key), list):
            sources = [_located_table(each, folder) if isinstance(each, Mapping) else each for each in table[key]]
            found[section][key] = sources
    return found


def _located_table(table: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    paths = {key: located_path(table[key], folder) for key in PATH_KEYS if isinstance(table.get(key), str)}
    if table.get("query") and not table.get("query_folder"):
        paths["query_folder"] = str(folder.absolute())
    return {**table, **paths}


def without_old_query_folder(values: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tables without the folder of a query that an override replaced.

    Args:
        values: tables after the overrides.
        before: tables of the file, located.

    Returns:
        The same tables; the paths of the new query start from the folder of the overrides.
    """
    new, old = values.get("data"), before.get("data")
    if not isinstance(new, Mapping) or not isinstance(old, Mapping) or new.get("query") == old.get("query"):
        return dict(values)
    is_old = new.get("query_folder") == old.get("query_folder")
    return {**values, "data": {key: value for key, value in new.items() if not (is_old and key == "query_folder")}}


def is_url(path: str) -> bool:
    """True for an address with a scheme, such as ``s3://bucket/news.csv``; a drive such as ``C:`` is none."""
    return bool(re.match(r"[a-z][a-z0-9+.-]+://", path, re.IGNORECASE))


def located_path(path: str, folder: Path) -> str:
    """Return a path or a glob as an absolute one; an empty path and a URL stay the same.

    Args:
        path: path as written.
        folder: folder that a relative path starts from.

    Returns:
        The absolute path, without ``..``.
    """
    if not path or is_url(path):
        return path
    start = str(folder.absolute())
    return os.path.abspath(Path(glob.escape(start) if glob.has_magic(path) else start, path))  # noqa: PTH100  # no links


def short_path(path: str) -> str:
    """Return a path relative to the current folder if it is inside, for messages; else the same path."""
    folder = str(Path.cwd())
    for start in (folder, glob.escape(folder)):
        if path.startswith(start + os.sep):
            return path[len(start) + 1 :]
    return path
