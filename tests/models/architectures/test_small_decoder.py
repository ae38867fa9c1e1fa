"""The small decoder: padding, causal attention, position encodings, published sizes, saving."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModel, AutoModelForCausalLM

from slugline.core.labels import LabelSet
from slugline.models.architectures.small_decoder import ScratchConfig, causal_mask, rotate
from slugline.models.build import build_scratch
from slugline.models.saving import size_of
from slugline.models.tokenizers import train_tokenizer
from slugline.recipe.model_section import SIZES, ModelSection

LABELS = LabelSet(("business", "sport", "tech"))
POSITIONS = ("sinusoidal", "rotary", "learned")
SMALL: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}


def backbone(positions: str = "sinusoidal", attention: str = "eager", **options: Any) -> Any:
    torch.manual_seed(0)
    config = ScratchConfig(vocab_size=50, positions=positions, pad_token_id=0, **{**SMALL, **options})  # type: ignore[arg-type]
    model = AutoModel.from_config(config, attn_implementation=attention).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model


BACKBONES = {
    (positions, attention): backbone(positions, attention) for positions in POSITIONS for attention in ("eager", "sdpa")
}


@settings(max_examples=20, deadline=None)
@given(
    length=st.integers(1, 9),
    padding=st.integers(1, 5),
    side=st.sampled_from(["left", "right"]),
    kind=st.sampled_from(sorted(BACKBONES)),
)
def test_padding_on_either_side_changes_nothing(length: int, padding: int, side: str, kind: tuple[str, str]) -> None:
    model = BACKBONES[kind]
    ids, pad_ids = torch.arange(2 * length).reshape(2, length) % 49 + 1, torch.full((2, padding), 7)
    ones, zeros = torch.ones_like(ids), torch.zeros_like(pad_ids)
    order = (1, 0) if side == "left" else (0, 1)
    padded = torch.cat([(ids, pad_ids)[index] for index in order], dim=1)
    mask = torch.cat([(ones, zeros)[index] for index in order], dim=1)
    with torch.inference_mode():
        expected = model(ids, ones).last_hidden_state
        found = model(padded, mask).last_hidden_state
    assert found.isfinite().all()
    kept = found[:, padding:] if side == "left" else found[:, :length]
    torch.testing.assert_close(kept, expected, atol=1e-5, rtol=0.0)


@pytest.mark.parametrize("positions", POSITIONS)
def test_states_depend_on_earlier_tokens_but_not_on_later_ones(positions: str) -> None:
    model, ids = BACKBONES[positions, "eager"], torch.arange(1, 9).unsqueeze(0)
    changed = ids.clone()
    changed[0, 4] = 40
    with torch.inference_mode():
        before, after = model(ids).last_hidden_state, model(changed).last_hidden_state
    changes = (before - after).abs().amax(dim=2)[0]
    assert (changes[:4] == 0).all()
    assert (changes[4:] > 1e-4).all()


@pytest.mark.parametrize("positions", POSITIONS)
def test_the_order_of_the_words_matters(positions: str) -> None:
    model = BACKBONES[positions, "eager"]
    with torch.inference_mode():
        one, other = (model(torch.tensor([ids])).last_hidden_state[0, -1] for ids in ([1, 2, 3, 4], [3, 1, 2, 4]))
    assert (one - other).abs().max() > 1e-3


@pytest.mark.parametrize("positions", POSITIONS)
def test_eager_and_fused_attention_agree(positions: str) -> None:
    ids, mask = torch.arange(1, 13).reshape(2, 6), torch.tensor([[1] * 6, [1] * 4 + [0] * 2])
    with torch.inference_mode():
        states = [BACKBONES[positions, name](ids, mask).last_hidden_state for name in ("eager", "sdpa")]
    torch.testing.assert_close(states[0][0], states[1][0], atol=1e-5, rtol=0.0)
    torch.testing.assert_close(states[0][1, :4], states[1][1, :4], atol=1e-5, rtol=0.0)


def test_rotary_scores_depend_only_on_distances() -> None:
    torch.manual_seed(0)
    query, key = torch.randn(1, 1, 1, 8), torch.randn(1, 1, 1, 8)

    def score(first: int, second: int) -> float:
        angles = torch.arange(20.0).unsqueeze(1) / 100 ** (torch.arange(0, 8, 2) / 8)
        table = torch.cat([angles, angles], dim=1)
        rotated = [rotate(x, table[n].cos(), table[n].sin()) for x, n in ((query, first), (key, second))]
        return float((rotated[0] * rotated[1]).sum())

    assert score(9, 4) == pytest.approx(score(15, 10), abs=1e-5)
    assert score(9, 4) != pytest.approx(score(9, 5), abs=1e-3)


def test_padding_attends_to_itself_so_that_no_row_is_empty() -> None:
    allowed = causal_mask(torch.tensor([[0, 0, 1, 1]]))[0, 0]
    assert allowed.int().tolist() == [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 1, 1]]


@pytest.mark.parametrize(("size", "millions"), [("tiny", 1.7), ("small", 3.3), ("medium", 4.9), ("large", 8.1)])
def test_the_four_sizes_have_the_published_counts_with_ten_thousand_entries(size: str, millions: float) -> None:
    shape = SIZES[size]
    config = ScratchConfig(10_000, shape.width, shape.layers, shape.heads, shape.ffn)
    with torch.device("meta"):
        model = AutoModel.from_config(config)
    assert size_of(model)["embedding_parameters"] == 10_000 * shape.width
    assert size_of(model)["parameters"] / 1e6 == pytest.approx(millions, abs=0.06)


def test_a_language_model_has_tied_weights_and_can_load_a_backbone(tmp_path: Path) -> None:
    model = AutoModelForCausalLM.from_config(ScratchConfig(vocab_size=50, **SMALL)).eval()
    assert model.lm_head.weight is model.get_input_embeddings().weight
    model.base_model.save_pretrained(tmp_path)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    ids = torch.arange(6).unsqueeze(0)
    torch.testing.assert_close(loaded(ids).logits, model(ids).logits, atol=0.0, rtol=0.0)


def test_the_first_loss_of_a_language_model_is_that_of_guessing() -> None:
    """Neither the positions nor the scale of the states dominate the tokens."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(ScratchConfig(vocab_size=1000)).eval()
    ids = torch.randint(1000, (8, 32))
    with torch.inference_mode():
        logits = model(ids).logits[:, :-1].reshape(-1, 1000)
    loss = torch.nn.functional.cross_entropy(logits, ids[:, 1:].reshape(-1))
    assert 6.5 < float(loss) < 8.5  # ln 1000 = 6.9


def test_gradient_checkpointing_gives_the_same_gradients() -> None:
    gradients = []
    for checkpointing in (False, True):
        model = backbone().train()
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        model.config.attention_dropout = 0.0
        if checkpointing:
            model.activation_checkpointing_enable()
        model(torch.arange(8).reshape(2, 4)).last_hidden_state.square().sum().backward()
        gradients.append(model.embedding.weight.grad)
    torch.testing.assert_close(gradients[0], gradients[1])


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    with pytest.raises(ValueError, match="3 heads do not divide a width of 32"):
        ScratchConfig(hidden_size=32, num_attention_heads=3)


def test_a_large_model_is_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    tokenizer = train_tokenizer(["a few words", "a few more"], "bpe", vocabulary_size=300)
    section = ModelSection(kind="scratch", base="", tokenizer="bpe", width=64, ffn=128)
    build_scratch(section, LABELS, "cpu", tokenizer)
    assert "from scratch" not in caplog.text
    build_scratch(section.model_copy(update={"width": 512, "ffn": 2048, "layers": 4}), LABELS, "cpu", tokenizer)
    assert "a small pre-trained model is usually better than training from scratch" in caplog.text
