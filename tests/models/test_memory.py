"""Exhausted memory: forward passes are halved until they fit, and the results stay the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from conftest import articles
from slugline.core.errors import ModelError
from slugline.core.labels import LabelSet
from slugline.data.batching.planning import BatchLimits
from slugline.data.batching.tokens import tokenise
from slugline.data.batching.truncation import Truncation
from slugline.models.adaptation.frozen_features import FrozenBase
from slugline.models.build import build_pretrained
from slugline.models.forward import predict_logits
from slugline.models.memory import retry_with_smaller_batches
from slugline.models.tokenizers import load_tokenizer
from slugline.recipe.model_section import ModelSection

TEXTS = [row["text"] for row in articles(40)]


class LimitedMemory:
    """Replaces the forward pass of a module by one that runs out of memory above a number of texts."""

    def __init__(self, module: torch.nn.Module, rows: int) -> None:
        self.forward, self.rows = module.forward, rows
        module.forward = self

    def __call__(self, *args: Any, **inputs: Any) -> Any:
        if len(inputs["input_ids"]) > self.rows:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self.forward(*args, **inputs)


def model(base: Path) -> Any:
    torch.manual_seed(0)
    section = ModelSection(base=str(base), pooling="mean")
    return build_pretrained(section, LabelSet(("business", "sport", "tech")), "cpu")


def test_smaller_passes_do_not_change_predictions(tiny_base: Path, caplog: pytest.LogCaptureFixture) -> None:
    tokens = tokenise(TEXTS, load_tokenizer(str(tiny_base)), Truncation(32))
    large, small = model(tiny_base), model(tiny_base)
    LimitedMemory(small, rows=4)
    passes = {"pad_id": 0, "precision": "fp32", "limits": BatchLimits(32, 2**31)}
    expected = predict_logits(large.train(), tokens, **passes)  # type: ignore[arg-type]
    np.testing.assert_allclose(predict_logits(small.train(), tokens, **passes), expected, atol=1e-5)  # type: ignore[arg-type]
    assert small.training
    assert "at most 4 texts" in caplog.text


def test_smaller_passes_do_not_change_features(tiny_base: Path) -> None:
    tokens = tokenise(TEXTS, load_tokenizer(str(tiny_base)), Truncation(32))
    frozen_base = FrozenBase(model(tiny_base).eval())
    passes = {"pad_id": 0, "precision": "fp32", "limits": BatchLimits(32, 2**31)}
    expected = frozen_base.encode(tokens, **passes)  # type: ignore[arg-type]
    LimitedMemory(frozen_base.base, rows=4)
    found = frozen_base.encode(tokens, **passes)  # type: ignore[arg-type]
    np.testing.assert_allclose(found.vectors, expected.vectors, atol=1e-5)


def test_a_text_that_does_not_fit_raises_an_error_with_a_hint() -> None:
    def compute(limits: BatchLimits) -> None:
        raise torch.OutOfMemoryError("out of memory")

    with pytest.raises(ModelError, match=r"does not fit(.|\n)*max_length"):
        retry_with_smaller_batches(compute, limits=BatchLimits(64, 2**31))


def test_other_errors_are_not_changed() -> None:
    def compute(limits: BatchLimits) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1"):
        retry_with_smaller_batches(compute, limits=BatchLimits(64, 8))
