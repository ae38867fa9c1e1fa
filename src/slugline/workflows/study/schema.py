"""The file of a study: its keys, and what is said of wrong ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from slugline.core.errors import RecipeError
from slugline.recipe.messages import explain
from slugline.recipe.recipe import sections
from slugline.recipe.section import Section, tables_in
from slugline.recipe.toml import read_toml, to_toml

#: Keys that the study itself gives to every member.
OWN_KEYS = {"name": "a study names its members itself", "seed": "the seeds of a study stand in its own key seeds"}

#: Values by dotted key.
Overrides = dict[str, Any]

#: Lists of values by dotted key: every combination is a setting.
Grid = dict[str, Annotated[list[Any], Field(min_length=1)]]


def _dotted(values: object) -> object:
    """Overrides by dotted key, however they were written: ``"train.epochs" = 1`` or ``train.epochs = 1``."""
    if not isinstance(values, Mapping):
        return values
    flat = _flat(values, sections())
    own = next((key for key in flat if key in OWN_KEYS), None)
    if own:
        raise ValueError(f"{own!r} cannot be overridden: {OWN_KEYS[own]}")
    return flat


def _flat(values: Mapping[str, Any], tables: Mapping[str, type[Section]], prefix: str = "") -> dict[str, Any]:
    """Values by dotted key, down to those that are no tables of the recipe: a label map is a value."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        table = tables.get(key) if isinstance(value, Mapping) else None
        flat |= _flat(value, tables_in(table), f"{prefix}{key}.") if table else {f"{prefix}{key}": value}
    return flat


class StepSection(Section):
    """One step: some overrides, and a grid of further ones."""

    # No dots: a step's name is part of paths into results.
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", description="of the step: its folder")
    set: Overrides = Field({}, description="overrides of all its members: dotted key and value")
    grid: list[Grid] = Field(
        [], description="dotted key and list of values; every combination is a setting; or several such tables"
    )

    @field_validator("set", mode="before")
    @classmethod
    def _by_dotted_key(cls, values: object) -> object:
        return _dotted(values)

    @field_validator("grid", mode="before")
    @classmethod
    def _each_by_dotted_key(cls, values: object) -> object:
        return [_dotted(grid) for grid in (values if isinstance(values, list) else [values])]

    @model_validator(mode="after")
    def _keys_agree(self) -> Self:
        if "grid" in self.model_fields_set and not all(self.grid or [{}]):
            raise ValueError("grid is empty; leave it out where nothing varies")
        for key, values in ((key, values) for grid in self.grid for key, values in grid.items()):
            if key in self.set:
                raise ValueError(f"{key!r} stands in set and in grid")
            repeated = [value for value, count in Counter(map(to_toml, values)).items() if count > 1]
            if repeated:
                raise ValueError(f"grid of {key!r} repeats {repeated[0]}")
        twice = [point for point, count in Counter(map(to_toml, self.points)).items() if count > 1]
        if twice:
            raise ValueError(f"two grids have {twice[0]}")
        return self

    @property
    def points(self) -> list[Overrides]:
        """What the grids make of it, in their order (as scikit-learn's `ParameterGrid`); where there are none, one."""
        grids: list[Grid] = self.grid or [{}]
        return [dict(zip(grid, values, strict=True)) for grid in grids for values in product(*grid.values())]


class StudyFile(Section):
    """A study as its file has it."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="of the study: its folder is runs/<name>")
    recipe: str = Field(min_length=1, description="the recipe's file, relative to the study's own")
    seeds: list[int] | None = Field(
        None, min_length=1, description="every setting is trained with each; unset = the recipe's own seed"
    )
    set: Overrides = Field({}, description="overrides of all members: dotted key and value")
    runs: str = Field("runs", min_length=1, description="folder of the study's folder, relative to the current one")
    keep_checkpoints: bool = Field(
        False, description="checkpoints of members that are complete; by default they are deleted"
    )
    step: list[StepSection] = Field(min_length=1, description="[[step]] tables, trained in their order")

    @field_validator("set", mode="before")
    @classmethod
    def _by_dotted_key(cls, values: object) -> object:
        return _dotted(values)

    @model_validator(mode="after")
    def _nothing_repeats(self) -> Self:
        for what, values in (("seeds", self.seeds or []), ("step", [step.name for step in self.step])):
            # Some file systems do not tell Baseline from baseline.
            repeated = [value for value, count in Counter(str(each).lower() for each in values).items() if count > 1]
            if repeated:
                raise ValueError(f"{what} has {repeated[0]} twice")
        return self


def read_file(path: Path) -> StudyFile:
    """Read a study's file.

    Args:
        path: TOML file.

    Returns:
        What it says; the recipe is not looked at.

    Raises:
        RecipeError: the file is missing, is no TOML, or holds keys or values that it may not; all of them at once.
    """
    if not path.is_file():
        raise RecipeError(f"{path}: there is no such study.", hint="What a study says: docs/contracts.md, Studies")
    values, _ = read_toml(path)
    try:
        return StudyFile.model_validate(values)
    except ValidationError as error:
        messages = list(dict.fromkeys(_explain(item, path, values) for item in error.errors()))
        raise RecipeError("\n".join(messages), hint="All keys of a study: docs/contracts.md, Studies") from error


def _explain(item: Any, path: Path, values: Mapping[str, Any]) -> str:
    """One pydantic error as one line: file, step, key, found, allowed, nearest known name."""
    location, place = list(item["loc"]), f"{path}: "
    section: type[Section] = StudyFile
    if location[:1] == ["step"] and item["type"] in ("list_type", "model_type") and len(location) <= 2:
        return f"{place}step has {item['input']!r}; steps are tables of their own: [[step]]."
    if location[:1] == ["step"] and len(location) > 1:
        step = values["step"][location[1]]
        named = repr(step["name"]) if isinstance(step, Mapping) and "name" in step else location[1] + 1
        location, section, place = location[2:], StepSection, f"{path}, step {named}: "
        if location[:1] == ["grid"]:  # the keys of a step's grids are told apart without their numbers
            del location[1:2]
    owner = "step" if section is StepSection else "study"
    return place + explain(item, ".".join(map(str, location)), list(section.model_fields), owner=owner)
