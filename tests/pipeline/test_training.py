"""Training from recipe to run, on tiny models: files, reproducibility, resuming, evaluation."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from conftest import SHARED_DATA, articles, everything, interrupted_after, linear, with_changes, write_csv
from slugline import load, train
from slugline.core.errors import DataError, RecipeError, RunError, TrainingError
from slugline.data.load import load_dataset
from slugline.evaluation.metrics import summary
from slugline.pipeline import compare_runs, evaluate_on, score_split
from slugline.recipe.recipe import validate
from slugline.run.run import Run
from slugline.training.linear import LINEAR_MODELS, fit_linear_models
from slugline.training.loop.callbacks import HistoryWriter
from slugline.training.loop.checkpoints import Progress, checkpoints_in, step_of

TEXTS = ["market shares and the bank", "the team won a match", "a phone with a chip", ""]


def test_a_run_has_all_results(recipe_values: dict[str, Any], tmp_path: Path) -> None:
    run = train(with_changes(recipe_values, train={"epochs": 6}), run_dir=tmp_path / "run")
    files = {path.relative_to(run.path).as_posix() for path in run.path.rglob("*") if path.is_file()}
    assert files >= {
        "recipe.toml",
        "manifest.json",
        "history.jsonl",
        "metrics.json",
        "predictions/validation.parquet",
        "predictions/test.parquet",
        "model/config.json",
        "model/model.safetensors",
        "model/tokenizer.json",
        "data.json",
        "calibration.json",
        "errors.json",
        "log.txt",
        *(f"plots/{name}.{kind}" for name in ("curves", "confusion") for kind in ("png", "svg")),
    }
    assert not [name for name in files if name.endswith((".bin", ".pkl")) or ".partial" in name]
    metrics = run.metrics
    assert set(metrics["test"]) >= {
        *("accuracy", "precision_macro", "recall_macro", "f1_macro", "precision_weighted", "recall_weighted"),
        *("f1_weighted", "loss", "ece", "ece_uncalibrated", "support", "per_class", "confusion_matrix"),
        "confidence_intervals",
    }
    assert set(metrics["timing"]) >= {
        *("train_seconds", "seconds_per_epoch", "examples_per_second", "inference_seconds_per_1000"),
        *("latency_ms_p50", "latency_ms_p99", "peak_memory_bytes", "padding_share"),
    }
    assert set(metrics["size"]) == {
        "parameters",
        "trainable_parameters",
        "embedding_parameters",
        "head_parameters",
        "model_bytes",
    }
    assert set(run.manifest) >= {"state", "versions", "hardware", "precision", "threads", "data", "seed", "seconds"}
    assert run.data["tokens"]["train"]["truncated_share"] >= 0
    assert metrics["test"]["accuracy"] > 0.5  # a random model has 1/3


def test_metrics_agree_with_the_saved_predictions(recipe_values: dict[str, Any], tmp_path: Path) -> None:
    run = train(validate(recipe_values), run_dir=tmp_path / "run")
    predictions = run.predictions("test")
    assert (predictions.predicted == predictions.targets).mean() == run.metrics["test"]["accuracy"]
    assert predictions.calibration == run.calibration
    assert len(run.history) == len({(line["step"], "validation" in line) for line in run.history})
    best = max(line["validation"]["f1_macro"] for line in run.history if "validation" in line)
    assert run.metrics["validation"]["f1_macro"] == pytest.approx(best)


@pytest.mark.parametrize("kind", ["encoder", "linear"])
def test_two_trainings_give_the_same_metrics(recipe_values: dict[str, Any], tmp_path: Path, kind: str) -> None:
    recipe = validate(recipe_values) if kind == "encoder" else linear(recipe_values)
    one, two = (train(recipe, run_dir=tmp_path / name) for name in ("one", "two"))
    assert everything(one.path) == everything(two.path)
    assert (one.path / "recipe.toml").read_text() == (two.path / "recipe.toml").read_text()
    again = train(one.recipe, run_dir=tmp_path / "from-its-own-recipe")
    assert everything(again.path) == everything(one.path)


def test_a_fresh_process_gives_the_same_probabilities(recipe_values: dict[str, Any], tmp_path: Path) -> None:
    """For every kind and pooling: a saved model gives the same probabilities in another process."""
    recipes = {"linear": linear(recipe_values)}
    recipes |= {
        pooling: with_changes(recipe_values, model={"pooling": pooling}, train={"epochs": 1})
        for pooling in ("native", "mean", "max", "cls", "last")
    }
    paths = {name: str(train(recipe, run_dir=tmp_path / name).path) for name, recipe in recipes.items()}
    script = (
        "import json, slugline\n"
        f"loaded = {{name: slugline.load(path, precision='fp32') for name, path in {paths!r}.items()}}\n"
        f"print(json.dumps({{name: [model.predict_proba({TEXTS!r}).tolist(), model.predict({TEXTS!r}).tolist(), "
        "list(model.classes_)] for name, model in loaded.items()}))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    for name, (probabilities, labels, classes) in json.loads(done.stdout).items():
        classifier = load(paths[name], precision="fp32")
        np.testing.assert_allclose(probabilities, classifier.predict_proba(TEXTS), atol=1e-6, err_msg=name)
        assert np.sum(probabilities, axis=1) == pytest.approx(np.ones(len(TEXTS)))
        assert set(labels) <= set(classes) == {"business", "sport", "tech"}


def test_plain_transformers_gives_the_same_logits_with_native_pooling(
    recipe_values: dict[str, Any], tmp_path: Path
) -> None:
    run = train(with_changes(recipe_values, model={"pooling": "native"}), run_dir=tmp_path / "run")
    script = (
        "import json, torch\n"
        "from transformers import AutoModelForSequenceClassification, AutoTokenizer\n"
        f"folder = {str(run.model_dirs[0])!r}\n"
        "model = AutoModelForSequenceClassification.from_pretrained(folder).eval()\n"
        "tokenizer = AutoTokenizer.from_pretrained(folder)\n"
        f"batch = tokenizer({TEXTS!r}, padding=True, truncation=True, max_length=32, return_tensors='pt')\n"
        "with torch.no_grad(): logits = model(**batch).logits\n"
        "print(json.dumps([logits.tolist(), model.config.id2label]))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    logits, names = json.loads(done.stdout)
    ours = np.concatenate(list(load(run.path, precision="fp32").logits(TEXTS)))
    np.testing.assert_allclose(logits, ours, atol=1e-5)
    assert list(names.values()) == ["business", "sport", "tech"]


def test_runs_model_folders_and_checkpoints_are_loaded(recipe_values: dict[str, Any], tmp_path: Path) -> None:
    recipe = with_changes(recipe_values, model={"pooling": "native"}, train={"keep_checkpoints": 2})
    run = train(recipe, run_dir=tmp_path / "run")
    expected = load(run.path, precision="fp32")
    best = Progress.read(checkpoints_in(run.layout.checkpoints)[-1]).best_step
    for path in (run.model_dirs[0], run.layout.checkpoints / f"checkpoint-{best}"):
        assert load(path, precision="fp32").predict(TEXTS).tolist() == expected.predict(TEXTS).tolist()
    foreign = tmp_path / "foreign"
    run.model_dirs[0].rename(foreign)
    (foreign / "slugline.json").unlink()
    found = load(foreign, precision="fp32")
    assert found.calibration is None
    assert found.predict(TEXTS).tolist() == expected.predict(TEXTS).tolist()


@pytest.mark.parametrize("after", [3, 7, 8, 9, 13])
def test_a_resumed_run_gives_the_same_result(recipe_values: dict[str, Any], tmp_path: Path, after: int) -> None:
    """Seven updates per epoch, one checkpoint per four: stops before, at and between checkpoints and epochs."""
    recipe = with_changes(recipe_values, train={"save_every": 4, "logging_steps": 4, "keep_checkpoints": 0})
    uninterrupted = train(recipe, run_dir=tmp_path / "uninterrupted")
    with interrupted_after(after):
        train(recipe, run_dir=tmp_path / "stopped")
    assert Run(tmp_path / "stopped").state == "interrupted"
    resumed = train(recipe, run_dir=tmp_path / "stopped", resume=True)

    last = [checkpoints_in(run.layout.checkpoints)[-1] for run in (uninterrupted, resumed)]
    assert step_of(last[0]) == step_of(last[1]) == 14
    weights = [load_file(path / "model.safetensors") for path in last]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert everything(resumed.path) == everything(uninterrupted.path)
    histories = [
        [{k: v for k, v in line.items() if k != "examples_per_second"} for line in run.history]
        for run in (uninterrupted, resumed)
    ]
    assert histories[0] == histories[1]


@pytest.mark.parametrize(
    "keys",
    [
        {"learning_rate": 1e-6, "head_learning_rate": 1e-6, "weight_decay": 0.5},
        {"layer_decay": 0.5, "warmup": 0.5},
        {"schedule": "one_cycle", "epochs": 3},
        {"schedule": "cosine"},
        {"schedule": "constant", "warmup": 0},
        {"arguments": {"optim": "sgd"}},
        {"arguments": {"optim": "adafactor"}, "schedule": "one_cycle"},
    ],
)
@pytest.mark.parametrize("before", [{}, {"schedule": "one_cycle", "arguments": {"optim": "adagrad"}}])
def test_accepted_changes_of_rates_apply_from_the_next_update_on(
    recipe_values: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    before: dict[str, Any],
    keys: dict[str, Any],
) -> None:
    used: list[tuple[int, list[tuple[float, float]]]] = []

    class RateRecorder(HistoryWriter):
        def on_step_begin(self, args: Any, state: Any, control: Any, **options: Any) -> None:
            super().on_step_begin(args, state, control, **options)
            groups = options["optimizer"].param_groups
            used.append((state.global_step, [(group["lr"], group["weight_decay"]) for group in groups]))

    changed = with_changes(recipe_values, train={"save_every": 4} | keys)
    with interrupted_after(8):
        train(with_changes(recipe_values, train={"save_every": 4} | before), run_dir=tmp_path / "stopped")
    monkeypatch.setattr("slugline.training.loop.session.HistoryWriter", RateRecorder)
    train(changed, run_dir=tmp_path / "uninterrupted")
    expected = dict(used)
    used.clear()
    train(changed, run_dir=tmp_path / "stopped", resume=True, accept_changes=True)
    found = dict(used)
    assert min(found) == 7
    assert found == {step: rates for step, rates in expected.items() if step >= 7}


@pytest.mark.parametrize(
    ("arguments", "is_fresh"),
    [
        ({}, False),
        ({"adam_beta1": 0.5, "adam_epsilon": 1e-6}, False),
        ({"optim": "adamw_torch"}, False),
        ({"optim": "sgd"}, True),
        ({"optim": "rmsprop"}, True),
        ({"optim": "adafactor"}, True),
    ],
)
def test_another_optimizer_starts_with_a_fresh_state(
    recipe_values: dict[str, Any],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    arguments: dict[str, Any],
    is_fresh: bool,
) -> None:
    recipe = with_changes(recipe_values, train={"save_every": 4})
    with interrupted_after(8):
        train(recipe, run_dir=tmp_path / "run")
    changed = with_changes(recipe_values, train={"save_every": 4, "arguments": arguments})
    run = train(changed, run_dir=tmp_path / "run", resume=True, accept_changes=True)
    assert run.state == "complete"
    assert run.history[-1]["step"] == 14
    assert ("fresh state" in caplog.text) == is_fresh


def test_a_resumed_run_stays_stopped_after_early_stopping(
    recipe_values: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = with_changes(
        recipe_values, train={"epochs": 20, "patience": 2, "eval_every": 2, "save_every": 2, "min_delta": 0.5}
    )

    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("slugline.training.loop.session._restore_best", stop)
        with pytest.raises(KeyboardInterrupt):
            train(recipe, run_dir=tmp_path / "run")
    run = Run(tmp_path / "run")
    steps = run.history[-1]["step"]
    assert steps < 140
    train(recipe, run_dir=run.path, resume=True)
    assert run.history[-1]["step"] == steps
    assert run.state == "complete"


def test_a_run_stopped_after_its_last_update_is_not_trained_further(
    recipe_values: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With 1.5 epochs, the training ends in the middle of an epoch."""
    recipe = with_changes(recipe_values, train={"epochs": 1.5})
    uninterrupted = train(recipe, run_dir=tmp_path / "uninterrupted")

    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("slugline.training.loop.session._restore_best", stop)
        with pytest.raises(KeyboardInterrupt):
            train(recipe, run_dir=tmp_path / "stopped")
    resumed = train(recipe, run_dir=tmp_path / "stopped", resume=True)
    assert resumed.history[-1]["step"] == uninterrupted.history[-1]["step"] == 11
    assert everything(resumed.path) == everything(uninterrupted.path)


