"""First steps with a data set: `inspect_data` describes it, `first_recipe` creates a recipe for it.

`refuse_data` names these steps if data is given in place of a recipe.
"""

from __future__ import annotations

import glob
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from slugline.core.errors import MissingExtra, RecipeError
from slugline.core.layouts import RunLayout
from slugline.data.batching.tokens import tokenise
from slugline.data.batching.truncation import Truncation
from slugline.data.dataset import TextDataset
from slugline.data.load import load_dataset
from slugline.data.reading.formats import can_read
from slugline.data.reading.places.named import named_sets
from slugline.models.pretrained import EMBEDDED
from slugline.models.tokenizers import load_tokenizer
from slugline.recipe.data_section import DataSection
from slugline.recipe.messages import new_recipe_command, recipe_name
from slugline.recipe.recipe import Recipe, read, section_of, validate
from slugline.recipe.toml import override


def data_recipe(source: str, overrides: Sequence[str] = ()) -> Recipe:
    """Return the recipe whose data a command reads.

    Args:
        source: a recipe (``.toml``), or a known data set, a file, a glob, or a folder.
        overrides: overrides ``key=value`` of the recipe, or of ``[data]`` without a recipe.

    Returns:
        The recipe; for data alone, with the defaults of all other sections.

    Raises:
        RecipeError: the recipe cannot be read or has no data, or an override is unknown or malformed.
    """
    if Path(source).suffix != ".toml":
        keys: dict[str, Any] = {}
        for each in overrides:
            override(keys, each.removeprefix("data."))
        return validate({"name": "data", "data": section_of(source, **keys).model_dump(exclude_defaults=True)})
    recipe = read(source, overrides)
    if not recipe.has_data:
        raise RecipeError(f"{source} has no [data] section.", hint="Give a recipe of a training, or data.")
    return recipe


def inspect_data(section: DataSection) -> dict[str, Any]:
    """Describe a data set: counts, lengths in tokens, findings, examples.

    Args:
        section: data section of a recipe.

    Returns:
        `TextDataset.describe`, with ``tokens``: length statistics with the tokenizer of the embedded encoder; empty if
        the encoder is not installed.
    """
    dataset = load_dataset(section)
    return dataset.describe() | {"tokens": _token_lengths(dataset, section.max_length)}


def _token_lengths(dataset: TextDataset, max_length: int) -> dict[str, Any]:
    try:
        tokenizer = load_tokenizer(EMBEDDED)
    except MissingExtra:
        return {}
    lengths: dict[str, Any] = {"tokenizer": "all-MiniLM-L6-v2", "max_length": max_length}
    for split, rows in dataset.splits.items():
        lengths[split] = tokenise(rows["text"], tokenizer, Truncation(max_length), cached=True).length_statistics()
    return lengths


def first_recipe(source: str, overrides: Sequence[str] = ()) -> Recipe:
    """Create a recipe for a data set. The data set is read once, as a check and to find the columns.

    Args:
        source: a known data set, a file, a glob, or a folder.
        overrides: overrides ``key.sub=value``.

    Returns:
        A complete recipe that names the text and label columns.

    Raises:
        DataError: the data cannot be read.
        RecipeError: an override is unknown or malformed.
    """
    section = section_of(source)
    values: dict[str, Any] = {"name": recipe_name(source), "data": section.model_dump(exclude_defaults=True)}
    for each in overrides:
        override(values, each)
    recipe = validate(values, overrides=overrides)
    dataset = load_dataset(recipe.data)
    values["data"].setdefault("text", list(dataset.text))
    values["data"].setdefault("label", list(dataset.label))
    return validate(values, overrides=overrides)


def refuse_data(source: str, *, command: str, overrides: Sequence[str] = ()) -> None:
    """Refuse data that is given in place of a recipe or a study, and name the commands to type.

    Args:
        source: argument of a command that reads a recipe or a study.
        command: name of the command: ``train``.
        overrides: overrides of the command.

    Raises:
        RecipeError: the source is a file, a glob or a folder of data, a known set, or a run.
    """
    path = Path(source)
    if RunLayout(path).is_run():
        raise RecipeError(
            f"{source} is a run, not a recipe.",
            hint=f"Its recipe is {RunLayout(path).recipe}. Print its results with: slugline show {source}",
        )
    if not _is_data(path):
        return
    recipe = f"{recipe_name(source)}.toml"
    lines = [new_recipe_command(source), f"slugline {command} {shlex.join([recipe, *overrides])}"]
    if command == "study":
        lines = [lines[0], f"slugline train {recipe}"]
    raise RecipeError(
        f"{source} is data, not a recipe.",
        hint="\n".join(["Write a recipe for it first:", *(f"  {line}" for line in lines)]),
    )


def _is_data(path: Path) -> bool:
    if path.exists():
        return path.is_dir() or can_read(path)
    return glob.has_magic(str(path)) or str(path) in (known.name for known in named_sets())
