"""First steps with a data set: `inspect_data` describes it, `first_recipe` creates a recipe for it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from slugline.core.errors import MissingExtra
from slugline.data.batching.tokens import Truncation, tokenise
from slugline.data.dataset import TextDataset, load_dataset
from slugline.models.pretrained import EMBEDDED
from slugline.models.tokenizers import load_tokenizer
from slugline.recipe.data_section import DataSection
from slugline.recipe.recipe import Recipe, section_of, validate
from slugline.recipe.toml import override


def data_section(source: str, overrides: Sequence[str] = ()) -> DataSection:
    """Return the data section for a source on the command line.

    Args:
        source: a known data set, a file, a glob, or a folder.
        overrides: overrides ``key=value`` of ``[data]``.

    Returns:
        The section.

    Raises:
        RecipeError: an override is unknown or malformed.
    """
    keys: dict[str, Any] = {}
    for each in overrides:
        override(keys, each.removeprefix("data."))
    return section_of(source, **keys)


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
        key = f"{dataset.fingerprint}/{split}"
        lengths[split] = tokenise(
            rows["text"][:], tokenizer, Truncation(max_length), fingerprint=key
        ).length_statistics()
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
    values: dict[str, Any] = {"name": _slug(source), "data": section.model_dump(exclude_defaults=True)}
    for each in overrides:
        override(values, each)
    recipe = validate(values, overrides=overrides)
    dataset = load_dataset(recipe.data)
    values["data"].setdefault("text", list(dataset.text))
    values["data"].setdefault("label", dataset.label)
    return validate(values, overrides=overrides)


def _slug(source: str) -> str:
    """The name of the run: ``my-news`` for ``data/My News.csv``."""
    return re.sub(r"[^a-z0-9._-]+", "-", Path(source).stem.lower()).strip("-._") or "my-data"
