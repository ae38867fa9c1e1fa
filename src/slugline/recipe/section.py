"""The base class of all sections, and how nested sections are found in a schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo
from pydantic_core import PydanticCustomError

Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]
Weight = Annotated[float, Field(ge=0.0)]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]


def name_in(registry: Mapping[str, object], *, is_needed_to_read: bool = True) -> AfterValidator:
    """Return the validator of a key whose value is a name in a registry, also one that is added later.

    Args:
        registry: rows by name.
        is_needed_to_read: False if the recipe of a finished run may have a name that is not registered here.

    Returns:
        Metadata for ``Annotated[str, ...]``; other names are refused like values that are not in a ``Literal``.
    """

    def check(name: str, info: ValidationInfo) -> str:
        is_read_only = not is_needed_to_read and (info.context or {}).get("is_saved", False)
        if name not in registry and not is_read_only:
            *others, last = map(repr, registry)
            expected = f"{', '.join(others)} or {last}" if others else last
            raise PydanticCustomError("literal_error", "Input should be {expected}", {"expected": expected})
        return name

    return AfterValidator(check)


class Section(BaseModel):
    """A table of a recipe: immutable, and without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def section_in(section: type[Section], key: str) -> type[Section] | None:
    """Return the section that a key holds, also within a list or an optional; None for plain values."""
    field = section.model_fields.get(key)
    options = [field.annotation, *get_args(field.annotation)] if field else []
    return next((option for option in options if isinstance(option, type) and issubclass(option, Section)), None)


def tables_in(section: type[Section]) -> dict[str, type[Section]]:
    """Return the sections inside a section by key, such as ``lora`` in ``[model]``, without lists of sections."""
    fields = section.model_fields
    return {key: inner for key in fields if (inner := section_in(section, key)) is fields[key].annotation and inner}


def all_keys(section: type[Section]) -> set[str]:
    """Return the keys of a section and of all sections inside it."""
    keys = set(section.model_fields)
    for key in section.model_fields:
        inner = section_in(section, key)
        keys |= all_keys(inner) if inner else set()
    return keys


def keys_at(section: type[Section], path: Sequence[str]) -> list[str]:
    """Return the keys of the section at a path; empty if there is none."""
    inner: type[Section] | None = section
    for key in path:
        inner = section_in(inner, key) if inner else None
    return list(inner.model_fields) if inner else []
