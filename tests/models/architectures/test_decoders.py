"""Pre-trained decoders as classifiers: padding token, last token, dropout, saving; for all causal families."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForSequenceClassification,
    GPT2Config,
    GPT2ForSequenceClassification,
)

from conftest import DECODERS, torch_predictor
from slugline import load
from slugline.core.errors import ModelError
from slugline.core.labels import LabelSet
from slugline.data.batching.planning import BatchLimits
from slugline.data.batching.tokens import tokenise
from slugline.data.batching.truncation import Truncation
from slugline.models.adaptation.adapt import adapt
from slugline.models.adaptation.frozen_features import FrozenBase
from slugline.models.build import build_pretrained
from slugline.models.forward import predict_logits
from slugline.models.saving import save
from slugline.models.tokenizers import END, load_tokenizer
from slugline.recipe.model_section import ModelSection

LABELS = LabelSet(("business", "sport", "tech"))
TEXTS = ["market shares profit", "the team", "", f"match goal {END}", "software phone internet computer users"]


def built(base: Path, **keys: Any) -> tuple[Any, Any]:
    torch.manual_seed(0)
    tokenizer = load_tokenizer(str(base))
    section = ModelSection.model_validate({"kind": "decoder", "base": str(base), **keys})
    return build_pretrained(section, LABELS, "cpu", tokenizer).eval(), tokenizer


@pytest.mark.parametrize("family", sorted(DECODERS))
@pytest.mark.parametrize("pooling", ["native", "last", "mean", "attention"])
def test_padding_changes_no_logits(decoder_base: Callable[[str], Path], family: str, pooling: str) -> None:
    model, tokenizer = built(decoder_base(family), pooling=pooling)
    # Qwen's tokenizer class already has a padding token.
    assert tokenizer.pad_token_id == (1 if family == "qwen2" else 330)
    assert model.get_input_embeddings().num_embeddings == tokenizer.pad_token_id + 1 or family == "qwen2"
    predictor = torch_predictor(model, tokenizer, Truncation(32), BatchLimits(8, 10_000))
    together = np.concatenate(list(predictor.logits(TEXTS)))
    alone = np.concatenate([next(predictor.logits([text])) for text in TEXTS])
    np.testing.assert_allclose(together, alone, atol=1e-5)


@pytest.mark.parametrize("family", ["gpt2", "gpt_neo", "gpt_neox"])
def test_dropout_is_set_in_every_family(decoder_base: Callable[[str], Path], family: str) -> None:
    model, _ = built(decoder_base(family), dropout=0.37)
    assert 0.37 in [module.p for module in model.modules() if isinstance(module, torch.nn.Dropout)]


def test_head_dropout_is_refused_for_a_head_without_dropout(decoder_base: Callable[[str], Path]) -> None:
    with pytest.raises(ModelError, match=r"model\.head_dropout is set, but gpt2 has no such dropout"):
        built(decoder_base("gpt2"), head_dropout=0.3)
    assert built(decoder_base("gpt2"), head_dropout=0.3, pooling="last")[0].dropout.p == 0.3


def test_the_last_token_is_that_of_the_reference_class(decoder_base: Callable[[str], Path]) -> None:
    """One text ends with the end-of-text token, which other packages use for padding."""
    base = decoder_base("gpt2")
    native, tokenizer = built(base)
    assert isinstance(native, GPT2ForSequenceClassification)
    pooled, _ = built(base, pooling="last")
    with torch.no_grad():
        pooled.classifier.weight.copy_(native.score.weight)
        pooled.classifier.bias.zero_()
    tokens = tokenise(TEXTS, tokenizer, Truncation(32))
    found = [
        predict_logits(model, tokens, pad_id=tokenizer.pad_token_id, precision="fp32", limits=BatchLimits(8, 10_000))
        for model in (native, pooled)
    ]
    np.testing.assert_allclose(found[0], found[1], atol=1e-5)


@pytest.mark.parametrize("family", sorted(DECODERS))
def test_low_rank_matrices_and_features_support_every_family(decoder_base: Callable[[str], Path], family: str) -> None:
    model, _ = built(decoder_base(family))
    FrozenBase(model)
    adapt(model, ModelSection(kind="decoder", adapt="lora"))
    assert any("lora_A" in name for name, parameter in model.named_parameters() if parameter.requires_grad)


@pytest.mark.parametrize("family", sorted(DECODERS))
def test_a_saved_decoder_loads_with_plain_transformers(
    decoder_base: Callable[[str], Path], family: str, tmp_path: Path
) -> None:
    model, tokenizer = built(decoder_base(family))
    save(model, tokenizer, tmp_path)
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    ids = torch.arange(4, 16).reshape(2, 6)
    with torch.inference_mode():
        torch.testing.assert_close(loaded(ids).logits, model(ids).logits, atol=1e-6, rtol=0.0)
    assert load(tmp_path).predict(["market shares"])[0] in LABELS.names


def test_an_encoder_is_refused_as_a_decoder(tiny_base: Path) -> None:
    with pytest.raises(ModelError, match="bert, which is not a causal language model"):
        build_pretrained(ModelSection(kind="decoder", base=str(tiny_base)), LABELS, "cpu")


def test_a_foreign_decoder_without_padding_token_can_predict(
    decoder_base: Callable[[str], Path], tmp_path: Path
) -> None:
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=330, n_positions=64, num_labels=3, **DECODERS["gpt2"])
    foreign: Any = GPT2ForSequenceClassification(config).eval()
    foreign.save_pretrained(tmp_path)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_text((decoder_base("gpt2") / name).read_text())
    classifier = load(tmp_path, precision="fp32")
    ids = torch.tensor([load_tokenizer(str(tmp_path))("the team")["input_ids"]])
    with torch.inference_mode():
        expected = foreign(ids).logits.softmax(dim=1).numpy()
    found = classifier.predict_proba(["market shares profit economy", "the team"])[1]
    np.testing.assert_allclose(found, expected[0], atol=1e-5)
