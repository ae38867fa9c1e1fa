"""Unknown tokens: measured for every kind of tokenizer, reported above 1%, refused above 50%."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from conftest import TOPICS, articles, with_changes, write_csv
from slugline import train
from slugline.core.errors import ModelError
from slugline.data.batching.tokens import tokenise
from slugline.data.batching.truncation import Truncation
from slugline.data.batching.unknown import check_unknown_tokens, unknown_id, unknown_share
from slugline.models.tokenizers import train_tokenizer
from slugline.pipeline import pretrain

VOCABULARY = {"[UNK]": 0, "[PAD]": 1, "[CLS]": 2, "good": 3, "day": 4, "g": 5, "o": 6}


def fast(model: Any, **names: str) -> PreTrainedTokenizerFast:
    backend = Tokenizer(model)
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="[PAD]", **names)


UNIGRAM = [("[UNK]", 0.0), ("[PAD]", 0.0), ("good", -1.0), ("day", -1.0)]

#: Tokenizers with an unknown token -> share of unknown tokens in "good day" and "guten tag".
TOKENIZERS = {
    "wordlevel": (fast(models.WordLevel(VOCABULARY, unk_token="[UNK]"), unk_token="[UNK]"), 0.5),
    "not in the configuration": (fast(models.WordLevel(VOCABULARY, unk_token="[UNK]")), 0.5),
    "wordpiece": (fast(models.WordPiece(VOCABULARY, unk_token="[UNK]"), unk_token="[UNK]"), 0.5),
    "unigram": (fast(models.Unigram(UNIGRAM, unk_id=0)), 0.5),
}


@pytest.mark.parametrize("name", TOKENIZERS)
def test_unknown_tokens_are_counted(name: str) -> None:
    tokenizer, expected = TOKENIZERS[name]
    tokens = tokenise(["good day", "guten tag"], tokenizer, Truncation(8))
    assert unknown_share(tokens, unknown_id(tokenizer)) == pytest.approx(expected)
    assert unknown_share(tokenise(["good day"], tokenizer, Truncation(8)), unknown_id(tokenizer)) == 0


@pytest.mark.parametrize("kind", ["bpe"])
def test_byte_level_tokenizers_know_everything(kind: str) -> None:
    tokenizer = train_tokenizer([row["text"] for row in articles(50)], kind, vocabulary_size=300)
    tokens = tokenise(["привет 你好 🙂"], tokenizer, Truncation(64))
    assert unknown_share(tokens, unknown_id(tokenizer)) == 0
    assert check_unknown_tokens({"train": tokens}, tokenizer) == []


def test_texts_of_which_everything_is_dropped_are_unknown(tiny_base: Path) -> None:
    """A tokenizer without an unknown token drops what it does not know."""
    backend = Tokenizer(models.BPE(vocab={"[CLS]": 0, "a": 1, "b": 2}, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    from tokenizers.processors import TemplateProcessing

    backend.post_processor = TemplateProcessing(single="[CLS] $A", special_tokens=[("[CLS]", 0)])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, cls_token="[CLS]")
    tokens = tokenise(["a b", "привет", "你好", "снова"], tokenizer, Truncation(8))
    assert unknown_share(tokens, unknown_id(tokenizer)) == pytest.approx(3 / 5)
    with pytest.raises(ModelError, match=r"60.0% of the tokens of the validation texts are unknown"):
        check_unknown_tokens({"validation": tokens}, tokenizer)


@pytest.fixture
def values(recipe_values: dict[str, Any], masked_base: Path) -> dict[str, Any]:
    return recipe_values | {"model": {"base": str(masked_base)}, "train": recipe_values["train"] | {"epochs": 1}}


def foreign(path: Path, share: float) -> Path:
    """Articles in which a share of the words is unknown to the tokenizer of the tests."""
    rows = articles(150)
    for number, row in enumerate(rows):
        words = row["text"].rsplit(" ", 1)[0].split()  # without the number
        unknown = round(share * len(words))
        row["text"] = " ".join([*[f"слово{number}x{index}" for index in range(unknown)], *words[unknown:]])
    return write_csv(path, rows)


@pytest.mark.parametrize("start", [train, pretrain], ids=["train", "pretrain"])
def test_a_wrong_tokenizer_is_refused(values: dict[str, Any], tmp_path: Path, start: Any) -> None:
    changes: dict[str, Any] = {"data": {"path": str(foreign(tmp_path / "foreign.csv", 1.0))}}
    changes |= {"pretrain": {"sequence_length": 16}} if start is pretrain else {}
    with pytest.raises(ModelError, match=r"of the train texts are unknown to the tokenizer(.|\n)*model.tokenizer"):
        start(with_changes(values, **changes), run_dir=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("start", [train, pretrain], ids=["train", "pretrain"])
def test_a_noticeable_share_is_a_finding(values: dict[str, Any], tmp_path: Path, start: Any) -> None:
    changes: dict[str, Any] = {"data": {"path": str(foreign(tmp_path / "foreign.csv", 0.2))}}
    changes |= {"pretrain": {"sequence_length": 16}} if start is pretrain else {}
    run = start(with_changes(values, **changes), run_dir=tmp_path / "run")
    assert 0.1 < run.data["tokens"]["train"]["unknown_share"] < 0.3
    found = [finding for finding in run.data["findings"] if finding["kind"] == "unknown_tokens"]
    assert len(found) == (1 if start is pretrain else 2)
    assert all(finding["is_warning"] for finding in found)
    assert "of the tokens of the train texts are unknown" in found[0]["message"]
    assert "are unknown to the tokenizer" in run.layout.log.read_text()


def test_known_texts_have_no_finding(values: dict[str, Any], tmp_path: Path) -> None:
    rows = articles(150)
    vocabulary = [word for words in TOPICS.values() for word in words]
    for number, row in enumerate(rows):
        row["text"] = (
            row["text"].rsplit(" ", 1)[0] + " " + " ".join(vocabulary[number % 20 : number % 20 + number // 20])
        )
    path = write_csv(tmp_path / "known.csv", rows)
    run = train(with_changes(values, data={"path": str(path)}), run_dir=tmp_path / "run")
    data = json.loads((run.path / "data.json").read_text())
    assert {split: data["tokens"][split]["unknown_share"] for split in ("train", "validation")} == {
        "train": 0.0,
        "validation": 0.0,
    }
    assert "unknown_tokens" not in {finding["kind"] for finding in data["findings"]}
