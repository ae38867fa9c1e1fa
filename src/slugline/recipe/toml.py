"""TOML of recipes and studies: read files, apply overrides, find the lines of keys, write values on one line."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from slugline.core.errors import RecipeError


def read_toml(path: Path) -> tuple[dict[str, Any], str]:
    """Read the TOML file of a recipe or a study.

    Args:
        path: an existing file.

    Returns:
        Its nested tables, and its text.

    Raises:
        RecipeError: the file is not valid TOML, or not encoded in UTF-8.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        return tomllib.loads(text), text
    except UnicodeDecodeError as error:
        raise RecipeError(f"{path}: not encoded in UTF-8: {error.reason}.", hint="Save the file as UTF-8.") from error
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{path}: not valid TOML: {error}.", hint='Strings need quotes: name = "agnews".') from error


def override(values: dict[str, Any], given: str) -> None:
    """Apply one override.

    Args:
        values: nested tables, changed in place.
        given: ``key.sub=value``; the value is TOML, the quotes of strings are optional.

    Raises:
        RecipeError: the override has another form, or uses a value as a section.
    """
    key, equals, written = given.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(parts):
        raise RecipeError(f"override {given!r} is not of the form key.sub=value.", hint="Example: train.epochs=1")
    try:
        value = tomllib.loads(f"value = {written}")["value"]
    except tomllib.TOMLDecodeError:
        value = written
    table = values
    for part in parts[:-1]:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise RecipeError(f"override {given!r}: {part!r} is a value, not a section.")
    table[parts[-1]] = value


def line_of(path: Sequence[str], text: str) -> int:
    """Return the line of a key. ``tomllib`` gives no positions, so the text is searched.

    Args:
        path: names of the sections and of the key.
        text: contents of the file.

    Returns:
        Line number, counted from 1; 0 if the key is not found.
    """
    section: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        header = re.match(r"\s*\[+\s*([^\]]+?)\s*\]+", line)
        if header:
            section = [part.strip(" \"'") for part in header.group(1).split(".")]
            if section == list(path):
                return number
            continue
        key = re.match(r"\s*([A-Za-z0-9_.\"'-]+)\s*=", line)
        if key and section + [part.strip("\"'") for part in key.group(1).split(".")] == list(path):
            return number
    return 0


def to_toml(value: Any) -> str:
    """Return a value as TOML on one line, with tables in braces."""
    import tomli_w

    value = plain(value)
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{_quoted(key)} = {to_toml(item)}" for key, item in value.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(to_toml, value))}]"
    return tomli_w.dumps({"v": value}).removeprefix("v = ").strip()


def _quoted(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else to_toml(key)


def plain(value: Any) -> Any:
    """Return a value in types that TOML has: sections as tables, tuples as lists."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_none=True)
    return list(value) if isinstance(value, tuple) else value
