"""Heads compute in float32 while the base computes in bfloat16, in training and in prediction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from conftest import DECODERS, FAMILIES, articles, with_changes
from slugline import load, train
from slugline.core.labels import LabelSet
from slugline.data.batching.planning import BatchLimits
from slugline.data.batching.tokens import tokenise
from slugline.data.batching.truncation import Truncation
from slugline.models.adaptation.adapt import adapt
from slugline.models.architectures.blocks import base_of
from slugline.models.architectures.float32_head import compute_head_in_float32
from slugline.models.architectures.pooled import pool, weighted_mean
from slugline.models.build import build_pretrained
from slugline.models.forward import autocast, cast_linear_weights, predict_logits, text_logits
from slugline.models.tokenizers import load_tokenizer
from slugline.recipe.model_section import ModelSection
from slugline.training.label_kinds import LABEL_KINDS
from slugline.training.loop.train_metrics import RunningConfusion

LABELS = LabelSet(("business", "sport", "tech"))
TEXTS = [row["text"] for row in articles(24)]

#: Kind, family, pooling, head.
MODELS = [
    *(("encoder", family, "native", "native") for family in FAMILIES if family != "gpt2"),
    *(("encoder", "bert", pooling, "linear") for pooling in ("cls", "mean", "max", "attention")),
    ("encoder", "distilbert", "mean", "mlp"),
    *(("decoder", family, "native", "native") for family in DECODERS),
    ("decoder", "gpt2", "last", "mlp"),
]


def is_bfloat16(values: Tensor) -> bool:
    """True if all values have eight binary digits."""
    return torch.equal(values, values.bfloat16().float())


def dtypes_in_base(model: Any) -> list[torch.dtype]:
    """Types of the results of linear layers in the base, filled by forward passes."""
    found: list[torch.dtype] = []
    for module in base_of(model).modules():
        if isinstance(module, nn.Linear):
            module.register_forward_hook(lambda _, __, output: found.append(output.dtype))
    return found


@pytest.fixture
def build(family_base: Callable[[str], Path], decoder_base: Callable[[str], Path]) -> Callable[..., Any]:
    def built(kind: str, family: str, pooling: str, head: str, **keys: Any) -> tuple[Any, Any]:
        torch.manual_seed(0)
        base = (family_base if kind == "encoder" else decoder_base)(family)
        section = ModelSection(kind=kind, base=str(base), pooling=pooling, head=head, **keys)  # type: ignore[arg-type]
        tokenizer = load_tokenizer(str(base))
        model = build_pretrained(section, LABELS, "cpu", tokenizer)
        adapted = adapt(model, section).model
        compute_head_in_float32(adapted)
        return adapted, tokenizer

    return built


@pytest.mark.parametrize("stored", [False, True], ids=["autocast", "bfloat16 weights"])
@pytest.mark.parametrize(("kind", "family", "pooling", "head"), MODELS)
def test_logits_are_computed_in_float32_and_the_base_in_bfloat16(
    build: Callable[..., Any], kind: str, family: str, pooling: str, head: str, stored: bool
) -> None:
    model, tokenizer = build(kind, family, pooling, head)
    model.eval()
    tokens = tokenise(TEXTS, tokenizer, Truncation(32))
    passes: dict[str, Any] = {"pad_id": int(tokenizer.pad_token_id), "limits": BatchLimits(8, 2**31)}
    exact = torch.from_numpy(predict_logits(model, tokens, precision="fp32", **passes))
    if stored:
        cast_linear_weights(model, "bf16")
    dtypes = dtypes_in_base(model)
    logits = torch.from_numpy(predict_logits(model, tokens, precision="bf16", **passes))
    assert set(dtypes) == ({torch.bfloat16} if dtypes else set())  # GPT-2 has other layers
    assert not is_bfloat16(logits)
    assert not torch.equal(logits, exact)
    torch.testing.assert_close(logits, exact, atol=0.05, rtol=0.05)


@pytest.mark.parametrize("adaptation", ["full", "lora", "adapter", "frozen", "gradual"])
def test_logits_are_float32_in_training(
    recipe_values: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, adaptation: str
) -> None:
    """In the updates, in validation, and in the predictions of the saved model."""
    seen: list[Tensor] = []

    class Recorder(RunningConfusion):
        def add(self, logits: Tensor, labels: Tensor) -> None:
            seen.append(logits.detach())
            super().add(logits, labels)

    monkeypatch.setitem(LABEL_KINDS, "single", replace(LABEL_KINDS["single"], metrics=Recorder))
    keys = {"epochs": 1, "precision": "bf16"}
    recipe = with_changes(
        recipe_values,
        model={"adapt": adaptation, "pooling": "mean" if adaptation == "adapter" else "native"},
        train=keys,
    )
    run = train(recipe, run_dir=tmp_path / "run")
    assert run.manifest["precision"] == "bf16"
    assert len(seen) >= 7
    for logits in seen:
        assert logits.dtype == torch.float32
        assert not is_bfloat16(logits)
    assert not is_bfloat16(torch.from_numpy(run.predictions("validation").logits))
    found = torch.cat([torch.from_numpy(part) for part in load(run.path, precision="bf16").logits(TEXTS)])
    assert not is_bfloat16(found)


def test_gradients_reach_the_base_and_the_head(build: Callable[..., Any]) -> None:
    model, tokenizer = build("encoder", "roberta", "native", "native")
    batch = tokenizer(TEXTS[:4], return_tensors="pt", padding=True)
    with autocast(torch.device("cpu"), "bf16"):
        logits = text_logits(model, {name: batch[name] for name in ("input_ids", "attention_mask")}, 4)
    logits.square().sum().backward()
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    assert len(gradients) > 20
    assert {gradient.dtype for gradient in gradients} == {torch.float32}


def test_plain_transformers_gives_the_same_logits(recipe_values: dict[str, Any], tmp_path: Path) -> None:
    recipe = with_changes(recipe_values, model={"pooling": "native"}, train={"epochs": 1, "precision": "bf16"})
    run = train(recipe, run_dir=tmp_path / "run")
    plain = AutoModelForSequenceClassification.from_pretrained(run.model_dirs[0]).eval()
    assert {parameter.dtype for parameter in plain.parameters()} == {torch.float32}
    batch = AutoTokenizer.from_pretrained(run.model_dirs[0])(
        TEXTS, return_tensors="pt", padding=True, truncation=True, max_length=32
    )
    with torch.inference_mode():
        expected = plain(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    found = torch.cat([torch.from_numpy(part) for part in load(run.path, precision="fp32").logits(TEXTS)])
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["cls", "last", "mean", "max"])
def test_poolings_return_float32(name: Any) -> None:
    torch.manual_seed(0)
    states, mask = torch.randn(3, 7, 8).bfloat16(), torch.ones(3, 7, dtype=torch.int64)
    assert torch.equal(pool(states, mask, name), pool(states.float(), mask, name))
    scores = torch.randn(3, 7)
    assert torch.equal(weighted_mean(states, mask, scores), weighted_mean(states.float(), mask, scores))
