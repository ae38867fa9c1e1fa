"""Special tokens of tokenizers, whatever letters they know; fingerprints, which differ if tokens may differ."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from slugline.core.errors import ModelError
from slugline.data.batching.tokenizer_properties import special_tokens, tokenizer_fingerprint
from slugline.data.batching.tokens import tokenise
from slugline.data.batching.truncation import Truncation
from slugline.models.tokenizers import load_tokenizer

THAI = ["ราคา น้ำมัน ลดลง อย่าง มาก ใน วันนี้", "ตลาด หุ้น ร่วง ลง", "ทีม ชนะ การ แข่งขัน"]
SPECIAL = ["<pad>", "<s>", "</s>"]
TEMPLATES = {
    "BERT": processors.BertProcessing(("</s>", 2), ("<s>", 1)),
    "RoBERTa": processors.RobertaProcessing(("</s>", 2), ("<s>", 1)),
    "T5": processors.TemplateProcessing("$A </s>", "$A </s> $B </s>", [("</s>", 2)]),
    "Llama": processors.TemplateProcessing("<s> $A", "<s> $A <s> $B", [("<s>", 1)]),
    "GPT-2": processors.ByteLevel(),
    "nothing": None,
}
EXPECTED = {"T5": ((), (2,)), "Llama": ((1,), ()), "GPT-2": ((), ()), "nothing": ((), ())}


def thai_tokenizer(processor: Any) -> Any:
    """A byte-pair encoding without any Latin letter, and without an unknown token."""
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.train_from_iterator(THAI, trainers.BpeTrainer(vocab_size=90, special_tokens=SPECIAL, show_progress=False))
    if processor is not None:
        backend.post_processor = processor
    return PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="<pad>", bos_token="<s>", eos_token="</s>")


@pytest.mark.parametrize("family", sorted(TEMPLATES))
def test_special_tokens_do_not_depend_on_the_letters_of_the_vocabulary(family: str) -> None:
    tokenizer = thai_tokenizer(TEMPLATES[family])
    assert tokenizer("a", add_special_tokens=False)["input_ids"] == []
    assert special_tokens(tokenizer) == EXPECTED.get(family, ((1,), (2,)))
    tokens = tokenise(THAI, tokenizer, Truncation(50))
    assert [tokens[index][0] for index in range(len(THAI))] == tokenizer(THAI)["input_ids"]


@pytest.mark.parametrize("name", ["ByT5Tokenizer", "CanineTokenizer"])
def test_special_tokens_of_tokenizers_in_python(name: str) -> None:
    import transformers

    tokenizer = getattr(transformers, name)()
    before, after = special_tokens(tokenizer)
    plain = tokenizer("oil", add_special_tokens=False)["input_ids"]
    assert tokenizer("oil")["input_ids"] == [*before, *plain, *after]
    assert after


def test_a_tokenizer_that_repeats_the_text_is_refused() -> None:
    with pytest.raises(ModelError, match="changes the text itself"):
        special_tokens(thai_tokenizer(processors.TemplateProcessing("$A </s> $A", None, [("</s>", 2)])))


def set_normalizer(tokenizer: Any) -> None:
    tokenizer.backend_tokenizer.normalizer = normalizers.NFD()


def split_special_tokens(tokenizer: Any) -> None:
    tokenizer.split_special_tokens = True


#: Changes of a tokenizer, each of which may change the tokens of a text.
CHANGES: dict[str, Callable[[Any], object]] = {
    "a word": lambda tokenizer: tokenizer.add_tokens(["slugline"]),
    "a word with blanks": lambda tokenizer: tokenizer.add_tokens([AddedToken("market", lstrip=True)]),
    "a special token": lambda tokenizer: tokenizer.add_special_tokens({"eos_token": "market"}),
    "the normalizer": set_normalizer,
    "split_special_tokens": split_special_tokens,
}


@pytest.mark.parametrize("change", sorted(CHANGES))
def test_the_fingerprint_tells_changes_of_a_tokenizer(tiny_base: Path, change: str) -> None:
    one, other = load_tokenizer(str(tiny_base)), load_tokenizer(str(tiny_base))
    one("the market fell", truncation=True, padding="max_length", max_length=8)
    assert tokenizer_fingerprint(one) == tokenizer_fingerprint(other)
    CHANGES[change](other)
    assert tokenizer_fingerprint(one) != tokenizer_fingerprint(other)


def merges(folder: Path, lines: str) -> Any:
    from transformers import PhobertTokenizer

    folder.mkdir(exist_ok=True)
    (folder / "vocab.txt").write_text("".join(f"{word} 1\n" for word in ("lo@@", "low", "l@@", "ow", "o@@", "w")))
    (folder / "bpe.codes").write_text(lines)
    return PhobertTokenizer(str(folder / "vocab.txt"), str(folder / "bpe.codes"))


def word_pieces(folder: Path, *, lower: bool) -> Any:
    from transformers.models.bert.tokenization_bert_legacy import BertTokenizerLegacy

    folder.mkdir(exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "bank", "Bank")))
    tokenizer = BertTokenizerLegacy(str(folder / "vocab.txt"))
    tokenizer.basic_tokenizer.do_lower_case = lower
    return tokenizer


def pieces(folder: Path, kind: str, **options: Any) -> Any:
    import sentencepiece
    from transformers import SpeechT5Tokenizer

    folder.mkdir(exist_ok=True)
    (folder / "texts.txt").write_text("the market fell today\nthe team won the match\n" * 5)
    sentencepiece.SentencePieceTrainer.train(
        input=str(folder / "texts.txt"),
        model_prefix=str(folder / "spm"),
        model_type=kind,
        vocab_size=40,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    return SpeechT5Tokenizer(str(folder / "spm.model"), **options)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (lambda path: merges(path, "l o 1\nlo w</w> 1\n"), lambda path: merges(path, "o w</w> 1\nl ow</w> 1\n")),
        (lambda path: word_pieces(path, lower=True), lambda path: word_pieces(path, lower=False)),
        (lambda path: pieces(path, "unigram"), lambda path: pieces(path, "bpe")),
        (lambda path: pieces(path, "bpe"), lambda path: pieces(path, "bpe", sp_model_kwargs={"enable_sampling": True})),
    ],
    ids=["merges", "lower case", "pieces", "options"],
)
def test_the_fingerprint_tells_tokenizers_in_python_apart(
    tmp_path: Path, one: Callable[[Path], Any], other: Callable[[Path], Any]
) -> None:
    first, second = one(tmp_path / "one"), other(tmp_path / "other")
    found = tokenizer_fingerprint(first)
    assert found != tokenizer_fingerprint(second)
    first("the market fell")
    first.save_pretrained(tmp_path / "saved")
    assert found == tokenizer_fingerprint(first) == tokenizer_fingerprint(one(tmp_path / "one"))
