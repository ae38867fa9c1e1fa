"""`Recipe`: everything about one training. Read, validated, written.

The sections have modules of their own; `slugline.recipe.defaults` has the defaults that depend on other keys. Needs
neither torch nor transformers. Models and losses get single values, never the whole recipe.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    Field,
    ModelWrapValidatorHandler,
    SerializerFunctionWrapHandler,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_serializer,
    model_validator,
)

from slugline.core.errors import RecipeError
from slugline.recipe.changes import with_present_keys
from slugline.recipe.data_section import DataSection
from slugline.recipe.defaults import NO_DATA, with_defaults
from slugline.recipe.kinds import KINDS
from slugline.recipe.locations import located, without_old_query_folder
from slugline.recipe.messages import explain_recipe
from slugline.recipe.model_section import ModelSection
from slugline.recipe.section import Section, section_in
from slugline.recipe.toml import override, read_toml
from slugline.recipe.train_section import EvaluationSection, PretrainSection, TrainSection

logger = logging.getLogger(__name__)


def _validate_unless_absent(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    return value if value is NO_DATA else validate(value)


class Recipe(Section):
    """Everything about one training; two equal recipes on one machine give equal runs.

    Invalid keys and values raise a `RecipeError`, however the recipe is made.

    >>> Recipe.model_validate({"name": "agnews", "data": {"name": "ag_news"}}).train.epochs
    3.0
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="of the run: its folder is runs/<name>")
    seed: int = Field(13, description="of weights, order and dropout; never of the splits")
    data: Annotated[DataSection, WrapValidator(_validate_unless_absent)]
    model: ModelSection = ModelSection()
    train: TrainSection = TrainSection()
    evaluation: EvaluationSection = EvaluationSection()
    pretrain: PretrainSection | None = Field(None, description="for `slugline pretrain` only")

    @classmethod
    def read(cls, path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
        """Read a recipe; see the function `read`."""
        return read(path, overrides)

    @model_validator(mode="after")
    def _keys_agree(self) -> Recipe:
        if self.data.long_texts == "window" and (self.train.mixup or self.train.cutmix):
            raise ValueError("train.mixup and train.cutmix need whole texts, but data.long_texts is 'window'")
        if self.train.mixup and self.train.cutmix:
            raise ValueError("train.mixup and train.cutmix exclude each other; set one of them to 0")
        changing = [key for key in ("token_dropout", "mixup", "cutmix") if getattr(self.train, key)]
        if self.model.adapt == "frozen" and changing:
            raise ValueError(
                f"train.{changing[0]} changes the base's input in every epoch, "
                'but model.adapt = "frozen" runs the base only once'
            )
        if self.train.folds == 1:
            raise ValueError("train.folds is 1; a cross-validation needs 2 folds or more, 0 is none")
        return self

    @model_validator(mode="before")
    @classmethod
    def _fill_defaults(cls, values: object) -> object:
        return with_defaults(values) if isinstance(values, Mapping) else values

    # The last validator, because it explains the errors of those before it.
    @model_validator(mode="wrap")
    @classmethod
    def _explain_errors(cls, values: Any, validate: ModelWrapValidatorHandler[Recipe], info: ValidationInfo) -> Recipe:
        try:
            return validate(values)
        except ValidationError as error:
            place: dict[str, Any] = {"where": "recipe", "text": "", "overrides": ()}
            place |= {key: value for key, value in (info.context or {}).items() if key in place}
            messages = [explain_recipe(item, Recipe, **place) for item in error.errors()]
            raise RecipeError(
                "\n".join(dict.fromkeys(messages)),
                hint="All keys are described in docs/recipe.md, or slugline recipe schema",
            ) from error

    @model_serializer(mode="wrap")
    def _without_absent_data(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        values: dict[str, Any] = serialize(self)
        if not self.has_data:
            del values["data"]
        return values

    @property
    def has_data(self) -> bool:
        """True if there is a [data] section; only a pre-training with texts of its own may lack one."""
        data = self.data
        return bool(any(data.address) or data.sources)


def sections() -> dict[str, type[Section]]:
    """Return the sections of a recipe by name."""
    return {name: section for name in Recipe.model_fields if (section := section_in(Recipe, name))}


def read(
    path: str | Path, overrides: Sequence[str] = (), *, is_saved: bool = False, overrides_folder: Path | None = None
) -> Recipe:
    """Read, override and validate a recipe.

    An override of ``model.kind`` leaves out the keys of [train] in the file that the new kind does not read.

    Args:
        path: TOML file.
        overrides: ``key.sub=value`` each; the value as in TOML, quotes may be left out.
        is_saved: True for the recipe of a run, which may have been written with former names of keys, and with paths
            relative to the current folder.
        overrides_folder: folder that relative paths of data in overrides start from; by default the current folder.

    Returns:
        The complete recipe with all defaults. Paths of data are absolute; in the file, they are relative to its folder.

    Raises:
        RecipeError: the file is missing or not TOML, or has unknown keys or invalid values; names all of them at once.
    """
    path = Path(path)
    if not path.is_file():
        raise RecipeError(
            f"{path}: there is no such recipe.",
            hint="Write one with: slugline recipe new FILE_OR_SET > my.toml",
        )
    values, text = read_toml(path)
    values = with_present_keys(values) if is_saved else located(values, path.parent)
    of_file = deepcopy(values)
    for given in overrides:
        override(values, given)
    if _kind_of(values) != _kind_of(of_file):
        values = _without_unread(of_file, _kind_of(values))
        for given in overrides:
            override(values, given)
    values = located(without_old_query_folder(values, of_file), overrides_folder or Path.cwd())
    return validate(values, where=str(path), text=text, overrides=overrides, is_saved=is_saved)


def _kind_of(values: Mapping[str, Any]) -> Any:
    """``model.kind``, given or by default; validation refuses what is not a name."""
    model = values.get("model", {})
    return model.get("kind", ModelSection.model_fields["kind"].default) if isinstance(model, Mapping) else None


def _without_unread(values: dict[str, Any], kind_name: Any) -> dict[str, Any]:
    """The values without the keys of [train] that the training of a kind does not read; they are logged."""
    kind, train = KINDS.get(kind_name) if isinstance(kind_name, str) else None, values.get("train")
    if kind is None or not isinstance(train, Mapping):
        return values
    unread = [key for key in train if key in TrainSection.model_fields and not kind.reads(key)]
    if unread:
        logger.info("train.%s: left out, because the %s kind has no use for it.", ", train.".join(unread), kind_name)
    return values | {"train": {key: value for key, value in train.items() if key not in unread}}


def with_absolute_paths(recipe: Recipe) -> Recipe:
    """Return a recipe whose paths of data do not depend on the current folder.

    Args:
        recipe: recipe with paths relative to the current folder, or absolute ones.

    Returns:
        An equal recipe with absolute paths.
    """
    values = recipe.model_dump(exclude_unset=True)
    absolute = located(values, Path.cwd())
    return recipe if absolute == values else Recipe.model_validate(absolute)


def section_of(source: str, **keys: Any) -> DataSection:
    """Return the data section for a source on the command line: an existing path, or else the name of a known set.

    Args:
        source: a file, a glob, a folder, or the name of a known set.
        **keys: further keys of the section.

    Returns:
        The section.

    Raises:
        RecipeError: a key is unknown or its value invalid.
    """
    is_path = Path(source).exists() or "/" in source or "*" in source or bool(Path(source).suffix)
    values = {"name": "data", "data": {"path" if is_path else "name": source, **keys}}
    return validate(values, where="data").data


def validate(
    values: Mapping[str, Any],
    *,
    where: str = "recipe",
    text: str = "",
    overrides: Sequence[str] = (),
    is_saved: bool = False,
) -> Recipe:
    """Make a recipe of plain values.

    Args:
        values: nested tables, as TOML gives them.
        where: the file, for the message.
        text: the file's contents, in which lines are looked up.
        overrides: overrides already applied to ``values``; an error in one of them cites it.
        is_saved: True for the recipe of a run, whose loss may be registered only in the program that trained it.

    Returns:
        The complete recipe.

    Raises:
        RecipeError: names every invalid key with its line, the found value and the allowed values.
    """
    return Recipe.model_validate(
        values, context={"where": where, "text": text, "overrides": overrides, "is_saved": is_saved}
    )


def write(recipe: Recipe) -> str:
    """Return the resolved recipe as TOML; reading it gives an equal recipe. Unset values are left out."""
    import tomli_w

    return tomli_w.dumps(recipe.model_dump(mode="json", exclude_none=True))
