"""Tokens: equal to those of the tokenizer itself, with every truncation, and cached."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

from conftest import ROOT, articles
from slugline.core.errors import ModelError
from slugline.data.batching import token_cache
from slugline.data.batching.tokenizer_properties import special_tokens
from slugline.data.batching.tokens import tokenise
from slugline.data.batching.truncation import Truncation
from slugline.models.tokenizers import load_tokenizer

SHARED_TOKENIZERS = ROOT.parent / "shared" / "tokenizers"
TEXTS = [row["text"] for row in articles(40)]


@pytest.mark.parametrize("max_length", [5, 12, 64])
def test_tokens_are_those_of_the_tokenizer(tiny_base: Path, max_length: int) -> None:
    tokenizer = load_tokenizer(str(tiny_base))
    tokens = tokenise(TEXTS, tokenizer, Truncation(max_length))
    expected = tokenizer(TEXTS, truncation=True, max_length=max_length)["input_ids"]
    assert [tokens[index] for index in range(len(TEXTS))] == [[row] for row in expected]
    assert tokens.lengths.tolist() == [len(row) for row in expected]


@pytest.mark.parametrize(
    ("name", "special"),
    [("bert-base-uncased", (("[CLS]",), ("[SEP]",))), ("gpt2", ((), ())), ("roberta-base", (("<s>",), ("</s>",)))],
)
def test_special_tokens_of_common_families(name: str, special: tuple[tuple[str, ...], ...]) -> None:
    folder = SHARED_TOKENIZERS / name
    if not folder.is_dir():
        pytest.skip("there is no ../shared/tokenizers")
    from transformers import BertTokenizerFast, GPT2TokenizerFast, RobertaTokenizerFast

    classes = {"bert-base-uncased": BertTokenizerFast, "gpt2": GPT2TokenizerFast, "roberta-base": RobertaTokenizerFast}
    tokenizer = classes[name].from_pretrained(folder)
    before, after = special_tokens(tokenizer)
    found = tuple(tokenizer.convert_ids_to_tokens(before)), tuple(tokenizer.convert_ids_to_tokens(after))
    assert found == special
    text = "Oil prices dropped significantly today as the stock market crashed."
    assert tokenise([text], tokenizer, Truncation(9))[0] == [
        tokenizer(text, truncation=True, max_length=9)["input_ids"]
    ]


def test_one_cache_serves_every_length(tiny_base: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SLUGLINE_CACHE", str(tmp_path))
    tokenizer = load_tokenizer(str(tiny_base))
    first = tokenise(TEXTS, tokenizer, Truncation(64), cached=True)
    with monkeypatch.context() as patched:
        patched.setattr(token_cache, "encode", None)
        second = tokenise(TEXTS, tokenizer, Truncation(8), cached=True)
    expected = tokenizer(TEXTS, truncation=True, max_length=8)["input_ids"]
    assert [second[i] for i in range(40)] == [[row] for row in expected]
    assert second.truncated_share == (first.full_lengths > 8).mean()
    assert len(tokenise([], tokenizer, Truncation(8), cached=True)) == 0


def test_a_length_without_tokens_for_the_text_is_refused(tiny_base: Path) -> None:
    with pytest.raises(ModelError, match="max_length = 2 leaves no tokens"):
        tokenise(TEXTS, load_tokenizer(str(tiny_base)), Truncation(2))


def test_an_empty_text_has_only_special_tokens(tiny_base: Path) -> None:
    tokens = tokenise(["", "market"], load_tokenizer(str(tiny_base)), Truncation(8))
    assert tokens[0] == [[2, 3]]


@pytest.mark.parametrize(("max_length", "stride"), [(12, 3), (8, 0), (9, 6)])
def test_windows_are_those_of_the_tokenizer(tiny_base: Path, max_length: int, stride: int) -> None:
    tokenizer = load_tokenizer(str(tiny_base))
    texts = ["", *TEXTS]
    tokens = tokenise(texts, tokenizer, Truncation(max_length, "window", stride, max_windows=1_000))
    for index, text in enumerate(texts):
        expected = tokenizer(
            text, truncation=True, max_length=max_length, stride=stride, return_overflowing_tokens=True
        )["input_ids"]
        assert tokens[index] == expected
        assert tokens.pieces[index] == len(expected)
        assert tokens.lengths[index] == max(map(len, expected))
    assert tokens.truncated_share == 0


@pytest.mark.parametrize(
    "truncation",
    [
        Truncation(9),
        Truncation(9, "tail"),
        Truncation(9, "window", 3, max_windows=1_000),
        Truncation(9, "window", 0, max_windows=2),
    ],
)
def test_read_lengths_count_the_tokens_of_all_pieces(tiny_base: Path, truncation: Truncation) -> None:
    tokens = tokenise(["", *TEXTS], load_tokenizer(str(tiny_base)), truncation)
    assert tokens.read_lengths.tolist() == [sum(map(len, tokens[index])) for index in range(len(tokens))]


def test_texts_with_too_many_windows_count_as_truncated(tiny_base: Path) -> None:
    tokenizer = load_tokenizer(str(tiny_base))
    complete = tokenise(TEXTS, tokenizer, Truncation(8, "window", 2, max_windows=1_000))
    limited = tokenise(TEXTS, tokenizer, Truncation(8, "window", 2, max_windows=2))
    assert [limited[i] for i in range(40)] == [complete[i][:2] for i in range(40)]
    assert limited.truncated_share == (complete.pieces > 2).mean() > 0


@pytest.mark.parametrize(("long", "head", "tail"), [("head", 8, 0), ("tail", 0, 8), ("head_tail", 2, 6)])
def test_head_and_tail_are_kept(
    tiny_base: Path, long: Literal["head", "tail", "head_tail"], head: int, tail: int
) -> None:
    tokenizer = load_tokenizer(str(tiny_base))
    text = max(TEXTS, key=len)
    inner = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert len(inner) > 8
    (piece,) = tokenise([text], tokenizer, Truncation(10, long))[0]
    assert piece[1:-1] == inner[:head] + inner[len(inner) - tail :]


def test_a_stride_of_a_whole_window_is_refused(tiny_base: Path) -> None:
    with pytest.raises(
        ModelError, match=r"data.stride = 6: windows of 8 tokens, 2 of them special, can share at most 5"
    ):
        tokenise(TEXTS, load_tokenizer(str(tiny_base)), Truncation(8, "window", 6, 4))
