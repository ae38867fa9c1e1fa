"""Error messages of invalid recipes and studies: place, dotted key, found value, allowed values, nearest known name.

Also the command that writes a recipe for data, for the hints of errors.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from slugline.core.errors import nearest
from slugline.recipe.changes import RENAMED
from slugline.recipe.section import Section, all_keys, keys_at
from slugline.recipe.toml import line_of


def explain_recipe(item: Any, schema: type[Section], *, where: str, text: str, overrides: Sequence[str]) -> str:
    """Return one pydantic error as one line.

    Args:
        item: one error of ``ValidationError.errors()``.
        schema: the recipe's class.
        where: the file.
        text: the file's contents, in which the line is looked up.
        overrides: overrides of the command line; an error in one of them cites it.

    Returns:
        The message.
    """
    unknown = [str(item["loc"][-1])] if item["type"] == "extra_forbidden" else []
    known = all_keys(schema) | set(unknown)
    path = [str(part) for part in item["loc"] if isinstance(part, str) and part in known]
    place = _place(path, where, text, overrides)
    return place + explain(item, ".".join(path) or "recipe", keys_at(schema, path[:-1]), owner="recipe")


def explain(item: Any, key: str, known: Sequence[str], *, owner: str) -> str:
    """Return one pydantic error as one line, without its place.

    Args:
        item: one error of ``ValidationError.errors()``.
        key: dotted key that the error is about; may be empty for errors of several keys.
        known: keys that are allowed beside it.
        owner: word for the owner of the keys: ``recipe``, ``study`` or ``step``.

    Returns:
        The message.
    """
    if item["type"] == "extra_forbidden":
        if key in RENAMED:
            return f"{key} is now called {RENAMED[key]}."
        name = key.rpartition(".")[2]
        suggestion = nearest(name, list(known)) or " Known here: " + ", ".join(known)
        return f"{key} is not a key of a {owner}.{suggestion}"
    if item["type"] == "missing":
        return f"{key} " + ("has too few values." if isinstance(item["loc"][-1], int) else "is missing.")
    if item["type"] == "value_error":
        return f"{key + ': ' if key else ''}{item['ctx']['error']}."
    found = item["input"]
    if item["type"] == "literal_error":
        choices = re.findall(r"'([^']*)'", item["ctx"]["expected"])
        return f"{key} is {found!r}; it can be {item['ctx']['expected']}.{nearest(str(found), choices)}"
    return f"{key} is {found!r}; {item['msg'][0].lower()}{item['msg'][1:]}."


def _place(path: Sequence[str], where: str, text: str, overrides: Sequence[str]) -> str:
    dotted = ".".join(path)
    for given in overrides:
        key = given.partition("=")[0].strip()
        if key == dotted or key.startswith(f"{dotted}."):
            return f"override {given!r}: "
    line = line_of(path, text)
    return f"{where}, line {line}: " if line else f"{where}: "


def new_recipe_command(source: str, overrides: Sequence[str] = ()) -> str:
    """Return the command that writes a recipe for data into the current folder.

    >>> new_recipe_command("data/My News.csv", ["data.label=topic"])
    "slugline recipe new 'data/My News.csv' data.label=topic > my-news.toml"

    Args:
        source: a file, a glob, a folder, or the name of a known set.
        overrides: overrides of the recipe.

    Returns:
        A line for the shell.
    """
    return f"slugline recipe new {shlex.join([source, *overrides])} > {recipe_name(source)}.toml"


def recipe_name(source: str) -> str:
    """Return the name of a recipe for data: ``my-news`` for ``data/My News.csv``."""
    return re.sub(r"[^a-z0-9._-]+", "-", Path(source).stem.lower()).strip("-._") or "my-data"
