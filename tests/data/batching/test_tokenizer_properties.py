"""Special tokens of tokenizers, whatever letters they know."""

from __future__ import annotations

from typing import Any

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers

from slugline.core.errors import ModelError
from slugline.data.batching.tokenizer_properties import special_tokens
from slugline.data.batching.tokens import tokenise
from slugline.data.batching.truncation import Truncation

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
