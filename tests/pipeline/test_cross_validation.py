"""Cross-validation from recipe to run: one run per fold, their ensemble, resuming."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import articles, everything, interrupted_after, linear, with_changes, write_csv
from slugline import load, train
from slugline.cli.app import run as command
from slugline.core.errors import DataError, RunError
from slugline.core.predictions import probabilities
from slugline.pipeline import compare_runs, cross_validation, evaluate_on
from slugline.pipeline.run_data import dataset_of
from slugline.recipe.recipe import Recipe, write
from slugline.run.run import Run

TEXTS = ["market shares and the bank", "the team won a match", "a phone with a chip", ""]


def logits_of(model: Path, texts: list[str] = TEXTS) -> Any:
    return np.concatenate(list(load(model, precision="fp32").logits(texts)))


def texts_by_id(recipe: Recipe, split: str = "train") -> dict[str, str]:
    rows = dataset_of(recipe)[split]
    return dict(zip(rows["id"][:], rows["text"][:], strict=True))


@pytest.fixture
def encoder(recipe_values: dict[str, Any]) -> Recipe:
    return with_changes(recipe_values, train={"folds": 2, "epochs": 1, "save_every": 2})


@pytest.mark.parametrize("kind", ["linear", "encoder"])
def test_a_cross_validation_writes_all_results(
    recipe_values: dict[str, Any], encoder: Recipe, tmp_path: Path, kind: str
) -> None:
    recipe = linear(recipe_values, folds=3) if kind == "linear" else encoder
    count = recipe.train.folds
    run = train(recipe, run_dir=tmp_path / "run")
    assert run.scored_splits == ["out_of_fold", "test"]
    assert [fold.path.name for fold in run.folds] == [str(number) for number in range(1, count + 1)]
    assert all(fold.state == "complete" for fold in run.folds)

    out_of_fold, texts = run.predictions("out_of_fold"), texts_by_id(recipe)
    assert sorted(out_of_fold.ids) == sorted(texts)
    logits = dict(zip(out_of_fold.ids.tolist(), out_of_fold.logits, strict=True))
    for fold in run.folds:
        held_out = fold.predictions("validation").ids.tolist()
        expected = np.array([logits[name] for name in held_out])
        found = logits_of(fold.path, [texts[name] for name in held_out])
        np.testing.assert_allclose(found, expected, atol=1e-4)
        assert evaluate_on(str(fold.path), split="validation").metrics["accuracy"] == pytest.approx(
            fold.metrics["validation"]["accuracy"]
        )
    assert run.metrics["out_of_fold"]["accuracy"] == (out_of_fold.predicted == out_of_fold.targets).mean()
    assert run.calibration.fitted_on == "out_of_fold"  # type: ignore[union-attr]

    rows = run.metrics["folds"]
    assert [row["fold"] for row in rows] == list(range(1, count + 1))
    for row, fold in zip(rows, run.folds, strict=True):
        assert row["validation"] == fold.metrics["validation"]
        assert row["seconds"] > 0
        assert (row["best_epoch"] is None) == (kind == "linear")
    assert sum(row["validation"]["support"] for row in rows) == len(texts)
    assert run.metrics["size"]["parameters"] == sum(fold.metrics["size"]["parameters"] for fold in run.folds)
    total = run.metrics["timing"]["train_seconds"]
    assert total == pytest.approx(sum(fold.metrics["timing"]["train_seconds"] for fold in run.folds))

    np.testing.assert_allclose(
        logits_of(run.path), np.mean([logits_of(fold.path) for fold in run.folds], axis=0), atol=1e-5
    )
    # Scored in the precision of the training (fp32), also if the hardware supports another one.
    test = run.predictions("test")
    by_id = texts_by_id(recipe, "test")
    np.testing.assert_allclose(test.logits, logits_of(run.path, [by_id[name] for name in test.ids.tolist()]), atol=1e-5)
    assert evaluate_on(str(run.path)).metrics["accuracy"] == run.metrics["test"]["accuracy"]


def test_an_ensemble_can_average_probabilities(recipe_values: dict[str, Any], tmp_path: Path) -> None:
    run = train(linear(recipe_values, folds=3, ensemble="probabilities"), run_dir=tmp_path / "run")
    members = [probabilities(logits_of(fold.path)) for fold in run.folds]
    np.testing.assert_allclose(probabilities(logits_of(run.path)), np.mean(members, axis=0), atol=1e-5)


@pytest.mark.parametrize("kind", ["linear", pytest.param("encoder", marks=pytest.mark.slow)])
def test_folds_trained_side_by_side_give_the_same_results(
    recipe_values: dict[str, Any], encoder: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    recipe = linear(recipe_values, folds=2) if kind == "linear" else encoder
    one = train(recipe, run_dir=tmp_path / "one")
    monkeypatch.setattr(cross_validation, "jobs_at_once", lambda _: 2)
    two = train(recipe, run_dir=tmp_path / "two")
    assert everything(two.path) == everything(one.path)
    processes = [fold.manifest["process"]["pid"] for fold in two.folds]
    assert len({os.getpid(), *processes}) == 3
    for fold, other in zip(one.folds, two.folds, strict=True):
        weights = [(run.layout.model / "model.safetensors").read_bytes() for run in (fold, other)]
        assert weights[0] == weights[1]


def test_a_resumed_cross_validation_skips_complete_folds(
    encoder: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = encoder.model_copy(update={"train": encoder.train.model_copy(update={"folds": 3})})
    uninterrupted = train(recipe, run_dir=tmp_path / "uninterrupted")
    train_fold = cross_validation.train_fold

    def stop_in_second_fold(*job: Any) -> None:
        if job[-1] != 2:
            train_fold(*job)
            return
        with interrupted_after(3):
            train_fold(*job)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(cross_validation, "train_fold", stop_in_second_fold)
        with pytest.raises(KeyboardInterrupt):
            train(recipe, run_dir=tmp_path / "run")
    run = Run(tmp_path / "run")
    assert [fold.state for fold in run.folds] == ["complete", "interrupted"]
    with pytest.raises(RunError, match=r"only 2 of 3 folds(.|\n)*--resume"):
        load(run.path)
    before = [(fold.path / "manifest.json").read_text() for fold in run.folds]
    train(recipe, run_dir=run.path, resume=True)
    after = [(fold.path / "manifest.json").read_text() for fold in run.folds]
    assert after[0] == before[0]
    assert json.loads(after[1])["created"] == json.loads(before[1])["created"]
    assert "resuming from checkpoint-2" in (run.path / "folds" / "2" / "log.txt").read_text()
    assert everything(run.path) == everything(uninterrupted.path)


def test_folds_are_trained_again_if_the_data_has_changed(
    recipe_values: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_csv(tmp_path / "news.csv", articles(120))
    recipe = linear({**recipe_values, "data": {"path": str(path)}}, folds=3)

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(cross_validation, "_evaluate_ensemble", stop)
        with pytest.raises(KeyboardInterrupt):
            train(recipe, run_dir=tmp_path / "run")
    write_csv(path, articles(150))
    with pytest.raises(RunError, match="data has changed"):
        train(recipe, run_dir=tmp_path / "run", resume=True)
    fewer = linear({**recipe_values, "data": {"path": str(path)}}, folds=2)
    run = train(fewer, run_dir=tmp_path / "run", resume=True, accept_changes=True)
    assert everything(run.path) == everything(train(fewer, run_dir=tmp_path / "again").path)
    assert len(run.folds) == 2


def test_an_interrupted_fold_never_holds_out_rows_that_it_was_trained_on(encoder: Recipe, tmp_path: Path) -> None:
    with interrupted_after(3):
        train(encoder, run_dir=tmp_path / "run")
    assert list((tmp_path / "run" / "folds" / "1" / "checkpoints").iterdir())
    recipe = encoder.model_copy(update={"train": encoder.train.model_copy(update={"folds": 3})})
    with pytest.MonkeyPatch.context() as patched, pytest.raises(KeyboardInterrupt):
        # Killed after the fold was renamed to its backup, before anything was trained in its place.
        patched.setattr(cross_validation, "fit_and_evaluate", interrupt)
        patched.setattr("slugline.run.lifecycle.shutil.rmtree", interrupt)
        train(recipe, run_dir=tmp_path / "run", resume=True, accept_changes=True)
    assert (tmp_path / "run" / "folds" / ".1.aside").exists()
    run = train(recipe, run_dir=tmp_path / "run", resume=True, accept_changes=True)
    assert "resuming from" not in (run.path / "folds" / "1" / "log.txt").read_text()
    assert everything(run.path) == everything(train(recipe, run_dir=tmp_path / "again").path)


def test_a_complete_fold_of_another_recipe_is_kept_with_a_warning(
    encoder: Recipe, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(cross_validation, "_evaluate_ensemble", interrupt)
        train(encoder, run_dir=tmp_path / "run")
    focal = encoder.model_copy(update={"train": encoder.train.model_copy(update={"loss": "focal"})})
    train(focal, run_dir=tmp_path / "run", resume=True, accept_changes=True)
    assert "fold 1 of 2 was completed with another recipe and is kept: train.loss" in caplog.text


def interrupt(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


def test_a_class_too_small_for_the_folds_leaves_no_run(recipe_values: dict[str, Any], tmp_path: Path) -> None:
    rows = [*articles(60), *({"text": f"rain and wind {index}", "label": "weather"} for index in range(3))]
    data = {"path": str(write_csv(tmp_path / "news.csv", rows)), "test_fraction": 0.1}
    with pytest.raises(DataError, match=r"train\.folds = 3(.|\n)*'weather' \(2\)"):
        train(linear({**recipe_values, "data": data}, folds=3), run_dir=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_command_line_cross_validates(
    recipe_values: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("linear.toml").write_text(write(linear(recipe_values)))
    for name, options in (("one", []), ("two", ["seed=5"])):
        assert command(["train", "linear.toml", *options, "--folds", "3", "--run-dir", name]) == 0
    assert "out_of_fold" in capsys.readouterr().out
    assert command(["evaluate", "one"]) == 0
    assert "test" in capsys.readouterr().out
    assert command(["compare", "one", "two", "--split", "out_of_fold"]) == 0
    assert command(["predict", "one", "the team won the match"]) == 0
    assert "sport" in capsys.readouterr().out
    assert compare_runs([Path("one"), Path("two")], split="out_of_fold").support == 120
    assert command(["train", "linear.toml", "--folds", "3", "--run-dir", "one", "--resume"]) == 1
    assert "is complete" in capsys.readouterr().err