def test_changed_data_is_refused_by_resume_and_by_evaluation(recipe_values: dict[str, Any], tmp_path: Path) -> None:
    path = write_csv(tmp_path / "news.csv", articles(150))
    recipe = with_changes(recipe_values, data={"path": str(path)})
    finished = train(recipe, run_dir=tmp_path / "finished")
    with interrupted_after(9):
        train(recipe, run_dir=tmp_path / "stopped")
    write_csv(path, articles(150, seed=7))
    with pytest.raises(RunError, match="data has changed"):
        train(recipe, run_dir=tmp_path / "stopped", resume=True)
    with pytest.raises(DataError, match="has changed since its training"):
        evaluate_on(str(finished.path))


def test_a_checkpoint_of_another_run_is_refused(recipe_values: dict[str, Any], tmp_path: Path) -> None:
    run = train(with_changes(recipe_values, train={"keep_checkpoints": 2}), run_dir=tmp_path / "run")
    other = checkpoints_in(run.layout.checkpoints)[-1]
    with pytest.raises(RunError, match="not a checkpoint of"):
        train(validate(recipe_values), run_dir=tmp_path / "another", resume=other)
    assert other.exists()


def test_the_number_of_checkpoints_is_limited_and_the_best_is_kept(
    recipe_values: dict[str, Any], tmp_path: Path
) -> None:
    recipe = with_changes(recipe_values, train={"epochs": 4, "save_every": 3, "eval_every": 7, "keep_checkpoints": 2})
    run = train(recipe, run_dir=tmp_path / "run")
    kept = [step_of(path) for path in checkpoints_in(run.layout.checkpoints)]
    evaluations = [line for line in run.history if "validation" in line]
    best = max(evaluations, key=lambda line: line["validation"]["f1_macro"])["step"]
    assert best in kept
    assert len(kept) <= 3
    assert max(kept) == 28
    restored = load_file(run.model_dirs[0] / "model.safetensors")
    at_best = load_file(run.layout.checkpoints / f"checkpoint-{best}" / "model.safetensors")
    assert all(torch.equal(restored[name], at_best[name]) for name in restored)


