"""Pre-training from recipe to run: files, resuming, and fine-tuning of the backbone."""

from __future__ import annotations

import json
import math
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModel

from conftest import TOPICS, articles, everything, interrupted_after, with_changes, write_csv
from slugline import load, train
from slugline.cli.app import run as command_line
from slugline.core.errors import DataError, ModelError, RecipeError, RunError, TrainingError
from slugline.data.batching import packing
from slugline.data.batching.loaders import split_update
from slugline.data.batching.planning import BatchLimits
from slugline.data.load import load_dataset
from slugline.models.build import build_pretrained
from slugline.models.language_model import PositionLogits, build_language_model
from slugline.models.tokenizers import load_tokenizer
from slugline.pipeline import evaluate_on, pretrain
from slugline.recipe.document import commented
from slugline.recipe.model_section import ModelSection
from slugline.recipe.recipe import Recipe, read, validate, write
from slugline.run.run import Run
from slugline.training import pretrain as pretraining
from slugline.training.loop.checkpoints import checkpoints_in, step_of


@pytest.fixture
def values(masked_base: Path, tmp_path: Path) -> dict[str, Any]:
    """A recipe that pre-trains the tiny model in a second or two: 7 updates per epoch. Tests may change it."""
    rows = [{"text": row["text"]} for row in articles(150, seed=3)]
    return {
        "name": "tiny",
        "model": {"base": str(masked_base)},
        "pretrain": {"texts": [{"path": str(write_csv(tmp_path / "raw.csv", rows))}], "sequence_length": 32},
        "train": {
            "epochs": 3,
            "batch_size": 16,
            "learning_rate": 3e-3,
            "precision": "fp32",
            "logging_steps": 2,
            "threads": 1,
        },
    }


def test_a_run_has_all_results_and_a_backbone(values: dict[str, Any], tmp_path: Path) -> None:
    run = pretrain(validate(values), run_dir=tmp_path / "run")
    files = {path.relative_to(run.path).as_posix() for path in run.path.rglob("*") if path.is_file()}
    assert files >= {
        *("recipe.toml", "manifest.json", "history.jsonl", "metrics.json", "data.json", "log.txt"),
        *("model/config.json", "model/model.safetensors", "model/tokenizer.json", "model/1_Pooling/config.json"),
        *("plots/curves.png", "plots/curves.svg"),
    }
    assert not [name for name in files if name.endswith((".bin", ".pkl")) or ".partial" in name]
    assert run.state == "complete"
    metrics = run.metrics
    assert set(metrics) == {"validation", "timing", "size"}
    measured = metrics["validation"]
    assert set(measured) == {"loss", "perplexity", "accuracy"}
    assert measured["perplexity"] == pytest.approx(math.exp(measured["loss"]))
    evaluations = [line["validation"] for line in run.history if "validation" in line]
    assert measured["loss"] == min(line["loss"] for line in evaluations) == run.manifest["chosen"]["value"]
    assert measured in evaluations
    assert metrics["timing"]["padding_share"] < 0.01
    assert set(metrics["size"]) == {
        "parameters",
        "trainable_parameters",
        "embedding_parameters",
        "head_parameters",
        "model_bytes",
    }
    assert run.manifest["data"]["rows"] == {"train": 150}
    sequences = run.data["sequences"]
    assert sequences["validation"] == round(0.05 * (sequences["train"] + sequences["validation"]))
    assert type(AutoModel.from_pretrained(run.layout.model)).__name__ == "BertModel"


def test_the_loss_decreases_on_repetitive_texts(values: dict[str, Any], tmp_path: Path) -> None:
    words = [*TOPICS["sport"][:4], *TOPICS["tech"][:4]]
    rows = [{"text": " ".join([*words[index % 8 :], *words * 3, f"no{index}"])} for index in range(400)]
    path = write_csv(tmp_path / "repetitive.csv", rows)
    no_dropout = {"dropout": 0.0, "attention_dropout": 0.0}
    recipe = with_changes(values, model=no_dropout, pretrain={"texts": [{"path": str(path)}]}, train={"epochs": 12})
    run = pretrain(recipe, run_dir=tmp_path / "run")
    losses = [line["loss"] for line in run.history if "loss" in line]
    assert losses[0] > 3 * run.metrics["validation"]["loss"]
    assert run.metrics["validation"]["accuracy"] > 0.5  # 0.125 without attention to neighbours: there are eight words


