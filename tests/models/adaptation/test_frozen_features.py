"""Features of a frozen base: the head computes the same logits from features as from texts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from slugline.core.labels import LabelSet
from slugline.data.batching.planning import BatchLimits
from slugline.data.batching.tokens import tokenise
from slugline.data.batching.truncation import Truncation
from slugline.models.adaptation.frozen_features import FrozenBase
from slugline.models.build import build_pretrained
from slugline.models.forward import predict_logits, text_logits
from slugline.models.tokenizers import load_tokenizer
from slugline.recipe.model_section import ModelSection

LABELS = LabelSet(("business", "sport", "tech"))
TEXTS = ["market shares profit", "the team", "", "software phone internet computer users online chip network " * 3]
OPTIONS: dict[str, Any] = {"pad_id": 0, "precision": "fp32", "limits": BatchLimits(2, 64)}


def built(base: Path, **keys: Any) -> Any:
    torch.manual_seed(0)
    return build_pretrained(ModelSection(base=str(base), **keys), LABELS, "cpu").eval()


def logits_of_features(frozen_base: FrozenBase, features: Any) -> np.ndarray[Any, Any]:
    """Logits that the head computes from the features of each text."""
    found = []
    for index in range(len(features)):
        vectors = torch.from_numpy(features[index]).unsqueeze(1)
        batch = frozen_base.batch(len(vectors)) | {"window_of": torch.zeros(len(vectors), dtype=torch.int64)}
        with torch.inference_mode(), frozen_base.returning(vectors):
            found.append(text_logits(frozen_base.model, batch, 1).numpy())
    return np.concatenate(found)


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert", "deberta-v2", "gpt2"])
@pytest.mark.parametrize("pooling", ["native", "cls", "last", "mean", "max"])
def test_features_give_the_same_logits_as_texts(family_base: Callable[[str], Path], family: str, pooling: str) -> None:
    base = family_base(family)
    model = built(base, pooling=pooling)
    tokens = tokenise(TEXTS, load_tokenizer(str(base)), Truncation(16))
    expected = predict_logits(model, tokens, **OPTIONS)
    frozen_base = FrozenBase(model)
    found = logits_of_features(frozen_base, frozen_base.encode(tokens, **OPTIONS))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(predict_logits(model, tokens, **OPTIONS), expected, atol=0)  # the model is unchanged


def test_each_window_has_its_own_features(tiny_base: Path) -> None:
    model = built(tiny_base, pooling="mean", head="mlp")
    tokens = tokenise(TEXTS, load_tokenizer(str(tiny_base)), Truncation(10, "window", 2, 4))
    frozen_base = FrozenBase(model)
    features = frozen_base.encode(tokens, **OPTIONS)
    assert features.pieces.tolist() == tokens.pieces.tolist()
    assert max(features.pieces) > 1
    expected = predict_logits(model, tokens, **OPTIONS)
    np.testing.assert_allclose(logits_of_features(frozen_base, features), expected, atol=1e-5)


def test_a_head_that_reads_all_tokens_is_refused(tiny_base: Path) -> None:
    with pytest.raises(ValueError, match="more than one vector"):
        FrozenBase(built(tiny_base, pooling="attention"))