def test_a_run_with_a_full_disk_can_be_resumed(
    recipe_values: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    recipe = with_changes(recipe_values, train={"save_every": 5})
    save, calls = torch.save, []

    def save_until_full(*arguments: Any, **options: Any) -> None:
        calls.append(1)
        if len(calls) > 3:  # during the second checkpoint
            raise OSError(errno.ENOSPC, "No space left on device")
        save(*arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(torch, "save", save_until_full)
        with pytest.raises(RunError, match="disk is full"):
            train(recipe, run_dir=tmp_path / "run")
    assert Run(tmp_path / "run").state == "failed"
    assert train(recipe, run_dir=tmp_path / "run", resume=True).state == "complete"


def test_evaluating_a_run_gives_the_same_metrics(recipe_values: dict[str, Any], tmp_path: Path) -> None:
    """Exactly the same, because evaluation uses the precision of the training."""
    run = train(validate(recipe_values), run_dir=tmp_path / "run")
    assert run.manifest["precision"] == "fp32"
    assert evaluate_on(str(run.path)).metrics["loss"] == run.metrics["test"]["loss"]


@pytest.mark.parametrize(
    ("warmup", "warning"),
    [
        (500, r"takes 500 updates, and the training has 14: the learning rate reaches 3% (.|\n)*train.warmup=0\."),
        (0.9, r"takes 13 updates, and the training has 14"),
        (8, r"takes 8 updates, and the training has 14"),
        (7, None),
        (0.1, None),
        (0, None),
    ],
)
@pytest.mark.parametrize("schedule", ["linear", "one_cycle"])
def test_a_warm_up_that_takes_most_of_the_training_is_reported_at_its_start(
    recipe_values: dict[str, Any],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    warmup: float,
    warning: str | None,
    schedule: str,
) -> None:
    with interrupted_after(1):
        train(with_changes(recipe_values, train={"warmup": warmup, "schedule": schedule}), run_dir=tmp_path / "run")
    found = [record.getMessage() for record in caplog.records if "warm-up" in record.getMessage()]
    assert len(found) == (warning is not None)
    assert warning is None or re.search(warning, found[0])


def test_a_diverging_run_stops_with_the_reason(recipe_values: dict[str, Any], tmp_path: Path) -> None:
    recipe = with_changes(recipe_values, train={"learning_rate": 1e30, "warmup": 0, "max_grad_norm": 0})
    with pytest.raises(TrainingError, match="learning rate is too high"):
        train(recipe, run_dir=tmp_path / "run")
    assert Run(tmp_path / "run").state == "failed"


def test_an_unknown_metric_in_select_by_is_refused(recipe_values: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="f1_macro"):
        train(with_changes(recipe_values, train={"select_by": "f1_marco"}), run_dir=tmp_path / "run")


def test_loss_weights_and_smoothing_change_the_training(recipe_values: dict[str, Any], tmp_path: Path) -> None:
    options: list[dict[str, Any]] = [
        {},
        {"loss": "focal"},
        {"class_weights": {"business": 2.0, "sport": 0.5, "tech": 0.5}},
        {"label_smoothing": 0.2},
    ]
    losses = [
        train(with_changes(recipe_values, train=keys), run_dir=tmp_path / str(index)).history[0]["loss"]
        for index, keys in enumerate(options)
    ]
    assert len(set(losses)) == len(options)


def test_short_trainings_have_enough_points_for_curves(recipe_values: dict[str, Any], tmp_path: Path) -> None:
    del recipe_values["train"]["logging_steps"]
    run = train(with_changes(recipe_values, train={"epochs": 3, "batch_size": 8}), run_dir=tmp_path / "run")
    points = [line["step"] for line in run.history if "loss" in line]
    assert len(points) >= 20
    assert points[-1] == max(line["step"] for line in run.history)
    sparse = with_changes(recipe_values, train={"epochs": 3, "batch_size": 8, "logging_steps": 20})
    assert len([line for line in train(sparse, run_dir=tmp_path / "sparse").history if "loss" in line]) < 10


def test_the_loss_breaks_ties_of_the_linear_kind(recipe_values: dict[str, Any], tmp_path: Path) -> None:
    recipe = linear(recipe_values)
    run, dataset = train(recipe, run_dir=tmp_path / "run"), load_dataset(recipe.data)
    texts, targets = dataset["train"]["text"][:], np.array(dataset["train"]["label"][:])
    found = {}
    for model in fit_linear_models(texts, targets, labels=dataset.labels, costs=LINEAR_MODELS["single"].costs):
        logits = np.concatenate(list(model.logits(dataset["validation"]["text"][:])))
        scores = summary(dataset.predictions("validation", logits))
        found[model.settings["C"]] = (scores[recipe.train.select_by], -scores["loss"])
    best = max(value for value, _ in found.values())
    assert sum(value == best for value, _ in found.values()) > 1  # there are ties
    assert run.manifest["chosen"]["C"] == max(found, key=lambda cost: found[cost])


def test_a_run_is_evaluated_on_other_data(recipe_values: dict[str, Any], tmp_path: Path) -> None:
    run = train(linear(recipe_values), run_dir=tmp_path / "run")
    own = evaluate_on(str(run.path))
    assert own.metrics["accuracy"] == run.metrics["test"]["accuracy"]
    new = write_csv(tmp_path / "new.csv", articles(30, seed=5))
    assert evaluate_on(str(run.path), data=str(new)).metrics["support"] == 30
    unknown = write_csv(tmp_path / "unknown.csv", [*articles(30, seed=5), {"text": "rain", "label": "weather"}])
    with pytest.raises(DataError, match=r"'weather' \(1 rows\)"):
        evaluate_on(str(run.path), data=str(unknown))


def test_labels_with_other_names_are_mapped_to_classes_of_the_model(
    recipe_values: dict[str, Any], tmp_path: Path
) -> None:
    run = train(linear(recipe_values), run_dir=tmp_path / "run")
    rows = articles(30, seed=5)
    own = evaluate_on(str(run.path), data=str(write_csv(tmp_path / "own.csv", rows))).metrics
    # The last label is the name of another class.
    names = {"business": "0", "sport": "S", "tech": "sport"}
    data = str(write_csv(tmp_path / "named.csv", [row | {"label": names[row["label"]]} for row in rows]))
    label_map = {new: old for old, new in names.items()}
    for model in (run.path, run.layout.model):
        found = evaluate_on(str(model), data=data, label_map=label_map).metrics
        assert found["confusion_matrix"] == own["confusion_matrix"]
    with pytest.raises(DataError, match=r"'0' \(10 rows\)(.|\n)*sport, tech(.|\n)*--label-map \"0=business\""):
        evaluate_on(str(run.path), data=data)
    with pytest.raises(DataError, match=r"turns 'S' into 'sprot', which is not a class .*'sport'"):
        evaluate_on(str(run.path), data=data, label_map=label_map | {"S": "sprot"})
    with pytest.raises(DataError, match="but no source to read"):
        evaluate_on(str(run.path), label_map=label_map)


@pytest.mark.parametrize("kind", ["encoder", "linear"])
def test_a_split_scored_later_has_the_metrics_of_a_split_scored_in_training(
    recipe_values: dict[str, Any], tmp_path: Path, kind: str
) -> None:
    both = validate(recipe_values) if kind == "encoder" else linear(recipe_values)
    alone = both.model_copy(update={"evaluation": both.evaluation.model_copy(update={"splits": ["validation"]})})
    at_once, later = train(both, run_dir=tmp_path / "both"), train(alone, run_dir=tmp_path / "alone")
    assert "test" not in later.metrics
    assert score_split(later.path, "test") == at_once.metrics["test"]
    assert everything(later.path) == everything(at_once.path)
    one, two = (run.predictions("test") for run in (at_once, later))
    assert (one.logits == two.logits).all()
    assert one.calibration == two.calibration
    assert (later.state, later.recipe) == ("complete", alone)


def test_a_split_is_scored_once_and_only_on_the_data_of_a_complete_run(
    recipe_values: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_csv(tmp_path / "news.csv", articles(150))
    values = recipe_values | {"data": {"path": str(path)}, "evaluation": {"splits": ["validation"], "bootstrap": 0}}
    run = train(linear(values), run_dir=tmp_path / "run")
    rows = path.read_text()
    write_csv(path, articles(150, seed=7))
    with pytest.raises(DataError, match="has changed since its training"):
        score_split(run.path, "test")
    assert "test" not in run.metrics
    path.write_text(rows)
    metrics = score_split(run.path, "test")
    with monkeypatch.context() as patched:
        patched.setattr("slugline.pipeline.evaluate_model.load", None)
        assert score_split(run.path, "test") == metrics
    run.update_manifest({"state": "failed"})
    with pytest.raises(RunError, match="only a complete run"):
        score_split(run.path, "test")


def test_a_run_with_mapped_labels_is_evaluated_on_original_labels(
    recipe_values: dict[str, Any], tmp_path: Path
) -> None:
    names = {"business": "Business", "sport": "Sports", "tech": "Business"}
    other = {"business": "1", "sport": "2", "tech": "1"}
    numbers = [{**row, "label": other[row["label"]]} for row in articles(60, seed=5)]
    numbered = write_csv(tmp_path / "numbers.csv", numbers)
    sources = [
        {"path": recipe_values["data"]["path"], "label_map": names},
        {"path": str(numbered), "label_offset": -1, "label_map": {"0": "Business", "1": "Sports"}},
    ]
    run = train(linear(recipe_values | {"data": {"sources": sources}}), run_dir=tmp_path / "run")
    assert evaluate_on(str(run.path)).metrics["accuracy"] == run.metrics["test"]["accuracy"]
    again = evaluate_on(str(run.path), data=str(numbered))
    assert again.predictions.labels.names == ("Business", "Sports")
    assert again.metrics["accuracy"] > 0.9
    new = write_csv(tmp_path / "new.csv", articles(30, seed=6))
    assert evaluate_on(str(run.path), data=str(new)).metrics["accuracy"] > 0.8
    mapped = [{**row, "label": names[row["label"]]} for row in articles(30, seed=6)]
    same = evaluate_on(str(run.path), data=str(write_csv(tmp_path / "mapped.csv", mapped)))
    assert same.metrics["confusion_matrix"] == evaluate_on(str(run.path), data=str(new)).metrics["confusion_matrix"]


def test_runs_are_compared_on_the_same_rows(recipe_values: dict[str, Any], tmp_path: Path) -> None:
    one = train(linear(recipe_values), run_dir=tmp_path / "linear")
    two = train(validate(recipe_values), run_dir=tmp_path / "encoder")
    comparison = compare_runs([one.path, two.path])
    assert [run.name for run in comparison.runs] == ["linear", "encoder"]
    assert comparison.support == 30
    other = train(
        validate(
            {**linear(recipe_values).model_dump(), "data": {"path": recipe_values["data"]["path"], "split_seed": 1}}
        ),
        run_dir=tmp_path / "other-rows",
    )
    with pytest.raises(DataError, match="rows"):
        compare_runs([one.path, other.path])


@pytest.mark.parametrize("splits", [["validation", "test"], ["test", "validation"], ["test"], ["validation"]])
def test_errors_plots_and_timing_name_their_split(
    recipe_values: dict[str, Any], tmp_path: Path, splits: list[str]
) -> None:
    recipe = linear(recipe_values | {"evaluation": {"splits": splits, "bootstrap": 0}})
    run = train(recipe, run_dir=tmp_path / "run")
    expected = "test" if "test" in splits else "validation"

    def named() -> tuple[str, str]:
        title = re.search(r": (\w+), [0-9,]+ rows", (run.layout.plots / "confusion.svg").read_text())
        assert title
        return json.loads(run.layout.errors.read_text())["split"], title[1]

    assert named() == (expected, expected)
    assert run.metrics["timing"]["split"] == expected
    assert "validation" in run.metrics  # models are selected on it, whatever is scored besides
    score_split(run.path, "test")
    assert named() == ("test", "test")


def test_a_collapsed_model_is_diagnosed_although_only_test_is_scored(
    recipe_values: dict[str, Any], tmp_path: Path
) -> None:
    recipe = with_changes(recipe_values, train={"learning_rate": 1e-9}, evaluation={"splits": ["test"]})
    run = train(recipe, run_dir=tmp_path / "run")
    assert run.diagnosis[0]["kind"] in ("not_learned", "learning_rate_too_low")


def test_runs_that_differ_only_in_their_seed_are_compared_as_one(recipe_values: dict[str, Any], tmp_path: Path) -> None:
    seeds = [
        train(validate(recipe_values | {"seed": seed}), run_dir=tmp_path / f"base-{seed}").path for seed in (13, 14)
    ]
    other = train(linear(recipe_values), run_dir=tmp_path / "linear").path
    comparison = compare_runs([seeds[0], other, seeds[1]], metric="f1_macro")
    assert [(run.name, run.seeds) for run in comparison.runs] == [("base, 2 seeds", 2), ("linear", 1)]
    assert len(comparison.pairs) == 1
    assert comparison.metric == "f1_macro"
    # Names that only contain seeds are joined; digits of other words are not cut off.
    for name, seed in (("13", 13), ("14", 14), ("bert-2013", 13), ("bert-2014", 14)):
        shutil.copytree(tmp_path / f"base-{seed}", tmp_path / "named" / name)
    named = [tmp_path / "named" / name for name in ("13", "14")]
    assert [run.name for run in compare_runs([*named, other]).runs] == ["13 + 14", "linear"]
    dated = [tmp_path / "named" / name for name in ("bert-2013", "bert-2014")]
    assert [run.name for run in compare_runs([*dated, other]).runs] == ["bert-2013 + bert-2014", "linear"]
    # Two runs of one recipe are repetitions, not seeds.
    again = shutil.copytree(seeds[0], tmp_path / "again")
    repeated = compare_runs([seeds[0], other, again])
    assert [(run.name, run.seeds) for run in repeated.runs] == [("base-13", 1), ("linear", 1), ("again", 1)]
    # With nothing else to compare, the seeds are compared with each other.
    assert [run.name for run in compare_runs(seeds).runs] == ["base-13", "base-14"]
    with pytest.raises(RecipeError, match=r"'f1_marco'.*Did you mean 'f1_macro'"):
        compare_runs(seeds, metric="f1_marco")
    with pytest.raises(RunError, match="no predictions of a split 'train'"):
        compare_runs(seeds, split="train")


def test_the_linear_kind_reads_class_weights_and_sampling(recipe_values: dict[str, Any], tmp_path: Path) -> None:
    rows = articles(300)
    rows = [row for n, row in enumerate(rows) if row["label"] != "tech" or n % 10 == 2]
    recipe_values["data"]["path"] = str(write_csv(tmp_path / "rare.csv", rows))
    plain = linear(recipe_values)
    changes = {
        "weights": linear(recipe_values, class_weights="balanced"),
        "table": linear(recipe_values, class_weights={"tech": 5.0}),
        "sampling": plain.model_copy(update={"data": plain.data.model_copy(update={"sampling": "balanced"})}),
    }
    runs = {name: train(recipe, run_dir=tmp_path / name) for name, recipe in {"plain": plain, **changes}.items()}
    weights = {name: (run.layout.model / "model.safetensors").read_bytes() for name, run in runs.items()}
    assert weights["weights"] == weights["sampling"]  # one and the same correction
    assert len(set(weights.values())) == 3
    assert (
        train(plain.model_copy(update={"seed": 1}), run_dir=tmp_path / "seed")
        .layout.model.joinpath("model.safetensors")
        .read_bytes()
        == weights["plain"]
    )


@pytest.mark.parametrize(
    ("key", "value"),
    [("loss", "focal"), ("epochs", 7), ("label_smoothing", 0.1), ("precision", "bf16"), ("arguments", {"seed": 1})],
)
def test_keys_that_the_linear_kind_does_not_read_are_refused(
    recipe_values: dict[str, Any], tmp_path: Path, key: str, value: object
) -> None:
    with pytest.raises(RecipeError, match=rf"train\.{key} would have no effect.*linear"):
        train(linear(recipe_values, **{key: value}), run_dir=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_override_of_the_kind_leaves_out_keys_of_the_other_kind(
    recipe_values: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from slugline.recipe.recipe import read, write

    path = tmp_path / "encoder.toml"
    path.write_text(
        write(with_changes(recipe_values, train={"epochs": 7, "loss": "focal", "class_weights": "balanced"}))
    )
    with caplog.at_level("INFO"):
        recipe = read(path, ["model.kind=linear"])
    assert recipe.train.class_weights == "balanced"
    assert recipe.train.loss == "cross_entropy"
    assert "train.epochs" in caplog.text
    assert read(path, ['model={kind="linear"}']).train == recipe.train
    # Keys of the same command are for the new kind.
    with pytest.raises(RecipeError, match=r"train\.epochs would have no effect"):
        train(read(path, ["model.kind=linear", "train.epochs=5"]), run_dir=tmp_path / "run")
    for override in ('model.kind=["a"]', "model.kind=liner", "model=3", "train=3"):
        with pytest.raises(RecipeError):
            read(path, [override, *(["model.kind=linear"] if override == "train=3" else [])])
    train(recipe, run_dir=tmp_path / "run")
    assert read(path).train.epochs == 7


@pytest.mark.skipif(not SHARED_DATA.is_dir(), reason="there is no ../shared/data")
def test_a_real_set_with_given_splits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUGLINE_DATA", str(SHARED_DATA))
    recipe = validate({"name": "trec", "data": {"name": "sms_spam"}, "model": {"kind": "linear"}})
    run = train(recipe, run_dir=tmp_path / "run")
    assert run.metrics["test"]["support"] == 1115
    assert run.metrics["test"]["accuracy"] > 0.97


def test_texts_out_of_scope_measure_abstention(tmp_path: Path) -> None:
    strange = [{"text": f"zebra quark {n} lemon tundra violin {n}", "label": "oos"} for n in range(30)]
    path = write_csv(tmp_path / "news.csv", [*articles(180), *strange])
    data = {"path": str(path), "out_of_scope": "oos"}
    recipe = validate(
        {"name": "scope", "data": data, "model": {"kind": "linear"}, "evaluation": {"splits": ["validation"]}}
    )
    run = train(recipe, run_dir=tmp_path / "run")
    assert "oos" not in run.manifest["data"]["labels"]
    chosen = run.metrics["validation"]["out_of_scope"]
    assert chosen["rows"] == 15
    assert chosen["auroc"] > 0.9
    test = score_split(run, "test")["out_of_scope"]
    assert (test["rows"], test["abstain_below"]) == (15, chosen["abstain_below"])
    assert test["rejected"] > 0.8
