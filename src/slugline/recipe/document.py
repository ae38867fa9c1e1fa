"""Recipes as documents: the description of every key, and commented recipes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from slugline.recipe.defaults import dependent_defaults
from slugline.recipe.recipe import Recipe, sections
from slugline.recipe.section import Section
from slugline.recipe.toml import plain, to_toml


def describe_key(section: type[Section], key: str) -> str:
    """Return the description of a key, with its allowed values if there are few."""
    field = section.model_fields[key]
    options = [field.annotation, *get_args(field.annotation)]
    allowed = [value for option in options for value in get_args(option) if isinstance(value, str)]
    description = field.description or ""
    return description if all(value in description for value in allowed) else f"{description} ({', '.join(allowed)})"


def commented(recipe: Recipe) -> str:
    """Write a recipe for people: changed keys are set, every other key is a comment with its default.

    Args:
        recipe: recipe to write.

    Returns:
        TOML that reads back to an equal recipe; if its model is changed, the defaults of the new model apply.
    """
    given = recipe.model_dump(mode="json", exclude_none=True)
    dependent = dependent_defaults(given)
    lines = [f"name = {to_toml(given['name'])}", _commented_key("seed", Recipe, given, {})]
    for name, section in sections().items():
        if name not in given:
            continue
        title = (section.__doc__ or "").strip().splitlines()[0]
        lines += ["", f"[{name}]  # {title}"]
        lines += [_commented_key(key, section, given[name], dependent.get(name, {})) for key in section.model_fields]
    return "\n".join(lines) + "\n"


def _commented_key(key: str, section: type[Section], given: Mapping[str, Any], dependent: Mapping[str, Any]) -> str:
    default = dependent.get(key, section.model_fields[key].get_default(call_default_factory=True))
    value = given.get(key, default)
    mark = "" if key in given and value != plain(default) else "# "
    shown = to_toml(value) if value is not None else "..."
    return f"{mark}{key} = {shown}".ljust(38) + f"  # {describe_key(section, key)}"
