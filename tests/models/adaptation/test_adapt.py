"""Adaptation: which weights are trained; added weights start without effect; merging changes no logits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForSequenceClassification, GPT2Config, GPT2ForSequenceClassification

from slugline.core.errors import ModelError
from slugline.core.labels import LabelSet
from slugline.models.adaptation.adapt import adapt
from slugline.models.adaptation.lora import VARIANTS
from slugline.models.architectures.blocks import base_of
from slugline.models.build import build_pretrained
from slugline.models.saving import save, size_of
from slugline.models.tokenizers import load_tokenizer
from slugline.recipe.model_section import ModelSection

LABELS = LabelSet(("business", "sport", "tech"))
IDS = torch.arange(4, 16).reshape(2, 6)


def built(base: Path, **keys: Any) -> tuple[Any, ModelSection]:
    torch.manual_seed(0)
    section = ModelSection.model_validate({"base": str(base), "pooling": "mean", **keys})
    return build_pretrained(section, LABELS, "cpu").eval(), section


def logits(model: Any) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = model.eval()(input_ids=IDS, attention_mask=torch.ones_like(IDS)).logits
    return found


def train(model: Any) -> None:
    """Run a few updates of the trainable weights."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=0.5)
    for _ in range(3):
        model.train()
        loss = torch.nn.functional.cross_entropy(model(input_ids=IDS).logits, torch.tensor([0, 1]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def trained_names(model: Any) -> set[str]:
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


@pytest.mark.parametrize("value", ["full", "gradual"])
def test_all_weights_are_trained(tiny_base: Path, value: str) -> None:
    model, section = built(tiny_base, adapt=value)
    assert adapt(model, section).model is model
    assert trained_names(model) == {name for name, _ in model.named_parameters()}


@pytest.mark.parametrize("pooling", ["mean", "native"])
def test_a_frozen_base_is_not_trained_and_has_no_dropout(tiny_base: Path, pooling: str) -> None:
    model, section = built(tiny_base, adapt="frozen", pooling=pooling, dropout=0.5)
    adapt(model, section)
    before = {name: value.clone() for name, value in base_of(model).state_dict().items()}
    assert trained_names(model) == {"classifier.weight", "classifier.bias"}
    train(model)
    assert not any(module.training for module in base_of(model).modules())
    assert all(torch.equal(value, before[name]) for name, value in base_of(model).state_dict().items())


@pytest.mark.parametrize("variant", sorted(VARIANTS))
def test_low_rank_matrices_start_without_effect_and_merge(tiny_base: Path, tmp_path: Path, variant: str) -> None:
    model, section = built(tiny_base, adapt="lora", lora={"variant": variant, "r": 4, "alpha": 8, "dropout": 0.0})
    before = logits(model)
    adapted = adapt(model, section)
    torch.testing.assert_close(logits(model), before, atol=1e-5, rtol=0.0)
    frozen = {name: value.clone() for name, value in model.named_parameters() if not value.requires_grad}
    train(model)
    assert all(torch.equal(value, frozen[name]) for name, value in model.named_parameters() if name in frozen)
    after = logits(model)
    assert (after - before).abs().max() > 1e-3
    adapted.save_adapter(tmp_path / "adapter")
    merged = adapted.merged()
    torch.testing.assert_close(logits(merged), after, atol=1e-5, rtol=0.0)
    (tmp_path / "model").mkdir()
    save(merged, load_tokenizer(str(tiny_base)), tmp_path / "model")
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path / "model")
    torch.testing.assert_close(logits(loaded), after, atol=1e-5, rtol=0.0)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_peft_loads_the_adapter(tiny_base: Path, tmp_path: Path) -> None:
    model, section = built(tiny_base, adapt="lora", pooling="native")
    adapted = adapt(model, section)
    train(model)
    adapted.save_adapter(tmp_path)
    fresh, _ = built(tiny_base, pooling="native")
    torch.testing.assert_close(logits(PeftModel.from_pretrained(fresh, tmp_path)), logits(model))
    assert {path.suffix for path in tmp_path.iterdir()} <= {".safetensors", ".json", ".md"}


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert", "deberta-v2", "gpt2"])
@pytest.mark.parametrize("pooling", ["native", "mean"])
def test_every_family_has_targets_and_a_fully_trained_head(
    family_base: Callable[[str], Path], family: str, pooling: str, tmp_path: Path
) -> None:
    """The new pooler of DeBERTa is outside the base and has to be trained and saved too."""
    model, section = built(family_base(family), adapt="lora", pooling=pooling)
    adapted = adapt(model, section)
    assert any("lora_A" in name for name in trained_names(model))
    head = {name for name, _ in model.named_parameters() if f"{model.base_model_prefix}." not in name}
    assert {name for name in head if "original_module" not in name} <= trained_names(model)
    train(model)
    after = logits(model)
    save(adapted.merged(), load_tokenizer(str(family_base(family))), tmp_path)
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    torch.testing.assert_close(logits(loaded), after, atol=1e-4, rtol=1e-4)


def test_an_unknown_target_is_refused_with_the_known_layers(tiny_base: Path) -> None:
    model, section = built(tiny_base, adapt="lora", lora={"targets": ["querry"]})
    with pytest.raises(ModelError, match=r"'querry'.*query") as caught:
        adapt(model, section)
    assert "dense, key, query, value" in str(caught.value.hint)


def test_targets_can_be_chosen(tiny_base: Path) -> None:
    model, section = built(tiny_base, adapt="lora", lora={"targets": ["dense"]})
    adapt(model, section)
    found = {name.split(".lora_")[0] for name in trained_names(model) if ".lora_" in name}
    assert found
    assert all(name.endswith("dense") for name in found)


@pytest.mark.parametrize(
    ("lora", "millions"),
    [({"r": 16, "targets": ["c_attn"]}, 0.65), ({"r": 8, "targets": ["c_attn", "c_proj"]}, 0.87)],
)
def test_gpt2_has_the_published_number_of_trained_parameters(lora: dict[str, Any], millions: float) -> None:
    """The published numbers are for 77 classes; the head of GPT-2 has no bias."""
    model: Any = GPT2ForSequenceClassification(GPT2Config(vocab_size=10, n_positions=8, num_labels=77, pad_token_id=0))
    adapt(model, ModelSection.model_validate({"kind": "decoder", "adapt": "lora", "lora": lora}))
    assert size_of(model)["trainable_parameters"] / 1e6 == pytest.approx(millions, abs=0.005)
    assert size_of(model)["head_parameters"] == 59_136


def test_a_bottleneck_starts_as_the_identity_and_is_the_only_trained_part_of_the_base(
    tiny_base: Path, tmp_path: Path
) -> None:
    plain, _ = built(tiny_base)
    model, section = built(tiny_base, adapt="adapter", adapter={"width": 8})
    model.classifier.load_state_dict(plain.classifier.state_dict())
    torch.testing.assert_close(logits(model), logits(plain), atol=0.0, rtol=0.0)
    adapt(model, section)
    in_base = {name for name in trained_names(model) if name.startswith("backbone.")}
    assert in_base
    assert all("bottleneck_adapter" in name for name in in_base)
    assert trained_names(model) - in_base == {"classifier.weight", "classifier.bias"}
    train(model)
    after = logits(model)
    assert (after - logits(plain)).abs().max() > 1e-3
    save(model, load_tokenizer(str(tiny_base)), tmp_path)
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    torch.testing.assert_close(logits(loaded), after, atol=1e-6, rtol=0.0)


def test_a_bottleneck_has_the_published_number_of_parameters(tiny_base: Path) -> None:
    """Each block has two matrices and two biases (Houlsby et al. 2019, section 2.1): 2md + d + m."""
    model, section = built(tiny_base, adapt="adapter", adapter={"width": 8})
    adapt(model, section)
    head = 3 * 32 + 3
    assert size_of(model)["trainable_parameters"] == 2 * (2 * 8 * 32 + 32 + 8) + head
