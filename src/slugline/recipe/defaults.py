"""Defaults that depend on what a recipe says elsewhere: on the model, and on whether it is a pre-training."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slugline.core.layouts import RunLayout
from slugline.recipe.sections import DataSection, ModelSection

#: Stands for [data] where a pre-training names texts of its own; never written.
NO_DATA = DataSection.model_construct()

#: Keys of [model] that other defaults depend on.
CONDITIONS = ("kind", "base", "adapt")

#: Defaults that depend on the model: where all conditions of a row hold, its values stand in for what is not given.
#: ``origin`` is the base that pre-training began with, where ``base`` is what it left. Earlier rows come first.
MODEL_DEFAULTS: tuple[tuple[dict[str, str], dict[str, dict[str, Any]]], ...] = (
    # The head alone is convex and its features are computed once: many cheap epochs at a high rate.
    ({"adapt": "frozen"}, {"train": {"learning_rate": 3e-3, "head_learning_rate": 0.0, "epochs": 30}}),
    # What is added begins at nothing and takes higher rates than weights that know something.
    ({"adapt": "lora"}, {"train": {"learning_rate": 5e-4}}),
    ({"adapt": "adapter"}, {"train": {"learning_rate": 5e-4}}),
    (
        {"kind": "encoder", "origin": "embedded"},
        {
            # Small and trained with mean pooling: it takes higher rates than the BERT family's 2e-5. Its random
            # numbers for attention dropout cost a quarter of the time on a CPU and change no result that we measured.
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

#: Defaults of a recipe with [pretrain]: there are no classes to score.
PRETRAIN_DEFAULTS: dict[str, dict[str, Any]] = {"train": {"select_by": "loss"}}


def with_defaults(values: Mapping[str, Any]) -> dict[str, Any]:
    """Plain values of a recipe with what depends on others filled in.

    Args:
        values: nested tables, as TOML gives them; of wrong kinds perhaps, which are left as they are.

    Returns:
        The same, and defaults for what is not given.
    """
    return _with_pretrain_defaults(_with_model_defaults(values))


def defaults_beside(values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What stands in for keys that are not given, beside the model and the pre-training that a recipe names.

    Args:
        values: complete, as `Recipe.model_dump` gives them.

    Returns:
        By section and key; the schema's own defaults are not among them.
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
    if known["kind"] == "scratch":
        known["base"] = model.get("base", "")
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
    """Values with defaults in place of what is not given."""
    filled = dict(values)
    for section, keys in defaults.items():
        given = filled.get(section, {})
        if isinstance(given, Mapping):
            filled[section] = keys | dict(given)
    return filled


def _origin_of(base: Any) -> Any:
    """The base that a pre-training began with, where ``base`` is the ``model`` folder it left; else ``base``.

    What suits the embedded encoder suits it after further pre-training too.
    """
    seen: list[str] = []
    while isinstance(base, str) and Path(base).name == "model" and base not in seen:
        seen.append(base)
        try:
            values = tomllib.loads(RunLayout(Path(base).parent).recipe.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            break
        base = values["model"]["base"] if "pretrain" in values else base
    return base
