"""Differences between two recipes, and keys that were renamed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

#: Former dotted key -> present one. Recipes with a former key are refused; runs that were written with one are read.
RENAMED = {
    "data.min_tokens": "data.min_words",
    "data.long": "data.long_texts",
    "train.average": "train.weight_averaging",
    "train.track": "train.report_to",
}

#: Keys that the weights of a checkpoint, or their selection, depend on: a run cannot be resumed with other values.
FIXED = (
    *("model.kind:", "model.base:", "model.adapt:", "model.pooling:", "model.head:", "model.adapter."),
    *("model.lora.variant:", "model.lora.r:", "model.lora.alpha:", "model.lora.targets:"),
    *("model.size:", "model.layers:", "model.width:", "model.ffn:", "model.heads:", "model.positions:"),
    *("model.tokenizer:", "model.vocabulary_size:", "pretrain.objective:", "train.select_by:"),
)


#: Keys that do not change what is learned or scored.
WITHOUT_INFLUENCE = ("train.keep_checkpoints", "train.logging_steps", "train.report_to", "train.workers")


def changed_keys(before: BaseModel, after: BaseModel) -> list[str]:
    """Return the dotted keys in which two recipes differ, with both values, in the order of the schema.

    Keys without an influence on the model are left out, so that a change of them does not prevent a resume.
    """
    old, new = dict(_flatten(before.model_dump(mode="json"))), dict(_flatten(after.model_dump(mode="json")))
    keys = list(dict.fromkeys([*old, *new]))
    differing = [key for key in keys if old.get(key) != new.get(key) and key not in WITHOUT_INFLUENCE]
    return [f"{key}: {old.get(key)!r} -> {new.get(key)!r}" for key in differing]


def fixed_keys(changes: Sequence[str]) -> list[str]:
    """Return those of `changed_keys` with which no checkpoint can be resumed."""
    return [change for change in changes if change.startswith(FIXED)]


def with_present_keys(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return plain values of a recipe with former keys under their present names."""
    present = {key: dict(value) if isinstance(value, Mapping) else value for key, value in values.items()}
    for old, new in RENAMED.items():
        section, _, key = old.partition(".")
        table = present.get(section)
        if isinstance(table, dict) and key in table:
            table[new.partition(".")[2]] = table.pop(key)
    return present


def _flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
