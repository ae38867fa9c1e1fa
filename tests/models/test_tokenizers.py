"""Tokenizers: trained on texts, reproducible, saved and loaded, with a padding token of their own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from conftest import articles
from slugline.core.errors import ModelError
from slugline.data.batching.tokens import Truncation, tokenise, tokenizer_fingerprint
from slugline.models.tokenizers import END, PADDING, TOKENIZERS, load_tokenizer, train_tokenizer

TEXTS = [row["text"] for row in articles(200)]
GPT2 = Path(__file__).parents[3] / "shared" / "tokenizers" / "gpt2"


@pytest.mark.parametrize("kind", sorted(TOKENIZERS))
def test_words_of_the_texts_become_entries(kind: str) -> None:
    tokenizer = train_tokenizer(TEXTS, kind, vocabulary_size=400)
    assert len(tokenizer.tokenize("the market with the team")) < (20 if kind == "unigram" else 9)  # of 24 letters
    assert len(tokenizer) <= 400
    assert tokenizer.pad_token == PADDING
    assert tokenizer.eos_token == END
    assert tokenizer.padding_side == "right"


def test_the_same_texts_give_the_same_byte_pairs() -> None:
    one, other = (train_tokenizer(TEXTS, "bpe", vocabulary_size=400) for _ in range(2))
    assert tokenizer_fingerprint(one) == tokenizer_fingerprint(other)


@pytest.mark.parametrize("kind", sorted(TOKENIZERS))
def test_saving_changes_nothing(kind: str, tmp_path: Path) -> None:
    trained = train_tokenizer(TEXTS, kind, vocabulary_size=400)
    trained.save_pretrained(tmp_path)
    loaded = load_tokenizer(str(tmp_path))
    assert loaded(TEXTS[:20])["input_ids"] == trained(TEXTS[:20])["input_ids"]
    assert (loaded.pad_token_id, loaded.eos_token_id) == (trained.pad_token_id, trained.eos_token_id)


def test_byte_pairs_have_no_unknown_tokens() -> None:
    tokenizer = train_tokenizer(TEXTS, "bpe", vocabulary_size=400)
    for text in ("naïve café", "日本語", "🙂 ok", "tab\tand\nline"):
        assert tokenizer.decode(tokenizer(text)["input_ids"]).strip() == text


def test_the_first_word_is_the_same_token_as_in_other_places() -> None:
    tokenizer = train_tokenizer(TEXTS, "bpe", vocabulary_size=400)
    ids = tokenizer("market and market")["input_ids"]
    assert ids[0] == ids[-1]


def test_a_smaller_vocabulary_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    tokenizer = train_tokenizer(TEXTS, "bpe", vocabulary_size=10_000)
    assert f"contain only {len(tokenizer)} entries" in caplog.text


@pytest.mark.parametrize("kind", sorted(TOKENIZERS))
def test_a_vocabulary_smaller_than_the_characters_is_refused(kind: str) -> None:
    with pytest.raises(ModelError, match="characters of the texts alone need"):
        train_tokenizer(TEXTS, kind, vocabulary_size=20)


@pytest.mark.parametrize("kind", sorted(TOKENIZERS))
def test_an_empty_text_becomes_the_end_of_text_token(kind: str) -> None:
    tokenizer = train_tokenizer(TEXTS, kind, vocabulary_size=400)
    tokens = tokenise(["market", ""], tokenizer, Truncation(8))
    assert tokens[1] == [[tokenizer.eos_token_id]]
    assert all(len(piece) for row in range(2) for piece in tokens[row])


def test_an_empty_text_becomes_the_special_tokens_if_there_are_any(tiny_base: Path) -> None:
    tokenizer = load_tokenizer(str(tiny_base))
    assert tokenise([""], tokenizer, Truncation(8))[0] == [[tokenizer.cls_token_id, tokenizer.sep_token_id]]


@pytest.fixture
def gpt2(tmp_path: Path) -> Path:
    """A folder with GPT-2's tokenizer files and a configuration."""
    if not GPT2.is_dir():
        pytest.skip("there is no ../shared/tokenizers/gpt2")
    for path in GPT2.glob("*.*"):
        shutil.copy(path, tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gpt2", "n_layer": 1, "n_embd": 8, "n_head": 1}))
    return tmp_path


def test_gpt2_gets_a_padding_token_that_is_not_its_end_of_text(gpt2: Path) -> None:
    tokenizer = load_tokenizer(str(gpt2))
    assert len(tokenizer) == 50_258
    assert tokenizer.pad_token_id == 50_257 != tokenizer.eos_token_id
    assert tokenizer("Hello world")["input_ids"] == [15496, 995]


@pytest.mark.parametrize(
    ("name", "entries", "ids"),
    [
        ("gpt2", 50_258, [15496, 2159]),
        ("roberta-base", 50_265, [0, 31414, 623, 2]),
        ("bert-base-uncased", 30_522, [101, 7592, 2088, 102]),
    ],
)
def test_published_vocabularies_load_without_further_files(name: str, entries: int, ids: list[int]) -> None:
    folder = GPT2.with_name(name)
    if not folder.is_dir():
        pytest.skip("there are no ../shared/tokenizers")
    tokenizer = load_tokenizer(str(folder))
    assert len(tokenizer) == entries
    assert tokenizer("Hello World")["input_ids"] == ids
    assert tokenizer.pad_token not in (None, tokenizer.eos_token)


def test_a_cased_vocabulary_stays_cased(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "Bank", "bank"]))
    assert load_tokenizer(str(tmp_path)).tokenize("Bank bank") == ["Bank", "bank"]


def test_the_padding_token_of_the_configuration_is_kept(gpt2: Path) -> None:
    config = json.loads((gpt2 / "config.json").read_text()) | {"pad_token_id": 50_256}
    (gpt2 / "config.json").write_text(json.dumps(config))
    tokenizer = load_tokenizer(str(gpt2))
    assert (tokenizer.pad_token_id, len(tokenizer)) == (50_256, 50_257)
