"""Trial passes, on tiny models of all architectures: positions, padding, states of blocks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from architectures import PADDING_MATTERS, architectures, tiny_model, tiny_tokenizer
from conftest import torch_predictor
from slugline.core.errors import ModelError
from slugline.core.labels import LabelSet
from slugline.data.batching.planning import BatchLimits
from slugline.data.batching.truncation import Truncation
from slugline.models.adaptation.adapt import adapt
from slugline.models.adaptation.frozen_features import FrozenBase
from slugline.models.build import build_pretrained
from slugline.models.trial import longest_input, require_block_states, require_padding
from slugline.recipe.model_section import ModelSection

LABELS = LabelSet(("business", "sport", "tech"))

#: Architectures whose first position is the row after that of the padding token, out of `architectures`.
OFFSET = "camembert data2vec-text esm ibert lilt longformer luke markuplm mpnet roberta roberta-prelayernorm".split()
OFFSET += ["xlm-roberta", "xlm-roberta-xl", "xmod"]

#: Architectures that read texts of any length.
UNLIMITED = ("bloom", "funnel", "mt5", "t5", "umt5", "xlnet")


def saved(folder: Path, model_type: str, auto_class: str = "AutoModel", **keys: Any) -> str:
    """Folder of a tiny base."""
    tiny_model(model_type, auto_class, **keys).save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize("model_type", architectures())
def test_a_model_reads_as_many_tokens_as_it_has_positions(model_type: str) -> None:
    model, tokenizer = tiny_model(model_type), tiny_tokenizer()
    longest = longest_input(model, tokenizer)
    if model_type == "mpt":
        assert longest == 2048  # max_seq_len, of distances
    else:
        assert longest == (None if model_type in UNLIMITED else 46 if model_type in OFFSET else 48)
    ids = torch.tensor([[0, *[7] * ((longest or 100) - 2), 2]])
    with torch.inference_mode():
        assert model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits.isfinite().all()
    tokenizer.model_max_length = 20
    assert longest_input(model, tokenizer) == 20


@pytest.mark.parametrize("model_type", sorted(set(architectures()) - set(PADDING_MATTERS)))
def test_a_text_has_the_same_logits_alone_and_beside_a_longer_text(model_type: str) -> None:
    model, tokenizer = tiny_model(model_type, num_labels=3), tiny_tokenizer()
    require_padding(model, tokenizer)
    texts = ["w9 w30 w31", " ".join(f"w{index}" for index in range(3, 20)), "w50", "w8 w9 w10 w11 w12 w13"]
    predictor = torch_predictor(model, tokenizer, Truncation(40), BatchLimits(8, 10_000))
    together = next(predictor.logits(texts))
    alone = np.concatenate([next(predictor.logits([text])) for text in texts])
    np.testing.assert_allclose(together, alone, atol=1e-4 * np.abs(alone).max())
    # The model reads the texts; MRA attends only with its CUDA kernel.
    assert np.abs(alone - alone[:1]).max() > 1e-3 or model_type == "mra"


@pytest.mark.parametrize("model_type", PADDING_MATTERS)
def test_an_architecture_whose_logits_depend_on_the_padding_is_refused(model_type: str) -> None:
    with pytest.raises(ModelError, match=f"logits of {model_type} depend on the padding"):
        require_padding(tiny_model(model_type), tiny_tokenizer())


def test_weights_that_are_not_finite_are_refused() -> None:
    model = tiny_model("bert")
    torch.nn.init.constant_(model.classifier.weight, float("nan"))
    with pytest.raises(ModelError, match="not finite"):
        require_padding(model, tiny_tokenizer())


@pytest.mark.parametrize(
    "model_type", ["t5", "mt5", "umt5", "opt", "bart", "xlnet", "bloom", "ibert", "deberta", "mpnet"]
)
@pytest.mark.parametrize("keys", [{"pooling": "mean"}, {"pooling": "attention", "head": "mlp"}, {"adapt": "adapter"}])
def test_every_architecture_gets_a_pooling_of_this_package(
    model_type: str, keys: dict[str, Any], tmp_path: Path
) -> None:
    """T5 has an encoder of its own; OPT's states become narrower after the last block."""
    from slugline import load
    from slugline.models.saving import save

    base, tokenizer = saved(tmp_path / "base", model_type), tiny_tokenizer()
    model = build_pretrained(ModelSection.model_validate({"base": base, **keys}), LABELS, "cpu", tokenizer).eval()
    (tmp_path / "model").mkdir()
    save(model, tokenizer, tmp_path / "model")
    texts = ["w9 w30", "w3 w4 w5 w6 w7 w8"]
    expected = next(torch_predictor(model, tokenizer, Truncation(40), BatchLimits(8, 1000)).logits(texts))
    found = np.concatenate(list(load(tmp_path / "model", precision="fp32", device="cpu").logits(texts)))
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("model_type", ["xlnet", "t5", "bart", "mbart"])
def test_a_head_that_needs_more_than_one_vector_of_the_base_gets_no_features(model_type: str) -> None:
    """XLNet's head reads other outputs of the base, T5's and BART's the ids of the text."""
    with pytest.raises(ValueError, match="the head"):
        FrozenBase(tiny_model(model_type))


@pytest.mark.parametrize("model_type", ["opt", "ibert", "mpnet", "deberta", "bloom"])
def test_a_head_that_reads_one_vector_gets_features(model_type: str) -> None:
    assert FrozenBase(tiny_model(model_type)).pooling


@pytest.mark.parametrize("model_type", ["xlnet", "funnel", "longformer"])
def test_blocks_without_the_states_of_each_token_are_refused(model_type: str) -> None:
    """XLNet has the texts on the second axis, Funnel shortens them, Longformer pads them."""
    with pytest.raises(ModelError, match=rf"train\.mixup needs .* which {model_type} does not give"):
        require_block_states(tiny_model(model_type), tiny_tokenizer(), key="train.mixup")


@pytest.mark.parametrize("model_type", ["bert", "bart", "ibert", "opt", "deberta", "gpt2", "t5"])
def test_blocks_with_the_states_of_each_token_are_accepted(model_type: str) -> None:
    require_block_states(tiny_model(model_type), tiny_tokenizer(), key="train.mixup")


@pytest.mark.parametrize("model_type", sorted(set(architectures()) - {"ibert", "squeezebert"}))
def test_low_rank_matrices_are_added_to_the_attention(model_type: str) -> None:
    model = tiny_model(model_type)
    adapt(model, ModelSection.model_validate({"adapt": "lora", "lora": {"r": 2}}))
    layers = {name.split(".lora_A")[0] for name, _ in model.named_parameters() if ".lora_A" in name}
    assert layers
    if model_type in ("camembert", "mpnet", "data2vec-text", "ernie", "xlm", "convbert", "big_bird", "gte"):
        names = {name.rpartition(".")[2] for name in layers}
        assert len(names) == 2
        assert {name[0] for name in names} == {"q", "v"}


@pytest.mark.parametrize("model_type", ["ibert", "squeezebert"])
def test_an_architecture_without_linear_layers_gets_no_low_rank_matrices(model_type: str) -> None:
    with pytest.raises(ModelError, match=f"{model_type} has no linear layers"):
        adapt(tiny_model(model_type), ModelSection.model_validate({"adapt": "lora"}))