@pytest.mark.parametrize(("after", "average"), [(2, "none"), (4, "none"), (11, "none"), (7, "ema")])
def test_a_resumed_run_gives_the_same_result(values: dict[str, Any], tmp_path: Path, after: int, average: str) -> None:
    """One checkpoint per three updates: stops before the first, between checkpoints, within epochs."""
    keys = {"save_every": 3, "logging_steps": 3, "keep_checkpoints": 0, "weight_averaging": average}
    recipe = with_changes(values, train=keys)
    uninterrupted = pretrain(recipe, run_dir=tmp_path / "uninterrupted")
    with interrupted_after(after):
        pretrain(recipe, run_dir=tmp_path / "stopped")
    assert Run(tmp_path / "stopped").state == "interrupted"
    with pytest.raises(RunError, match="--resume"):
        pretrain(recipe, run_dir=tmp_path / "stopped")
    resumed = pretrain(recipe, run_dir=tmp_path / "stopped", resume=True)

    last = [checkpoints_in(run.layout.checkpoints)[-1] for run in (uninterrupted, resumed)]
    assert step_of(last[0]) == step_of(last[1]) > 12
    for one, other in (last, [run.layout.model for run in (uninterrupted, resumed)]):
        weights = [load_file(path / "model.safetensors") for path in (one, other)]
        assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert everything(resumed.path) == everything(uninterrupted.path)
    histories = [[{**line, "examples_per_second": 0} for line in run.history] for run in (uninterrupted, resumed)]
    assert histories[0] == histories[1]


