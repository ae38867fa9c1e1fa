"""Long texts in windows: the logits of a text are the mean over its windows; short texts are not affected."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from conftest import articles, torch_predictor, with_changes
from slugline import load, train
from slugline.core.labels import LabelSet
from slugline.data.batching.planning import BatchLimits
from slugline.data.batching.tokens import tokenise
from slugline.data.batching.truncation import Truncation
from slugline.inference.transformer import TransformerPredictor
from slugline.models.build import build_pretrained
from slugline.models.forward import predict_logits, text_logits
from slugline.models.tokenizers import load_tokenizer
from slugline.recipe.model_section import ModelSection

LABELS = LabelSet(("business", "sport", "tech"))
LIMITS = BatchLimits(64, 8_192)
WINDOW = Truncation(12, "window", 3, 4)
TEXTS = [row["text"] for row in articles(30)]


@pytest.fixture
def predictor_of(tiny_base: Path) -> Any:
    """A function from a truncation to a predictor and its model; all predictors share the model."""
    torch.manual_seed(0)
    model = build_pretrained(ModelSection(base=str(tiny_base), pooling="mean"), LABELS, "cpu").eval()
    tokenizer = load_tokenizer(str(tiny_base))
    return lambda truncation, limits=LIMITS: (torch_predictor(model, tokenizer, truncation, limits), model)


def logits_of(predictor: TransformerPredictor, texts: list[str]) -> Any:
    return np.concatenate(list(predictor.logits(texts)))


@pytest.mark.parametrize("limits", [LIMITS, BatchLimits(3, 8_192), BatchLimits(64, 30)])
def test_the_logits_of_a_text_are_the_mean_over_its_windows(predictor_of: Any, limits: BatchLimits) -> None:
    predictor, model = predictor_of(WINDOW, limits)
    tokens = tokenise(TEXTS, predictor.tokenizer, WINDOW)
    assert {1, 2, 3, 4} <= set(tokens.pieces.tolist())
    found = logits_of(predictor, TEXTS)
    for index, row in enumerate(found):
        with torch.no_grad():
            alone = [model(torch.tensor([piece])).logits[0].numpy() for piece in tokens[index]]
        assert len(alone) == tokens.pieces[index]
        np.testing.assert_allclose(row, np.mean(alone, axis=0), atol=1e-5)


def test_short_texts_are_not_affected_by_windows(predictor_of: Any) -> None:
    head, _ = predictor_of(Truncation(12))
    windows, _ = predictor_of(WINDOW)
    lengths = tokenise(TEXTS, head.tokenizer, WINDOW).full_lengths
    short = [text for text, length in zip(TEXTS, lengths, strict=True) if length <= 12]
    assert len(short) >= 3
    np.testing.assert_array_equal(logits_of(windows, short), logits_of(head, short))
    np.testing.assert_allclose(logits_of(windows, TEXTS)[lengths <= 12], logits_of(head, short), atol=1e-5)


def test_means_over_windows_are_computed_in_float32() -> None:
    class Bfloat16Logits(torch.nn.Module):
        """A model with logits just above one in bfloat16; their sums would be rounded."""

        def forward(self, input_ids: torch.Tensor) -> Any:
            values = torch.tensor([1.0, 1.0078125, 1.0, 1.0078125, 1.0], dtype=torch.bfloat16)
            return type("Output", (), {"logits": values.unsqueeze(1)})

    batch = {"input_ids": torch.zeros(5, 1), "window_of": torch.tensor([0, 0, 0, 0, 1])}
    assert text_logits(Bfloat16Logits(), batch, 2).tolist() == [[1.00390625], [1.0]]


def test_prediction_restores_the_mode_of_the_model(predictor_of: Any) -> None:
    predictor, model = predictor_of(WINDOW)
    tokens = tokenise(TEXTS[:3], predictor.tokenizer, WINDOW)
    for is_training in (True, False):
        model.train(is_training)
        predict_logits(model, tokens, pad_id=0, precision="fp32", limits=BatchLimits(8, 100))
        assert model.training == is_training


def test_a_model_trained_with_windows_predicts_with_windows(recipe_values: dict[str, Any], tmp_path: Path) -> None:
    keys = {"max_length": 12, "long_texts": "window", "stride": 3, "max_windows": 4}
    run = train(with_changes(recipe_values, data=keys, train={"epochs": 4}), run_dir=tmp_path / "run")
    assert run.data["tokens"]["train"]["mean_pieces"] > 1.5
    found = load(run.path, precision="fp32")
    assert found.predictor.truncation == WINDOW  # type: ignore[attr-defined]
    lines = [line["validation"] for line in run.history if "validation" in line]
    best = max(lines, key=lambda line: line["f1_macro"])
    assert run.metrics["validation"]["loss"] == pytest.approx(best["loss"], abs=1e-5)
    # The topic words come after the first window.
    late = "the a was on monday new after over for with " * 2
    predictions = found.predict(
        [late + "goal match team coach league cup " * 3, late + "profit shares bank stocks " * 3]
    )
    assert predictions.tolist() == ["sport", "business"]
