"""The recipe: one TOML file that says everything about one training. Read, checked, explained, written.

The keys are in `slugline.recipe.sections`, the defaults that depend on the model in `slugline.recipe.defaults`. Needs
neither torch nor transformers. Builders get single values, never the whole recipe.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_serializer,
    model_validator,
)

from slugline.core.errors import RecipeError, nearest
from slugline.recipe.defaults import NO_DATA, defaults_beside, with_defaults
from slugline.recipe.sections import (
    DataSection,
    EvaluationSection,
    ModelSection,
    PretrainSection,
    Section,
    TrainSection,
)
from slugline.recipe.toml import line_of, override, plain, read_toml, to_toml


def _unless_there_is_none(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    return value if value is NO_DATA else validate(value)


class Recipe(Section):
    """Everything about one training; two equal recipes on one machine give equal runs.

    >>> Recipe.model_validate({"name": "agnews", "data": {"name": "ag_news"}}).train.epochs
    3.0
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="of the run: its folder is runs/<name>")
    seed: int = Field(13, description="weights, order, dropout; never the splits")
    data: Annotated[DataSection, WrapValidator(_unless_there_is_none)]
    model: ModelSection = ModelSection()
    train: TrainSection = TrainSection()
    evaluation: EvaluationSection = EvaluationSection()
    pretrain: PretrainSection | None = Field(None, description="for `slugline pretrain` alone")

    @model_validator(mode="after")
    def _keys_agree(self) -> Recipe:
        if self.data.long == "window" and (self.train.mixup or self.train.cutmix):
            raise ValueError("train.mixup and train.cutmix mix whole texts, which data.long = 'window' reads in parts")
        if self.train.mixup and self.train.cutmix:
            raise ValueError("train.mixup and train.cutmix exclude each other; set one of them to 0")
        changing = [key for key in ("token_dropout", "mixup", "cutmix") if getattr(self.train, key)]
        if self.model.adapt == "frozen" and changing:
            raise ValueError(
                f'train.{changing[0]} changes what the base reads, which model.adapt = "frozen" reads only once'
            )
        if self.train.folds == 1:
            raise ValueError("train.folds is 1; a cross-validation has 2 folds or more, 0 is none")
        return self

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_the_model(cls, values: object) -> object:
        return with_defaults(values) if isinstance(values, Mapping) else values

    @model_serializer(mode="wrap")
    def _without_no_data(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        values: dict[str, Any] = serialize(self)
        if not self.has_data:
            del values["data"]
        return values

    @property
    def has_data(self) -> bool:
        """Whether there is a [data] section; only a pre-training on texts of its own can do without."""
        data = self.data
        return bool(data.name or data.path or data.hub or data.sources)


def read(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read, override and validate a recipe.

    Args:
        path: TOML file.
        overrides: ``key.sub=value`` each; the value as in TOML, quotes may be left out.

    Returns:
        The complete recipe, every default filled in.

    Raises:
        RecipeError: the file is missing, is no TOML, or holds keys or values that it may not; all of them at once.
    """
    if not path.is_file():
        raise RecipeError(
            f"{path}: there is no such recipe.",
            hint="Write one with: slugline recipe new FILE_OR_SET > my.toml",
        )
    values, text = read_toml(path)
    for given in overrides:
        override(values, given)
    return validate(values, where=str(path), text=text, overrides=overrides)


def section_of(source: str, **keys: Any) -> DataSection:
    """The data section that a user means by one word: a path where there is one, else a known set.

    Args:
        source: a file, a glob, a folder, or the name of a known set.
        **keys: further keys of the section.

    Returns:
        The section.

    Raises:
        RecipeError: a key is unknown or has a wrong value.
    """
    is_path = Path(source).exists() or "/" in source or "*" in source or bool(Path(source).suffix)
    values = {"name": "data", "data": {"path" if is_path else "name": source, **keys}}
    return validate(values, where="data").data


def validate(
    values: Mapping[str, Any], *, where: str = "recipe", text: str = "", overrides: Sequence[str] = ()
) -> Recipe:
    """Make a recipe of plain values.

    Args:
        values: nested tables, as TOML gives them.
        where: the file, for the message.
        text: the file's contents, in which lines are looked up.
        overrides: those already applied to ``values``; an error in one cites it.

    Returns:
        The complete recipe.

    Raises:
        RecipeError: names every wrong key with its line, what was found, what is allowed.
    """
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        messages = list(dict.fromkeys(_explain(item, where, text, overrides) for item in error.errors()))
        raise RecipeError(
            "\n".join(messages), hint="All keys with their meaning: docs/recipe.md, or slugline recipe schema"
        ) from error


def write(recipe: Recipe) -> str:
    """The resolved recipe as TOML; reading it again gives an equal recipe. Unset values are left out."""
    import tomli_w

    return tomli_w.dumps(recipe.model_dump(mode="json", exclude_none=True))


#: What the weights of a checkpoint, or the choice among them, were made with: no run goes on with other values.
BOUND = (
    *("model.kind:", "model.base:", "model.adapt:", "model.pooling:", "model.head:", "model.adapter."),
    *("model.lora.variant:", "model.lora.r:", "model.lora.alpha:", "model.lora.targets:"),
    *("model.size:", "model.layers:", "model.width:", "model.ffn:", "model.heads:", "model.positions:"),
    *("model.tokenizer:", "model.vocabulary_size:", "pretrain.objective:", "train.select_by:"),
)


def bound_keys(changes: Sequence[str]) -> list[str]:
    """Those of `changed_keys` that no checkpoint can follow."""
    return [change for change in changes if change.startswith(BOUND)]


def changed_keys(before: Recipe, after: Recipe) -> list[str]:
    """Dotted keys in which two recipes differ, with both values, in the schema's order."""
    old, new = dict(_flatten(before.model_dump(mode="json"))), dict(_flatten(after.model_dump(mode="json")))
    keys = list(dict.fromkeys([*old, *new]))
    return [f"{key}: {old.get(key)!r} -> {new.get(key)!r}" for key in keys if old.get(key) != new.get(key)]


def _flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _explain(item: Any, where: str, text: str, overrides: Sequence[str]) -> str:
    """One pydantic error as one line: place, dotted key, found, allowed, nearest known name."""
    path = [str(part) for part in item["loc"] if isinstance(part, str) and part in _known_keys() | set(_keys_in(item))]
    key = ".".join(path) or "recipe"
    place = _place(path, where, text, overrides)
    if item["type"] == "extra_forbidden":
        known = _keys_of(path[:-1])
        return f"{place}{key} is not a key of a recipe.{nearest(path[-1], known) or ' Known here: ' + ', '.join(known)}"
    if item["type"] == "missing":
        return f"{place}{key} " + ("has too few values." if isinstance(item["loc"][-1], int) else "is missing.")
    if item["type"] == "value_error":
        return f"{place}{key}: {item['ctx']['error']}."
    found, allowed = item["input"], item["msg"][0].lower() + item["msg"][1:]
    if item["type"] == "literal_error":
        choices = re.findall(r"'([^']*)'", item["ctx"]["expected"])
        allowed = "it can be " + item["ctx"]["expected"]
        return f"{place}{key} is {found!r}; {allowed}.{nearest(str(found), choices)}"
    return f"{place}{key} is {found!r}; {allowed}."


def _keys_in(item: Any) -> list[str]:
    """The unknown key itself, which no section lists."""
    return [str(item["loc"][-1])] if item["type"] == "extra_forbidden" else []


def sections() -> dict[str, type[Section]]:
    """The recipe's sections by name."""
    return {name: section for name in Recipe.model_fields if (section := _section_in(Recipe, name))}


def tables_in(section: type[Section]) -> dict[str, type[Section]]:
    """The tables inside a section by key: ``lora`` in ``[model]``; not those of which there may be several."""
    fields = section.model_fields
    return {key: inner for key in fields if (inner := _section_in(section, key)) is fields[key].annotation and inner}


def _section_in(section: type[Section], key: str) -> type[Section] | None:
    """The section that a key holds, alone, in a list, or not always; None where it holds plain values."""
    field = section.model_fields.get(key)
    options = [field.annotation, *get_args(field.annotation)] if field else []
    return next((option for option in options if isinstance(option, type) and issubclass(option, Section)), None)


def _known_keys(section: type[Section] | None = None) -> set[str]:
    known = set((section or Recipe).model_fields)
    for key in list(known):
        inner = _section_in(section or Recipe, key)
        known |= _known_keys(inner) if inner else set()
    return known


def _keys_of(path: Sequence[str]) -> list[str]:
    section: type[Section] | None = Recipe
    for key in path:
        section = _section_in(section, key) if section else None
    return list(section.model_fields) if section else []


def _place(path: Sequence[str], where: str, text: str, overrides: Sequence[str]) -> str:
    dotted = ".".join(path)
    for given in overrides:
        key = given.partition("=")[0].strip()
        if key == dotted or key.startswith(f"{dotted}."):
            return f"override {given!r}: "
    line = line_of(path, text)
    return f"{where}, line {line}: " if line else f"{where}: "


def meaning(section: type[Section], key: str) -> str:
    """What a key does, and the values it may take where these are few."""
    field = section.model_fields[key]
    options = [field.annotation, *get_args(field.annotation)]
    allowed = [value for option in options for value in get_args(option) if isinstance(value, str)]
    stated = field.description or ""
    return stated if all(value in stated for value in allowed) else f"{stated} ({', '.join(allowed)})"


def commented(recipe: Recipe) -> str:
    """A recipe for people: what differs from the defaults is set, every other key stands as a comment with its default.

    Args:
        recipe: what to write.

    Returns:
        TOML that reads back to an equal recipe; with another model it has that model's defaults.
    """
    given = recipe.model_dump(mode="json", exclude_none=True)
    beside = defaults_beside(given)
    lines = [f"name = {to_toml(given['name'])}", _commented_key("seed", Recipe, given, {})]
    for name, section in sections().items():
        if name not in given:
            continue
        title = (section.__doc__ or "").strip().splitlines()[0]
        lines += ["", f"[{name}]  # {title}"]
        lines += [_commented_key(key, section, given[name], beside.get(name, {})) for key in section.model_fields]
    return "\n".join(lines) + "\n"


def _commented_key(key: str, section: type[Section], given: Mapping[str, Any], beside: Mapping[str, Any]) -> str:
    default = beside.get(key, section.model_fields[key].get_default(call_default_factory=True))
    value = given.get(key, default)
    mark = "" if key in given and value != plain(default) else "# "
    shown = to_toml(value) if value is not None else "..."
    return f"{mark}{key} = {shown}".ljust(38) + f"  # {meaning(section, key)}"
