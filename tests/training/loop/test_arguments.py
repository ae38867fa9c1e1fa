"""``[train.arguments]``: what is accepted takes effect, everything else is refused before any data is read."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import TrainingArguments
from transformers.optimization import Adafactor

from conftest import with_changes
from slugline import train
from slugline.core.errors import RecipeError
from slugline.training.loop import session
from slugline.training.loop.arguments import ALLOWED, INSTEAD, OPTIMIZERS, check_arguments


@pytest.fixture
def optimizers(monkeypatch: pytest.MonkeyPatch) -> list[torch.optim.Optimizer]:
    """The optimizers that trainings have used."""
    used: list[torch.optim.Optimizer] = []

    class Recorder(session.StopOnSigterm):
        def on_train_begin(self, args: Any, state: Any, control: Any, **options: Any) -> None:
            used.append(options["optimizer"].optimizer)

    monkeypatch.setattr(session, "StopOnSigterm", Recorder)
    return used


def trained_with(values: dict[str, Any], folder: Path, arguments: dict[str, Any]) -> Any:
    return train(with_changes(values, train={"epochs": 1, "arguments": arguments}), run_dir=folder)


#: Accepted arguments -> class of the optimizer, and settings of its groups.
EFFECTS: list[tuple[dict[str, Any], type[torch.optim.Optimizer], dict[str, Any]]] = [
    ({}, torch.optim.AdamW, {"betas": (0.9, 0.999), "eps": 1e-8, "fused": True}),
    ({"optim": "adamw_torch"}, torch.optim.AdamW, {"fused": None}),
    ({"optim": "adamw_torch_fused", "adam_beta1": 0.5}, torch.optim.AdamW, {"betas": (0.5, 0.999)}),
    ({"adam_beta2": 0.95, "adam_epsilon": 1e-4}, torch.optim.AdamW, {"betas": (0.9, 0.95), "eps": 1e-4}),
    ({"optim": "sgd"}, torch.optim.SGD, {"momentum": 0.0}),
    (
        {"optim": "sgd", "optim_args": "momentum=0.9,nesterov=True"},
        torch.optim.SGD,
        {"momentum": 0.9, "nesterov": True},
    ),
    ({"optim": "sgd", "optim_args": "momentum=0.9, dampening=0.5"}, torch.optim.SGD, {"dampening": 0.5}),
    ({"optim": "adagrad", "optim_args": "lr_decay=0.1,eps=1e-3"}, torch.optim.Adagrad, {"lr_decay": 0.1, "eps": 1e-3}),
    (
        {"optim": "rmsprop", "optim_args": "momentum=0.9,alpha=0.5,eps=1e-3,centered=True"},
        torch.optim.RMSprop,
        {"momentum": 0.9, "alpha": 0.5, "eps": 1e-3, "centered": True},
    ),
    ({"optim": "adafactor"}, Adafactor, {"relative_step": False}),
]


@pytest.mark.parametrize(("arguments", "optimizer", "settings"), EFFECTS, ids=str)
def test_accepted_arguments_take_effect(
    recipe_values: dict[str, Any],
    tmp_path: Path,
    optimizers: list[torch.optim.Optimizer],
    arguments: dict[str, Any],
    optimizer: type,
    settings: dict[str, Any],
) -> None:
    run = trained_with(recipe_values, tmp_path / "run", arguments)
    assert run.state == "complete"
    assert type(optimizers[0]) is optimizer
    for group in optimizers[0].param_groups:
        assert {name: group[name] for name in settings} == settings
    # The rates and the decay of the recipe apply to every optimizer.
    assert optimizers[0].param_groups[0]["initial_lr"] == recipe_values["train"]["learning_rate"]
    assert {group["weight_decay"] for group in optimizers[0].param_groups} == {0.0, 0.01}


def test_every_optimizer_and_every_setting_has_a_test() -> None:
    used = {name for arguments, _, _ in EFFECTS for name in arguments}
    settings = {
        (arguments["optim"], part.partition("=")[0].strip() + "=")
        for arguments, _, _ in EFFECTS
        for part in arguments.get("optim_args", "").split(",")
        if part
    }
    assert used | {"logging_first_step"} == set(ALLOWED)
    assert {arguments["optim"] for arguments, _, _ in EFFECTS if "optim" in arguments} == set(OPTIMIZERS)
    assert settings == {(name, each) for name, all_ in OPTIMIZERS.items() for each in all_ if each.endswith("=")}


def test_the_first_update_can_be_logged(recipe_values: dict[str, Any], tmp_path: Path) -> None:
    run = trained_with(recipe_values, tmp_path / "run", {"logging_first_step": True})
    assert [line["step"] for line in run.history if "loss" in line] == [1, 2, 4, 6, 7]


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"learning_rate": 1e-3}, r"arguments.learning_rate cannot be set(.|\n)*Use train.learning_rate"),
    ({"gradient_accumulation_steps": 2}, "train.micro_batch_size"),
    ({"gradient_checkpointing": True}, "model.gradient_checkpointing"),
    ({"adam_beta3": 0.9}, r"Did you mean 'adam_beta2'(.|\n)*accepts optim, optim_args, adam_beta1"),
    ({"lerning_rate": 0.9}, "Did you mean 'learning_rate'"),
    ({"eval_on_start": True}, r"arguments.eval_on_start cannot be set(.|\n)*no checkpoint has"),
    ({"ignore_data_skip": True}, "read other rows"),
    ({"lr_scheduler_kwargs": {"num_cycles": 2}}, "train.schedule have no further settings"),
    ({"fsdp": "full_shard"}, "one process"),
    ({"torch_compile": True}, "not tried"),
    ({"dataloader_drop_last": True}, "data loaders"),
    ({"optim": "foo"}, "adamw_torch"),
    ({"optim": "lion_8bit"}, "It can be"),
    ({"optim": "adamw_trch"}, "Did you mean 'adamw_torch'"),
    ({"optim": "sgd", "adam_beta1": 0.9}, r"adam_beta1 has no effect on optim = 'sgd'(.|\n)*momentum="),
    ({"optim_args": "momentum=0.9"}, "momentum= has no effect"),
    ({"optim": "sgd", "optim_args": "momntum=0.9"}, "momntum= has no effect"),
    ({"optim": "adafactor", "optim_args": "eps=1"}, "Leave it out"),
    ({"optim": "sgd", "optim_args": "momentum"}, "Give pairs"),
    ({"optim": "sgd", "optim_args": 3}, "Give pairs"),
    ({"optim": "sgd", "optim_args": "momentum=much"}, "much"),
    ({"optim": "sgd", "optim_args": "nesterov=True"}, "Nesterov"),
    ({"adam_beta1": 1.5}, "1.5"),
    ({"adam_beta1": "much"}, "much"),
    ({"logging_first_step": "maybe"}, "maybe"),
]


@pytest.mark.parametrize(("arguments", "message"), REFUSED, ids=str)
def test_other_arguments_are_refused_before_any_data_is_read(
    recipe_values: dict[str, Any], tmp_path: Path, arguments: dict[str, Any], message: str
) -> None:
    recipe = with_changes(recipe_values, data={"path": "nowhere.csv"}, train={"arguments": arguments})
    with pytest.raises(RecipeError, match=message):
        train(recipe, run_dir=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_every_argument_of_transformers_is_accepted_or_refused_by_name() -> None:
    names = [field.name for field in dataclasses.fields(TrainingArguments)]
    assert set(ALLOWED) | set(INSTEAD) <= set(names)
    for name in set(names) - set(ALLOWED):
        with pytest.raises(RecipeError, match=rf"train.arguments.{name} cannot be set(.|\n)*accepts optim"):
            check_arguments({name: None})
