"""Shipped recipes, trained with random weights of the same architectures on small data."""

from __future__ import annotations

import csv
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from conftest import ROOT, TOPICS, articles, write_csv
from slugline import load, train
from slugline.pipeline import pretrain
from slugline.recipe.recipe import read, validate
from slugline.run.run import Run
from slugline.workflows.study.plan import read_study

#: Four topics with words in the vocabulary of the tokenizer.
NEWS = TOPICS | {"tech": TOPICS["tech"][:5], "world": TOPICS["tech"][5:]}

#: Overrides that make training short.
SMALL = [
    "train.epochs=2",
    "train.learning_rate=3e-3",
    "train.precision=fp32",
    "train.threads=1",
    "evaluation.bootstrap=0",
]


def trained(name: str, folder: Path, base: Path, overrides: Sequence[str]) -> Run:
    recipe = read(ROOT / "recipes" / f"{name}.toml", [*SMALL, f"model.base={base}", *overrides])
    return train(recipe, run_dir=folder / "run")


@pytest.fixture
def news(tmp_path: Path) -> Path:
    return write_csv(tmp_path / "news.csv", articles(120, topics=NEWS))


@pytest.mark.parametrize("family", ["distilbert", "bert", "roberta", "deberta-v2"])
def test_the_topic_classification_guide(
    family_base: Callable[[str], Path], news: Path, tmp_path: Path, family: str
) -> None:
    run = trained("agnews-distilbert", tmp_path, family_base(family), ["data.name=", f"data.path={news}"])
    assert run.manifest["chosen"]["by"] == "accuracy"
    assert run.metrics["test"]["support"] == 24
    config = AutoModelForSequenceClassification.from_pretrained(run.layout.model).config
    assert config.model_type == family
    assert sorted(config.label2id) == sorted(NEWS)


@pytest.mark.parametrize("name", ["bbc-distilbert", "newsgroups20-distilbert"])
def test_the_recipes_for_smaller_data_sets(
    family_base: Callable[[str], Path], news: Path, tmp_path: Path, name: str
) -> None:
    run = trained(name, tmp_path, family_base("distilbert"), ["data.name=", f"data.path={news}", "train.epochs=1"])
    assert run.state == "complete"


def test_several_data_sets_in_one(family_base: Callable[[str], Path], tmp_path: Path) -> None:
    """The label maps of the recipe, with generated files that have the labels of both data sets."""
    values: dict[str, Any] = tomllib.loads((ROOT / "recipes" / "agnews-bbc-distilbert.toml").read_text())
    for number, source in enumerate(values["data"]["sources"]):
        topics = {label: [f"{label.lower().replace('/', '')}word"] for label in source["label_map"]}
        rows = articles(20 * len(topics), seed=number, topics=topics)
        del source["name"]
        source["path"] = str(write_csv(tmp_path / f"{number}.csv", rows))
    values["model"]["base"] = str(family_base("distilbert"))
    values["train"] |= {"epochs": 1, "threads": 1, "precision": "fp32"}
    run = train(validate(values), run_dir=tmp_path / "run")
    assert run.manifest["data"]["labels"] == ["World", "Sports", "Business", "Sci/Tech", "Entertainment"]
    total = {name: sum(split[name] for split in run.data["classes"].values()) for name in run.data["classes"]["train"]}
    assert total == {"World": 40, "Sports": 40, "Business": 40, "Sci/Tech": 40, "Entertainment": 20}


def test_title_and_description(family_base: Callable[[str], Path], tmp_path: Path) -> None:
    numbers = {"world": 1, "sport": 2, "business": 3, "tech": 4}
    path = tmp_path / "ag.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["label", "title", "description"])
        for index, row in enumerate(articles(240, topics=NEWS)):
            # Unknown words in all texts, as in the text that is classified below.
            words = [*row["text"].split(), *(f"rare{number}" for number in range(index % 7))]
            writer.writerow([numbers[row["label"]], " ".join(words[:3]), " ".join(words[3:])])
    overrides = ["data.hub=", f"data.path={path}", "train.batch_size=16", "train.epochs=6", "model.dropout=0.0"]
    overrides += ["train.head_learning_rate=1e-2"]
    run = trained("agnews-title-description", tmp_path, family_base("distilbert"), overrides)
    assert run.manifest["data"]["labels"] == ["World", "Sports", "Business", "Sci/Tech"]
    assert run.manifest["data"]["text"] == ["title", "description"]
    text = "Oil prices dropped significantly today as the stock market crashed."
    assert load(run.path).predict([text]).tolist() == ["Business"]

    model = AutoModelForSequenceClassification.from_pretrained(run.layout.model).eval()
    tokenizer = AutoTokenizer.from_pretrained(run.layout.model)
    with torch.no_grad():
        logits = model(**tokenizer([text], return_tensors="pt")).logits
    assert model.config.id2label[int(logits.argmax())] == "Business"
    torch.testing.assert_close(logits, torch.tensor(next(load(run.path, precision="fp32").logits([text]))))


