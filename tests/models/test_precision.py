"""A precision is used only if the model works in it; float16 on a CPU is refused."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModel

from conftest import SMALL, with_changes
from slugline import load, train
from slugline.core.errors import ModelError, RecipeError
from slugline.core.hardware import PrecisionChoice
from slugline.core.labels import LabelSet
from slugline.models.build import build_pretrained
from slugline.models.precision import working_precision
from slugline.pipeline import pretrain
from slugline.recipe.model_section import ModelSection

BF16 = PrecisionChoice("bf16", "the processor multiplies bfloat16 natively")


@pytest.fixture
def deberta(tmp_path: Path, tiny_base: Path) -> Path:
    """A base that fails in bfloat16: DeBERTa, version 1."""
    settings = {"vocab_size": 120, "max_position_embeddings": 64, "pad_token_id": 0, "type_vocab_size": 0}
    relative = {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_biased_input": False}
    torch.manual_seed(0)
    AutoModel.from_config(AutoConfig.for_model("deberta", **SMALL, **settings, **relative)).save_pretrained(
        tmp_path / "deberta"
    )
    for path in tiny_base.glob("tokenizer*"):
        (tmp_path / "deberta" / path.name).write_bytes(path.read_bytes())
    return tmp_path / "deberta"


@pytest.fixture
def bf16_hardware(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor that multiplies bfloat16 natively."""
    monkeypatch.setattr("slugline.core.hardware._cpu_flags", lambda: frozenset({"avx512_bf16"}))


@pytest.mark.usefixtures("bf16_hardware")
@pytest.mark.parametrize("pooling", ["native", "mean"])
def test_a_model_that_fails_in_bfloat16_is_trained_in_float32(
    recipe_values: dict[str, Any], tmp_path: Path, deberta: Path, pooling: str, caplog: pytest.LogCaptureFixture
) -> None:
    recipe = with_changes(
        recipe_values, model={"base": str(deberta), "pooling": pooling}, train={"precision": "auto", "epochs": 1}
    )
    with caplog.at_level(logging.INFO, logger="slugline"):
        run = train(recipe, run_dir=tmp_path / "run")
    assert run.manifest["precision"] == "fp32"
    assert "precision fp32: Deberta" in caplog.text or "precision fp32: Pooled" in caplog.text
    assert "does not work in bf16" in caplog.text
    assert len(load(run.path).predict(["market shares"])) == 1
    plain = tmp_path / "plain"
    run.model_dirs[0].rename(plain)
    assert len(load(plain).predict(["market shares"])) == 1


@pytest.mark.usefixtures("bf16_hardware")
def test_a_model_that_works_in_bfloat16_is_trained_in_it(recipe_values: dict[str, Any], tmp_path: Path) -> None:
    run = train(with_changes(recipe_values, train={"precision": "auto", "epochs": 1}), run_dir=tmp_path / "run")
    assert run.manifest["precision"] == "bf16"


def test_a_requested_precision_in_which_the_model_fails_is_an_error(
    recipe_values: dict[str, Any], tmp_path: Path, deberta: Path
) -> None:
    recipe = with_changes(recipe_values, model={"base": str(deberta)}, train={"precision": "bf16"})
    with pytest.raises(ModelError, match=r"does not work in bf16: \S(.|\n)*train.precision"):
        train(recipe, run_dir=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def network(base: Path) -> Any:
    torch.manual_seed(0)
    return build_pretrained(ModelSection(base=str(base), pooling="mean"), LabelSet(("a", "b", "c")), "cpu")


@pytest.mark.parametrize("is_trained", [False, True])
@pytest.mark.parametrize("fault", ["error", "infinite", "error in float32", "backward"])
def test_the_fault_is_found_by_a_pass(tiny_base: Path, fault: str, is_trained: bool) -> None:
    model = network(tiny_base)
    forward = model.forward

    def faulty(**inputs: Any) -> Any:
        is_reduced = torch.is_autocast_enabled("cpu")
        if fault == "error in float32" or (fault == "error" and is_reduced):
            raise RuntimeError("expected scalar type Float but found BFloat16")
        output = forward(**inputs)
        if is_reduced and fault == "infinite":
            output.logits = output.logits / 0
        if is_reduced and fault == "backward" and output.logits.requires_grad:
            output.logits.register_hook(lambda _: 1 / 0)
        return output

    model.forward = faulty
    found = working_precision(model.train(), BF16, is_trained=is_trained)
    works = fault == "error in float32" or (fault == "backward" and not is_trained)
    assert found.precision == ("bf16" if works else "fp32")
    assert model.training


def test_the_trial_changes_nothing(tiny_base: Path) -> None:
    model = network(tiny_base).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    assert working_precision(model, BF16, is_trained=True) == BF16
    assert torch.equal(torch.get_rng_state(), state)
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_exhausted_memory_is_no_fault_of_the_precision(tiny_base: Path) -> None:
    model = network(tiny_base)

    def exhausted(**_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    model.forward = exhausted
    with pytest.raises(torch.OutOfMemoryError):
        working_precision(model, BF16, is_trained=True)


@pytest.mark.parametrize("start", [train, pretrain], ids=["train", "pretrain"])
def test_float16_on_a_cpu_is_refused_before_any_data_is_read(
    recipe_values: dict[str, Any], tmp_path: Path, start: Callable[..., Any]
) -> None:
    changes: dict[str, Any] = {"data": {"path": "nowhere.csv"}, "train": {"precision": "fp16", "device": "cpu"}}
    if start is pretrain:
        changes["pretrain"] = {"sequence_length": 16}
    with pytest.raises(RecipeError, match=r'train.precision is "fp16", but this training runs on a CPU'):
        start(with_changes(recipe_values, **changes), run_dir=tmp_path / "run")
    assert not (tmp_path / "run").exists()
