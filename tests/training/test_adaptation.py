"""Training with each value of model.adapt, and from scratch: resuming, loading, pre-training, invalid recipes."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from slugline import load, train
from slugline.core.errors import ModelError, RecipeError
from slugline.data.batching.tokenizer_properties import tokenizer_fingerprint
from slugline.data.load import load_dataset
from slugline.models.adaptation.frozen_features import Features, FrozenBase
from slugline.models.tokenizers import load_tokenizer, train_tokenizer
from slugline.pipeline import pretrain
from slugline.recipe.recipe import Recipe, validate
from slugline.training.loop.callbacks import HistoryWriter

TEXTS = ["market shares profit", "the team won the match", "software and chip"]

SCRATCH = {"kind": "scratch", "layers": 2, "width": 32, "ffn": 48, "heads": 4, "vocabulary_size": 400}


def build_recipe(csv: Path, model: dict[str, Any], **train_keys: Any) -> Recipe:
    keys = {"epochs": 3, "batch_size": 16, "precision": "fp32", "learning_rate": 5e-3, "patience": 0} | train_keys
    return validate(
        {"name": "tiny", "data": {"path": str(csv), "max_length": 24}, "model": model, "train": keys}
        | {"evaluation": {"bootstrap": 20}}
    )


def sections(base: Path) -> dict[str, dict[str, Any]]:
    tuned = {"base": str(base), "pooling": "mean"}
    return {
        "lora": tuned | {"adapt": "lora", "lora": {"r": 4}},
        "dora": tuned | {"adapt": "lora", "lora": {"r": 4, "variant": "dora"}},
        "adapter": tuned | {"adapter": {"width": 8}, "adapt": "adapter"},
        "frozen": tuned | {"adapt": "frozen"},
        "frozen-attention": {"base": str(base), "adapt": "frozen", "pooling": "attention"},
        "gradual": tuned | {"adapt": "gradual", "gradual": {"epochs_per_stage": 0.5}},
        "scratch": dict(SCRATCH),
    }


NAMES = sorted(sections(Path()))


class Stopped(Exception):
    """Interrupts a training."""


@pytest.mark.parametrize("name", NAMES)
def test_a_resumed_training_has_the_same_weights(
    tiny_base: Path, news_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """With weight averaging, because the average has to include weights that are frozen at first."""
    recipe = build_recipe(news_csv, sections(tiny_base)[name], weight_averaging="ema", ema_decay=0.9, save_every=3)
    uninterrupted = train(recipe, run_dir=tmp_path / "uninterrupted")
    step_end = HistoryWriter.on_step_end

    def interrupt(self: HistoryWriter, args: Any, state: Any, control: Any, **rest: Any) -> None:
        step_end(self, args, state, control, **rest)
        if state.global_step == 11:
            raise Stopped

    with monkeypatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(HistoryWriter, "on_step_end", interrupt)
        train(recipe, run_dir=tmp_path / "stopped")
    resumed = train(recipe, run_dir=tmp_path / "stopped", resume=True)
    expected, found = (load_file(run.layout.model / "model.safetensors") for run in (uninterrupted, resumed))
    assert found.keys() == expected.keys()
    assert all(np.array_equal(found[key], expected[key]) for key in expected)
    assert {k: v for k, v in uninterrupted.metrics.items() if k != "timing"} == {
        k: v for k, v in resumed.metrics.items() if k != "timing"
    }


@pytest.mark.parametrize("name", NAMES)
def test_the_best_checkpoint_and_the_run_predict_the_same(
    tiny_base: Path, news_csv: Path, tmp_path: Path, name: str
) -> None:
    run = train(build_recipe(news_csv, sections(tiny_base)[name], keep_checkpoints=0), run_dir=tmp_path / "run")
    best = run.layout.checkpoints / f"checkpoint-{run.manifest['chosen']['step']}"
    expected = load(run.path).predict_proba(TEXTS)
    np.testing.assert_allclose(load(best).predict_proba(TEXTS), expected, atol=1e-5)
    np.testing.assert_allclose(load(run.layout.model).predict_proba(TEXTS), expected, atol=1e-5)
    assert run.layout.adapter.exists() == (name in ("lora", "dora"))
    assert run.layout.tokenizer.exists() == (name == "scratch")


@pytest.mark.parametrize("long", ["head", "window"])
def test_evaluation_with_features_equals_that_with_texts(
    tiny_base: Path, news_csv: Path, tmp_path: Path, long: str
) -> None:
    """The metrics in the history, computed from features, equal those of the saved model, computed from texts."""
    recipe = build_recipe(news_csv, sections(tiny_base)["frozen"], epochs=5)
    data = recipe.data.model_copy(update={"long_texts": long, "max_length": 10, "stride": 2})
    run = train(recipe.model_copy(update={"data": data}), run_dir=tmp_path / "run")
    assert (run.data["tokens"]["train"]["mean_pieces"] > 1) == (long == "window")
    step = run.manifest["chosen"]["step"]
    of_features = next(line["validation"] for line in run.history if line["step"] == step and "validation" in line)
    assert of_features["loss"] == pytest.approx(run.metrics["validation"]["loss"], abs=1e-5)
    assert of_features["accuracy"] == run.metrics["validation"]["accuracy"]


def test_training_time_includes_the_computation_of_features(
    tiny_base: Path, news_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def encode(*args: Any, **options: Any) -> Features:
        time.sleep(1.0)
        return original(*args, **options)

    original = FrozenBase.encode
    monkeypatch.setattr(FrozenBase, "encode", encode)
    run = train(build_recipe(news_csv, sections(tiny_base)["frozen"], epochs=1), run_dir=tmp_path / "run")
    assert run.metrics["timing"]["train_seconds"] > 2  # train and validation


def test_a_vocabulary_is_trained_only_on_training_rows(news_csv: Path, tmp_path: Path) -> None:
    recipe = build_recipe(news_csv, SCRATCH, epochs=1)
    run = train(recipe, run_dir=tmp_path / "run")
    found = tokenizer_fingerprint(load_tokenizer(str(run.layout.tokenizer)))
    texts = {split: rows["text"][:] for split, rows in load_dataset(recipe.data).splits.items()}
    allowed = train_tokenizer(texts["train"], "bpe", vocabulary_size=400)
    leaked = train_tokenizer(texts["train"] + texts["test"], "bpe", vocabulary_size=400)
    assert found == tokenizer_fingerprint(allowed) != tokenizer_fingerprint(leaked)
    assert found == tokenizer_fingerprint(load_tokenizer(str(run.layout.model)))


def test_parameter_counts_are_logged_and_recorded(
    tiny_base: Path, news_csv: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    run = train(build_recipe(news_csv, sections(tiny_base)["frozen"], epochs=1), run_dir=tmp_path / "run")
    size = run.metrics["size"]
    assert size["trainable_parameters"] == size["head_parameters"] == 3 * 32 + 3
    blocks = size["parameters"] - size["embedding_parameters"] - size["head_parameters"]
    assert f"{size['embedding_parameters']:,} embeddings + {blocks:,} blocks + 99 head; 99 are trained" in caplog.text


@pytest.mark.parametrize("name", ["scratch", "lora"])
def test_an_ensemble_of_folds_predicts(tiny_base: Path, news_csv: Path, tmp_path: Path, name: str) -> None:
    run = train(build_recipe(news_csv, sections(tiny_base)[name], epochs=1, folds=2), run_dir=tmp_path / "run")
    assert load(run.path).predict_proba(TEXTS).shape == (3, 3)


def test_a_small_decoder_is_pre_trained_and_fine_tuned(news_csv: Path, tmp_path: Path) -> None:
    values = build_recipe(news_csv, SCRATCH, epochs=8).model_dump(exclude={"train": {"select_by"}})
    values |= {"name": "before", "pretrain": {"sequence_length": 16}}
    before = pretrain(validate(values), run_dir=tmp_path / "before")
    assert before.metrics["validation"]["perplexity"] < before.metrics["size"]["embedding_parameters"] / 32 / 2
    base = str(before.layout.model)
    after = train(build_recipe(news_csv, {"kind": "scratch", "base": base}, epochs=1), run_dir=tmp_path / "after")
    assert after.metrics["size"]["embedding_parameters"] == before.metrics["size"]["embedding_parameters"]
    trained, start = (load_file(run.layout.model / "model.safetensors") for run in (after, before))
    moved = np.abs(trained["backbone.embedding.weight"] - start["embedding.weight"]).max()
    assert 0 < moved < 0.1  # the weights are those of the pre-training, slightly changed
    assert after.recipe.model.tokenizer == "base"
    assert after.recipe.train.schedule == "one_cycle"


def test_the_training_loss_is_the_mean_over_all_predicted_tokens(news_csv: Path, tmp_path: Path) -> None:
    """With a learning rate of nearly 0, training loss and validation loss are the same: both are means over tokens."""
    recipe = build_recipe(news_csv, SCRATCH | {"dropout": 0.0}, epochs=1, learning_rate=1e-9, logging_steps=1)
    values = recipe.model_dump(exclude={"train": {"select_by"}}) | {"name": "a", "pretrain": {"sequence_length": 3}}
    run = pretrain(validate(values), run_dir=tmp_path / "run")
    losses = [line["loss"] for line in run.history if "loss" in line]
    assert np.mean(losses) == pytest.approx(run.metrics["validation"]["loss"], rel=0.05)


def test_pre_training_can_start_from_a_small_decoder(news_csv: Path, tmp_path: Path) -> None:
    values = build_recipe(news_csv, SCRATCH, epochs=1).model_dump(exclude={"train": {"select_by"}})
    first = pretrain(validate(values | {"pretrain": {"sequence_length": 16}}), run_dir=tmp_path / "first")
    values["model"] = {"kind": "scratch", "base": str(first.layout.model)}
    second = pretrain(validate(values | {"pretrain": {"sequence_length": 16}}), run_dir=tmp_path / "second")
    assert second.metrics["validation"]["loss"] < first.metrics["validation"]["loss"]


def test_a_base_that_is_not_a_small_decoder_is_refused(tiny_base: Path, news_csv: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r'is a bert, but model\.kind = "scratch"'):
        train(build_recipe(news_csv, {"kind": "scratch", "base": str(tiny_base)}), run_dir=tmp_path / "run")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"kind": "scratch", "heads": 5}, "heads is 5, which does not divide width = 192"),
        ({"kind": "scratch", "width": 12, "heads": 4, "positions": "rotary"}, "rotary positions need heads of even"),
        ({"kind": "scratch", "tokenizer": "base"}, 'tokenizer is "base", but there is no base'),
        ({"kind": "scratch", "base": "embedded"}, 'base is "embedded", an encoder'),
        ({"kind": "scratch", "base": "runs/x/model", "tokenizer": "bpe"}, "a pre-trained base has its own"),
        ({"kind": "scratch", "adapt": "lora"}, "all weights have to be trained"),
        ({"layers": 2, "size": "tiny"}, "size and layers cannot be set for 'encoder'"),
        ({"tokenizer": "bpe"}, "tokenizer cannot be set for 'encoder'"),
        ({"kind": "linear", "adapt": "frozen"}, "a linear model has no base to adapt"),
        ({"lora": {"r": 4}}, "lora is set, but adapt is 'full'; it belongs to adapt = \"lora\""),
        ({"adapt": "lora", "lora": {"rank": 4}}, "model.lora.rank is not a key"),
        ({"adapt": "lora", "lora": {"variant": "qlora"}}, "model.lora.variant is 'qlora'"),
        ({"adapt": "laura"}, "model.adapt is 'laura'"),
        ({"pooling": "native", "head": "mlp"}, "pooling = 'native' has its own head"),
        ({"pooling": "mean", "head": "native"}, 'head is "native", which needs pooling = "native"'),
        ({"adapt": "adapter", "pooling": "native"}, "which native heads do not support"),
        ({"kind": "scratch", "pooling": "native"}, "the small decoder has no head of its own"),
    ],
)
def test_keys_that_contradict_each_other_are_refused(model: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        validate({"name": "a", "data": {"name": "ag_news"}, "model": model})
    assert message in str(caught.value)


@pytest.mark.parametrize("key", ["token_dropout", "mixup", "cutmix"])
def test_token_dropout_and_mixing_are_refused_with_a_frozen_base(key: str) -> None:
    with pytest.raises(RecipeError, match="runs the base only once"):
        validate({"name": "a", "data": {"name": "ag_news"}, "model": {"adapt": "frozen"}, "train": {key: 0.2}})


def test_a_model_from_scratch_can_use_the_tokenizer_of_a_base(tiny_base: Path, news_csv: Path, tmp_path: Path) -> None:
    model = {key: value for key, value in SCRATCH.items() if key != "vocabulary_size"}
    run = train(build_recipe(news_csv, model | {"tokenizer": str(tiny_base)}, epochs=1), run_dir=tmp_path / "run")
    tokenizer = load_tokenizer(str(tiny_base))
    assert run.metrics["size"]["embedding_parameters"] == len(tokenizer) * 32
    assert load_tokenizer(str(run.layout.model))("market share")["input_ids"] == tokenizer("market share")["input_ids"]
    assert not run.layout.tokenizer.exists()


def test_max_tokens_determines_the_length_of_training(tiny_base: Path, news_csv: Path, tmp_path: Path) -> None:
    one = train(build_recipe(news_csv, {"base": str(tiny_base)}, epochs=2), run_dir=tmp_path / "epochs")
    tokens = one.metrics["timing"]["tokens"]
    same = train(
        build_recipe(news_csv, {"base": str(tiny_base)}, epochs=9, max_tokens=tokens), run_dir=tmp_path / "tokens"
    )
    assert same.metrics["timing"]["tokens"] == tokens
    assert same.metrics["timing"]["epochs"] == pytest.approx(2)
    assert same.metrics["validation"] == one.metrics["validation"]


def test_advice_names_max_tokens_instead_of_epochs_if_it_is_set(news_csv: Path, tmp_path: Path) -> None:
    run = train(build_recipe(news_csv, SCRATCH, max_tokens=4_000, learning_rate=5e-4), run_dir=tmp_path / "run")
    advice = [line for line in json.loads(run.layout.diagnosis.read_text())["diagnosis"] if line["settings"]]
    assert advice
    assert not any("train.epochs" in line["advice"] or "train.epochs" in line["settings"] for line in advice)
    assert any("train.max_tokens" in line["settings"] for line in advice)


def test_a_comparison_warns_if_the_model_from_scratch_is_larger(
    tiny_base: Path, news_csv: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from slugline.pipeline import compare_runs

    tuned = train(build_recipe(news_csv, {"base": str(tiny_base)}, epochs=1), run_dir=tmp_path / "tuned")
    for width, is_large in ((8, False), (32, True)):
        model = SCRATCH | {"width": width, "ffn": 2 * width, "layers": 1, "vocabulary_size": 300}
        run = train(build_recipe(news_csv, model, epochs=1), run_dir=tmp_path / f"scratch-{width}")
        compare_runs([tuned.path, run.path])
        assert (f"scratch-{width}, trained from scratch, has" in caplog.text) == is_large
