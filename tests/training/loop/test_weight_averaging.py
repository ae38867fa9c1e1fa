"""Weight averaging: the average is exact, is evaluated and saved, and does not affect the trained weights."""

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
from slugline.data.load import load_dataset
from slugline.recipe.recipe import Recipe
from slugline.run.run import Run
from slugline.training.loop.checkpoints import Progress, checkpoints_in, step_of
from slugline.training.loop.weight_averaging import Share, WeightAverage, ema_share, swa_share

#: 105 training rows, 16 per update, two epochs.
UPDATES = 14


def expected_averages(share: Share, weights: list[Tensor]) -> list[Tensor]:
    """Return the average at the start and after each update, in double precision."""
    averages = [weights[0].double()]
    for step, new in enumerate(weights[1:], start=1):
        averages.append(share(step) * averages[-1] + (1 - share(step)) * new.double())
    return averages


SHARES = {"fast": ema_share(0.9), "slow": ema_share(0.999), "none": ema_share(0.0), "plain": swa_share(20)}


@pytest.mark.parametrize("share", SHARES.values(), ids=SHARES)
def test_the_average_equals_the_reference(share: Share) -> None:
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
    for value, expected in zip(found, expected_averages(share, weights)[1:], strict=True):
        torch.testing.assert_close(value.double(), expected, atol=1e-5, rtol=1e-5)
    assert list(average.average) == ["weight"]  # frozen weights are not averaged


def test_the_share_of_the_moving_average_is_smaller_at_first() -> None:
    assert [ema_share(0.9)(step) for step in (1, 10, 79, 81, 1000)] == pytest.approx([2 / 11, 0.55, 80 / 89, 0.9, 0.9])


def test_swa_weights_each_update_of_the_last_quarter_equally() -> None:
    share = swa_share(20)
    assert [share(step) for step in range(1, 16)] == [0.0] * 15
    assert share(16) == 0  # the first update of the last quarter replaces the average
    assert [share(step) for step in (17, 18, 19, 20)] == pytest.approx([1 / 2, 2 / 3, 3 / 4, 4 / 5])


def test_the_average_is_swapped_in_and_out_exactly() -> None:
    model = nn.Linear(3, 2)
    average = WeightAverage(model, ema_share(0.9), None)
    average.on_train_begin(None, None, None)  # type: ignore[arg-type]
    with torch.no_grad():
        model.weight.add_(1.0)
    trained, mean = model.weight.detach().clone(), average.average["weight"].clone()
    with pytest.raises(RuntimeError, match="inside"), average.swapped_in():
        assert torch.equal(model.weight, mean)
        raise RuntimeError("inside")
    assert torch.equal(model.weight, trained)
    assert torch.equal(average.average["weight"], mean)


@pytest.fixture
def averaging(recipe_values: dict[str, Any]) -> Any:
    """Build a recipe from ``train`` keys, with a checkpoint after every update."""

    def recipe(**keys: Any) -> Recipe:
        return with_changes(
            recipe_values, train={"save_every": 1, "keep_checkpoints": 0, "eval_every": 5, "ema_decay": 0.8} | keys
        )

    return recipe


def weights_of(run: Run, file: str) -> dict[int, dict[str, Tensor]]:
    """Return the weights in each checkpoint, by update."""
    return {step_of(path): load_file(path / file) for path in checkpoints_in(run.layout.checkpoints)}


@pytest.mark.parametrize("kind", ["ema", "swa"])
def test_the_average_is_evaluated_and_saved_and_does_not_affect_training(
    averaging: Any, tmp_path: Path, kind: str
) -> None:
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

    # The validation loss in the history is that of the averaged weights in the checkpoint.
    validation = load_dataset(run.recipe.data)["validation"]
    for line in (line for line in run.history if "validation" in line):
        checkpoint = run.layout.checkpoints / f"checkpoint-{line['step']}"
        logits = np.concatenate(list(load(checkpoint, precision="fp32").logits(validation["text"][:])))
        losses = torch.nn.functional.cross_entropy(torch.tensor(logits), torch.tensor(validation["label"][:]))
        assert losses.item() == pytest.approx(line["validation"]["loss"], abs=1e-5)
    assert run.metrics["validation"]["loss"] != plain.metrics["validation"]["loss"]


@pytest.mark.parametrize(("kind", "after"), [("ema", 6), ("swa", 13)])
def test_a_resumed_run_has_the_same_average(averaging: Any, tmp_path: Path, kind: str, after: int) -> None:
    recipe = averaging(weight_averaging=kind, save_every=4)
    uninterrupted = train(recipe, run_dir=tmp_path / "uninterrupted")
    with interrupted_after(after):
        train(recipe, run_dir=tmp_path / "stopped")
    resumed = train(recipe, run_dir=tmp_path / "stopped", resume=True)
    for file in ("model.safetensors", "averaged.safetensors"):
        expected, found = (weights_of(run, file)[UPDATES] for run in (uninterrupted, resumed))
        assert all(torch.equal(found[name], value) for name, value in expected.items()), file
    assert everything(resumed.path) == everything(uninterrupted.path)


def test_averaging_can_begin_when_a_run_is_resumed(averaging: Any, tmp_path: Path) -> None:
    with interrupted_after(6):
        train(averaging(), run_dir=tmp_path / "run")
    run = train(averaging(weight_averaging="ema"), run_dir=tmp_path / "run", resume=True, accept_changes=True)
    averaged = checkpoints_in(run.layout.checkpoints)[-1] / "averaged.safetensors"
    assert averaged.is_file()
    assert not (run.layout.checkpoints / "checkpoint-4" / "averaged.safetensors").exists()