def test_a_run_stopped_after_its_last_update_is_not_trained_further(
    values: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uninterrupted = pretrain(validate(values), run_dir=tmp_path / "uninterrupted")

    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("slugline.training.loop.session._restore_best", stop)
        with pytest.raises(KeyboardInterrupt):
            pretrain(validate(values), run_dir=tmp_path / "stopped")
    resumed = pretrain(validate(values), run_dir=tmp_path / "stopped", resume=True)
    assert everything(resumed.path) == everything(uninterrupted.path)


def test_accumulation_is_exact(values: dict[str, Any], tmp_path: Path) -> None:
    no_dropout = {"dropout": 0.0, "attention_dropout": 0.0}
    runs = [
        pretrain(
            with_changes(values, model=no_dropout, train={"micro_batch_size": size, "logging_steps": 1}),
            run_dir=tmp_path / str(size),
        )
        for size in (16, 3)
    ]
    losses = [[line["loss"] for line in run.history if "loss" in line] for run in runs]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_forward_passes_are_cut_to_their_longest_sequence(masked_base: Path) -> None:
    """Inputs are cut, labels are not."""
    model = build_language_model(
        ModelSection(base=str(masked_base)), "AutoModelForMaskedLM", "cpu", load_tokenizer(str(masked_base))
    ).eval()
    session = SimpleNamespace(logits=PositionLogits(model))
    ids, mask = torch.randint(5, 40, (2, 12)), torch.ones(2, 12, dtype=torch.int64)
    mask[1, 4:] = 0
    labels = torch.where((ids % 2 == 0) & (mask == 1), ids, packing.IGNORED)
    update = {"input_ids": ids, "attention_mask": mask, "labels": labels}
    expected = pretraining.PretrainSession.forward(session, model, update)  # type: ignore[arg-type]
    parts = split_update(update, limits=BatchLimits(1, 2**31), overhead=0)
    assert [part["input_ids"].shape[1] for part in parts] == [12, 4]
    cut = [pretraining.PretrainSession.forward(session, model, part) for part in parts]  # type: ignore[arg-type]
    for values, parts_of_values in zip(expected, zip(*cut, strict=True), strict=True):
        torch.testing.assert_close(torch.cat(parts_of_values), values)


def test_fine_tuning_starts_from_the_pre_trained_weights(
    values: dict[str, Any], recipe_values: dict[str, Any], tmp_path: Path
) -> None:
    run = pretrain(with_changes(values, train={"learning_rate": 5e-4}), run_dir=tmp_path / "pretrained")
    base = str(run.layout.model)
    pretrained = load_file(run.layout.model / "model.safetensors")
    recipe = validate({**recipe_values, "model": {"base": base}, "train": recipe_values["train"] | {"epochs": 8}})
    dataset = load_dataset(recipe.data)
    model = build_pretrained(recipe.model, dataset.labels, "cpu")
    assert model.config.pooling == "mean"
    for name, value in model.base_model.state_dict().items():
        assert torch.equal(value, pretrained[name]), name
    before = load_file(Path(values["model"]["base"]) / "model.safetensors")
    assert any(not torch.equal(before[name], pretrained[name]) for name in pretrained)
    tuned = train(recipe, run_dir=tmp_path / "tuned")
    assert tuned.metrics["test"]["accuracy"] > 0.5
    assert load(tuned.path).predict(["the team won the match"])[0] in TOPICS


def test_no_validation_or_test_text_reaches_the_model(
    values: dict[str, Any], news_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every article has a unique word, so that the ids that the model reads identify it."""
    rows = [{"text": f"{row['text']} mark{index:03d}", "label": row["label"]} for index, row in enumerate(articles(90))]
    path = write_csv(tmp_path / "marked.csv", rows)
    tokenizer = load_tokenizer(values["model"]["base"])
    tokenizer.add_tokens([f"mark{index:03d}" for index in range(90)])
    base = tmp_path / "marked"
    model = AutoModel.from_pretrained(values["model"]["base"])
    model.resize_token_embeddings(len(tokenizer))
    model.save_pretrained(base)
    tokenizer.save_pretrained(base)
    read_ids: set[int] = set()
    getitem = packing.Packed.__getitem__

    def spy(self: packing.Packed, index: int) -> Any:
        ids = getitem(self, index)
        read_ids.update(ids.tolist())
        return ids

    monkeypatch.setattr(packing.Packed, "__getitem__", spy)
    data = {"path": str(path)}
    dataset = load_dataset(validate({"name": "x", "data": data}).data)
    for section in ({"texts": [{"path": str(path)}]}, {"texts": []}):
        read_ids.clear()
        recipe = with_changes(values, data=data, model={"base": str(base)}, pretrain=section, train={"epochs": 1})
        pretrain(recipe, run_dir=tmp_path / f"run{len(section['texts'])}")
        found = set(tokenizer.convert_ids_to_tokens(sorted(read_ids)))
        for part, is_read in (("train", True), ("validation", False), ("test", False)):
            marks = {text.split()[-1] for text in dataset[part]["text"][:]}
            assert len(marks) >= 8
            assert marks <= found if is_read else not marks & found, part


def test_a_backbone_without_head_is_refused(
    values: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = pretrain(with_changes(values, train={"epochs": 1, "keep_checkpoints": 1}), run_dir=tmp_path / "run")
    checkpoint = checkpoints_in(run.layout.checkpoints)[-1]
    for function in (load, lambda path: evaluate_on(str(path))):
        for path in (run.path, run.layout.model, checkpoint):
            with pytest.raises(
                ModelError, match=r"without a classification head(.|\n)*slugline train RECIPE model.base"
            ):
                function(path)
    assert command_line(["predict", str(run.path), "a text"]) == 1
    assert f"model.base={run.layout.model}" in capsys.readouterr().err


def test_train_and_pretrain_refuse_each_others_recipes(
    values: dict[str, Any], recipe_values: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(RecipeError, match="slugline pretrain RECIPE"):
        train(validate(values), run_dir=tmp_path / "run")
    with pytest.raises(RecipeError, match="slugline train RECIPE"):
        pretrain(validate(recipe_values), run_dir=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"pretrain": {"sequence_length": 65}}, ModelError, r"model reads at most 64 tokens(.|\n)*between 3 and 64"),
        ({"pretrain": {"sequence_length": 2}}, ModelError, r"2 of them special(.|\n)*between 3 and 64"),
        ({"train": {"select_by": "f1_macro"}}, RecipeError, r"no classes to score"),
        ({"train": {"mixup": 0.2}}, RecipeError, r"train\.mixup has no meaning in pre-training"),
        ({"train": {"arguments": {"learning_rate": 1.0}}}, RecipeError, r"learning_rate cannot be set"),
        ({"model": {"kind": "linear"}}, RecipeError, r"cannot be pre-trained"),
        ({"pretrain": {"texts": [{"path": "nowhere.csv"}]}}, DataError, r"nowhere\.csv"),
    ],
)
def test_errors_in_the_recipe_leave_no_folder(
    values: dict[str, Any], tmp_path: Path, changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        pretrain(with_changes(values, **changes), run_dir=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_tokenizer_without_mask_token_is_refused_before_texts_are_read(
    values: dict[str, Any], tiny_base: Path, tmp_path: Path
) -> None:
    recipe = with_changes(values, model={"base": str(tiny_base)}, pretrain={"texts": [{"path": "nowhere.csv"}]})
    with pytest.raises(ModelError, match="no mask token"):
        pretrain(recipe, run_dir=tmp_path / "run")


def test_too_few_texts_are_an_error(values: dict[str, Any], tmp_path: Path) -> None:
    path = write_csv(tmp_path / "few.csv", [{"id": "1", "text": "market shares"}])
    with pytest.raises(DataError, match=r"too few(.|\n)*sequence_length"):
        pretrain(with_changes(values, pretrain={"texts": [{"path": str(path)}]}), run_dir=tmp_path / "run")


def test_a_diverging_run_stops_with_the_reason(values: dict[str, Any], tmp_path: Path) -> None:
    recipe = with_changes(values, train={"learning_rate": 1e30, "warmup": 0, "max_grad_norm": 0})
    with pytest.raises(TrainingError, match="learning rate is too high"):
        pretrain(recipe, run_dir=tmp_path / "run")


def test_a_run_is_not_resumed_with_other_texts(values: dict[str, Any], tmp_path: Path) -> None:
    recipe = validate(values)
    with interrupted_after(6):
        pretrain(recipe, run_dir=tmp_path / "run")
    write_csv(Path(values["pretrain"]["texts"][0]["path"]), [{"text": row["text"]} for row in articles(150, seed=4)])
    with pytest.raises(RunError, match="data has changed"):
        pretrain(recipe, run_dir=tmp_path / "run", resume=True)


def test_exhausted_memory_halves_the_forward_passes(
    values: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = pretraining.PretrainSession.forward

    def forward_with_little_memory(self: Any, model: Any, batch: Any) -> Any:
        if len(batch["labels"]) > 9:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 17179869184 bytes")
        return forward(self, model, batch)

    no_dropout = {"dropout": 0.0, "attention_dropout": 0.0}
    keys = {"micro_batch_size": 16, "logging_steps": 1, "eval_batch_size": 8}
    recipe = with_changes(values, model=no_dropout, train=keys)
    expected = pretrain(recipe, run_dir=tmp_path / "expected")
    monkeypatch.setattr(pretraining.PretrainSession, "forward", forward_with_little_memory)
    halved = pretrain(recipe, run_dir=tmp_path / "halved")
    for key in ("loss", "accuracy"):
        lines = [[line[key] for line in run.history if key in line] for run in (expected, halved)]
        assert lines[0] == pytest.approx(lines[1], rel=2e-3, abs=2e-3)


def test_a_recipe_with_texts_needs_no_data_and_can_be_written_and_read(values: dict[str, Any], tmp_path: Path) -> None:
    recipe = validate(values)
    assert not recipe.has_data
    assert recipe.train.select_by == "loss"
    assert "data" not in tomllib.loads(write(recipe))
    for text in (write(recipe), commented(recipe)):
        (tmp_path / "again.toml").write_text(text)
        assert read(tmp_path / "again.toml") == recipe
    for pretrain_section in ({}, {"texts": []}):
        with pytest.raises(RecipeError, match="data is missing"):
            validate({**values, "pretrain": pretrain_section})


def test_a_backbone_has_the_defaults_of_the_base_of_its_pre_training(tmp_path: Path) -> None:
    def recipe_of(base: str, **sections: Any) -> Recipe:
        return validate({"name": "x", "data": {"name": "ag_news"}, "model": {"base": base}, **sections})

    for name, base in (("one", "embedded"), ("two", str(tmp_path / "one" / "model"))):
        (tmp_path / name).mkdir()
        (tmp_path / name / "recipe.toml").write_text(write(recipe_of(base, pretrain={})))
    embedded = recipe_of("embedded").train
    for name in ("one", "two"):
        assert recipe_of(str(tmp_path / name / "model")).train == embedded
    assert recipe_of(str(tmp_path / "one" / "model"), train={"learning_rate": 1.0}).train.learning_rate == 1.0
    # No pre-training run: a fine-tuned run, a run whose base is its own model, a folder that does not exist.
    (tmp_path / "one" / "recipe.toml").write_text(write(recipe_of("embedded")))
    (tmp_path / "two" / "recipe.toml").write_text(write(recipe_of(str(tmp_path / "two" / "model"), pretrain={})))
    for name in ("one", "two", "three"):
        assert recipe_of(str(tmp_path / name / "model")).train == recipe_of("other").train != embedded


def test_the_command_line_pre_trains(
    values: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "tiny.toml"
    path.write_text(write(validate(values)))
    folder = tmp_path / "run"
    assert command_line(["pretrain", str(path), "train.epochs=1", "--run-dir", str(folder)]) == 0
    out = capsys.readouterr().out
    assert "perplexity" in out
    assert f"slugline train RECIPE model.base={folder / 'model'}" in out
    assert command_line(["pretrain", str(path), "--run-dir", str(folder)]) == 1
    assert command_line(["pretrain", str(path), "train.epochs=1", "--run-dir", str(folder), "--force", "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)) == {"run", "validation", "timing", "size"}
