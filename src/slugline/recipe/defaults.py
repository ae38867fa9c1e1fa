"""Defaults that depend on other keys: on the model, and on whether the recipe is a pre-training."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slugline.core.layouts import RunLayout
from slugline.recipe.data_section import DataSection
from slugline.recipe.kinds import KINDS
from slugline.recipe.model_section import ModelSection

#: Placeholder for [data] in a pre-training with texts of its own; never written.
NO_DATA = DataSection.model_construct()

#: Keys of [model] that other defaults depend on.
CONDITIONS = ("kind", "base", "adapt")

#: Conditions on the model, and the defaults that apply if all of them hold. If several rows set a key, the first one
#: applies. ``origin`` is the base that pre-training started from, if ``base`` is a pre-trained model.
MODEL_DEFAULTS: tuple[tuple[dict[str, str], dict[str, dict[str, Any]]], ...] = (
    # Training a head is a convex problem and the features are computed once: many cheap epochs at a high rate.
    ({"adapt": "frozen"}, {"train": {"learning_rate": 3e-3, "head_learning_rate": 0.0, "epochs": 30}}),
    # Added weights start at zero and need higher rates than pre-trained weights.
    ({"adapt": "lora"}, {"train": {"learning_rate": 5e-4}}),
    ({"adapt": "adapter"}, {"train": {"learning_rate": 5e-4}}),
    (
        {"kind": "encoder", "origin": "embedded"},
        {
            # Small and trained with mean pooling: higher rates than the 2e-5 of the BERT family give better results.
            # The random numbers of attention dropout take a quarter of the time on a CPU and changed no result.
            "model": {"attention_dropout": 0.0},
            "train": {"learning_rate": 1e-4, "head_learning_rate": 1e-3},
        },
    ),
    ({"kind": "decoder"}, {"train": {"learning_rate": 5e-5}}),
    ({"kind": "scratch", "base": ""}, {"model": {"tokenizer": "bpe"}}),
    (
        {"kind": "scratch"},
        {
            "model": {"base": "", "dropout": 0.1, "attention_dropout": 0.0},
            "train": {
                "learning_rate": 5e-4,
                "schedule": "one_cycle",
                "epochs": 30,
                "batch_size": 64,
                "patience": 10,
            },
        },
    ),
)

#: Defaults of a recipe with [pretrain], which has no classes to score.
PRETRAIN_DEFAULTS: dict[str, dict[str, Any]] = {"train": {"select_by": "loss"}}


def with_defaults(values: Mapping[str, Any]) -> dict[str, Any]:
    """Fill in the defaults that depend on other keys.

    Args:
        values: nested tables, as TOML gives them; values of a wrong type are left unchanged.

    Returns:
        The same, with defaults for keys that are not given.
    """
    return _with_pretrain_defaults(_with_model_defaults(values))


def dependent_defaults(values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the defaults that depend on the model and the pre-training of a recipe.

    Args:
        values: complete values of a recipe, from `Recipe.model_dump`.

    Returns:
        Defaults by section and key, without those of the schema.
    """
    named = {"model": {key: values["model"][key] for key in CONDITIONS}}
    named |= {key: values[key] for key in ("pretrain",) if key in values}
    filled = with_defaults(named)
    return {
        section: {key: value for key, value in filled.get(section, {}).items() if key not in CONDITIONS}
        for section in ("model", "train")
    }


def _with_model_defaults(values: Mapping[str, Any]) -> dict[str, Any]:
    model = values.get("model", {})
    if not isinstance(model, Mapping):
        return dict(values)
    known = {key: model.get(key, ModelSection.model_fields[key].default) for key in CONDITIONS}
    kind = KINDS.get(known["kind"]) if isinstance(known["kind"], str) else None
    if kind:
        known["base"] = model.get("base", kind.default_base)
    known["origin"] = _origin_of(known["base"])
    resolved = dict(values)
    for conditions, defaults in MODEL_DEFAULTS:
        if all(known[key] == value for key, value in conditions.items()):
            resolved = _filled(resolved, defaults)
    return resolved


def _with_pretrain_defaults(values: Mapping[str, Any]) -> dict[str, Any]:
    pretrain = values.get("pretrain")
    if pretrain is None:
        return dict(values)
    resolved = _filled(values, PRETRAIN_DEFAULTS)
    if isinstance(pretrain, Mapping) and pretrain.get("texts"):
        resolved.setdefault("data", NO_DATA)
    return resolved


def _filled(values: Mapping[str, Any], defaults: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Values, and defaults for the keys that are not given."""
    filled = dict(values)
    for section, keys in defaults.items():
        given = filled.get(section, {})
        if isinstance(given, Mapping):
            filled[section] = keys | dict(given)
    return filled


def _origin_of(base: Any) -> Any:
    """The base that pre-training started from, if ``base`` is a model of `slugline pretrain`; else ``base``.

    The defaults of the embedded encoder also suit it after further pre-training.
    """
    seen: list[str] = []
    while isinstance(base, str) and Path(base).name == "model" and base not in seen:
        seen.append(base)
        try:
            values = tomllib.loads(RunLayout(Path(base).parent).recipe.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            break
        base = _base_of(values) if "pretrain" in values else base
    return base


def _base_of(values: Mapping[str, Any]) -> Any:
    """Return the base that a recipe names, or the default of its kind; "" if it has none."""
    model = values.get("model", {})
    if not isinstance(model, Mapping):
        return ""
    kind = KINDS.get(str(model.get("kind", ModelSection.model_fields["kind"].default)))
    return model.get("base", kind.default_base if kind else "")
