"""The file of a study: its keys, and error messages for invalid ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from slugline.core.errors import RecipeError, nearest
from slugline.recipe.messages import explain
from slugline.recipe.recipe import sections
from slugline.recipe.section import Section, tables_in
from slugline.recipe.toml import read_toml, to_toml
from slugline.workflows.study.conditions import Condition

#: Keys that the study sets for every member -> reason why they cannot be overridden.
RESERVED_KEYS = {"name": "the study names its members", "seed": "set the key seeds of the study instead"}

#: Values by dotted key.
Overrides = dict[str, Any]

#: Lists of values by dotted key: every combination is a setting.
Grid = dict[str, Annotated[list[Any], Field(min_length=1)]]


def _dotted(values: object) -> object:
    """Overrides by dotted key; the file may have ``"train.epochs" = 1`` or ``train.epochs = 1``."""
    if not isinstance(values, Mapping):
        return values
    flat = _flat(values, sections())
    reserved = next((key for key in flat if key in RESERVED_KEYS), None)
    if reserved:
        raise ValueError(f"{reserved!r} cannot be overridden: {RESERVED_KEYS[reserved]}")
    return flat


def _flat(values: Mapping[str, Any], tables: Mapping[str, type[Section]], prefix: str = "") -> dict[str, Any]:
    """Values by dotted key. Only tables of the recipe are flattened: a label map is a value."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        table = tables.get(key) if isinstance(value, Mapping) else None
        flat |= _flat(value, tables_in(table), f"{prefix}{key}.") if table else {f"{prefix}{key}": value}
    return flat


class StepSection(Section):
    """A step: overrides of all its members, and a grid of further overrides."""

    # No dots: they would separate keys in paths into the results.
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", description="of the step, and of its folder")
    when: str = Field(
        "",
        description="condition on an earlier step, without which the step is left out: its best member on validation, "
        "a figure and a bound, such as baseline.validation.accuracy < 0.93",
    )
    set: Overrides = Field({}, description="overrides of all members of the step, by dotted key")
    grid: list[Grid] = Field(
        [], description="lists of values by dotted key; every combination is a setting; or a list of such tables"
    )

    @field_validator("when")
    @classmethod
    def _is_a_condition(cls, text: str) -> str:
        if text:
            try:
                Condition.parse(text)
            except RecipeError as error:
                raise ValueError(f"{error.message} {error.hint}".rstrip()) from error
        return text

    @property
    def condition(self) -> Condition | None:
        """The condition of the step; None without one."""
        return Condition.parse(self.when) if self.when else None

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
            raise ValueError("grid is empty; leave the key out if nothing varies")
        for key, values in ((key, values) for grid in self.grid for key, values in grid.items()):
            if key in self.set:
                raise ValueError(f"{key!r} is both in set and in grid")
            repeated = [value for value, count in Counter(map(to_toml, values)).items() if count > 1]
            if repeated:
                raise ValueError(f"grid of {key!r} repeats {repeated[0]}")
        repeated_points = [point for point, count in Counter(map(to_toml, self.points)).items() if count > 1]
        if repeated_points:
            raise ValueError(f"two grids have the setting {repeated_points[0]}")
        return self

    @property
    def points(self) -> list[Overrides]:
        """Combinations of each grid, in order (as in scikit-learn's `ParameterGrid`); without grids one empty point."""
        grids: list[Grid] = self.grid or [{}]
        return [dict(zip(grid, values, strict=True)) for grid in grids for values in product(*grid.values())]


class StudyFile(Section):
    """Contents of a study file."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="of the study; its folder is runs/<name>")
    recipe: str = Field(min_length=1, description="path of the recipe, relative to the study file")
    seeds: list[int] | None = Field(
        None, min_length=1, description="every setting is trained with each seed; unset = the seed of the recipe"
    )
    set: Overrides = Field({}, description="overrides of all members, by dotted key")
    runs: str = Field("runs", min_length=1, description="parent of the study folder, relative to the current folder")
    keep_checkpoints: bool = Field(
        False, description="keep the checkpoints of complete members that train.keep_checkpoints keeps"
    )
    step: list[StepSection] = Field(min_length=1, description="[[step]] tables, trained in order")

    @field_validator("set", mode="before")
    @classmethod
    def _by_dotted_key(cls, values: object) -> object:
        return _dotted(values)

    @model_validator(mode="after")
    def _nothing_repeats(self) -> Self:
        for key, values in (("seeds", self.seeds or []), ("step", [step.name for step in self.step])):
            # Names are folders, and some file systems ignore case.
            repeated = [value for value, count in Counter(str(each).lower() for each in values).items() if count > 1]
            if repeated:
                raise ValueError(f"{key} has {repeated[0]} twice")
        return self

    @model_validator(mode="after")
    def _conditions_are_about_earlier_steps(self) -> Self:
        earlier: list[str] = []
        for step in self.step:
            condition = step.condition
            if condition and condition.step not in earlier:
                raise ValueError(
                    f"step {step.name!r}: when is about {condition.step!r}, which is no earlier step."
                    f"{nearest(condition.step, earlier)}"
                )
            earlier.append(step.name)
        return self


def read_file(path: Path) -> StudyFile:
    """Read the file of a study.

    Args:
        path: TOML file.

    Returns:
        Its contents; the recipe is not read.

    Raises:
        RecipeError: the file is missing or not valid TOML, or has invalid keys or values; names all of them.
    """
    if not path.is_file():
        raise RecipeError(f"{path}: there is no such study.", hint="The format of studies: docs/contracts.md, Studies")
    values, _ = read_toml(path)
    try:
        return StudyFile.model_validate(values)
    except ValidationError as error:
        messages = list(dict.fromkeys(_explain(item, path, values) for item in error.errors()))
        raise RecipeError("\n".join(messages), hint="All keys of studies: docs/contracts.md, Studies") from error


def _explain(item: Any, path: Path, values: Mapping[str, Any]) -> str:
    """Turn a pydantic error into one line: file, step, key, value, allowed values, nearest known name."""
    location, place = list(item["loc"]), f"{path}: "
    section: type[Section] = StudyFile
    if location[:1] == ["step"] and item["type"] in ("list_type", "model_type") and len(location) <= 2:
        return f"{place}step has {item['input']!r}; each step is a table: [[step]]."
    if location[:1] == ["step"] and len(location) > 1:
        step = values["step"][location[1]]
        named = repr(step["name"]) if isinstance(step, Mapping) and "name" in step else location[1] + 1
        location, section, place = location[2:], StepSection, f"{path}, step {named}: "
        if location[:1] == ["grid"]:  # drop the number of the grid
            del location[1:2]
    owner = "step" if section is StepSection else "study"
    return place + explain(item, ".".join(map(str, location)), list(section.model_fields), owner=owner)
