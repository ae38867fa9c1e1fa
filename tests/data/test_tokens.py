"""Tokens come out as the tokenizer itself would give them, and are made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import ROOT, articles
from slugline.data.tokens import special_tokens, tokenise, tokenizer_fingerprint
from slugline.errors import ModelError
from slugline.models.build import load_tokenizer

SHARED_TOKENIZERS = ROOT.parent / "shared" / "tokenizers"
TEXTS = [row["text"] for row in articles(40)]


@pytest.mark.parametrize("max_length", [5, 12, 64])
def test_tokens_are_those_of_the_tokenizer(tiny_base: Path, max_length: int) -> None:
    tokenizer = load_tokenizer(str(tiny_base))
    tokens = tokenise(TEXTS, tokenizer, max_length=max_length)
    expected = tokenizer(TEXTS, truncation=True, max_length=max_length)["input_ids"]
    assert [tokens[index] for index in range(len(TEXTS))] == expected
    assert tokens.lengths.tolist() == [len(row) for row in expected]


@pytest.mark.parametrize(
    ("name", "special"),
    [("bert-base-uncased", (("[CLS]",), ("[SEP]",))), ("gpt2", ((), ())), ("roberta-base", (("<s>",), ("</s>",)))],
)
def test_special_tokens_of_the_usual_families(name: str, special: tuple[tuple[str, ...], ...]) -> None:
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
    assert tokenise([text], tokenizer, max_length=9)[0] == tokenizer(text, truncation=True, max_length=9)["input_ids"]


def test_one_cache_serves_every_length_and_tokenizing_again_is_not_needed(
    tiny_base: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SLUGLINE_CACHE", str(tmp_path))
    tokenizer = load_tokenizer(str(tiny_base))
    first = tokenise(TEXTS, tokenizer, max_length=64, fingerprint="f")
    # Were the texts read again, this would give nothing.
    second = tokenise([], tokenizer, max_length=8, fingerprint="f")
    assert [second[i] for i in range(40)] == tokenizer(TEXTS, truncation=True, max_length=8)["input_ids"]
    assert second.truncated_share == (first.full_lengths > 8).mean()
    assert len(tokenise([], tokenizer, max_length=8, fingerprint="other")) == 0


def test_the_cache_knows_one_tokenizer_from_another(tiny_base: Path) -> None:
    one, other = load_tokenizer(str(tiny_base)), load_tokenizer(str(tiny_base))
    assert tokenizer_fingerprint(one) == tokenizer_fingerprint(other)
    other.add_tokens(["slugline"])
    assert tokenizer_fingerprint(one) != tokenizer_fingerprint(other)


def test_a_length_without_room_for_text_is_refused(tiny_base: Path) -> None:
    with pytest.raises(ModelError, match="max_length = 2 leaves no room"):
        tokenise(TEXTS, load_tokenizer(str(tiny_base)), max_length=2)


def test_an_empty_text_is_its_special_tokens(tiny_base: Path) -> None:
    tokens = tokenise(["", "market"], load_tokenizer(str(tiny_base)), max_length=8)
    assert tokens[0] == [2, 3]
