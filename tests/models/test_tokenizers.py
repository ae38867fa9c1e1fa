"""Tokenizers: trained on texts, reproducible, saved and loaded, with a padding token of their own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from architectures import tiny_model, tiny_tokenizer
from conftest import articles, torch_predictor
from slugline.core.errors import ModelError
from slugline.data.batching.planning import BatchLimits
from slugline.data.batching.tokenizer_properties import tokenizer_fingerprint
from slugline.data.batching.tokens import tokenise
from slugline.data.batching.truncation import Truncation
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


#: Texts with the names of special tokens.
NAMES = ["the market </s> and <s> the [SEP] team", "</s>", "<pad><mask>[MASK]", "<extra_id_0> <|endoftext|><|pad|>"]


def special_ids_in(texts: list[str], tokenizer: Any) -> set[int]:
    """Special tokens in the middle of texts."""
    tokens = tokenise(texts, tokenizer, Truncation(100))
    found = {token for index in range(len(texts)) for piece in tokens[index] for token in piece}
    return found & (set(tokenizer.all_special_ids) - {tokenizer.unk_token_id, *tokens.prefix, *tokens.suffix})


@pytest.mark.parametrize("kind", sorted(TOKENIZERS))
def test_names_of_special_tokens_are_read_as_text(kind: str) -> None:
    tokenizer = train_tokenizer(TEXTS, kind, vocabulary_size=400)
    assert not special_ids_in(NAMES, tokenizer)
    if kind == "bpe":
        tokens = tokenise(NAMES, tokenizer, Truncation(100))
        assert [tokenizer.decode(tokens[index][0]).strip() for index in range(len(NAMES))] == NAMES


@pytest.mark.parametrize("pieces", ["BERT_PIECES", "T5_PIECES", "XLNET_PIECES"])
def test_special_pieces_of_sentencepiece_are_read_as_text(
    sentencepiece_model: Callable[..., Path], tmp_path: Path, pieces: str
) -> None:
    """Their vocabularies have the special tokens as words."""
    shutil.copy(sentencepiece_model(**globals()[pieces]), tmp_path / "spiece.model")
    tokenizer = load_tokenizer(str(tmp_path))
    tokens = tokenise(NAMES, tokenizer, Truncation(100))
    for index in range(len(NAMES)):
        inside = tokens[index][0][len(tokens.prefix) : len(tokens[index][0]) - len(tokens.suffix)]
        assert not set(inside) & (set(tokenizer.all_special_ids) - {tokenizer.unk_token_id})
        assert inside


def test_a_word_level_vocabulary_reads_special_tokens_as_text() -> None:
    tokenizer = tiny_tokenizer()
    assert not special_ids_in(["w1 <pad> w2 </s>"], tokenizer)
    assert tokenise(["w1 w2"], tokenizer, Truncation(9))[0] == [[0, 5, 6, 2]]


@pytest.mark.parametrize("model_type", ["bart", "t5"])
def test_a_text_with_the_last_token_of_texts_changes_no_other_text(model_type: str) -> None:
    """The heads of BART and T5 read the state of the last ``</s>``, and refuse texts with different numbers of it."""
    model, tokenizer = tiny_model(model_type), tiny_tokenizer()
    predictor = torch_predictor(model, tokenizer, Truncation(40), BatchLimits(8, 1_000))
    texts = ["w1 w2 w3", "w4 </s> w5", "w6"]
    together = next(predictor.logits(texts))
    alone = np.concatenate([next(predictor.logits([text])) for text in texts])
    np.testing.assert_allclose(together, alone, atol=1e-4)


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


@pytest.fixture(scope="session")
def sentencepiece_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A function that trains a model of sentencepiece with given names of the special pieces."""
    import sentencepiece

    root = tmp_path_factory.mktemp("sentencepiece")
    (root / "texts.txt").write_text("\n".join(TEXTS))

    def train(**special: Any) -> Path:
        name = "-".join(map(str, special.values())).replace("/", "")
        path = root / f"{name}.model"
        if not path.exists():
            sentencepiece.SentencePieceTrainer.train(
                input=str(root / "texts.txt"),
                model_prefix=str(path.with_suffix("")),
                vocab_size=150,
                hard_vocab_limit=False,
                minloglevel=2,
                **special,
            )
        return path

    return train


BERT_PIECES = {"pad_piece": "[PAD]", "unk_piece": "[UNK]", "bos_piece": "[CLS]", "eos_piece": "[SEP]"}
BERT_PIECES |= {"pad_id": 0, "bos_id": 1, "eos_id": 2, "unk_id": 3}
T5_PIECES = {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1}
XLNET_PIECES = {"control_symbols": ["<cls>", "<sep>", "<pad>", "<mask>", "<eod>", "<eop>"]}


@pytest.mark.parametrize("model_type", [None, "by config.json"])
@pytest.mark.parametrize(
    ("file", "family", "pieces", "first", "last"),
    [
        ("spm.model", "deberta-v2", BERT_PIECES, "[CLS]", "[SEP]"),
        ("spiece.model", "albert", BERT_PIECES, "[CLS]", "[SEP]"),
        ("spiece.model", "t5", T5_PIECES, "▁", "</s>"),
        ("spiece.model", "xlnet", XLNET_PIECES, "▁", "<cls>"),
        ("sentencepiece.bpe.model", "xlm-roberta", {"model_type": "bpe"}, "<s>", "</s>"),
    ],
)
def test_a_model_of_sentencepiece_is_a_tokenizer(
    sentencepiece_model: Callable[..., Path],
    tmp_path: Path,
    model_type: str | None,
    file: str,
    family: str,
    pieces: dict[str, Any],
    first: str,
    last: str,
) -> None:
    """Folders in the layout of DeBERTa-v3, ALBERT, T5, XLNet and XLM-RoBERTa, with and without config.json."""
    shutil.copy(sentencepiece_model(**pieces), tmp_path / file)
    if model_type:
        (tmp_path / "config.json").write_text(json.dumps({"model_type": family}))
    tokenizer = load_tokenizer(str(tmp_path))
    tokens = tokenizer.convert_ids_to_tokens(tokenizer("the market")["input_ids"])
    assert (tokens[0], tokens[-1]) == (first, last)
    assert tokenizer.unk_token not in tokens
    assert tokenizer.pad_token_id is not None
    assert tokenise(["the market"], tokenizer, Truncation(20))[0] == [tokenizer("the market")["input_ids"]]


def test_a_vocabulary_beside_a_configuration_without_type_is_read(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "bank"]))
    (tmp_path / "tokenizer_config.json").write_text('{"model_max_length": 512}')
    assert load_tokenizer(str(tmp_path)).tokenize("Bank bank") == ["bank", "bank"]


def test_the_padding_token_of_the_configuration_is_kept(gpt2: Path) -> None:
    config = json.loads((gpt2 / "config.json").read_text()) | {"pad_token_id": 50_256}
    (gpt2 / "config.json").write_text(json.dumps(config))
    tokenizer = load_tokenizer(str(gpt2))
    assert (tokenizer.pad_token_id, len(tokenizer)) == (50_256, 50_257)
