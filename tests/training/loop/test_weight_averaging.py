"""Averaged weights: what they are, that they are evaluated and kept, that nothing else changes."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from conftest import everything, interrupted_after, with_changes
from slugline import load, train
from slugline.data.dataset import load_dataset
from slugline.recipe.recipe import Recipe
from slugline.run.run import Run
from slugline.training.loop.checkpoints import Progress, checkpoints_in, step_of
from slugline.training.loop.weight_averaging import Share, WeightAverage, ema_share, swa_share

#: 105 training rows, 16 an update, two epochs.
UPDATES = 14


def averaged_by_hand(share: Share, weights: list[Tensor]) -> list[Tensor]:
    """The average at the beginning and after each update, in double precision."""
    averages = [weights[0].double()]
    for step, new in enumerate(weights[1:], start=1):
        averages.append(share(step) * averages[-1] + (1 - share(step)) * new.double())
    return averages


SHARES = {"fast": ema_share(0.9), "slow": ema_share(0.999), "none": ema_share(0.0), "plain": swa_share(20)}


@pytest.mark.parametrize("share", SHARES.values(), ids=SHARES)
def test_the_average_is_the_one_computed_by_hand(share: Share) -> None:
    model = nn.Linear(3, 2)
    model.bias.requires_grad_(False)
    average = WeightAverage(model, share, None)
    average.on_train_begin(None, None, None)  # type: ignore[arg-type]
    weights, found = [model.weight.detach().clone()], []
    for step in range(1, 21):
        with torch.no_grad():
            model.weight.add_(torch.randn(2, 3, generator=torch.Generator().manual_seed(step)))
        weights.append(model.weight.detach().clone())
        average.on_step_end(None, SimpleNamespace(global_step=step), None)  # type: ignore[arg-type]
        found.append(average.average["weight"].clone())
    for ours, theirs in zip(found, averaged_by_hand(share, weights)[1:], strict=True):
        torch.testing.assert_close(ours.double(), theirs, atol=1e-5, rtol=1e-5)
    assert list(average.average) == ["weight"]  # what is not trained needs no average


def test_the_moving_average_is_short_at_first() -> None:
    assert [ema_share(0.9)(step) for step in (1, 10, 79, 81, 1000)] == pytest.approx([2 / 11, 0.55, 80 / 89, 0.9, 0.9])


def test_the_plain_average_counts_each_update_of_the_last_quarter_once() -> None:
    share = swa_share(20)
    assert [share(step) for step in range(1, 16)] == [0.0] * 15
    assert share(16) == 0  # the first of the last quarter begins anew
    assert [share(step) for step in (17, 18, 19, 20)] == pytest.approx([1 / 2, 2 / 3, 3 / 4, 4 / 5])


def test_weights_are_lent_and_come_back_to_the_bit() -> None:
    model = nn.Linear(3, 2)
    average = WeightAverage(model, ema_share(0.9), None)
    average.on_train_begin(None, None, None)  # type: ignore[arg-type]
    with torch.no_grad():
        model.weight.add_(1.0)
    trained, mean = model.weight.detach().clone(), average.average["weight"].clone()
    with pytest.raises(RuntimeError, match="while lent"), average.swapped_in():
        assert torch.equal(model.weight, mean)
        raise RuntimeError("while lent")
    assert torch.equal(model.weight, trained)
    assert torch.equal(average.average["weight"], mean)


@pytest.fixture
def averaging(recipe_values: dict[str, Any]) -> Any:
    """From ``train`` keys to a recipe with a checkpoint after every update."""

    def recipe(**keys: Any) -> Recipe:
        return with_changes(
            recipe_values, train={"save_every": 1, "keep_checkpoints": 0, "eval_every": 5, "ema_decay": 0.8} | keys
        )

    return recipe


def weights_of(run: Run, file: str) -> dict[int, dict[str, Tensor]]:
    """The weights in each checkpoint, by update."""
    return {step_of(path): load_file(path / file) for path in checkpoints_in(run.layout.checkpoints)}


@pytest.mark.parametrize("kind", ["ema", "swa"])
def test_a_run_evaluates_and_keeps_the_average_and_trains_as_without(averaging: Any, tmp_path: Path, kind: str) -> None:
    run = train(averaging(weight_averaging=kind), run_dir=tmp_path / kind)
    trained, averaged = weights_of(run, "model.safetensors"), weights_of(run, "averaged.safetensors")
    assert list(trained) == list(range(1, UPDATES + 1))
    for name, last in averaged[UPDATES].items():
        if kind == "swa":
            mean = torch.stack([trained[step][name].double() for step in range(11, UPDATES + 1)]).mean(dim=0)
        else:
            share = min(0.8, (1 + UPDATES) / (10 + UPDATES))
            mean = share * averaged[UPDATES - 1][name].double() + (1 - share) * trained[UPDATES][name].double()
        torch.testing.assert_close(last.double(), mean, atol=1e-6, rtol=1e-5)
        assert not torch.equal(last, trained[UPDATES][name])

    plain = train(averaging(), run_dir=tmp_path / "plain")
    for step, expected in weights_of(plain, "model.safetensors").items():
        assert all(torch.equal(trained[step][name], value) for name, value in expected.items())

    best = Progress.read(run.layout.checkpoints / f"checkpoint-{UPDATES}").best_step
    kept = load_file(run.layout.model / "model.safetensors")
    assert all(torch.equal(kept[name], value) for name, value in averaged[best].items())

    # What history says of an update is what its checkpoint answers, and those are the averaged weights.
    validation = load_dataset(run.recipe.data)["validation"]
    for line in (line for line in run.history if "validation" in line):
        checkpoint = run.layout.checkpoints / f"checkpoint-{line['step']}"
        logits = np.concatenate(list(load(checkpoint, precision="fp32").logits(validation["text"][:])))
        losses = torch.nn.functional.cross_entropy(torch.tensor(logits), torch.tensor(validation["label"][:]))
        assert losses.item() == pytest.approx(line["validation"]["loss"], abs=1e-5)
    assert run.metrics["validation"]["loss"] != plain.metrics["validation"]["loss"]


@pytest.mark.parametrize(("kind", "after"), [("ema", 6), ("swa", 13)])
def test_an_interrupted_average_ends_as_if_nothing_had_happened(
    averaging: Any, tmp_path: Path, kind: str, after: int
) -> None:
    recipe = averaging(weight_averaging=kind, save_every=4)
    whole = train(recipe, run_dir=tmp_path / "whole")
    with interrupted_after(after):
        train(recipe, run_dir=tmp_path / "stopped")
    resumed = train(recipe, run_dir=tmp_path / "stopped", resume=True)
    for file in ("model.safetensors", "averaged.safetensors"):
        expected, found = (weights_of(run, file)[UPDATES] for run in (whole, resumed))
        assert all(torch.equal(found[name], value) for name, value in expected.items()), file
    assert everything(resumed.path) == everything(whole.path)


def test_a_run_may_begin_to_average_when_it_is_resumed(averaging: Any, tmp_path: Path) -> None:
    with interrupted_after(6):
        train(averaging(), run_dir=tmp_path / "run")
    run = train(averaging(weight_averaging="ema"), run_dir=tmp_path / "run", resume=True, accept_changes=True)
    averaged = checkpoints_in(run.layout.checkpoints)[-1] / "averaged.safetensors"
    assert averaged.is_file()
    assert not (run.layout.checkpoints / "checkpoint-4" / "averaged.safetensors").exists()
