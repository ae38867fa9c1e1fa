"""Toys from outside the package: one registration adds a loss, a metric, and a kind of model, as CONTRIBUTING says."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from conftest import with_changes
from slugline import load, train
from slugline.cli.app import run as command
from slugline.core.errors import RecipeError
from slugline.core.labels import LabelSet
from slugline.core.storage import replacing_folder
from slugline.data.dataset import TextDataset
from slugline.evaluation.metrics import METRICS, Metric
from slugline.inference.load import LoadOptions
from slugline.pipeline import compare_runs
from slugline.recipe.kinds import KINDS, Kind
from slugline.recipe.recipe import Recipe, read, validate
from slugline.recipe.train_section import LOSSES
from slugline.run.run import Run
from slugline.training.result import FitResult


def hinge(
    logits: Tensor, targets: Tensor, *, weights: Tensor | None = None, smoothing: float = 0.0, margin: float = 1.0
) -> Tensor:
    """Multi-class hinge loss (Crammer & Singer 2001), with a parameter of its own."""
    true = logits.gather(1, targets[:, None])
    others = logits.scatter(1, targets[:, None], -torch.inf).amax(dim=1)
    losses = (margin + others - true[:, 0]).clamp_min(0)
    return losses if weights is None else losses * weights[targets]


def test_a_loss_is_one_registration(
    recipe_values: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RecipeError, match="'hinge'; it can be 'cross_entropy' or 'focal'"):
        with_changes(recipe_values, train={"loss": "hinge"})
    monkeypatch.setitem(LOSSES, "hinge", hinge)
    losses = {}
    for margin in (1.0, 5.0):
        changes = {"loss": "hinge", "loss_arguments": {"margin": margin}}
        run = train(with_changes(recipe_values, train=changes), run_dir=tmp_path / str(margin))
        losses[margin] = next(line["loss"] for line in run.history if "loss" in line)
        assert Run(run.path).recipe.train.loss_arguments == {"margin": margin}
    assert losses[5.0] == pytest.approx(losses[1.0] + 4, abs=0.5)
    for arguments, message in (({"gamma": 1.0}, "key of its own"), ({"margin": "wide"}, "fails with")):
        wrong = with_changes(recipe_values, train={"loss": "hinge", "loss_arguments": arguments})
        with pytest.raises(RecipeError, match=message):
            train(wrong, run_dir=tmp_path / "wrong")
    with pytest.raises(RecipeError, match=r"loss_arguments\.margn.*Did you mean 'margin'"):
        wrong = with_changes(recipe_values, train={"loss": "hinge", "loss_arguments": {"margn": 1.0}})
        train(wrong, run_dir=tmp_path / "wrong")
    assert not (tmp_path / "wrong").exists()
    # A program without the loss reads and loads the run, but trains no other one.
    monkeypatch.delitem(LOSSES, "hinge")
    assert command(["show", str(tmp_path / "1.0")]) == 0
    assert len(load(tmp_path / "1.0").predict(["a text"])) == 1
    with pytest.raises(RecipeError, match="'hinge'; it can be"):
        read(tmp_path / "1.0" / "recipe.toml")


def test_a_metric_is_one_registration(
    recipe_values: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    worst = Metric("sure", "share of sure answers", lambda outcomes: (outcomes.confidence > 0.5).mean(axis=-1))
    monkeypatch.setitem(METRICS, "sure", worst)
    values = recipe_values | {"model": {"kind": "linear"}, "train": {"select_by": "sure"}}
    one = train(validate(values), run_dir=tmp_path / "one")
    low, high = one.metrics["test"]["confidence_intervals"]["sure"]
    assert 0 <= low <= one.metrics["test"]["sure"] <= high <= 1
    other = train(validate(values | {"train": {"class_weights": "balanced"}}), run_dir=tmp_path / "two")
    comparison = compare_runs([one.path, other.path], metric="sure")
    assert "share of sure answers" in comparison.summary[0]
    capsys.readouterr()
    assert command(["show", str(one.path)]) == 0
    assert "sure *" in capsys.readouterr().out
    # Runs of before, without the metric, are still shown.
    monkeypatch.setitem(METRICS, "later", Metric("later", "a later metric", worst.of))
    assert command(["show", str(one.path)]) == 0


@dataclass(frozen=True)
class MostFrequent:
    """Predicts the shares of the classes, whatever the text."""

    shares: tuple[float, ...]

    def logits(self, texts: Iterable[str]) -> Iterator[NDArray[np.float32]]:
        for _ in texts:
            yield np.log(np.array([self.shares], dtype=np.float32))


def fit_most_frequent(recipe: Recipe, dataset: TextDataset, run: Run, checkpoint: Path | None) -> FitResult:
    counts = np.bincount(dataset["train"]["label"][:], minlength=len(dataset.labels))
    with replacing_folder(run.layout.model) as folder:
        shares = (counts / counts.sum()).tolist()
        (folder / "shares.json").write_text(json.dumps({"labels": list(dataset.labels.names), "shares": shares}))
    timing = {"train_seconds": 0.0, "seconds_per_epoch": 0.0, "examples_per_second": 0.0, "padding_share": 0.0}
    return FitResult(load(run.path), timing=timing, size={"parameters": len(counts)}, selected={})


def load_most_frequent(source: str, options: LoadOptions) -> tuple[LabelSet, MostFrequent]:
    values = json.loads((Path(source) / "shares.json").read_text())
    return LabelSet(tuple(values["labels"])), MostFrequent(tuple(values["shares"]))


def test_a_kind_is_one_registration(
    recipe_values: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = Kind(
        "the most frequent class",
        fit="test_adding:fit_most_frequent",
        load="test_adding:load_most_frequent",
        saved_as="shares.json",
        has_updates=False,
        train_keys=("select_by", "folds"),
    )
    monkeypatch.setitem(KINDS, "most_frequent", kind)
    values = recipe_values | {"model": {"kind": "most_frequent"}, "train": {}}
    run = train(validate(values), run_dir=tmp_path / "run")
    assert 0.2 < run.metrics["test"]["accuracy"] < 0.5
    assert len(set(load(run.path).predict(["a", "b"]))) == 1
    assert (load(run.layout.model).predict_proba(["a"]) == load(run.path).predict_proba(["b"])).all()
    ensemble = train(validate(values | {"train": {"folds": 2}}), run_dir=tmp_path / "folds")
    assert ensemble.metrics["out_of_fold"]["support"] == 120
    with pytest.raises(RecipeError, match="epochs would have no effect"):
        train(validate(values | {"train": {"epochs": 9}}), run_dir=tmp_path / "no")
