"""Heads over the vocabulary: equal logits at selected positions; the saved backbone has the trained weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional
from transformers import (
    AutoModel,
    BertConfig,
    BertForMaskedLM,
    DebertaV2Config,
    DebertaV2ForMaskedLM,
    DistilBertConfig,
    DistilBertForMaskedLM,
    ModernBertConfig,
    ModernBertForMaskedLM,
    PreTrainedModel,
    RobertaConfig,
    RobertaForMaskedLM,
)

from slugline.core.errors import ModelError
from slugline.models.config import pooling_of, require_masked_head
from slugline.models.language_model import (
    PositionLogits,
    build_language_model,
    save_backbone,
)
from slugline.models.pretrained import load_config
from slugline.models.tokenizers import load_tokenizer
from slugline.recipe.model_section import ModelSection

SMALL: dict[str, Any] = {
    "vocab_size": 60,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 40,
    "initializer_range": 0.2,
}
DISTIL: dict[str, Any] = {"vocab_size": 60, "dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 48}
MODERN = SMALL | {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "cls_token_id": 1, "sep_token_id": 2}
MODELS = {
    "bert": lambda: BertForMaskedLM(BertConfig(**SMALL)),
    "distilbert": lambda: DistilBertForMaskedLM(DistilBertConfig(**DISTIL, max_position_embeddings=40)),
    "roberta": lambda: RobertaForMaskedLM(RobertaConfig(**SMALL)),
    "deberta-v2": lambda: DebertaV2ForMaskedLM(DebertaV2Config(**SMALL)),
    "deberta-v3": lambda: DebertaV2ForMaskedLM(DebertaV2Config(**SMALL, legacy=False)),
    "modernbert": lambda: ModernBertForMaskedLM(ModernBertConfig(**MODERN)),
}


class NeighbourHead(BertForMaskedLM):
    """A model whose head also reads the previous position."""

    def forward(self, *arguments: Any, **options: Any) -> Any:
        output = super().forward(*arguments, **options)
        output.logits = output.logits + output.logits.roll(1, dims=1)
        return output


def masked_batch() -> tuple[dict[str, torch.Tensor], torch.Tensor, torch.Tensor]:
    """Inputs, the positions with targets, and the targets."""
    ids = torch.randint(5, 60, (4, 12), generator=torch.Generator().manual_seed(1))
    mask = torch.ones_like(ids)
    mask[3, 7:] = 0
    wanted = (ids % 5 == 0) & (mask == 1)
    return {"input_ids": ids, "attention_mask": mask}, wanted, ids[wanted]


def masked_model(base: Path) -> Any:
    """A base with its head for masked tokens."""
    return build_language_model(ModelSection(base=str(base)), "AutoModelForMaskedLM", "cpu", load_tokenizer(str(base)))


@pytest.mark.parametrize("name", MODELS)
def test_loss_and_gradients_at_selected_positions_are_those_of_all_logits(name: str) -> None:
    torch.manual_seed(0)
    model: PreTrainedModel = MODELS[name]().eval()
    inputs, wanted, targets = masked_batch()
    all_logits = model(**inputs).logits
    assert all_logits.shape == (4, 12, 60)
    position_logits = PositionLogits(model)
    assert position_logits.selects_states
    found = position_logits(model, inputs, wanted)
    assert found.shape == (int(wanted.sum()), 60)
    losses = [functional.cross_entropy(logits, targets) for logits in (found, all_logits[wanted])]
    assert losses[0].item() == pytest.approx(losses[1].item(), abs=1e-5)
    gradients = []
    for loss in losses:
        model.zero_grad()
        loss.backward()
        gradients.append([p.grad.clone() for p in model.parameters() if p.grad is not None])
    assert len(gradients[0]) == len(gradients[1])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)
    # Calls of the model itself still return all logits.
    assert torch.equal(model(**inputs).logits, all_logits)


def test_a_head_that_reads_neighbours_gets_all_states() -> None:
    torch.manual_seed(0)
    model = NeighbourHead(BertConfig(**SMALL)).eval()
    inputs, wanted, _ = masked_batch()
    expected = model(**inputs).logits[wanted]
    logits = PositionLogits(model)
    assert not logits.selects_states
    torch.testing.assert_close(logits(model, inputs, wanted), expected)


def test_the_test_of_the_head_changes_neither_mode_nor_random_numbers() -> None:
    model = BertForMaskedLM(BertConfig(**SMALL)).train()
    before = torch.get_rng_state()
    PositionLogits(model)
    assert model.training
    assert torch.equal(torch.get_rng_state(), before)


def test_no_selected_position_is_allowed() -> None:
    model = BertForMaskedLM(BertConfig(**SMALL))
    inputs, wanted, _ = masked_batch()
    found = PositionLogits(model)(model, inputs, torch.zeros_like(wanted))
    assert found.shape == (0, 60)
    found.sum().backward()


def test_a_new_head_is_tied_to_the_embeddings(masked_base: Path) -> None:
    model = build_language_model(
        ModelSection(base=str(masked_base)), "AutoModelForMaskedLM", "cpu", load_tokenizer(str(masked_base))
    )
    plain = AutoModel.from_pretrained(masked_base).state_dict()
    for name, value in model.base_model.state_dict().items():
        assert torch.equal(value, plain[name]), name
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight


def test_the_saved_backbone_is_the_base_with_the_trained_weights(masked_base: Path, tmp_path: Path) -> None:
    section = ModelSection(base=str(masked_base), dropout=0.0)
    model = build_language_model(section, "AutoModelForMaskedLM", "cpu", load_tokenizer(section.base))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1.0)
    save_backbone(model, load_tokenizer(str(masked_base)), str(masked_base), tmp_path)
    saved, base = AutoModel.from_pretrained(tmp_path), AutoModel.from_pretrained(masked_base)
    for name, value in saved.state_dict().items():
        expected = base.state_dict()[name] + (0.0 if name.startswith("pooler") else 1.0)
        torch.testing.assert_close(value, expected, msg=name)
    assert saved.config.hidden_dropout_prob == base.config.hidden_dropout_prob > 0
    assert json.loads((tmp_path / "config.json").read_text())["architectures"] == ["BertModel"]
    assert pooling_of(ModelSection(base=str(tmp_path))) == pooling_of(ModelSection(base=str(masked_base))) == "mean"
    assert load_tokenizer(str(tmp_path)).mask_token_id is not None


def test_weights_that_the_base_lacks_are_not_saved(tmp_path: Path, masked_base: Path) -> None:
    """A base that was saved with its head has no pooler; a random pooler must not be saved as a trained one."""
    base = tmp_path / "with-head"
    model = build_language_model(
        ModelSection(base=str(masked_base)), "AutoModelForMaskedLM", "cpu", load_tokenizer(str(masked_base))
    )
    model.save_pretrained(base)
    load_tokenizer(str(masked_base)).save_pretrained(base)
    folder = tmp_path / "saved"
    folder.mkdir()
    save_backbone(model, load_tokenizer(str(base)), str(base), folder)
    _, loading = AutoModel.from_pretrained(folder, output_loading_info=True)
    assert {name.split(".")[0] for name in loading["missing_keys"]} == {"pooler"}
    assert not (folder / "1_Pooling").exists()


def test_an_architecture_without_a_masked_head_is_refused(tmp_path: Path) -> None:
    from transformers import GPT2Config

    GPT2Config().save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=r"is a gpt2, which has no head for masked pre-training(.|\n)*Choose"):
        require_masked_head(load_config(str(tmp_path)), str(tmp_path))
