"""Training with any number of labels per text, and on the leaves of a tree, for every kind of model."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from conftest import interrupted_after, tagged_articles, with_changes
from slugline import load, train
from slugline.core.labels import LabelSet
from slugline.core.predictions import Calibration
from slugline.data.load import load_dataset
from slugline.recipe.recipe import Recipe, validate
from slugline.run.run import Run
from slugline.training.label_kinds import LABEL_KINDS, TrainingTargets
from slugline.training.loop.train_metrics import RunningLabels

TAGS = LabelSet(("business", "sport", "tech"), "multi")
TEXTS = ["market shares profit team coach season", "on monday after a year", "software phone internet computer"]

SCRATCH = {"kind": "scratch", "layers": 2, "width": 32, "ffn": 48, "heads": 4, "vocabulary_size": 400}


@pytest.fixture
def values(tagged_csv: Path, tiny_base: Path) -> dict[str, Any]:
    """Values of a recipe for texts with any number of labels; tests may change them."""
    return {
        "name": "tagged",
        "data": {"path": str(tagged_csv), "label_delimiter": "|", "max_length": 24},
        "model": {"base": str(tiny_base), "pooling": "mean"},
        "train": {"epochs": 2, "batch_size": 16, "learning_rate": 5e-3, "head_learning_rate": 5e-2}
        | {"precision": "fp32", "threads": 1, "logging_steps": 2},
        "evaluation": {"bootstrap": 0},
    }


def models(base: Path, decoder: Callable[[str], Path]) -> dict[str, dict[str, Any]]:
    tuned = {"base": str(base), "pooling": "mean"}
    return {
        "native": {"base": str(base), "pooling": "native"},
        "mlp": {"base": str(base), "pooling": "attention", "head": "mlp"},
        "lora": tuned | {"adapt": "lora", "lora": {"r": 4}},
        "adapter": tuned | {"adapt": "adapter", "adapter": {"width": 8}},
        "frozen": tuned | {"adapt": "frozen"},
        "gradual": tuned | {"adapt": "gradual", "gradual": {"epochs_per_stage": 0.5}},
        "decoder": {"kind": "decoder", "base": str(decoder("gpt2"))},
        "scratch": dict(SCRATCH),
        "linear": {"kind": "linear"},
    }


NAMES = sorted(models(Path(), lambda _: Path()))


def recipe_of(values: dict[str, Any], model: dict[str, Any], **train_keys: Any) -> Recipe:
    keys = {} if model.get("kind") == "linear" else values["train"]
    return validate(values | {"model": model, "train": keys | train_keys})


def without_timing(run: Run) -> dict[str, Any]:
    return {key: value for key, value in run.metrics.items() if key != "timing"}


@pytest.mark.parametrize("name", NAMES)
def test_every_kind_of_model_trains_saves_and_predicts_any_number_of_labels(
    values: dict[str, Any], tiny_base: Path, decoder_base: Callable[[str], Path], tmp_path: Path, name: str
) -> None:
    run = train(recipe_of(values, models(tiny_base, decoder_base)[name]), run_dir=tmp_path / "run")
    classifier = load(run, precision="fp32")
    assert classifier.labels == TAGS
    assert classifier.calibration == run.calibration
    assert len(run.calibration.thresholds) == 3
    predictions = run.predictions("test")
    test = load_dataset(run.recipe.data)["test"]
    np.testing.assert_allclose(np.concatenate(list(classifier.logits(test["text"][:]))), predictions.logits, atol=2e-5)
    assert TAGS.decode(predictions.predicted) == list(classifier.predict(test["text"][:]))
    copy = load(run.layout.model.rename(tmp_path / "copy"), precision="fp32")
    assert list(copy.predict(TEXTS)) == list(classifier.predict(TEXTS))


def test_a_trained_encoder_separates_the_labels(values: dict[str, Any], tmp_path: Path) -> None:
    run = train(with_changes(values, train={"epochs": 15}), run_dir=tmp_path / "run")
    assert run.metrics["test"]["f1_micro"] > 0.9
    assert run.metrics["test"]["mean_average_precision"] > 0.9
    lines = [line for line in run.history if "loss" in line]
    assert lines[-1]["loss"] < lines[0]["loss"]
    assert lines[-1]["f1_micro"] > lines[0]["f1_micro"]
    assert load(run).predict(TEXTS[1:]).tolist() == [(), ("tech",)]


def test_plain_transformers_loads_a_multi_label_classifier(values: dict[str, Any], tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    values["model"]["pooling"] = "native"
    run = train(validate(values), run_dir=tmp_path / "run")
    model = AutoModelForSequenceClassification.from_pretrained(run.layout.model).eval()
    assert model.config.problem_type == "multi_label_classification"
    inputs = AutoTokenizer.from_pretrained(run.layout.model)(TEXTS[0], return_tensors="pt")
    with torch.no_grad():
        probabilities = model(**inputs).logits.sigmoid().numpy()
    classifier = load(run, precision="fp32")
    uncalibrated = replace(classifier, calibration=Calibration())
    np.testing.assert_allclose(uncalibrated.predict_proba(TEXTS[:1]), probabilities, atol=1e-5)


@pytest.mark.parametrize(
    ("train_keys", "data"),
    [
        ({"loss": "focal", "gamma": 1.0, "class_weights": "balanced"}, {}),
        ({"class_weights": {"tech": 2.0}, "label_smoothing": 0.1, "logit_adjustment": 0.5}, {}),
        ({"class_weights": "effective"}, {"sampling": "balanced"}),
        ({"mixup": 0.4}, {}),
        ({"cutmix": 0.4}, {}),
        ({}, {"long_texts": "window", "max_length": 8, "stride": 2}),
        ({"weight_averaging": "ema"}, {"max_train_examples": 60}),
        ({"weight_averaging": "swa", "select_by": "mean_average_precision", "patience": 1}, {}),
        ({"micro_batch_size": 3, "token_dropout": 0.1}, {}),
    ],
    ids=lambda keys: "-".join(keys) or "plain",
)
def test_options_of_the_training_apply_to_any_number_of_labels(
    values: dict[str, Any], tmp_path: Path, train_keys: dict[str, Any], data: dict[str, Any]
) -> None:
    run = train(with_changes(values, train={"epochs": 6} | train_keys, data=data), run_dir=tmp_path / "run")
    assert run.metrics["test"]["mean_average_precision"] > 0.6
    assert run.manifest["chosen"]["by"] == run.recipe.train.select_by


def test_passes_of_any_size_give_the_same_loss(values: dict[str, Any], tmp_path: Path) -> None:
    losses = []
    values["model"] |= {"dropout": 0.0, "attention_dropout": 0.0, "head_dropout": 0.0}
    for size in (16, 3):
        changes = {"micro_batch_size": size, "logging_steps": 1, "epochs": 1}
        run = train(with_changes(values, train=changes), run_dir=tmp_path / str(size))
        losses.append([line["loss"] for line in run.history if "loss" in line])
    assert losses[0] == pytest.approx(losses[1], abs=1e-4)
    assert losses[0][0] == pytest.approx(np.log(2), abs=0.4)  # the mean over labels of untrained log-odds


@pytest.mark.parametrize("changes", [{}, {"weight_averaging": "ema"}, {"mixup": 0.4}], ids=lambda keys: str(*keys))
def test_a_resumed_training_gives_the_same_results(
    values: dict[str, Any], tmp_path: Path, changes: dict[str, Any]
) -> None:
    recipe = with_changes(values, train={"save_every": 3, "logging_steps": 3, "patience": 5} | changes)
    uninterrupted = train(recipe, run_dir=tmp_path / "uninterrupted")
    with interrupted_after(8):
        train(recipe, run_dir=tmp_path / "stopped")
    resumed = train(recipe, run_dir=tmp_path / "stopped", resume=True)
    expected, found = (load_file(run.layout.model / "model.safetensors") for run in (uninterrupted, resumed))
    assert all(np.array_equal(found[key], expected[key]) for key in expected)
    assert without_timing(resumed) == without_timing(uninterrupted)
    assert resumed.calibration == uninterrupted.calibration


@pytest.mark.parametrize("ensemble", ["logits", "probabilities"])
@pytest.mark.parametrize("kind", ["encoder", "linear"])
def test_thresholds_of_folds_are_fitted_out_of_fold(
    values: dict[str, Any], tmp_path: Path, kind: str, ensemble: str
) -> None:
    model = values["model"] if kind == "encoder" else {"kind": "linear"}
    recipe = recipe_of(values, model, folds=2, ensemble=ensemble)
    run = train(recipe, run_dir=tmp_path / "run")
    out_of_fold = run.predictions("out_of_fold")
    assert out_of_fold.labels == TAGS
    assert run.calibration.fitted_on == "out_of_fold"
    assert len(run.calibration.thresholds) == 3
    classifier = load(run, precision="fp32")
    members = [load(fold, precision="fp32") for fold in run.folds]
    logits = [np.concatenate(list(member.logits(TEXTS))) for member in members]
    found = np.concatenate(list(classifier.logits(TEXTS)))
    if ensemble == "probabilities":
        mean = np.mean([1 / (1 + np.exp(-each.astype(np.float64))) for each in logits], axis=0)
        np.testing.assert_allclose(1 / (1 + np.exp(-found)), mean, atol=1e-6)
    else:
        np.testing.assert_allclose(found, np.mean(logits, axis=0), atol=1e-6)


def test_a_label_without_training_rows_is_not_learned_but_kept(values: dict[str, Any], tmp_path: Path) -> None:
    dataset = load_dataset(validate(values).data)
    labels = LabelSet((*dataset.labels.names, "nowhere"), "multi")
    targets = TrainingTargets(labels, labels.targets(dataset["train"]["label"][:]))
    for scheme in ("none", "inverse", "balanced", "effective"):
        section = with_changes(values, train={"class_weights": scheme, "logit_adjustment": 1.0}).train
        assert targets.class_weights(section)[3] == 0
        logits = torch.zeros(len(targets), 4)
        assert targets.loss(section)(logits, torch.from_numpy(targets.targets)).isfinite().all()


def test_balanced_sampling_draws_every_label_and_rows_without_one_equally_often() -> None:
    rows = [("business",)] * 30 + [("sport",)] * 3 + [("business", "tech")] * 2 + [()] * 5
    targets = TrainingTargets(TAGS, TAGS.encode(rows))
    weights = targets.balanced_weights()
    assert weights.sum() == pytest.approx(4)  # three labels and none
    assert weights[30:33].sum() == pytest.approx(1)
    assert weights[-5:].sum() == pytest.approx(1)
    assert weights[33] == pytest.approx(1 / 32 + 1 / 2)
    single = LabelSet(TAGS.names)
    of_one = TrainingTargets(single, np.array([0] * 8 + [1] * 2))
    assert of_one.balanced_weights() == pytest.approx([1 / 8] * 8 + [1 / 2] * 2)


def test_metrics_while_training_are_those_of_the_predictions() -> None:
    rng = np.random.default_rng(0)
    logits, targets = rng.normal(size=(40, 3)).astype(np.float32), rng.random((40, 3)) < 0.4
    running = RunningLabels(3)
    for start in (0, 7, 30):
        stop = {0: 7, 7: 30, 30: 40}[start]
        running.add(torch.from_numpy(logits[start:stop]), torch.from_numpy(targets[start:stop]))
    from sklearn.metrics import accuracy_score, f1_score

    scores, predicted = running.scores(), logits >= 0
    assert scores["accuracy"] == pytest.approx(accuracy_score(targets, predicted))
    assert scores["f1_macro"] == pytest.approx(f1_score(targets, predicted, average="macro"))
    assert scores["f1_micro"] == pytest.approx(f1_score(targets, predicted, average="micro"))
    assert running.scores() == {"accuracy": 0.0, "f1_macro": 0.0, "f1_micro": 0.0}


@pytest.mark.parametrize("kind", ["encoder", "linear"])
def test_the_leaves_of_a_tree_are_trained_like_classes(
    values: dict[str, Any], tree_csv: Path, tmp_path: Path, kind: str
) -> None:
    model = values["model"] if kind == "encoder" else {"kind": "linear"}
    recipe = recipe_of(values, model, **({"epochs": 6} if kind == "encoder" else {}))
    recipe = with_changes(
        recipe.model_dump(exclude_unset=True),
        data={"path": str(tree_csv), "label_kind": "hierarchical", "label_delimiter": "/"},
        train={"select_by": "hierarchical_f1"},
    )
    run = train(recipe, run_dir=tmp_path / "run")
    classifier = load(run)
    assert classifier.labels.kind == "hierarchical"
    assert classifier.labels.depth == 2
    assert run.metrics["test"]["hierarchical_f1"] > 0.8
    assert run.manifest["chosen"].get("by", "hierarchical_f1") == "hierarchical_f1"
    assert classifier.predict(["software phone internet computer"]).tolist() == ["money/tech"]
    assert load(run.layout.model.rename(tmp_path / "copy")).labels == classifier.labels


def test_a_classifier_of_one_label_a_text_gets_a_new_head_for_any_number(
    values: dict[str, Any], tmp_path: Path
) -> None:
    from slugline.models.build import build_pretrained
    from slugline.models.saving import save
    from slugline.models.tokenizers import load_tokenizer

    section = with_changes(values, model={"pooling": "native"}).model
    single = build_pretrained(section, LabelSet(TAGS.names), "cpu")
    save(single, load_tokenizer(section.base), tmp_path)
    weights = {}
    for labels in (LabelSet(TAGS.names), TAGS):
        torch.manual_seed(1)
        model = build_pretrained(section.model_copy(update={"base": str(tmp_path)}), labels, "cpu")
        weights[labels.kind] = model.classifier.weight
    assert torch.equal(weights["single"], single.classifier.weight)
    assert not torch.equal(weights["multi"], single.classifier.weight)


def test_every_kind_of_label_set_has_a_training() -> None:
    assert set(LABEL_KINDS) == {"single", "multi", "hierarchical"}


def test_files_get_lists_of_labels(values: dict[str, Any], tmp_path: Path) -> None:
    from slugline.inference.predict_files import predict_file, predict_texts

    classifier = load(train(recipe_of(values, {"kind": "linear"}), run_dir=tmp_path / "run"))
    source = tmp_path / "texts.txt"
    source.write_text("\n".join(row["text"] for row in tagged_articles(20, seed=5)))
    predicted = [list(names) for names in classifier.predict(source.read_text().splitlines())]
    assert [] in predicted
    assert [each["label"] for each in predict_texts(classifier, source.read_text().splitlines())] == predicted
    predict_file(classifier, source, tmp_path / "out.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [line["predicted"] for line in lines] == predicted
    predict_file(classifier, source, tmp_path / "out.tsv")
    cells = [line.split("\t")[1] for line in (tmp_path / "out.tsv").read_text().splitlines()[1:]]
    assert cells == ["|".join(names) for names in predicted]
    predict_file(classifier, source, tmp_path / "out.parquet")
    import pyarrow.parquet as pq

    assert pq.read_table(tmp_path / "out.parquet")["predicted"].to_pylist() == predicted


@pytest.mark.parametrize("by", ["length", "loss", "rarity"])
def test_a_curriculum_resumes_with_the_same_results(values: dict[str, Any], tmp_path: Path, by: str) -> None:
    recipe = with_changes(values, data={"sampling": f"curriculum:{by}"}, train={"save_every": 3, "epochs": 3})
    uninterrupted = train(recipe, run_dir=tmp_path / "uninterrupted")
    with interrupted_after(5):
        train(recipe, run_dir=tmp_path / "stopped")
    resumed = train(recipe, run_dir=tmp_path / "stopped", resume=True)
    expected, found = (load_file(run.layout.model / "model.safetensors") for run in (uninterrupted, resumed))
    assert all(np.array_equal(found[key], expected[key]) for key in expected)


@pytest.mark.parametrize("kind", ["single", "multi"])
def test_the_linear_teacher_finds_wrong_labels_hard(values: dict[str, Any], news_csv: Path, kind: str) -> None:
    from slugline.training.linear import teacher_losses

    section = validate(values).data if kind == "multi" else validate({**values, "data": {"path": str(news_csv)}}).data
    dataset = load_dataset(section)
    targets, texts = dataset.targets("train").copy(), dataset["train"]["text"][:]
    wrong = np.arange(0, len(texts), 9)
    targets[wrong] = ~targets[wrong] if kind == "multi" else (targets[wrong] + 1) % 3
    losses = teacher_losses(texts, TrainingTargets(dataset.labels, targets), seed=1)
    assert losses[wrong].mean() > 1.5 * np.delete(losses, wrong).mean()