def test_on_a_cpu(family_base: Callable[[str], Path], news: Path, tmp_path: Path) -> None:
    run = trained("agnews-distilbert-cpu", tmp_path, family_base("distilbert"), ["data.name=", f"data.path={news}"])
    losses = [line["validation"]["loss"] for line in run.history if "validation" in line]
    assert run.manifest["chosen"] == {"step": run.manifest["chosen"]["step"], **_chosen(losses)}
    assert (run.layout.plots / "curves.png").is_file()


def _chosen(losses: list[float]) -> dict[str, Any]:
    best = min(losses)
    return {"epoch": float(losses.index(best) + 1), "by": "loss", "value": pytest.approx(best)}


def test_small_bert_on_imbalanced_topics(family_base: Callable[[str], Path], tmp_path: Path) -> None:
    """Three topics of 60 texts and one of 20, which is too small; texts with artefacts, and one of two words."""
    folder = tmp_path / "reuters46"
    folder.mkdir()
    rare = articles(20, seed=1, topics={"world": NEWS["world"]})
    rows = [*articles(180), *rare, {"text": "[START] oil", "label": "business"}]
    rows = [{"text": f"[START] {row['text'].upper()} [UNK]", "label": row["label"]} for row in rows]
    write_csv(folder / "train.csv", rows)
    write_csv(folder / "test.csv", [*articles(30, seed=9), *rare[:3]])
    overrides = [f"data.path={folder}", "train.save_every=2", "train.keep_checkpoints=1"]
    run = trained("reuters46-bert-small", tmp_path, family_base("bert"), overrides)
    assert run.manifest["data"]["labels"] == sorted(TOPICS)
    assert run.metrics["out_of_fold"]["support"] == 180
    assert run.metrics["test"]["support"] == 30
    assert [row["fold"] for row in run.metrics["folds"]] == [1, 2, 3]
    assert all(row["best_epoch"] for row in run.metrics["folds"])
    shown = [row["text"] for row in run.data["examples"]["train"]]
    assert all(text == text.lower() and "[" not in text for text in shown)
    config = AutoModelForSequenceClassification.from_pretrained(run.model_dirs[0]).config
    assert (config.hidden_dropout_prob, config.attention_probs_dropout_prob) == (0.3, 0.1)


@pytest.mark.parametrize("adapt", ["full", "lora", "adapter", "frozen", "gradual"])
def test_a_fine_tuned_decoder(decoder_base: Callable[[str], Path], news: Path, tmp_path: Path, adapt: str) -> None:
    overrides = ["data.name=", f"data.path={news}", f"model.adapt={adapt}"]
    run = trained("banking77-gpt2", tmp_path, decoder_base("gpt2"), overrides)
    folder = AutoModelForSequenceClassification if adapt != "adapter" else None
    assert run.metrics["size"]["trainable_parameters"] < run.metrics["size"]["parameters"] or adapt in (
        "full",
        "gradual",
    )
    assert load(run.path).predict(["market shares"])[0] in NEWS
    if folder is not None:
        assert folder.from_pretrained(run.layout.model).config.model_type == "gpt2"


@pytest.mark.parametrize("name", ["agnews-scratch", "banking77-scratch"])
def test_a_small_decoder_from_scratch(news: Path, tmp_path: Path, name: str) -> None:
    overrides = [*SMALL, "data.name=", f"data.path={news}", "data.text=text", "model.size=tiny"]
    run = train(read(ROOT / "recipes" / f"{name}.toml", overrides), run_dir=tmp_path / "run")
    assert run.manifest["chosen"]["by"] == "f1_macro"
    assert 396_000 < run.metrics["size"]["parameters"] < 600_000


def test_pre_training_and_fine_tuning(
    news: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    values: dict[str, Any] = tomllib.loads((ROOT / "recipes" / "texts-pretrain.toml").read_text())
    values["data"] = {"path": str(news), "clean": values["data"]["clean"]}
    values["pretrain"]["texts"] = [{"path": str(news)}]
    values["model"]["size"] = "tiny"
    values["train"] |= {"epochs": 1, "threads": 1, "precision": "fp32"}
    before = pretrain(validate(values))
    overrides = [*SMALL, "data.name=", f"data.path={news}", "model.base=runs/texts-pretrain/model"]
    after = train(read(ROOT / "recipes" / "banking77-scratch.toml", overrides), run_dir=tmp_path / "run")
    assert after.metrics["size"]["embedding_parameters"] == before.metrics["size"]["embedding_parameters"]
    warning = "runs/texts-pretrain/model has 2 blocks of width 128: this size is used, not the size in [model]."
    assert warning in caplog.messages


@pytest.mark.parametrize("path", sorted((ROOT / "recipes" / "studies").glob("*.toml")), ids=lambda path: path.stem)
def test_all_members_of_a_shipped_study_are_valid(path: Path) -> None:
    members = read_study(path).members
    assert len(members) == len({member.path for member in members}) > 1
